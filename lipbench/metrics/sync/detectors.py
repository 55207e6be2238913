"""Finding faces in the scored video itself, as the published evaluation does."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench import media
from lipbench.core import weights
from lipbench.core.errors import WeightsMissing
from lipbench.faces.track import Box, FaceTrack
from lipbench.metrics.sync.constants import DETECTION_CONFIDENCE, DETECTION_SCALE, FPS

#: (B, H, W, 3) RGB frames -> per frame all boxes, best first.
Detect = Callable[[NDArray[np.uint8]], list[list[Box]]]

#: The published detector: S3FD with the weights `sfd_face`; finds every face of a frame.
PUBLISHED = "s3fd-syncnet"
PUBLISHED_WEIGHTS = "sfd_face"
#: What "auto" takes where the published weights are missing.
SECOND = "mediapipe-face"


def resolve(detector: str) -> str:
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


def identity(detector: str) -> dict[str, Any]:
    """What the detector's boxes depend on, for score keys; a name alone while its weights are missing."""
    try:
        name = resolve(detector)
    except WeightsMissing:
        return {"detector": detector}
    from lipbench.faces import backend_identity

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
    from lipbench.faces import track_faces

    return track_faces(media.read_frames(video, fps=FPS), backend=detector, fps=FPS)
