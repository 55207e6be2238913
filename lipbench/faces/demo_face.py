"""A small face finder and 68-point landmark network for generated faces: the demo's own, so that it needs no download.

Two networks, trained by `lipbench train demo-face` on faces of the generated corpus and on nothing else: one finds the
face in the whole image, one reads the 68 points in a crop around the last known face. Never use it on recordings.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from lipbench.core.weights.small import SmallNet

WHOLE, CROP = 64, 96
#: Half edge of the crop, as a share of the larger side of the box around the 68 points.
REACH = 0.66
SURE = 0.5
Image = NDArray[np.uint8]


class DemoFace(SmallNet):
    """find: (B, 3, 64, 64) -> (B, 4) presence logit, x, y, log size. read: (B, 3, 96, 96) -> logit, (B, 68, 2).

    Images are (RGB - 127.5) / 64, places 0 .. 1 across the image or crop.
    """

    what = "face network"

    def __init__(self, width: int = 24) -> None:
        super().__init__(width)
        w = width
        self.finder = nn.Sequential(
            *_down(3, w),
            *_down(w, 2 * w),
            *_down(2 * w, 2 * w),
            *_down(2 * w, 2 * w),
            nn.Flatten(),
            nn.Linear(2 * w * 16, 64),
            nn.ReLU(),
            nn.Linear(64, 4),
        )
        self.reader = nn.Sequential(
            *_down(3, w),
            *_down(w, 2 * w),
            *_same(2 * w),
            *_down(2 * w, 4 * w),
            *_same(4 * w),
            *_down(4 * w, 4 * w),
            nn.Flatten(),
            nn.Linear(4 * w * 36, 192),
            nn.ReLU(),
            nn.Linear(192, 1 + 136),
        )

    def find(self, images: Tensor) -> Tensor:
        out: Tensor = self.finder(images)
        return out

    def read(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        out = self.reader(crops)
        return out[:, 0], 0.5 + 0.5 * out[:, 1:].view(-1, 68, 2)


def _down(i: int, o: int) -> list[nn.Module]:
    return [nn.Conv2d(i, o, 3, stride=2, padding=1), nn.GroupNorm(4, o), nn.ReLU(inplace=True)]


def _same(n: int) -> list[nn.Module]:
    return [nn.Conv2d(n, n, 3, padding=1), nn.GroupNorm(4, n), nn.ReLU(inplace=True)]


def to_input(images: NDArray[np.uint8]) -> Tensor:
    """(B, S, S, 3) uint8 -> (B, 3, S, S)."""
    return torch.from_numpy((images.astype(np.float32) - 127.5) / 64).permute(0, 3, 1, 2)


def whole(frame: Image) -> tuple[Image, NDArray[np.float64]]:
    """The image in a 64 px square, and the (2, 3) matrix from the square's 0..1 to px of the image."""
    h, w = frame.shape[:2]
    edge = max(h, w)
    x, y = (edge - w) / 2, (edge - h) / 2
    scale = WHOLE / edge
    k = max(1, round(0.7 / scale))  # shrink smoothly before sampling
    small = cv2.warpAffine(
        cv2.blur(frame, (k, k)),
        np.array([[scale, 0, scale * (x + 0.5) - 0.5], [0, scale, scale * (y + 0.5) - 0.5]]),
        (WHOLE, WHOLE),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
    )
    return np.asarray(small, np.uint8), np.array([[edge, 0, -x], [0, edge, -y]])


def cut(frame: Image, center: NDArray[np.floating], half: float, angle: float = 0.0) -> tuple[Image, NDArray[Any]]:
    """A 96 px crop, and the (2, 3) matrix from the crop's 0..1 to px of the image.

    Args:
        center: x, y px.
        half: half edge, px.
        angle: radians by which the crop is turned.
    """
    c, s = np.cos(angle) * 2 * half, np.sin(angle) * 2 * half
    back = np.array([[c, -s, center[0] - (c - s) / 2], [s, c, center[1] - (s + c) / 2]])
    pixels = back @ np.array([[1 / CROP, 0, 0.5 / CROP], [0, 1 / CROP, 0.5 / CROP], [0, 0, 1]])
    pixels[:, 2] -= 0.5  # px centers lie at +0.5
    if 2 * half > 1.5 * CROP:  # shrink smoothly before sampling
        k = round(2 * half / CROP)
        frame = np.asarray(cv2.blur(frame, (k, k)), np.uint8)
    out = cv2.warpAffine(
        frame, pixels, (CROP, CROP), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(out, np.uint8), back


def place(points: NDArray[np.floating]) -> tuple[NDArray[np.float64], float]:
    """Where to crop for (68, 2) points: center and half edge, px."""
    low, high = points.min(0), points.max(0)
    return (low + high) / 2.0, float(REACH * (high - low).max())


@torch.inference_mode()
def landmarks(net: DemoFace, frames: Iterable[Image]) -> NDArray[np.float32]:
    """(T, 68, 2) px, NaN where no face is seen."""
    rows: list[NDArray[np.floating]] = []
    last: NDArray[Any] | None = None
    for frame in frames:
        tries = 1
        if last is None:
            small, back = whole(frame)
            found = net.find(to_input(small[None]).to(net.device))[0].double().cpu().numpy()
            if 1 / (1 + np.exp(-found[0])) > SURE:
                size = float(np.exp(found[3]) * back[0, 0])
                middle = back @ np.array([*found[1:3], 1.0])
                last, tries = middle + size * np.array([[-0.5, -0.5], [0.5, 0.5]]), 3
        for _ in range(tries):
            if last is None:
                break
            crop, back = cut(frame, *place(last))
            logit, points = net.read(to_input(crop[None]).to(net.device))
            if float(torch.sigmoid(logit)[0]) < SURE:
                last = None
                break
            last = points[0].double().cpu().numpy() @ back[:, :2].T + back[:, 2]
        rows.append(np.full((68, 2), np.nan) if last is None else last)
    return np.asarray(rows, np.float32)


def read_loss(net: DemoFace, batch: tuple[Tensor, ...], weight: Tensor) -> Tensor:
    """Of the reader: mean absolute error in units of a tenth of the crop, and the presence.

    Args:
        batch: crops (B, 3, 96, 96), points (B, 68, 2) in 0..1, has_face (B,).
        weight: (68,).
    """
    crops, points, has_face = batch
    logit, found = net.read(crops)
    away = ((found - points).abs().sum(2) * weight).mean(1) * has_face
    return 10 * away.sum() / has_face.sum().clamp(min=1) + 0.1 * F.binary_cross_entropy_with_logits(logit, has_face)


def find_loss(net: DemoFace, batch: tuple[Tensor, ...]) -> Tensor:
    """The loss of the finder.

    Args:
        batch: images (B, 3, 64, 64), boxes (B, 3) x, y, log size, has_face (B,).
    """
    images, box, has_face = batch
    found = net.find(images)
    away = (found[:, 1:] - box).abs().sum(1) * has_face
    return away.sum() / has_face.sum().clamp(min=1) + 0.1 * F.binary_cross_entropy_with_logits(found[:, 0], has_face)
