"""Training rays: frames on the device, pixels drawn by index."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lipbench.nerf.model import HeadField
from lipbench.nerf.rays import Rays
from lipbench.nerf.scene import Scene
from lipbench.nerf.training.codes import MODES, eye_codes
from lipbench.nerf.training.presets import Preset

RIM = 0.03  # of the image's width: how far rays near the mask may lie outside it


class RayBatch(NamedTuple):
    """Rays of one step.

    Attributes:
        frames: (F,) numbers.
        rays: F with R each.
        color: (F, R, 3) in [0, 1].
        background: (F, R, 3) in [0, 1].
        head: (F, R) bool.
        mouth: of how many frames, the first ones, all rays are the mouth's.
    """

    frames: Tensor
    rays: Rays
    color: Tensor
    background: Tensor
    head: Tensor
    mouth: int = 0

    def part(self, rows: slice) -> RayBatch:
        """Some rays of every frame."""
        return RayBatch(
            self.frames,
            self.rays.part(rows),
            self.color[:, rows],
            self.background[:, rows],
            self.head[:, rows],
            self.mouth,
        )


class RayDrawer:
    """Draws training rays; all its randomness comes from torch's generator.

    Nothing is decoded, sorted or copied to the device in a step: AD-NeRF reads a JPEG, builds the grid of all pixels
    and permutes it every time.
    """

    def __init__(self, scene: Scene, preset: Preset, device: str = "cpu") -> None:
        self.preset, self.device = preset, device
        self.h, self.w = scene.size
        self.focal, self.center = scene.focal, scene.center
        t = len(scene)
        self.frames = torch.from_numpy(scene.frames).reshape(t, -1, 3).to(device)
        self.plates = torch.from_numpy(scene.plates).reshape(len(scene.plates), -1, 3).to(device)
        self.head = torch.from_numpy(scene.head).reshape(t, -1).to(device)
        self.shot = torch.from_numpy(np.asarray(scene.shot, np.int64)).to(device)
        self.c2w = torch.from_numpy(scene.c2w).to(device)
        self.near_far = torch.from_numpy(scene.near_far).to(device)
        self.condition = torch.from_numpy(scene.condition).to(device)
        self.mouth = torch.from_numpy(np.asarray(scene.mouth, np.int64)).to(device)
        self.eyes = torch.from_numpy(np.asarray(scene.eyes, np.int64)).to(device)
        self.odds = torch.from_numpy(self._odds(scene)).to(device)
        self.rim = self._grown(scene) if preset.near_mask else self.head
        self.box = torch.from_numpy(_boxes(scene.head)).to(device)

    def _grown(self, scene: Scene) -> Tensor:
        reach = max(1, round(RIM * self.w))
        masks = torch.from_numpy(scene.head)[:, None]
        grown = [F.max_pool2d(m.float(), 2 * reach + 1, 1, reach) > 0 for m in masks.split(16)]
        return torch.cat(grown).reshape(len(scene), -1).to(self.device)

    def __len__(self) -> int:
        return len(self.frames)

    def draw(self, field: HeadField) -> RayBatch:
        """The rays of one step."""
        p = self.preset
        each = p.rays // p.frames
        # Before a single draw torch asks the card whether the odds are any, and no graph can: of two, then, the first.
        draws = max(p.frames, 2) if p.graph else p.frames
        frames = torch.multinomial(self.odds, draws, replacement=True)[: p.frames]
        lips = round(p.frames * p.mouth_share) if p.mouth_codes == "other" else 0
        if lips:
            frames[:lips] = torch.randint(len(self), (lips,), device=self.device)
            rest = self._everywhere(frames[lips:], each, 0.0, p.eye_share / max(1.0 - p.mouth_share, 1e-6))
            pixels = torch.cat([self._in_boxes(self.mouth[frames[:lips], None], each), rest])
        else:
            pixels = self._everywhere(frames, each, p.mouth_share, p.eye_share)
        return self.batch(field, frames, pixels, p.random_background)._replace(mouth=lips)

    def _odds(self, scene: Scene) -> NDArray[np.float32]:
        """(T,) how often each frame is drawn, as probabilities."""
        rare = self.preset.rare_share if self.preset.field.latent else 0.0
        looks = np.square(eye_codes(scene, MODES)).sum(1) if rare else np.zeros(len(scene))
        if not looks.any():
            rare, looks = 0.0, np.ones(len(scene))
        odds: NDArray[np.float32] = ((1 - rare) / len(scene) + rare * looks / looks.sum()).astype(np.float32)
        return odds

    def _everywhere(self, frames: Tensor, each: int, mouth_share: float, eye_share: float) -> Tensor:
        """(F, each) pixels: shares of them from the boxes of mouth and eyes, the others from the head or anywhere."""
        p = self.preset
        mouth = round(each * mouth_share)
        eyes = min(round(each * eye_share), each - mouth) if self.eyes.shape[1] else 0
        boxed = round((each - mouth - eyes) * p.box_share)
        parts = [
            self._in_boxes(self.mouth[frames, None], mouth),
            *([self._in_boxes(self._some_eyes(frames, eyes), eyes)] if eyes else []),
            self._near_head(frames, boxed) if p.near_mask else self._in_boxes(self.box[frames, None], boxed),
            torch.randint(self.h * self.w, (len(frames), each - mouth - eyes - boxed), device=self.device),
        ]
        return torch.cat(parts, 1)

    def _in_boxes(self, boxes: Tensor, count: int) -> Tensor:
        """(F, 1 or count, 4) boxes -> (F, count) pixels."""
        u = torch.rand(2, len(boxes), count, device=self.device)
        column = boxes[..., 0] + (u[0] * (boxes[..., 2] - boxes[..., 0])).long()
        row = boxes[..., 1] + (u[1] * (boxes[..., 3] - boxes[..., 1])).long()
        return row.clamp(0, self.h - 1) * self.w + column.clamp(0, self.w - 1)

    def _some_eyes(self, frames: Tensor, count: int) -> Tensor:
        """(F, count, 4): one of the eyes' boxes for each ray."""
        which = torch.randint(self.eyes.shape[1], (len(frames), count), device=self.device)
        return self.eyes[frames[:, None], which]

    def _near_head(self, frames: Tensor, count: int) -> Tensor:
        """Twice as many as needed in the head's box; those near its mask come first."""
        drawn = self._in_boxes(self.box[frames, None], 2 * count)
        good = self.rim[frames[:, None], drawn]
        order = torch.argsort(good.to(torch.int8), dim=1, descending=True, stable=True)
        return drawn.gather(1, order[:, :count])

    def batch(self, field: HeadField, frames: Tensor, pixels: Tensor, random_background: bool = False) -> RayBatch:
        """The rays of (F, R) pixels (row * W + column) of (F,) frames."""
        row, column = (pixels // self.w).float(), (pixels % self.w).float()
        rays = field.rays(self.c2w[frames], row, column, self.focal, self.center, self.near_far[frames])
        color = self.frames[frames[:, None], pixels].float() / 255.0
        background = self.plates[self.shot[frames][:, None], pixels].float() / 255.0
        head = self.head[frames[:, None], pixels]
        if random_background:
            other = torch.rand_like(background)
            color = torch.where(head[..., None], color, other)
            background = other
        return RayBatch(frames, rays, color, background, head)


def _boxes(head: np.ndarray) -> np.ndarray:
    """(T, H, W) -> (T, 4) x0, y0, x1, y1 of the masks, two pixels wider; the whole image where a mask is empty."""
    t, h, w = head.shape
    out = np.tile(np.array([0, 0, w, h]), (t, 1))
    for k in range(t):
        columns, rows = np.flatnonzero(head[k].any(0)), np.flatnonzero(head[k].any(1))
        if len(columns):
            out[k] = [max(columns[0] - 2, 0), max(rows[0] - 2, 0), min(columns[-1] + 3, w), min(rows[-1] + 3, h)]
    return out
