"""Where PC-AVS looks: a 224 px crop with eyes and mouth in fixed places, and the way back into the frame.

Rules of scripts/align_68.py and data/voxtest_dataset.py in github.com/Hangz-nju-cuhk/Talking-Face_PC-AVS.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import Unsupported
from lipbench.faces.track import FaceTrack

Frame = NDArray[np.uint8]
Paste = Literal["feather", "hard"]

SIZE = 224
#: Where the middle of the left eye, of the right eye and of the inner lips go, px of the aligned square.
PLACES = np.array([(87.0, 59.0), (137.0, 59.0), (112.0, 120.0)])
_PARTS = (slice(36, 42), slice(42, 48), slice(60, 68))  # of the 68 points
#: Of that square the networks see columns 16 to 208 and rows 0 to 192, enlarged to 224.
LEFT, SEEN = 16, 192
KEPT = 0.2  # of the last frame's correction
FEATHER = 1 / 8  # of the crop, on each side


def anchors(track: FaceTrack) -> NDArray[np.float64]:
    """(T, 3, 2) px: middles of both eyes and of the mouth; linear over frames without a face, held at the ends.

    Raises:
        Unsupported: the face backend has no landmarks.
    """
    points = track.points68()
    if points is None:
        raise Unsupported(
            "PC-AVS cannot be made",
            f"the face backend {track.backend} finds boxes, no landmarks",
            "choose a face backend with landmarks",
        )
    middles = np.stack([points[:, part].mean(1) for part in _PARTS], 1).astype(np.float64)
    known = np.flatnonzero(np.isfinite(middles).all((1, 2)))
    if not len(known):
        raise Unsupported("PC-AVS cannot be made", "no frame has landmarks", "use another clip or face backend")
    flat, frames = middles.reshape(len(middles), 6), np.arange(len(middles))
    return np.stack([np.interp(frames, known, flat[known, k]) for k in range(6)], 1).reshape(-1, 3, 2)


def similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 3) least-squares rotation, scale and shift that takes (n, 2) source to target (Umeyama 1991, in 2-D)."""
    a, b = source - source.mean(0), target - target.mean(0)
    z, w = a @ (1, 1j), b @ (1, 1j)
    turn = np.vdot(z, w) / max(float(np.vdot(z, z).real), 1e-12)
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.hstack([linear, (target.mean(0) - linear @ source.mean(0))[:, None]])


def follow(track: FaceTrack) -> NDArray[np.float64]:
    """(T, 2, 3): frame px -> px of the 224 px square upstream calls aligned.

    One similarity for the whole clip, from points averaged over it; then each frame is shifted so that its mouth stays
    in place, smoothed with a fifth of the last frame's shift.

    Raises:
        Unsupported: see `anchors`.
    """
    middles = anchors(track)
    base = similarity(middles.mean(0), PLACES)
    wanted = PLACES[2] - (middles[:, 2] @ base[:, :2].T + base[:, 2])  # (T, 2)
    out = np.repeat(base[None], len(middles), 0)
    shift = wanted[0]
    for t, new in enumerate(wanted):
        shift = KEPT * shift + (1 - KEPT) * new
        out[t, :, 2] += shift
    return out


def cut(frame: Frame, matrix: NDArray[np.float64]) -> Frame:
    """(H, W, 3) -> (224, 224, 3): what the networks see; black beyond the image."""
    square = cv2.warpAffine(frame, matrix, (SIZE, SIZE))
    seen = square[:SEEN, LEFT : LEFT + SEEN]
    return np.asarray(cv2.resize(seen, (SIZE, SIZE)), np.uint8)


def to_crop(matrix: NDArray[np.float64], size: int = SIZE) -> NDArray[np.float64]:
    """(2, 3): frame px -> px of the crop that `cut` gives, drawn `size` px wide (pixel centers at whole numbers)."""
    k = size / SEEN
    out = matrix * k
    out[:, 2] += (k * (0.5 - LEFT) - 0.5, k * 0.5 - 0.5)
    return out


def put_back(frame: Frame, drawn: Frame, matrix: NDArray[np.float64], paste: Paste) -> Frame:
    """(H, W, 3) and a drawn crop (224, 224, 3) -> (H, W, 3), the crop back where `cut` took it from.

    A crop that was enlarged is made smaller by area first, so that it does not alias.
    """
    height, width = frame.shape[:2]
    enlarged = float(np.hypot(*matrix[:, 0])) * SIZE / SEEN
    size = SIZE if enlarged <= 1 else max(2, round(SIZE / enlarged))
    if size != SIZE:
        drawn = np.asarray(cv2.resize(drawn, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
    back, way = to_crop(matrix, size), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    there = cv2.warpAffine(drawn, back, (width, height), flags=way, borderMode=cv2.BORDER_REPLICATE)
    ramp = _ramp(size) if paste == "feather" else np.ones(size, np.float32)
    alpha = cv2.warpAffine(np.outer(ramp, ramp), back, (width, height), flags=way)[..., None]
    return np.rint(frame + alpha * (there.astype(np.float32) - frame)).astype(np.uint8)


def _ramp(n: int) -> NDArray[np.float32]:
    """(n,) 0 at the edges, 1 inside, smoothstep over FEATHER n pixels."""
    edge = np.minimum(np.arange(n) + 0.5, n - np.arange(n) - 0.5) / max(1.0, FEATHER * n)
    t = np.clip(edge, 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)
