"""Where the face is: boxes of the scored video itself, or the published detector's box made of a FaceTrack.

The published crop is built on S3FD boxes, whose training data (WIDER FACE) draws them tightly around forehead, chin and
cheeks. A track with landmarks gives such a box; a box of another detector may not (BlazeFace's is a square from brow to
chin), so landmarks are preferred where there are any. Which rule was used is recorded with every score, and only
boxes of S3FD itself count as the published protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench import media
from lipbench.core import weights
from lipbench.core.errors import WeightsMissing
from lipbench.faces import backend_identity, track_faces
from lipbench.faces.track import Box, FaceTrack
from lipbench.metrics.sync.protocol import DETECTION_CONFIDENCE, DETECTION_SCALE, FPS

#: The 468 points of the face mesh end at the upper forehead, the chin and the cheeks: their extent is the box. Points
#: from 468 on are irises.
MESH_POINTS = 468
#: The 68 points end at the brows: the mesh is 1.19 times as high (1.186 and 1.192 on two frontal speakers on which both
#: were measured, standard deviation over the frames 0.014).
FOREHEAD_68 = 1.19

RULES = {
    "mesh": "extent of the 468 mesh points",
    "ibug68": f"extent of the 68 points, raised to {FOREHEAD_68} times its height",
    "detector": "the detector's own box",
}


@dataclass(frozen=True)
class FaceBoxes:
    """Boxes of a video at 25 fps.

    Attributes:
        faces: per frame the boxes, best first; empty where no face was seen.
        backend: what saw them, e.g. "s3fd-syncnet", "mediapipe-face", "corpus".
        rule: key of `RULES`.
        source: "prediction" (the scored video) or "reference" (the undubbed video, the same crop for every method).
    """

    faces: list[list[Box]]
    backend: str
    rule: str
    source: str

    @property
    def n_found(self) -> int:
        """Frames with a face."""
        return sum(bool(boxes) for boxes in self.faces)


def boxes_of_track(track: FaceTrack, n_frames: int, size: tuple[int, int], source: str) -> FaceBoxes:
    """The boxes of a track for a scored video of `n_frames` at 25 fps and `size` (width, height) px.

    A track at another rate is read as `core.media` resamples videos; one made at another image size is scaled.
    Frames beyond the track's end have no face.
    """
    corners, rule = _corners(track)
    corners = corners * (np.array([size[0], size[1]] * 2) / np.array([track.width, track.height] * 2))
    faces: list[list[Box]] = []
    for i in _frame_numbers(track, n_frames):
        if i is None or not np.isfinite(corners[i]).all():
            faces.append([])
            continue
        x1, y1, x2, y2 = (float(v) for v in corners[i])
        faces.append([Box(x1, y1, x2, y2, float(track.score[i]))])
    return FaceBoxes(faces, track.backend, rule, source)


def _corners(track: FaceTrack) -> tuple[NDArray[np.float64], str]:
    """(T, 4) x1 y1 x2 y2 px, NaN where lost, and the rule they follow."""
    points = track.landmarks
    if points is None or track.backend.startswith("s3fd"):
        return track.boxes.astype(np.float64), "detector"
    mesh = points.shape[1] >= MESH_POINTS
    xy = points[:, :MESH_POINTS, :2].astype(np.float64)
    low, high = xy.min(axis=1), xy.max(axis=1)  # NaN stays NaN
    if not mesh:
        low[:, 1] = high[:, 1] - (high[:, 1] - low[:, 1]) * FOREHEAD_68
    return np.concatenate([low, high], axis=1), "mesh" if mesh else "ibug68"


def _frame_numbers(track: FaceTrack, n_frames: int) -> list[int | None]:
    """The track's frame that each of `n_frames` at 25 fps shows; None beyond its end."""
    # A frame at time t goes to slot round(t * 25), halves up; slot n shows the last frame whose slot is <= n.
    slots = np.floor(np.arange(len(track)) / track.fps * FPS + 0.5 + 1e-9).astype(int)
    wanted = np.searchsorted(slots, np.arange(n_frames), side="right") - 1
    end = int(np.floor(len(track) / track.fps * FPS + 0.5 + 1e-9))
    return [int(i) if i >= 0 and n < end else None for n, i in enumerate(wanted)]


#: (B, H, W, 3) RGB frames -> per frame all boxes, best first.
Detect = Callable[[NDArray[np.uint8]], list[list[Box]]]

#: The published detector: S3FD with the weights `sfd_face`; finds every face of a frame.
PUBLISHED = "s3fd-syncnet"
PUBLISHED_WEIGHTS = "sfd_face"
#: What "auto" takes where the published weights are missing.
SECOND = "mediapipe-face"


def resolve_detector(detector: str) -> str:
    """The face backend that a `detector` option stands for; "auto" depends on the weights on this machine.

    Raises:
        WeightsMissing: "auto", and there are weights for neither detector.
    """
    if detector != "auto":
        return detector
    if weights.available(PUBLISHED_WEIGHTS):
        return PUBLISHED
    if weights.available(SECOND):
        return SECOND
    raise WeightsMissing(
        "there is no face detector on this machine",
        f"neither {PUBLISHED_WEIGHTS} (as published) nor {SECOND} is in {weights.folder()}",
        f"run `lipbench weights get {PUBLISHED_WEIGHTS}` or `lipbench weights get {SECOND}`",
    )


def detector_identity(detector: str) -> dict[str, Any]:
    """What the detector's boxes depend on, for score keys; a name alone while its weights are missing."""
    try:
        name = resolve_detector(detector)
    except WeightsMissing:
        return {"detector": detector}
    return {"detector": name, **backend_identity(name)}


def frame_detector(detector: str, device: str = "cpu") -> Detect | None:
    """A function that finds all faces of a frame; None for backends that follow one face through a video.

    Raises:
        WeightsMissing, WeightsMismatch, WeightsError: of the published detector.
    """
    if detector != PUBLISHED:
        return None
    net = _s3fd(str(weights.path(PUBLISHED_WEIGHTS)), device)
    return lambda frames: net.detect(frames, scale=DETECTION_SCALE, threshold=DETECTION_CONFIDENCE)


@cache
def _s3fd(path: str, device: str) -> Any:
    from lipbench.faces.detect import S3FD

    return S3FD("syncnet").load(path).to(device)


def track_prediction(video: Path, detector: str) -> FaceTrack:
    """The scored video's own face track at 25 fps.

    Raises:
        UsageError, UnknownName: no such backend, or one that reads landmark files.
        WeightsMissing: of that backend.
    """
    return track_faces(media.read_frames(video, fps=FPS), backend=detector, fps=FPS)
