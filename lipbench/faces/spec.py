"""The weights that face backends and parsers use, and the trainer of the demo backend."""

from __future__ import annotations

from lipbench.core.weights import Member, WeightsEntry, Wheel, packaged

_CELEBAMASK_TERMS = "non-commercial: trained on CelebAMask-HQ, whose terms allow research and education only"
_MEDIAPIPE = Wheel(
    "mediapipe",
    "0.10.21",
    "3.11",
    ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "macosx_11_0_universal2", "macosx_11_0_x86_64", "win_amd64"),
)

WEIGHTS = (
    WeightsEntry(
        "s3fd",
        "s3fd-619a316812.pth",
        "face detector of Wav2Lip's inference (from face-alignment); backend s3fd-wav2lip",
        "none stated for the weights; the face-alignment code is BSD-3-Clause",
        89_843_225,
        "619a316812",
        ("https://www.adrianbulat.com/downloads/python-fan/s3fd-619a316812.pth",),
    ),
    WeightsEntry(
        "bisenet_face",
        "79999_iter.pth",
        "parser bisenet: head, neck and torso masks as in AD-NeRF",
        _CELEBAMASK_TERMS,
        53_289_463,
        "468e13ca13a9b43cc0881a9f99083a430e9c0a38abd935431d1c28ee94b26567",
        where="79999_iter.pth from the link to the pre-trained model in the README of "
        "github.com/zllrunning/face-parsing.PyTorch",
    ),
    WeightsEntry(
        "celebamask_unet",
        "celebamask_unet.pth",
        "parser celebamask: head, neck and torso masks as in LipNeRF",
        _CELEBAMASK_TERMS,
        7_800_000,
        where="model.pth from the link under 'Well-trained model' in face_parsing/README.md of "
        "github.com/switchablenorms/CelebAMask-HQ",
        loader="lipbench.faces.parsing.network_parser:load_celebamask",
    ),
    WeightsEntry(
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
    WeightsEntry(
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
    packaged(
        "demo-face",
        "face backend demo-face: 68 points on generated faces, nothing else",
        "e864f42d35bab8f49ad66ae61c14aa2a24005bd255f4e3f04cab6eb0086be45c",
        1902911,
    ),
)

TRAINERS = {"demo-face": "lipbench.training.demo_face:trainer"}
