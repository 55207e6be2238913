"""A scene from what a fit and a parser found: cameras, depths and the head's box."""

from __future__ import annotations

from itertools import repeat

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipbench.core.errors import UsageError
from lipbench.media.held import hold
from lipbench.nerf.scene import NO_EYES, NO_LIDS, Float32, Scene, require_views

#: AD-NeRF process_data.py: nearest and farthest depth of a sample, meters from the head's origin.
NEAR, FAR = 0.2, 0.4
#: Half the head's depth as a share of half its visible width: heads are about as deep as they are wide, and more.
DEPTH = 1.35


def make_scene(
    frames: NDArray[np.uint8],
    head: NDArray[np.bool_],
    plate: NDArray[np.uint8] | None,
    rotation: ArrayLike,
    translation_dm: ArrayLike,
    focal: float,
    center: tuple[float, float],
    condition: ArrayLike,
    mouth: ArrayLike,
    eyes: ArrayLike | None = None,
    lids: ArrayLike | None = None,
    *,
    landmark_center: bool = True,
) -> Scene:
    """A scene from what a fit and a parser found in one shot.

    Args:
        frames: (T, H, W, 3) uint8 RGB as filmed; outside the head they are replaced by the plate here.
        head: (T, H, W) bool.
        plate: (H, W, 3) uint8, or (T, H, W, 3) when the background changes from frame to frame. None: the frames stay
            as filmed, and the scene has no plates: enough to render a head.
        rotation: (T, 3, 3), head to camera space (X = R x + t).
        translation_dm: (T, 3) dm, of the same.
        focal: px, of a camera whose pixel (i, j) covers [j, j+1) x [i, i+1) as `faces.raster.Camera`'s do.
        center: (cx, cy) px, of the same camera.
        condition: (T, C).
        mouth: (T, 4) px boxes x0, y0, x1, y1.
        eyes: (T, E, 4) px, the same for eyes.
        lids: (T,) how far they are open.
        landmark_center: shift by half a pixel from pixel centers at + 0.5 to AD-NeRF's pixel corners (exact).

    Raises:
        TooShort: fewer than 5 frames.
        UsageError: shapes that do not agree, no head in any frame.
    """
    frames, head = np.asarray(frames), np.asarray(head, bool)
    require_views(len(frames))
    if not head.any():
        raise UsageError("no head in the scene", "the head masks are empty in every frame", "check the parsing")
    h, w = frames.shape[1:3]
    moving = plate is not None and plate.ndim == 4
    over, plates = frames, np.zeros((0, h, w, 3), np.uint8)
    if plate is not None:
        behind = np.asarray(plate, np.uint8)
        plates = behind if moving else behind[None]
        each = zip(frames, head, behind if moving else repeat(behind), strict=False)
        over = hold(np.where(mask[..., None], frame, own) for frame, mask, own in each)
    r, t = np.asarray(rotation, np.float64), np.asarray(translation_dm, np.float64) / 10.0
    back = np.swapaxes(r, 1, 2)
    c2w = np.concatenate([back, -(back @ t[..., None])], -1).astype(np.float32)
    shift = 0.5 if landmark_center else 0.0
    center = (center[0] - shift, center[1] - shift)
    depth = -t[:, 2]
    return Scene(
        frames=over,
        head=head,
        plates=plates,
        shot=np.arange(len(frames)) if moving else np.zeros(len(frames), np.int64),
        c2w=c2w,
        focal=float(focal),
        center=center,
        near_far=np.stack([depth - NEAR, depth + FAR], 1).astype(np.float32),
        condition=np.asarray(condition, np.float32),
        mouth=_inside(mouth, h, w),
        eyes=NO_EYES if eyes is None else _inside(eyes, h, w),
        lids=NO_LIDS if lids is None else np.asarray(lids, np.float32),
        bounds=head_bounds(head, c2w, focal, center),
    )


def _inside(boxes: ArrayLike, h: int, w: int) -> NDArray[np.int64]:
    """(..., 4) boxes as whole pixels of the image, none of them empty."""
    x0, y0, x1, y1 = np.moveaxis(np.asarray(boxes, np.float64), -1, 0)
    low = np.stack([np.clip(np.floor(x0), 0, w - 2), np.clip(np.floor(y0), 0, h - 2)], -1).astype(np.int64)
    high = np.stack([np.clip(np.ceil(x1), 1, w), np.clip(np.ceil(y1), 1, h)], -1).astype(np.int64)
    return np.concatenate([low, np.maximum(high, low + 1)], -1)


def _percentile(counts: NDArray[np.integer], q: float) -> float:
    """`np.percentile` of whole numbers 0, 1, ... of which there are so many each; none is sorted for it."""
    ends = np.cumsum(counts)
    at = (ends[-1] - 1) * (q / 100)
    low, high = np.searchsorted(ends, [np.floor(at), np.ceil(at)], "right").tolist()
    share = at - np.floor(at)
    return float(low + (high - low) * share if share < 0.5 else high - (high - low) * (1 - share))


def head_bounds(head: NDArray[np.bool_], c2w: Float32, focal: float, center: tuple[float, float]) -> Float32:
    """(2, 3) box in head space around what the masks show, meters.

    Width and height come from the masks' outlines on the plane through the head's origin that faces the camera, the
    depth (which masks hardly show) from the width. 3 % of the rays may lie outside on each side: loose mask pixels.
    """
    points = []
    for t in range(0, len(head), max(1, len(head) // 60)):
        if np.count_nonzero(head[t]) < 16:
            continue
        low, high = [], []
        for counts in (head[t].sum(0), head[t].sum(1)):
            low.append(_percentile(counts, 0.2))
            high.append(_percentile(counts, 99.8) + 1)
        rotation, origin = c2w[t, :, :3].astype(np.float64), c2w[t, :, 3].astype(np.float64)
        depth = float(np.linalg.norm(origin))
        middle = [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2]
        for x, y in ((low[0], middle[1]), (high[0], middle[1]), (middle[0], low[1]), (middle[0], high[1])):
            ray = rotation @ np.array([(x - center[0]) / focal, -(y - center[1]) / focal, -1.0])
            points.append(origin + depth * ray)
    if not points:
        raise UsageError("no head in the scene", "the head masks are empty in every frame", "check the parsing")
    p = np.asarray(points).reshape(-1, 4, 3)
    left, bottom = np.percentile(p[:, 0, 0], 3), np.percentile(p[:, 3, 1], 3)
    right, top = np.percentile(p[:, 1, 0], 97), np.percentile(p[:, 2, 1], 97)
    mx, my, half = 0.06 * (right - left), 0.06 * (top - bottom), DEPTH * (right - left) / 2
    lo = np.array([left - mx, bottom - my, -half])
    hi = np.array([right + mx, top + my, half])
    return np.stack([lo, hi]).astype(np.float32)
