"""Training a relief on a scene, in a folder, with the package's harness (`lipbench.core.training`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipbench.nerf.relief.appearance import Appearances, appearances
from lipbench.nerf.relief.config import ReliefPreset
from lipbench.nerf.relief.draw import Batch, RaysBetweenLips, ReliefRays
from lipbench.nerf.relief.field import ReliefField
from lipbench.nerf.relief.grid import GridAdam
from lipbench.nerf.relief.mesh import HeadMesh, MeshView, Motions
from lipbench.nerf.relief.mouth import look
from lipbench.nerf.relief.probe import probe_of
from lipbench.nerf.relief.registration import Canvas, away_from_lips, register
from lipbench.nerf.relief.rendering import render_one, views_of
from lipbench.nerf.relief.scene import ReliefScene
from lipbench.nerf.relief.start import start
from lipbench.nerf.relief.surface import SKIN, extent, relief_of, widened
from lipbench.nerf.relief.trained import TrainedRelief
from lipbench.nerf.training import guard
from lipbench.nerf.training.adam import PlainAdam
from lipbench.nerf.training.codes import eye_codes, lid_direction, without
from lipbench.nerf.training.running import (
    LATENT_START,
    MODEL,
    PROBE_FRAMES,
    PROBE_RAYS,
    GuardedTraining,
    Running,
    check,
    run_training,
    scene_hash,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

REFRESH = 8  # steps between looks at where the fine grid holds something
EXPLORE = 0.05  # of the rays leave nothing out
SCALE = 100.0  # of the mean squared error: Adam is blind to it, the codes' penalty is not
EXTENT_FRAMES = 60
NOISE = 3e-5  # gradients of texels that show what frames show, but for their noise; see `GridAdam`


class ReliefTraining(GuardedTraining):
    """A `Trainable`: the field, the codes, and the rays they learn from.

    Args:
        scene: what to learn; it is shrunk to `preset.size` first.
        preset: how. Its field's `condition` is set to the scene's.
        seed: of the weights; the harness seeds what is drawn in each step.
        device: where to compute.
    """

    def __init__(self, scene: ReliefScene, preset: ReliefPreset, seed: int = 0, device: str = "cpu") -> None:
        plain = scene.scene
        check(preset, plain.condition.shape[1])
        self.preset, self.seed, self.device = preset, seed, device
        self.removed_direction = lid_direction(plain.condition, plain.lids)
        self.scale = min(1.0, preset.size / max(plain.size)) if preset.size else 1.0
        kept = round(len(scene) * (1.0 - preset.held_out))
        self.frames = np.arange(kept)
        whole = scene.resized(self.scale)
        self.shown = whole.take(self.frames) if kept < len(scene) else whole
        self.rest = whole.take(np.arange(kept, len(scene))) if len(scene) - kept >= 5 else None
        self.facts: Mapping[str, Any] = {
            "preset": preset.to_dict(),
            "scene": scene_hash(plain, scene.filmed, scene.other, scene.identity),
            "seed": seed,
        }
        self.drawer = ReliefRays(self.shown, preset, device)
        s = self.shown
        self.mesh = HeadMesh(s.model, s.identity, s.scene.condition.mean(0).astype(np.float64))
        self.motions = Motions(self.mesh, s.scene.condition)
        some = np.unique(np.linspace(0, len(s) - 1, EXTENT_FRAMES).round().astype(int))
        poses = s.rotation[some], s.translation[some], s.camera
        shown = [self._seen(t) for t in some], list(s.scene.head[some]), *poses
        if preset.registration:  # frames are put onto one surface, hair with them: no room is needed
            self.relief, self.face = relief_of(self.mesh, extent(*shown), SKIN, SKIN, slant=1.0, shut=True)
        else:
            relief, face = relief_of(self.mesh, extent(*shown))
            self.relief, self.face = widened(relief, face, *shown)
        self.warps = self._registered()
        seen = (self._seen(t) for t in range(len(s)))
        behind = preset.field.behind > 0
        self.views = views_of(seen, self.relief, s.rotation, s.translation, s.camera, self.warps, behind, device)
        tested, warps = (s, self.warps) if self.rest is None else (self.rest, self.warps[-1:].repeat(len(self.rest), 0))
        self.between = RaysBetweenLips(self.views, self.drawer, preset)
        self.probe = probe_of(tested, self.mesh, self.relief, warps, self.removed_direction, behind, seed, device)
        self.found = self._appearances()
        self.attempt = 0
        self.check_steps = guard.check_steps(preset.steps, 0)
        self._build()

    def _seen(self, t: int) -> MeshView:
        """What pixels see of the mesh in a frame."""
        moved, move = self.motions[t], self.shown.translation[t]
        points = self.mesh.placed(moved, self.shown.rotation[t], move)
        return self.mesh.view_of(points, moved, float(-move[2]), self.shown.camera)

    def _registered(self) -> NDArray[np.float32]:
        """The frames' displacements; one that is nothing everywhere where none are wanted."""
        if not self.preset.registration:
            return np.zeros((len(self.shown), 1, 1, 2), np.float32)
        return register(self.shown, self.mesh, self.relief, self._texels)

    def _appearances(self) -> Appearances | None:
        """What the frames have beside their mean, as many as their codes mix."""
        f = self.preset.field
        if not f.latent or f.appearances < 1:
            return None
        canvas = Canvas(self.shown, self.mesh, self.relief, self._texels(f.appearance_texel))
        return appearances(canvas, self.warps, f.appearances)

    def _build(self) -> None:
        """Field, codes and optimizers of this attempt."""
        self._seed_weights()
        p, s = self.preset, self.shown
        fine, coarse = self._texels(p.field.texel), self._texels(p.field.coarse_texel)
        _, _, width, height = self.relief.eyes[0]
        eyes = max(2, round(height * fine[0])), max(2, round(width * fine[1]))
        images = np.zeros((0, 0, 0, 4), np.float32) if self.found is None else self.found.images
        n, m, k = images.shape[:3]
        (_, _, width, height), looks = self.relief.mouth, self._texels(p.field.mouth_texel)
        mouth = max(2, round(height * looks[0])), max(2, round(width * looks[1]))
        field = ReliefField(p.field, self.relief, fine, coarse, eyes, (n, m, k), mouth)
        if field.appearances is not None:
            field.appearances.values.copy_(torch.from_numpy(images).view(1, n, m, 4 * k))
            field.window.copy_(torch.from_numpy(away_from_lips(self.mesh, self.relief.place, (n, m))))
        start(field, s, self.mesh, self.relief, self.face, self.warps)
        self.field = field.to(self.device)
        self.field.tell(s.scene.condition, self.removed_direction, self.views)
        told = without(s.scene.condition, self.removed_direction)
        self.told = self.field.told(torch.from_numpy(told).to(self.device))
        codes = LATENT_START * torch.randn(len(s), p.field.codes)
        codes[:, : p.field.latent] += torch.from_numpy(eye_codes(s.scene, p.field.latent))
        if self.found is not None:
            codes[:, p.field.latent : p.field.latent + k] = torch.from_numpy(self.found.codes)
        self.latents = torch.nn.Parameter(codes.to(self.device))
        self.slips = torch.nn.Parameter(torch.zeros(len(s), 2, device=self.device))
        self.views = self.views._replace(slip=self.slips)
        behind = [] if self.field.behind is None else [*self.field.behind.parameters(), self.slips]
        others = [own for name, own in self.field.named_parameters() if not name.startswith("behind.")]
        latents = [([self.latents], p.latent_lr)] if p.field.latent else []
        self.optimizer = PlainAdam([(others, p.lr), *latents, (behind, p.behind_lr)])
        field = self.field
        noise = NOISE if p.registration else 0.0
        self.grids = [GridAdam(field.fine, p.grid_lr, noise), GridAdam(field.coarse, p.grid_lr)]
        if field.eyes is not None:
            self.grids.append(GridAdam(field.eyes, p.grid_lr))
        if field.mouth is not None:
            self.grids.append(GridAdam(field.mouth, p.mouth_lr, NOISE))
        if field.appearances is not None:
            self.grids.append(GridAdam(field.appearances, p.appearance_lr, NOISE * field.window))

    def _texels(self, texel: float) -> tuple[int, int]:
        """(n, m) of a grid whose texels have this many px of the images, when the head is as near as it mostly is."""
        f = self.preset.field
        pixel = float(np.median(-self.shown.translation[:, 2])) / self.shown.camera.focal  # dm
        _, _, width, height = self.relief.place
        side = max(texel * pixel, max(width, height) / f.finest * texel / f.texel)
        return max(8, round(height / side)), max(8, round(width / side))

    def codes(self, frames: Tensor, told: Tensor, latents: Tensor) -> Tensor:
        """(F,) frames each whose expression is told and whose code -> (F, D + L)."""
        return torch.cat([told[frames], latents], 1)

    def step(self, number: int, progress: float) -> dict[str, float]:
        """One iteration."""
        p = self.preset
        rate = min(1.0, progress / p.warmup + 0.1 if p.warmup else 1.0) * 10 ** (-p.fall * progress)
        if number % REFRESH == 0:
            self.field.refresh()
        batch = self.drawer.draw()
        self.optimizer.zero_grad()
        error = self._error(batch, self._mixed_codes(batch.frames))
        inside = self._error_between_lips()
        (SCALE * (error.mean() + inside) + p.latent_penalty * self.latents.square().sum()).backward()
        self.optimizer.step(rate)
        for grid in self.grids:
            grid.step(rate)
        self._guard(number, progress)
        total = error.detach().mean()
        return {"photo": total, "psnr": -10.0 * torch.log10(total)}  # type: ignore[dict-item]

    def _mixed_codes(self, frames: Tensor) -> Tensor:
        """(F, D + L) of a step: mouths under codes, upper faces under expressions of other frames.

        In a dub an expression moves the mouth of a frame whose code it is not, and must move nothing above it.
        """
        mouths, uppers = self.drawer.mouths, self.drawer.uppers
        told, coded = frames.clone(), frames.clone()
        told[mouths : mouths + uppers] = torch.randint(len(self.drawer), (uppers,), device=self.device)
        coded[:mouths] = torch.randint(len(self.drawer), (mouths,), device=self.device)
        latents = torch.cat([self.latents[coded[:mouths]].detach(), self.latents[coded[mouths:]]])
        return self.codes(told, self.told, latents)

    def _error(self, batch: Batch, code: Tensor) -> Tensor:
        """(F, R, 3) squared errors over the background."""
        keep = torch.rand(batch.columns.shape, device=self.device) < EXPLORE
        jitter = torch.rand(batch.columns.shape, device=self.device)
        shown = self.field.render(self.views, batch.frames, batch.columns, batch.rows, code, jitter, keep)
        over = torch.addcmul(batch.background + shown[..., :3], shown[..., 3:], batch.background, value=-1.0)
        return (over - batch.color).square()

    def _error_between_lips(self) -> Tensor:
        """Mean squared error of rays between the lips, which the network that draws what is there learns from alone."""
        if not len(self.between.frames):
            return torch.zeros((), device=self.device)
        frames, columns, rows, color = self.between.draw()
        seen = look(self.views, frames, columns, rows)
        code = self.told[frames], self.field.seen_from(self.views.rotation, self.views.translation)[frames]
        assert self.field.behind is not None
        return (self.field.behind(seen, *code) - color.view(-1, 3)).square().mean()

    @torch.no_grad()
    def opacity(self) -> float:
        """Mean opacity over head pixels of a few frames: near 0 when the field has collapsed."""
        rng = np.random.default_rng([self.seed, 5])
        head = self.shown.scene.head
        chosen = rng.choice([t for t in range(len(head)) if head[t].any()], PROBE_FRAMES)
        frames = torch.from_numpy(chosen).to(self.device)
        pixels = np.stack([rng.choice(np.flatnonzero(head[t]), PROBE_RAYS) for t in chosen])
        batch = self.drawer.batch(frames, torch.from_numpy(pixels).to(self.device))
        code = self.codes(frames, self.told, self.latents[frames])
        return float(self.field.render(self.views, frames, batch.columns, batch.rows, code)[..., 3].mean())

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Error on fixed rays of the head: of held-out frames with the nearest code if there are any."""
        p, held_out = self.probe, self.rest is not None
        code = torch.full_like(p.frames, len(self.shown) - 1) if held_out else p.frames
        codes = torch.cat([self.field.told(p.told), self.latents[code]], 1)
        views = p.views._replace(slip=self.slips[code])
        shown = self.field.render(views, torch.arange(len(code), device=code.device), p.columns, p.rows, codes)
        over = shown[..., :3] + (1 - shown[..., 3:]) * p.background
        error = float((over - p.color).square().mean())
        return self._figures(error, self.opacity(), held_out)

    def _image(self, t: int) -> NDArray[np.float32]:
        """(H, W, 3) a training frame as the field shows it, over its plate."""
        scene, frame = self.shown, torch.tensor([t], device=self.device)
        expression = scene.condition[t].astype(np.float64)
        codes = self.codes(frame, self.told, self.latents.detach()[frame])
        moved = self.mesh.moved(expression)
        shown = render_one(self.field, self.relief, self.mesh, scene, t, moved, codes, self.warps[t], self.slips[frame])
        plate = scene.scene.plates[scene.scene.shot[t]].astype(np.float32) / 255
        image: NDArray[np.float32] = shown.rgb + (1 - shown.alpha[..., None]) * plate
        return image

    @torch.no_grad()
    def image(self) -> NDArray[np.uint8]:
        """Four training frames above what the field makes of them."""
        rows = []
        for t in np.linspace(0, len(self.shown) - 1, 4).round().astype(int):
            image = np.uint8(np.clip(self._image(int(t)), 0, 1) * 255 + 0.5)
            rows.append(np.concatenate([self.shown.filmed[t], image]))
        return np.concatenate(rows, 1)

    def state_dict(self) -> dict[str, Any]:
        """Field, codes, moments of the optimizers, and which attempt this is."""
        return {
            "field": self.field.state_dict(),
            "latents": self.latents.detach(),
            "slips": self.slips.detach(),
            "attempt": self.attempt,
            "optimizer": self.optimizer.state_dict(),
            "grids": [grid.state_dict() for grid in self.grids],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What `state_dict` gave."""
        self.attempt = state["attempt"]
        self._build()
        self.field.load_state_dict(state["field"])
        with torch.no_grad():
            self.latents.copy_(state["latents"])
            self.slips.copy_(state["slips"])
        self.optimizer.load_state_dict(state["optimizer"])
        for grid, held in zip(self.grids, state["grids"], strict=True):
            grid.load_state_dict(held)

    def trained(self, facts: Mapping[str, Any]) -> TrainedRelief:
        """The field as it stands."""
        self.field.refresh()
        held, shown = (self.latents.detach(), self.frames), (self.warps, self.slips.detach())
        return TrainedRelief(
            self.field.eval(), *held, self.scale, self.mesh.rest, *shown, facts, self.removed_direction
        )


def train(
    scene: ReliefScene,
    preset: ReliefPreset,
    folder: str | Path,
    *,
    seed: int = 0,
    device: str = "cpu",
    **how: Unpack[Running],
) -> TrainedRelief:
    """Train a relief on a scene, in a folder; further arguments and errors as `run_training`'s."""
    run_training(ReliefTraining(scene, preset, seed, device), folder, **how)
    return TrainedRelief.load(Path(folder) / MODEL, device)
