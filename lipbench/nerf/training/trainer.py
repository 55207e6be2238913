"""Training a field on a scene, in a folder, with the package's harness (`lipbench.core.training`)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipbench.core import optim
from lipbench.nerf.grid import carve
from lipbench.nerf.model import HeadField, RayColors
from lipbench.nerf.scene import Scene
from lipbench.nerf.training import graph, guard
from lipbench.nerf.training.adam import make_adam
from lipbench.nerf.training.codes import eye_codes, lid_direction, without
from lipbench.nerf.training.draw import RayBatch, RayDrawer
from lipbench.nerf.training.graph import GraphedStep
from lipbench.nerf.training.presets import Preset
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
from lipbench.nerf.training.trained import TrainedField, render_one

if TYPE_CHECKING:
    from typing_extensions import Unpack

REFRESH = 16  # steps between looks at the density grid


class FieldTraining(GuardedTraining):
    """A `Trainable`: the networks, the codes, and the rays they learn from.

    Args:
        scene: what to learn; it is shrunk to `preset.size` first.
        preset: how. Its field's `condition` is set to the scene's.
        seed: of the weights; the harness seeds what is drawn in each step.
    """

    def __init__(self, scene: Scene, preset: Preset, seed: int = 0, device: str = "cpu") -> None:
        check(preset, scene.condition.shape[1])
        if preset.graph:
            graph.check(device)
        self.preset, self.seed, self.device = preset, seed, device
        self.removed_direction = lid_direction(scene.condition, scene.lids) if preset.lids == "code" else None
        self.scale = min(1.0, preset.size / max(scene.size)) if preset.size else 1.0
        kept = round(len(scene) * (1.0 - preset.held_out))
        self.frames = np.arange(len(scene))[:kept]
        self.scene = scene.resized(self.scale).with_condition(without(scene.condition, self.removed_direction))
        shown = self.scene.take(self.frames) if kept < len(scene) else self.scene
        self.rest = self.scene.take(np.arange(kept, len(scene))) if len(scene) - kept >= 5 else None
        self.drawer = RayDrawer(shown, preset, device)
        self.shown = shown
        self.facts: Mapping[str, Any] = {"preset": preset.to_dict(), "scene": scene_hash(scene), "seed": seed}
        if preset.graph:
            self.facts = {**self.facts, "graph": graph.NOTE}
        self.attempt = 0
        self.check_steps = guard.check_steps(preset.steps, preset.warmup)
        self._build()

    def _build(self) -> None:
        """Networks, codes and optimizer of this attempt."""
        self._seed_weights()
        p = self.preset
        self.field = HeadField(p.field, torch.from_numpy(self.shown.bounds)).to(self.device)
        if self.field.grid is not None:
            carve(self.field.grid, self.shown)
        codes = LATENT_START * torch.randn(len(self.drawer), p.field.latent)
        if p.code_start == "eyes":
            codes += torch.from_numpy(eye_codes(self.shown, p.field.latent))
        self.latents = torch.nn.Parameter(codes.to(self.device))
        planes = [v for k, v in self.field.named_parameters() if ".planes." in k or ".shapes_" in k]
        known = {id(v) for v in planes}
        others = [v for v in self.field.parameters() if id(v) not in known]
        groups = [
            {"params": others, "lr_scale": 1.0},
            {"params": planes, "lr_scale": p.planes_lr},
            {"params": [self.latents] if p.field.latent else [], "lr_scale": p.latent_lr},
        ]
        self.optimizer = make_adam([g for g in groups if g["params"]], p.lr, self.device)
        self.graphed: GraphedStep | None = None

    def codes(self, frames: Tensor) -> Tensor:
        """(F,) training frames -> (F, C + L)."""
        return torch.cat([self.drawer.condition[frames], self.latents[frames]], 1)

    def _shuffled_latents(self, codes: Tensor) -> Tensor:
        """(F, C + L) with the latent codes of frames drawn at random, as they stand."""
        size = self.latents.shape[1]
        drawn = torch.randint(len(self.latents), (len(codes),), device=self.device)
        return torch.cat([codes[:, : codes.shape[1] - size], self.latents[drawn].detach()], 1)

    def step(self, number: int, progress: float) -> dict[str, float]:
        """One iteration: rays of a few frames, gradients summed over micro-batches, one Adam step."""
        p = self.preset
        # In this order: a product of the same factors in another one rounds differently, and the field with it.
        fall, rise = optim.exponential(progress, p.lr_end / p.lr), optim.warmup(number, p.warmup)
        rates = [p.lr * group["lr_scale"] * fall * rise for group in self.optimizer.param_groups]
        if p.field.proposal == "grid" and number % REFRESH == 0:
            frame = torch.randint(len(self.drawer), (1,), device=self.device)
            self.field.update_grid(self.codes(frame).detach(), 1.0 if number < 8 * REFRESH else 0.25)
        error, psnr = self._graphed(rates) if p.graph else self._plain(rates)
        self._guard(number, progress)
        # Read once per report: on a GPU every reading waits for the device.
        return {"photo": error, "psnr": psnr}  # type: ignore[dict-item]

    def _plain(self, rates: list[float]) -> tuple[Tensor, Tensor]:
        """An iteration at these rates of the optimizer's groups."""
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        return self._iteration()

    def _graphed(self, rates: list[float]) -> tuple[Tensor, Tensor]:
        """The same as a graph, which reads the rates where they were when it was captured."""
        groups = self.optimizer.param_groups
        if self.graphed is None:
            self.graphed = GraphedStep(self._iteration, self.device)
            for group in groups:
                group["lr"] = torch.zeros((), device=self.device)
        for group, rate in zip(groups, rates, strict=True):
            group["lr"].fill_(rate)
        error, psnr = self.graphed()
        return error, psnr

    def _iteration(self) -> tuple[Tensor, Tensor]:
        """Rays of a few frames, their gradients, one step of Adam; the mean squared error before it, and its PSNR."""
        batch = self.drawer.draw(self.field)
        self.optimizer.zero_grad(set_to_none=True)
        error = self._backward(batch)
        self.optimizer.step()
        return error, -10.0 * torch.log10(error)

    def _backward(self, batch: RayBatch) -> Tensor:
        """Gradients of sum_rays |C - C_true|^2 (coarse and fine) + lambda |v|, once per pass; returns the fine pass's
        mean squared error (LipNeRF eq. 3, 4)."""
        p = self.preset
        each = batch.color.shape[1]
        # Small parts keep a CPU's caches warm; a GPU would wait for the launches of each.
        size = p.micro if p.micro and torch.device(self.device).type == "cpu" else each
        total = torch.zeros((), device=self.device)
        for start in range(0, each, size):
            part = batch.part(slice(start, start + size))
            colors = self._render(part)
            loss, error = _photo(colors, part.color)
            loss.backward()
            total += error
        passes = 1 if self.field.coarse is None else 2
        if p.field.latent and p.latent_penalty:
            v = self.latents[batch.frames[batch.mouth :]]
            # The norm has no gradient at 0; the guard keeps it finite.
            (passes * p.latent_penalty * (v.square().sum(1) + 1e-12).sqrt().sum()).backward()
        return total / (batch.color.numel())

    def _render(self, batch: RayBatch) -> RayColors:
        codes = self.codes(batch.frames)
        if batch.mouth:
            codes = torch.cat([self._shuffled_latents(codes[: batch.mouth]), codes[batch.mouth :]])
        with self._precision():
            return self.field.render(batch.rays, batch.background, codes, train=True)

    def _precision(self) -> AbstractContextManager[Any]:
        return torch.autocast(torch.device(self.device).type, torch.bfloat16) if self.preset.bf16 else nullcontext()

    @torch.no_grad()
    def opacity(self) -> float:
        """Mean opacity over head pixels of a few frames: near 0 when the field has collapsed.

        The lower one of both passes: behind a dead coarse network the fine one draws its samples blindly.
        """
        rng = np.random.default_rng([self.seed, 5])
        rows = [t for t in range(len(self.shown)) if self.shown.head[t].any()]
        frames = torch.from_numpy(rng.choice(rows, PROBE_FRAMES)).to(self.device)
        pixels = [rng.choice(np.flatnonzero(self.shown.head[int(t)]), PROBE_RAYS) for t in frames]
        batch = self.drawer.batch(self.field, frames, torch.from_numpy(np.stack(pixels)).to(self.device))
        colors = self.field.render(batch.rays, batch.background, self.codes(frames))
        passes = [p for p in (colors.fine, colors.coarse) if p is not None]
        return min(float((1.0 - p.transmittance).mean()) for p in passes)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Error on fixed rays: of held-out frames with the nearest code if there are any, else of training frames."""
        rng = np.random.default_rng([self.seed, 6])
        held_out = self.rest is not None
        scene = self.rest if self.rest is not None else self.shown
        drawer = RayDrawer(scene, self.preset, self.device) if held_out else self.drawer
        frames = torch.from_numpy(np.linspace(0, len(scene) - 1, 8).round().astype(np.int64)).to(self.device)
        rows = [np.flatnonzero(scene.head[int(t)]) for t in frames]
        pixels = np.stack([rng.choice(r if len(r) else np.arange(drawer.h * drawer.w), PROBE_RAYS) for r in rows])
        batch = drawer.batch(self.field, frames, torch.from_numpy(pixels).to(self.device))
        code = torch.full_like(frames, len(self.drawer) - 1) if held_out else frames
        codes = torch.cat([drawer.condition[frames], self.latents[code]], 1)
        colors = self.field.render(batch.rays, batch.background, codes).fine
        error = float((colors.rgb - batch.color).square().mean())  # type: ignore[operator]
        return self._figures(error, float((1.0 - colors.transmittance).mean()), held_out)

    def image(self) -> NDArray[np.uint8]:
        """Four training frames above what the field makes of them."""
        chosen = np.linspace(0, len(self.shown) - 1, 4).round().astype(int)
        rows = []
        for t in chosen:
            frame = torch.tensor([int(t)], device=self.device)
            shown = render_one(self.field, self.shown, int(t), self.codes(frame).detach())
            plate = self.shown.plates[self.shown.shot[t]].astype(np.float32) / 255
            over = shown.rgb + (1 - shown.alpha[..., None]) * plate
            rows.append(np.concatenate([self.shown.frames[t], np.uint8(np.clip(over, 0, 1) * 255 + 0.5)]))
        return np.concatenate(rows, 1)

    def state_dict(self) -> dict[str, Any]:
        """Networks, codes, Adam's moments, and which attempt this is."""
        return {
            "field": self.field.state_dict(),
            "latents": self.latents.detach(),
            "attempt": self.attempt,
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What `state_dict` gave."""
        self.attempt = state["attempt"]
        self._build()
        self.field.load_state_dict(state["field"])
        with torch.no_grad():
            self.latents.copy_(state["latents"])
        optim.load_adam(self.optimizer, state["optimizer"], self.device)

    def trained(self, facts: Mapping[str, Any]) -> TrainedField:
        """The field as it stands."""
        return TrainedField(
            self.field.eval(), self.latents.detach(), self.frames, self.scale, facts, self.removed_direction
        )


def _photo(colors: RayColors, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of squared errors over rays and passes; the fine pass's share."""
    assert colors.fine.rgb is not None
    error = (colors.fine.rgb - truth).square().sum()
    loss = error
    if colors.coarse is not None and colors.coarse.rgb is not None:
        loss = loss + (colors.coarse.rgb - truth).square().sum()
    return loss, error.detach()


def train(
    scene: Scene, preset: Preset, folder: str | Path, *, seed: int = 0, device: str = "cpu", **how: Unpack[Running]
) -> TrainedField:
    """Train a field on a scene, in a folder; further arguments and errors as `run_training`'s."""
    run_training(FieldTraining(scene, preset, seed, device), folder, **how)
    return TrainedField.load(Path(folder) / MODEL, device)
