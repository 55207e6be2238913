"""The sync metrics: the weights of their networks and their trainer."""

from __future__ import annotations

from lipbench.core.weights import WeightsEntry, packaged

_OXFORD = "https://www.robots.ox.ac.uk/~vgg/software/lipsync/data/"

WEIGHTS = (
    WeightsEntry(
        "syncnet_v2",
        "syncnet_v2.model",
        "the sync model behind published LSE-D and LSE-C",
        "none stated for the weights; the repository's code (joonson/syncnet_python) is MIT",
        54_600_000,
        "961e8696f888fce4f3f3a6c3d5b3267cf5b343100b238e79b2659bff2c605442",
        (
            _OXFORD + "syncnet_v2.model",
            "https://huggingface.co/ByteDance/LatentSync-1.5/resolve/main/auxiliary/syncnet_v2.model",
        ),
    ),
    WeightsEntry(
        "sfd_face",
        "sfd_face.pth",
        "face detector of the SyncNet pipeline (protocol realvideo); backend s3fd-syncnet",
        "none stated; code adapted from cs-giung/face-detection-pytorch",
        89_800_000,
        "d54a87c2b7543b64729c9a25eafd188da15fd3f6e02f0ecec76ae1b30d86c491",
        (_OXFORD + "sfd_face.pth",),
    ),
    packaged(
        "syncnet-demo",
        "the demo sync model; its LSE-D and LSE-C compare with no published number",
        "c101b59cc71660e8d7d139bb25ae2991011f9db28b3e32dc867762827851b6c9",
        1620500,
    ),
    packaged(
        "landmark-sync",
        "the sync model on landmarks: metrics sync_offset, sync_confidence, sync_d, sync_gain; also for real people",
        "80484adec4bdd6cc8ee0d138273308bbfc1b84fe0829ec62ddfbf7010fafceb8",
        416279,
    ),
)

TRAINERS = {
    "syncnet": "lipbench.training.syncnet.trainer:trainer",
    "landmark-sync": "lipbench.training.landmark_sync.trainer:trainer",
}
