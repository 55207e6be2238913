"""Where Wav2Lip looks: one integer box per frame, made from a face track the way upstream makes it from detections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import NoFace, Refused
from lipbench.faces.track import FaceTrack

#: Detectors trained on WIDER FACE, as S3FD is, frame a face as its annotators did: chin to forehead, cheek to cheek.
#: That is the extent of the 468 mesh points; the 68 points end at the brows, and the mesh is 1.19 times as high
#: (measured on two speakers). On the first face of that data set's training list, whose 68 points have been published,
#: the annotated box is 1.22 times as high.
MESH_POINTS, FOREHEAD_68 = 468, 1.19

SMOOTHING = 5  # frames, upstream's T


@dataclass(frozen=True)
class Boxes:
    """One face box per frame.

    Attributes:
        xyxy: (n, 4) int64 x1 y1 x2 y2 px, inside the image, never empty.
        info: how they came about: source, filled frames, frames with other faces.
    """

    xyxy: NDArray[np.int64]
    info: dict[str, Any]


def detector_boxes(track: FaceTrack) -> NDArray[np.float64]:
    """(T, 4) boxes with the framing of the S3FD detector, NaN where lost.

    A track by S3FD has them; one with landmarks gets their extent, chin to forehead; the boxes of any other detector
    are taken as they are.
    """
    if track.backend.startswith("s3fd") or track.landmarks is None:
        return track.boxes.astype(np.float64)
    points = track.landmarks[:, :MESH_POINTS, :2].astype(np.float64)  # beyond them lie the irises
    low, high = points.min(axis=1), points.max(axis=1)  # NaN stays NaN
    if points.shape[1] < MESH_POINTS:
        low[:, 1] = high[:, 1] - FOREHEAD_68 * (high[:, 1] - low[:, 1])
    return np.concatenate([low, high], axis=1)


def filled(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, 4) with lost frames filled: linear between their neighbors, held before the first and after the last.

    Raises:
        NoFace: nothing to fill from.
    """
    known = np.flatnonzero(np.isfinite(boxes).all(1))
    if not len(known):
        raise NoFace("no face was found in any frame", "", "give the box yourself (`box: [x1, y1, x2, y2]`)")
    frames = np.arange(len(boxes))
    return np.stack([np.interp(frames, known, boxes[known, k]) for k in range(4)], axis=1)


def padded(boxes: NDArray[np.float64], pads: tuple[int, int, int, int], width: int, height: int) -> NDArray[np.int64]:
    """Truncate to whole pixels, widen by `pads` (top, bottom, left, right; px), clamp to the image."""
    x1, y1, x2, y2 = np.clip(boxes, 0, None).astype(np.int64).T
    top, bottom, left, right = pads
    return np.stack(
        [
            np.maximum(0, x1 - left),
            np.maximum(0, y1 - top),
            np.minimum(width, x2 + right),
            np.minimum(height, y2 + bottom),
        ],
        axis=1,
    )


def smoothed(boxes: NDArray[np.int64], window: int = SMOOTHING) -> NDArray[np.int64]:
    """Upstream's running mean, to the letter: forward windows, in place, truncated to integers.

    The windows at the end hold entries that are smoothed already, and fewer frames than `window` wrap around as
    Python's negative indices do; published results contain both, so this does too.
    """
    out, n = boxes.copy(), len(boxes)
    for i in range(n):
        out[i] = out[n - window :].mean(axis=0) if i + window > n else out[i : i + window].mean(axis=0)
    return out


def follow(track: FaceTrack, pads: tuple[int, int, int, int] = (0, 10, 0, 0), smooth: bool = True) -> Boxes:
    """The boxes that Wav2Lip uses along a track.

    Raises:
        NoFace: the track holds no face at all.
        Refused: a box lies outside of the image.
    """
    boxes = padded(filled(detector_boxes(track)), pads, track.width, track.height)
    info = {
        "boxes": track.backend,
        "frames_without_face": len(track.lost_frames),
        "frames_with_other_faces": int((track.n_faces > 1).sum()),
    }
    return checked(Boxes(smoothed(boxes) if smooth else boxes, info), track.width, track.height)


def fixed(box: tuple[int, int, int, int], n_frames: int, width: int, height: int) -> Boxes:
    """The same given box (x1 y1 x2 y2) on every frame, neither padded nor smoothed, like upstream's --box.

    Raises:
        Refused: the box is empty or leaves the image.
    """
    xyxy = np.tile(np.asarray(box, dtype=np.int64), (n_frames, 1))
    return checked(Boxes(xyxy, {"boxes": "given"}), width, height)


def checked(boxes: Boxes, width: int, height: int) -> Boxes:
    x1, y1, x2, y2 = boxes.xyxy.T
    bad = np.flatnonzero((x1 < 0) | (y1 < 0) | (x2 > width) | (y2 > height) | (x2 - x1 < 2) | (y2 - y1 < 2))
    if len(bad):
        box = boxes.xyxy[bad[0]].tolist()
        raise Refused(
            f"the face box {box} of frame {bad[0]} does not lie in the {width} x {height} image",
            "boxes are x1, y1, x2, y2 in pixels, at least 2 wide and high",
            "correct `box`, or use footage in which the face stays in the image",
        )
    return boxes
