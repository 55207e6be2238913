"""How Speech2Vid frames a face, which images it is shown, and how the drawn face gets back into the video.

Two framings, because the weights decide. "eyes-nose" is upstream's: a similarity that lays 21 points of nose and eyes
on a mean face. "box" is that of the small demo network: an upright square around the face box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.baselines.speech2vid.networks import DRAWN, SIZE, STILLS
from lipbench.core.errors import Unsupported
from lipbench.faces.morphable.procedural import head_parts
from lipbench.faces.track import FaceTrack
from lipbench.metrics.sync.face_boxes import boxes_of_track
from lipbench.metrics.sync.protocol import FPS
from lipbench.metrics.sync.tracks import crop_path

Framing = Literal["eyes-nose", "box"]
Frame = NDArray[np.uint8]

FILL = 110  # gray of what lies outside of the image
#: Rows and columns of a still in which lips and chin of a face framed by its box lie.
MOUTH = (slice(59, 99), slice(27, 85))
#: Half edge of the square over half of the face box's larger edge.
BOX_SCALE = 1.2
#: Points of the 68 that upstream aligns: nose and eyes (28 to 48, counted from 1).
ALIGNED = slice(27, 48)
#: Frames from the one drawn to the images that show how the speaker looks then.
AROUND = (-12, -6, 6, 12, 18)
WITH_OWN = (0, -12, -6, 6, 12)
#: Fade at the pasted square's border, as a share of its edge.
FEATHER = 1 / 8


def similarities(track: FaceTrack, framing: Framing) -> NDArray[np.float64]:
    """(T, 2, 3) matrices from the frame's pixels (centers on integers) to those of the 112 x 112 still.

    Frames without a face get what lies between their neighbors'.

    Raises:
        Unsupported: "eyes-nose" with a track that has no landmarks.
    """
    if framing == "box":
        # Boxes are asked for at 25 fps; said to be at that rate, the track gives one per frame of its own.
        same = replace(track, fps=float(FPS))
        found = boxes_of_track(same, len(track), (track.width, track.height), "reference").faces
        boxes = np.array([[f[0].x1, f[0].y1, f[0].x2, f[0].y2] if f else [np.nan] * 4 for f in found])
        path = crop_path(_filled(boxes))
        # The first and last values lean towards the smallest in reach, see crop_path; a face keeps its size there.
        edge = np.maximum(path.s, 0.9 * np.median(path.s))
        return np.stack([square(x, y, s * BOX_SCALE) for x, y, s in zip(path.x, path.y, edge, strict=True)])
    points = track.points68()
    if points is None:
        raise Unsupported(
            f"speech2vid cannot align the faces of a {track.backend} track",
            "the published weights want eyes and nose in fixed places, and this backend gives boxes alone",
            "choose a face backend with landmarks (`faces: mediapipe-face`)",
        )
    flat = _filled(points[:, ALIGNED].reshape(len(points), -1).astype(np.float64))
    mean = mean_face()[ALIGNED]
    return np.stack([procrustes(p.reshape(-1, 2), mean) for p in flat])


def square(x: float, y: float, half: float) -> NDArray[np.float64]:
    """(2, 3): the upright square of half edge `half` about (x, y) becomes the whole still."""
    scale = SIZE / (2 * half)
    return np.array([[scale, 0, SIZE / 2 - 0.5 - scale * (x - 0.5)], [0, scale, SIZE / 2 - 0.5 - scale * (y - 0.5)]])


def procrustes(points: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 3) similarity without reflection that takes (n, 2) points nearest to the target (Umeyama 1991)."""
    p, q = points - points.mean(0), target - target.mean(0)
    a = (p * q).sum()
    b = (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]).sum()
    norm = (p**2).sum()
    linear = np.array([[a, -b], [b, a]]) / norm
    return np.concatenate([linear, (target.mean(0) - linear @ points.mean(0))[:, None]], axis=1)


def mean_face() -> NDArray[np.float64]:
    """(68, 2) px in the 112 px still: a mean frontal face, its eyes 34 px apart.

    Upstream's mean landmarks are a MATLAB file that is not ours to ship. This is the procedural head's mean face, at
    a size and place of our choice: eyes and nose can lie some pixels from where upstream has them.
    """
    shape = head_parts().points[head_parts().landmarks.points][:, :2] * [1.0, -1.0]
    eyes = shape[36:42].mean(0), shape[42:48].mean(0)
    scale = 34.0 / np.linalg.norm(eyes[1] - eyes[0])
    placed: NDArray[np.float64] = (shape - (eyes[0] + eyes[1]) / 2) * scale + [SIZE / 2 - 0.5, 0.36 * SIZE]
    return placed


def still(frame: Frame, matrix: NDArray[np.float64]) -> Frame:
    """(112, 112, 3): the face of a frame; large faces are averaged down first, or they would alias."""
    shrink = int(1 / np.hypot(matrix[0, 0], matrix[0, 1]))
    if shrink >= 2:
        height, width = (n // shrink for n in frame.shape[:2])
        whole = frame[: height * shrink, : width * shrink]
        frame = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
        # Pixel p of the small frame is centered at shrink (p + 1/2) - 1/2 of the large one.
        linear = matrix[:, :2]
        matrix = np.column_stack([linear * shrink, matrix[:, 2] + linear.sum(1) * (shrink - 1) / 2])
    cut: Frame = cv2.warpAffine(
        frame, matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(FILL,) * 3
    ).astype(np.uint8)
    return cut


def around(t: int, n_frames: int) -> list[int]:
    """The five frames whose images are shown while frame t is drawn: never t, unless there is no other."""
    out = []
    for offset in AROUND:
        there = t + offset if 0 <= t + offset < n_frames else t - offset
        there = min(max(there, 0), n_frames - 1)
        out.append(there if there != t else n_frames - 1 - t if 2 * t != n_frames - 1 else 0)
    return out


def with_own(t: int, n_frames: int) -> list[int]:
    """The five frames shown when frame t itself, whose mouth says something else, is one of them: it comes first."""
    return [min(max(t + offset, 0), n_frames - 1) for offset in WITH_OWN]


def without_mouth(still: Frame) -> Frame:
    """The still with lips and chin blanked.

    Left in, the mouth of a frame's own still reaches the drawing through the connections around the bottleneck, and the
    audio, which has to pass the bottleneck, is never needed: the layers behind it die in training.
    """
    out = still.copy()
    out[MOUTH] = FILL
    return out


def spread(n_frames: int) -> list[int]:
    """Five frames spread over the clip: the same images for every frame, as upstream's demo has them."""
    return [round((k + 0.5) * n_frames / STILLS - 0.5) for k in range(STILLS)]


def pasted(frame: Frame, drawn: Sequence[Frame], matrix: NDArray[np.float64]) -> Frame:
    """The frame with the first of the drawn (109, 109, 3) faces in its place, fading at the square's border."""
    face, alpha = _in_frame(frame, drawn[0], matrix, cv2.INTER_LINEAR)
    return np.rint(frame + alpha * (face.astype(np.float32) - frame)).astype(np.uint8)


def changed(frame: Frame, drawn: Sequence[Frame], matrix: NDArray[np.float64]) -> Frame:
    """The frame plus what the first of two drawn (109, 109, 3) faces differs by from the second."""
    difference, alpha = _in_frame(frame, drawn[0].astype(np.float32) - drawn[1], matrix, cv2.INTER_CUBIC)
    return np.clip(np.rint(frame + alpha * difference), 0, 255).astype(np.uint8)


def _in_frame(frame: Frame, drawn: NDArray[Any], matrix: NDArray[np.float64], smooth: int) -> tuple[Any, Any]:
    """A drawing laid where its still was cut out of the frame, and its weight there, (H, W, 1)."""
    height, width = frame.shape[:2]
    # Pixel p of the drawing is pixel p + 1 of the still.
    back = matrix.copy()
    back[:, 2] -= 1
    size, inverse = (width, height), cv2.WARP_INVERSE_MAP
    face = cv2.warpAffine(drawn, back, size, flags=smooth | inverse, borderMode=cv2.BORDER_REPLICATE)
    ramp = np.clip((np.minimum(np.arange(DRAWN), np.arange(DRAWN)[::-1]) + 0.5) / (FEATHER * DRAWN), 0, 1)
    soft = (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)
    alpha = cv2.warpAffine(np.outer(soft, soft), back, size, flags=cv2.INTER_LINEAR | inverse)
    return face, alpha.astype(np.float32)[..., None]


def _filled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, k) without NaN: linear between neighbors, held at the ends."""
    known = np.flatnonzero(np.isfinite(values).all(1))
    frames = np.arange(len(values))
    return np.stack([np.interp(frames, known, values[known, k]) for k in range(values.shape[1])], axis=1)
