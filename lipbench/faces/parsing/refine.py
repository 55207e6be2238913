"""Small repairs of masks: edges drawn to the image's own, and parts that belong together."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.faces.parsing.geometry import HeadFrame
from lipbench.faces.parsing.types import Label

_UNIT = 50.0  # px from eyes to chin that are enough to see what hangs together


def guided(
    frame: NDArray[np.uint8], mask: NDArray[np.float32], radius: int = 4, eps: float = 4e-4
) -> NDArray[np.float32]:
    """The mask (H, W), its edges moved to those of the frame (He et al., "Guided Image Filtering", 2013).

    Args:
        frame: (H, W, 3) uint8 RGB.
        radius: px, half side of the windows.
        eps: variance of the gray image in [0, 1] below which a window is flat.
    """
    gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    side = (2 * radius + 1, 2 * radius + 1)
    stack = np.stack([gray, mask, gray * mask, gray * gray], -1)
    mean_g, mean_m, mean_gm, mean_gg = np.moveaxis(cv2.boxFilter(stack, -1, side), -1, 0)
    slope = (mean_gm - mean_g * mean_m) / (mean_gg - mean_g * mean_g + eps)
    lines = cv2.boxFilter(np.stack([slope, mean_m - slope * mean_g], -1), -1, side)
    return np.clip(lines[..., 0] * gray + lines[..., 1], 0, 1)


def connected(labels: NDArray[np.uint8], head: HeadFrame) -> NDArray[np.uint8]:
    """Label map (H, W) with one head, one neck under it, and a person without islands.

    Head pixels that do not hang together with the face become torso, and so does skin away from the neck (hands).
    Small holes of the head are closed. Person pixels that touch neither head nor neck nor torso's main part are
    background.
    """
    if head.unit > 2 * _UNIT:
        # Islands are found as well in an image of half the size; only what they change is carried back.
        small = np.ascontiguousarray(labels[::2, ::2])
        height, width = labels.shape
        better = connected(small, head.scaled(0.5))
        changed, better = (np.repeat(np.repeat(m, 2, 0), 2, 1)[:height, :width] for m in (better != small, better))
        return np.where(changed, better, labels)
    out = labels.copy()
    person = (out != Label.BACKGROUND).astype(np.uint8)
    out[(person == 1) & ~_main(person, head)] = Label.BACKGROUND
    mask = (out == Label.HEAD).astype(np.uint8)
    main = _main(mask, head)
    out[(mask == 1) & ~main] = Label.TORSO
    closed = _without_small_holes(main, limit=int(0.02 * head.unit**2) + 4)
    out[closed & (out != Label.HEAD)] = Label.HEAD
    neck = (out == Label.NECK).astype(np.uint8)
    count, parts, _, middles = cv2.connectedComponentsWithStats(neck, connectivity=4)
    if count > 1:
        # A neck hangs together with the head and lies under it; skin-colored specks beside it are earrings or hair
        # when they are as high as the face, hands or collars when lower.
        place = (middles - head.origin) / head.unit
        side, up = np.abs(place @ head.right), place @ head.up
        near = cv2.dilate((out == Label.HEAD).astype(np.uint8), np.ones((5, 5), np.uint8))
        touching = np.zeros(count, np.bool_)
        touching[np.unique(parts[(near == 1) & (neck == 1)])] = True
        kept = touching & (side < 0.55)
        becomes = np.where(kept, Label.NECK, np.where(touching & (up > -1.4), Label.HEAD, Label.TORSO))
        out = np.where(neck == 1, becomes[parts], out).astype(np.uint8)
    return out


def _main(mask: NDArray[np.uint8], head: HeadFrame) -> NDArray[np.bool_]:
    """(H, W) bool: the component of a 0/1 mask with most pixels in the face's box; everything when there is none."""
    count, parts, _, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    if count <= 2:
        return mask == 1
    corners = np.stack([head.jaw.min(0), head.jaw.max(0)]).round().astype(int)
    (x0, y0), (x1, y1) = np.maximum(corners, 0)
    votes = np.bincount(parts[y0 : y1 + 1, x0 : x1 + 1].reshape(-1), minlength=count)
    votes[0] = 0
    if votes.sum() == 0:
        return mask == 1
    found: NDArray[np.bool_] = parts == int(votes.argmax())
    return found


def _without_small_holes(mask: NDArray[np.bool_], limit: int) -> NDArray[np.bool_]:
    count, parts, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] < limit
    small[0] = False
    if count <= 1 or not small.any():
        return mask
    filled: NDArray[np.bool_] = mask | small[parts]
    return filled
