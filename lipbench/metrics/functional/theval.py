"""Four of THEval's numbers, which need 468 mesh points and a sound: motion of lips and brows, lip sync, still lips.

What they say stands in github.com/Newbyl/THEval (Quignon et al.), `Naturalness` and `Synchronization`. Its scripts look
for the face in pictures squeezed to 256 x 256 px; here the points are tracked in the picture as it is, and squeezed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from lipbench.metrics.functional.voice_activity import RATE

Mesh = NDArray[np.floating]
Size = tuple[int, int]

UPPER, LOWER = [191, 80, 81, 82, 13, 312, 311, 310], [95, 88, 178, 87, 14, 317, 402, 318]
#: All 40 points of the lips.
LIPS = sorted(
    {0, 13, 14, 17, 37, 39, 40, 61, 78, 80, 81, 82, 84, 87, 88, 91, 95, 146, 178, 181, 185, 191}
    | {267, 269, 270, 291, 308, 310, 311, 312, 314, 317, 318, 321, 324, 375, 402, 405, 409, 415}
)
BROWS = ([276, 282, 283, 285, 293, 295, 296, 300, 334, 336], [46, 52, 53, 55, 63, 65, 66, 70, 105, 107])
EYES = (
    [249, 263, 362, 373, 374, 380, 381, 382, 384, 385, 386, 387, 388, 390, 398, 466],
    [7, 33, 133, 144, 145, 153, 154, 155, 157, 158, 159, 160, 161, 163, 173, 246],
)
#: Side of the pictures that THEval looks at, px; seconds of a window of loudness; of the shortest silence; share of
#: speech below which there is no number.
SIDE, LOUDNESS, SILENCE, LEAST = 256, 0.05, 0.3, 0.1


def _squeezed(mesh: Mesh, size: Size) -> NDArray[np.float64]:
    return mesh[..., :2].astype(np.float64) * SIDE / np.array(size)


def lip_dynamics(mesh: Mesh, size: Size) -> float:
    """How much the shape of the lips changes.

    Args:
        mesh: (T, 468 or 478, 2 or 3) px, NaN where the face is lost.
        size: width and height of the frames, px.

    Returns:
        Standard deviation over time of the distance of two points of the lips at 256 px, mean over all pairs; 0 for
        lips that do not move, NaN without a face.

    Source:
        Newbyl/THEval, Naturalness/lip_dynamics.py.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics.functional.theval import lip_dynamics
        >>> lip_dynamics(np.ones((4, 468, 2)), (256, 256))
        0.0
    """
    points = _squeezed(mesh, size)
    found = points[np.isfinite(points).all(axis=(1, 2))][:, LIPS]
    return float(np.std([pdist(p) for p in found], axis=0).mean()) if len(found) else float("nan")


def eyebrow_dynamics(mesh: Mesh) -> float:
    """How much the brows move from one frame to the next.

    Args:
        mesh: (T, 468 or 478, 2 or 3) px, NaN where the face is lost.

    Returns:
        Mean absolute change of the distance of a brow's middle from its eye's, in distances of the eyes; frames without
        a face are passed over. NaN with fewer than two faces.

    Source:
        Newbyl/THEval, Naturalness/eyebrow_dynamics.py.
    """
    points = mesh[np.isfinite(mesh[..., :2]).all(axis=(1, 2))][..., :2].astype(np.float64)
    if len(points) < 2:
        return float("nan")
    eyes = [points[:, eye].mean(axis=1) for eye in EYES]
    scale = np.linalg.norm(eyes[0] - eyes[1], axis=1)
    raised = [
        np.linalg.norm(points[:, b].mean(axis=1) - eye, axis=1) / scale for b, eye in zip(BROWS, eyes, strict=True)
    ]
    return float(np.abs(np.diff(raised, axis=1)).mean())


def head_motion_dynamics(angles: NDArray[np.floating], centers: NDArray[np.floating]) -> float:
    """How much the head turns and moves, of poses that you have.

    Args:
        angles: (T, 3) pitch, yaw and roll, degrees; THEval takes FaceXFormer's.
        centers: (T, 2) middle of the face's box, px; THEval takes RetinaFace's.

    Returns:
        Root of (mean deviation of the angles x mean variance of their changes + mean variance of the centers); 0 for a
        still head, NaN with fewer than three poses.

    Source:
        Newbyl/THEval, Naturalness/head_motion_dynamics.py.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics.functional.theval import head_motion_dynamics
        >>> nod = np.array([[0.0, 0, 0], [3, 0, 0], [0, 0, 0], [3, 0, 0]])
        >>> round(head_motion_dynamics(nod, np.zeros((4, 2))), 4)
        1.1547
    """
    angles, centers = np.asarray(angles, np.float64), np.asarray(centers, np.float64)
    if len(angles) < 3:
        return float("nan")
    turned = angles.std(axis=0).mean() * np.diff(angles, axis=0).var(axis=0).mean()
    return float(np.sqrt(turned + centers.var(axis=0).mean()))


def speech_frames(spans: Sequence[tuple[int, int]], n_frames: int, fps: float) -> NDArray[np.bool_]:
    """(T,) whether somebody speaks in a frame: of spans in samples at 16 kHz, to a tenth of a second."""
    spoken = np.zeros(n_frames, np.bool_)
    for start, end in spans:
        first, last = (int(round(at / RATE, 1) * fps) for at in (start, end))
        spoken[first : last + 1] = True
    return spoken


def loudness(sound: NDArray[np.int16], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Root mean square at the given seconds: windows of 50 ms around every 50 ms, zeros outside, lines between them."""
    step = int(RATE * LOUDNESS)
    padded = np.pad(sound.astype(np.float64) / 32768, step // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, step)[::step]
    return np.interp(times, np.arange(len(windows)) * step / RATE, np.sqrt(np.square(windows).mean(axis=1)))


def lip_sync(mesh: Mesh, size: Size, sound: NDArray[np.int16], spoken: NDArray[np.bool_], fps: float) -> float:
    """How far the opening of the mouth is from the loudness of the sound while somebody speaks.

    Args:
        mesh: (T, 468 or 478, 2 or 3) px, NaN where the face is lost.
        size: width and height of the frames, px.
        sound: (N,) int16 at 16 kHz.
        spoken: (T,) of `speech_frames`.
        fps: frames per second.

    Returns:
        Mean absolute difference of both, each brought to 0..1; NaN where less than a tenth is speech.

    Source:
        Newbyl/THEval, Synchronization/lip_sync.py.
    """
    points = mesh[..., :2].astype(np.float64) / np.array(size)
    eyes = [points[:, pair, 0].mean(axis=1) for pair in ([33, 133], [362, 263])]
    gap = np.abs(points[:, UPPER, 1].mean(axis=1) - points[:, LOWER, 1].mean(axis=1)) / np.abs(eyes[1] - eyes[0])
    chosen = spoken & np.isfinite(gap)
    if spoken.mean() < LEAST or chosen.sum() < 2:
        return float("nan")
    both = (gap[chosen], loudness(sound, np.arange(len(gap)) / fps)[chosen])
    opening, volume = ((x - x.min()) / (np.ptp(x) + 1e-8) for x in both)
    return float(np.abs(opening - volume).mean())


def silent_lip_stability(mesh: Mesh, size: Size, spoken: NDArray[np.bool_], fps: float) -> float:
    """How much the lips move while nobody speaks.

    Args:
        mesh: (T, 468 or 478, 2 or 3) px, NaN where the face is lost.
        size: width and height of the frames, px.
        spoken: (T,) of `speech_frames`.
        fps: frames per second.

    Returns:
        Median of the absolute distance of the opening, in distances of the eyes, from its mean, over silences of at
        least 0.3 s; 0 for still lips, NaN without two such frames.

    Source:
        Newbyl/THEval, Synchronization/silent_lip_stability.py.
    """
    points = _squeezed(mesh, size)
    eyes = np.linalg.norm(points[:, 33] - points[:, 263], axis=1)
    opening = np.abs(points[:, UPPER, 1] - points[:, LOWER, 1]).mean(axis=1) / eyes
    chosen = opening[_long_silences(spoken, fps) & np.isfinite(opening)]
    return float(np.median(np.abs(chosen - chosen.mean()))) if len(chosen) > 1 else float("nan")


def _long_silences(spoken: NDArray[np.bool_], fps: float) -> NDArray[np.bool_]:
    edges: Any = np.flatnonzero(np.diff(np.r_[True, spoken, True].astype(int)))
    found = np.zeros(len(spoken), np.bool_)
    for first, end in edges.reshape(-1, 2):
        found[first:end] = end - first >= SILENCE * fps
    return found
