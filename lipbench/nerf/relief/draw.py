"""Training rays of a relief: which pixels, and what is behind them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipbench.nerf.relief.config import ReliefPreset
from lipbench.nerf.relief.dense import Views
from lipbench.nerf.relief.scene import ReliefScene
from lipbench.nerf.training.codes import MODES, eye_codes

RIM = 4  # px outside the mask that rays still start from
BAND = 3  # px on either side of the mask's edge where the plate is behind: a matte can be learnt there
CLEAR = 5  # px from neck and torso, so that it is the plate
HEAD, SOFT, NECK = 1, 2, 4  # bits of `ReliefRays.kinds`


class Batch(NamedTuple):
    """Rays of one step.

    Attributes:
        frames: (F,) numbers; the first ones are the mouth's, the next ones the upper face's.
        columns: (F, R) px, middles of pixels.
        rows: (F, R) px.
        color: (F, R, 3) in [0, 1].
        background: (F, R, 3) in [0, 1].
        kinds: (F, R) bits.
    """

    frames: Tensor
    columns: Tensor
    rows: Tensor
    color: Tensor
    background: Tensor
    kinds: Tensor


class ReliefRays:
    """Draws rays; all its randomness comes from torch's generator.

    Args:
        scene: what to draw from.
        preset: how.
        device: where rays are wanted.
    """

    def __init__(self, scene: ReliefScene, preset: ReliefPreset, device: str = "cpu") -> None:
        import cv2

        self.preset, self.device = preset, device
        s, (self.h, self.w) = scene.scene, scene.scene.size
        kinds, pixels, above = np.zeros((len(s), self.h * self.w), np.uint8), [], []
        for t in range(len(s)):
            head, other = s.head[t].astype(np.uint8), scene.other[t].astype(np.uint8)
            wide, narrow = (grow(head, _square(BAND)) > 0 for grow in (cv2.dilate, cv2.erode))
            near_other = cv2.dilate(other, _square(CLEAR)) > 0
            soft = wide & ~narrow & ~near_other
            kind = HEAD * s.head[t] + SOFT * soft + NECK * (wide & scene.other[t])
            kinds[t] = kind.reshape(-1)
            near = np.flatnonzero(cv2.dilate(head, _square(RIM)) if head.any() else np.ones_like(head))
            pixels.append(near.astype(np.int32))
            above.append(int(np.searchsorted(near, s.mouth[t, 1] * self.w)))
        counts = np.array([len(p) for p in pixels])
        self.kinds = torch.from_numpy(kinds).to(device)
        self.pixels = torch.from_numpy(np.concatenate(pixels)).to(device)
        self.first = torch.from_numpy(np.cumsum([0, *counts[:-1]])).to(device)
        self.count = torch.from_numpy(counts).to(device)
        self.above = torch.from_numpy(np.where(np.array(above) > 0, above, counts)).to(device)
        self.filmed = torch.from_numpy(scene.filmed).reshape(len(s), -1, 3).to(device)
        self.plates = torch.from_numpy(s.plates).reshape(len(s.plates), -1, 3).to(device)
        self.shot = torch.from_numpy(np.asarray(s.shot, np.int64)).to(device)
        self.mouth = torch.from_numpy(np.asarray(s.mouth, np.int64)).to(device)
        self.eyes = torch.from_numpy(np.asarray(s.eyes, np.int64)).to(device)
        self.odds = torch.from_numpy(_odds(scene, preset)).to(device)
        self.mouths = round(preset.frames * preset.mouth_share)
        self.uppers = round(preset.frames * preset.upper_share)

    def __len__(self) -> int:
        return len(self.filmed)

    def draw(self) -> Batch:
        """The rays of one step."""
        p, here = self.preset, self.device
        each = p.rays // p.frames
        frames = torch.multinomial(self.odds, p.frames, replacement=True)
        frames[: self.mouths] = torch.randint(len(self), (self.mouths,), device=here)
        rest = frames[self.mouths :]
        eyes = round(each * p.eye_share) if self.eyes.shape[1] else 0
        limit = self.count[rest].clone()
        limit[: self.uppers] = self.above[rest[: self.uppers]]
        spot = (torch.rand(len(rest), each - eyes, device=here) * limit[:, None]).long()
        parts = [self.pixels[self.first[rest][:, None] + torch.minimum(spot, limit[:, None] - 1)].long()]
        if eyes:
            which = torch.randint(self.eyes.shape[1], (len(rest), eyes), device=here)
            parts.append(self._in_boxes(self.eyes[rest[:, None], which], eyes))
        mouths = self._in_boxes(self.mouth[frames[: self.mouths], None], each)
        return self.batch(frames, torch.cat([mouths, torch.cat(parts, 1)]))

    def batch(self, frames: Tensor, pixels: Tensor, random_background: bool = True) -> Batch:
        """The rays of (F, R) pixels (row * W + column) of (F,) frames.

        Head and background stand over random colors, so that the one has to be opaque and the other empty; about the
        head's edge the plate is behind, and the frame shows how much of it is seen. Where the neck begins nobody knows
        how much that is: the frame itself is behind, so that whatever stands there has its colors.
        """
        rows, columns = pixels // self.w, pixels % self.w
        kinds = self.kinds[frames[:, None], pixels]
        color = self.filmed[frames[:, None], pixels].float() / 255.0
        background = self.plates[self.shot[frames][:, None], pixels].float() / 255.0
        if random_background:
            other = torch.rand(color.shape, device=self.device)
            background = torch.where((kinds & SOFT > 0)[..., None], background, other)
        background = torch.where((kinds & NECK > 0)[..., None], color, background)
        color = torch.where((kinds & (HEAD | SOFT) > 0)[..., None], color, background)
        return Batch(frames, columns.float() + 0.5, rows.float() + 0.5, color, background, kinds)

    def _in_boxes(self, boxes: Tensor, count: int) -> Tensor:
        """(F, 1 or count, 4) boxes -> (F, count) pixels."""
        u = torch.rand(2, len(boxes), count, device=self.device)
        column = boxes[..., 0] + (u[0] * (boxes[..., 2] - boxes[..., 0])).long()
        row = boxes[..., 1] + (u[1] * (boxes[..., 3] - boxes[..., 1])).long()
        return row.clamp(0, self.h - 1) * self.w + column.clamp(0, self.w - 1)


class RaysBetweenLips:
    """Draws rays that pass between the lips.

    Args:
        views: of the scene's frames.
        drawer: of the scene.
        preset: how.
    """

    def __init__(self, views: Views, drawer: ReliefRays, preset: ReliefPreset) -> None:
        self.pixels, self.filmed, self.w = torch.nonzero(views.far <= views.near), drawer.filmed, drawer.w
        self.frames, self.count = self.pixels[:, 0].unique_consecutive(return_counts=True)
        self.first = self.count.cumsum(0) - self.count
        self.preset = preset

    def draw(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(F,) frames, (F, R) columns and rows, px, and (F, R, 3) colors in [0, 1] of one step's rays."""
        p, here = self.preset, self.pixels.device
        which = torch.randint(len(self.frames), (p.frames,), device=here)
        spot = (torch.rand(p.frames, p.mouth_rays // p.frames, device=here) * self.count[which, None]).long()
        frame, row, column = self.pixels[self.first[which, None] + spot].unbind(-1)
        color = self.filmed[frame, row * self.w + column].float() / 255.0
        return frame[:, 0], column + 0.5, row + 0.5, color


def _square(reach: int) -> NDArray[np.uint8]:
    return np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)


def _odds(scene: ReliefScene, preset: ReliefPreset) -> NDArray[np.float32]:
    """(T,) how often each frame is drawn, as probabilities."""
    count = len(scene)
    rare = preset.rare_share if preset.field.latent else 0.0
    looks = np.square(eye_codes(scene.scene, MODES)).sum(1)
    if not looks.any():
        rare, looks = 0.0, np.ones(count)
    odds: NDArray[np.float32] = ((1 - rare) / count + rare * looks / looks.sum()).astype(np.float32)
    return odds
