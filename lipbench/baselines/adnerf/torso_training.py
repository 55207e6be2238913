"""Training AD-NeRF's torso: a second field in front of the head's, which stays as it is.

    C = sum_i w_i c_i (torso) + T (torso) * C (head over the plate)        NeRFs/TorsoNeRF/run_nerf.py

so the finished head's image takes the place that the plate has for the head: the color of a ray's last sample.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipbench.baselines.adnerf.torso_pose import POSE_DIM
from lipbench.baselines.adnerf.training import DIM
from lipbench.nerf.model import MISSED, HeadField
from lipbench.nerf.scene import Scene
from lipbench.nerf.training.draw import RayBatch, RayDrawer
from lipbench.nerf.training.guard import MIN_OPACITY_EARLY, FieldCollapsed
from lipbench.nerf.training.presets import Preset
from lipbench.nerf.training.running import MODEL, run_training
from lipbench.nerf.training.trained import TrainedField, render_one
from lipbench.nerf.training.trainer import FieldTraining

#: Folder of the fit stage that holds it.
TORSO = "torso"
TORSO_DIM = DIM + POSE_DIM  # 106
#: Published iterations, rays and last learning rate: 400,000 (default of the code, which the README's command takes;
#: configs/TorsoNeRF.txt has 300,000), 1024 anywhere in the image, 5e-4 * 0.1^(400 / 500).
STEPS, RAYS, LAST_RATE = 400_000, 1024, 7.9e-5
#: Share of the head's iterations in the small presets: cloth moves little and has no lips.
SHARE = 1 / 3
TRY = "check the parser's neck and torso; or use `torso: source`"
CHUNK = 1024  # rays of the head that are asked at once
Crop = tuple[int, int, int, int]


def torso_preset(head: Preset, scale: float, size: tuple[int, int], steps: int | None) -> Preset:
    """The torso's settings from the head's.

    Args:
        head: the head's preset.
        scale: resolution at which the head was trained, relative to the clip's.
        size: (height, width) of the clip.
        steps: iterations; the preset's when None.
    """
    field = replace(head.field, condition=TORSO_DIM, latent=0)
    shared = replace(head, field=field, mouth_share=0.0, random_background=False, held_out=0.0)
    shared = replace(shared, size=round(scale * max(size)) if scale < 1 else 0)
    if head.name == "adnerf":
        return replace(shared, rays=RAYS, box_share=0.0, lr_end=LAST_RATE, steps=steps or STEPS)
    return replace(shared, box_share=0.6, steps=steps or max(1, round(SHARE * head.steps)))


@dataclass(frozen=True)
class Behind:
    """The trained head in every training frame.

    Attributes:
        field: its networks.
        codes: (T, C) that it is conditioned on.
        c2w: (T, 3, 4), (T, 2) its cameras.
        near_far: (T, 3, 4), (T, 2) its cameras.
        crop: x0, y0, x1, y1 px of the clip, all that it was trained on.
    """

    field: HeadField
    codes: Tensor
    c2w: Tensor
    near_far: Tensor
    crop: Crop

    @classmethod
    def of(cls, head: TrainedField, scene: Scene, codes: NDArray[np.float32], crop: Crop) -> Behind:
        """From the head, the scene that it was trained on and the audio's codes of its frames."""
        device = head.latents.device
        c2w, near_far = torch.from_numpy(scene.c2w).to(device), torch.from_numpy(scene.near_far).to(device)
        return cls(head.field.eval(), torch.from_numpy(codes).to(device), c2w, near_far, crop)

    @torch.no_grad()
    def colors(
        self, frames: Tensor, row: Tensor, column: Tensor, view: RayDrawer, scale: float, plate: Tensor
    ) -> Tensor:
        """(F, R, 3) what is seen behind the torso: the head in its crop, elsewhere the plate.

        Args:
            frames: (F,).
            row: (F, R) pixels of `view`.
            column: (F, R) pixels of `view`.
            scale: its resolution relative to the clip's.
            plate: (F, R, 3) in [0, 1].
        """
        rays = self.field.rays(self.c2w[frames], row, column, view.focal, view.center, self.near_far[frames])
        codes = self.codes[frames]
        seen = []
        for start in range(0, row.shape[1], CHUNK):
            part = slice(start, start + CHUNK)
            seen.append(self.field.render(rays.part(part), plate[:, part], codes).fine.rgb)
        x0, y0, x1, y1 = (scale * v for v in self.crop)
        hit = rays.far > rays.near + 2 * MISSED
        inside = hit & (column + 0.5 >= x0) & (column + 0.5 < x1) & (row + 0.5 >= y0) & (row + 0.5 < y1)
        return torch.where(inside[..., None], torch.cat(seen, 1), plate)  # type: ignore[arg-type]

    def digest(self) -> str:
        """Of the networks and the codes."""
        digest = hashlib.sha256()
        for value in (*self.field.state_dict().values(), self.codes):
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]


class OverHead(RayDrawer):
    """Rays whose background is the head's image."""

    def __init__(self, scene: Scene, preset: Preset, behind: Behind, scale: float, device: str = "cpu") -> None:
        super().__init__(scene, preset, device)
        self.behind, self.scale = behind, scale

    def batch(self, field: HeadField, frames: Tensor, pixels: Tensor, random_background: bool = False) -> RayBatch:
        """As `RayDrawer.batch`."""
        found = super().batch(field, frames, pixels, random_background)
        row, column = (pixels // self.w).float(), (pixels % self.w).float()
        return found._replace(background=self.behind.colors(frames, row, column, self, self.scale, found.background))


class TorsoTraining(FieldTraining):
    """`FieldTraining` of the torso's scene, over the head.

    Args:
        scene: see `torso_scene`.
        behind: the head in the same frames.
    """

    def __init__(self, scene: Scene, behind: Behind, preset: Preset, seed: int = 0, device: str = "cpu") -> None:
        super().__init__(scene, preset, seed, device)
        self.drawer = OverHead(self.shown, preset, behind, self.scale, device)
        self.facts = {**self.facts, "head": behind.digest()}

    def _check_opacity(self, min_opacity: float, restart: bool) -> None:
        """A torso is begun again only when nothing at all is left of it: where the image behind it has its colors
        already, it may be thin.

        Raises:
            FieldCollapsed: as `FieldTraining._check_opacity`.
        """
        try:
            super()._check_opacity(min(min_opacity, MIN_OPACITY_EARLY), restart)
        except FieldCollapsed as error:
            raise FieldCollapsed("the torso's field turned transparent", error.why, TRY) from error

    @torch.no_grad()
    def image(self) -> NDArray[np.uint8]:
        """Four training frames above what is made of them, above the head alone."""
        columns = []
        every = torch.arange(self.drawer.h * self.drawer.w, device=self.device)[None]
        for t in np.linspace(0, len(self.shown) - 1, 4).round().astype(int):
            frame = torch.tensor([int(t)], device=self.device)
            found = self.drawer.batch(self.field, frame, every).background
            behind = found.view(self.drawer.h, self.drawer.w, 3).cpu().numpy()
            torso = render_one(self.field, self.shown, int(t), self.codes(frame))
            both = np.concatenate([torso.rgb + (1 - torso.alpha[..., None]) * behind, behind])
            columns.append(np.concatenate([self.shown.frames[t], np.uint8(np.clip(both, 0, 1) * 255 + 0.5)]))
        return np.concatenate(columns, 1)


def train_torso(
    scene: Scene,
    behind: Behind,
    preset: Preset,
    folder: Path,
    *,
    seed: int = 0,
    device: str = "cpu",
    log: Callable[[str], None] = lambda _: None,
) -> TrainedField:
    """Train the torso over the finished head; the same call goes on with an interrupted folder.

    Raises:
        FieldCollapsed, UsageError, DiskFull: see `lipbench.nerf.training.trainer.train`.
    """
    training = TorsoTraining(scene, behind, preset, seed, device)
    run_training(training, folder, log=log)
    return TrainedField.load(folder / MODEL, device)
