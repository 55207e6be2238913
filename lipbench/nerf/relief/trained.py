"""A trained relief with the codes of its frames: what rendering needs, as one file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lipbench.core.weights import torch_file
from lipbench.core.weights.opening import reading
from lipbench.nerf.relief.config import ReliefConfig
from lipbench.nerf.relief.field import ReliefField
from lipbench.nerf.relief.rendering import render_frames
from lipbench.nerf.relief.scene import ReliefScene
from lipbench.nerf.relief.surface import Relief
from lipbench.nerf.training.trained import FrameRender, Where

SCHEMA = 5


@dataclass
class TrainedRelief:
    """A trained relief with the codes of its frames.

    Attributes:
        field: the networks.
        latents: (T, L) codes of the training frames.
        frames: (T,) numbers of the training frames in the scene, ascending.
        scale: resolution at which it is rendered, relative to the scene's full resolution.
        rest: (K,) expression in which the relief is at rest.
        warps: (T, h, w, 2) dm, displacements of the training frames, see `registration`.
        slips: (T, 2) those of their teeth, see `Views`.
        facts: how it was trained.
        removed_direction: (C,) direction that is taken out of the expressions the network is told, None: nothing is.
    """

    field: ReliefField
    latents: Tensor
    frames: NDArray[np.int64]
    scale: float
    rest: NDArray[np.float64]
    warps: NDArray[np.float32]
    slips: Tensor
    facts: Mapping[str, Any]
    removed_direction: NDArray[np.float32] | None = None

    def renumbered(self, rows: NDArray[np.int64]) -> TrainedRelief:
        """The same of a scene whose `rows` were the scene that it was trained on."""
        return replace(self, frames=rows[self.frames])

    def latent(self, index: ArrayLike) -> Tensor:
        """(N,) scene frames -> (N, L) codes; a frame that was kept from training has one between its neighbors'."""
        return self._between(self.latents, index)

    def slip(self, index: ArrayLike) -> Tensor:
        """(N,) scene frames -> (N, 2) displacements of their teeth, in the same way."""
        return self._between(self.slips, index)

    def _between(self, values: Tensor, index: ArrayLike) -> Tensor:
        before, after, share = self._neighbors(index)
        first, last = (values[torch.from_numpy(rows)] for rows in (before, after))
        return torch.lerp(first, last, torch.from_numpy(share)[:, None].to(first.device))

    def warp(self, index: ArrayLike) -> NDArray[np.float32]:
        """(N,) scene frames -> (N, h, w, 2) displacements, in the same way."""
        before, after, share = self._neighbors(index)
        first = self.warps[before]
        return first + share[:, None, None, None] * (self.warps[after] - first)

    def _neighbors(self, index: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """(N,) scene frames -> (N,) rows of the training frames before and after them, and the share of the latter."""
        wanted = np.asarray(index, np.int64)
        after = np.searchsorted(self.frames, wanted).clip(max=len(self.frames) - 1)
        before = np.where(self.frames[after] <= wanted, after, np.maximum(after - 1, 0))
        gap = self.frames[after] - self.frames[before]
        share = np.where(gap > 0, (wanted - self.frames[before]) / np.maximum(gap, 1), 0)
        return before, after, share.astype(np.float32)

    def render(
        self, scene: ReliefScene, conditions: ArrayLike, index: ArrayLike, where: Where | None = None
    ) -> Iterator[FrameRender]:
        """The head under new expressions with the codes of the frames `index`, see `render_frames`."""
        return render_frames(self, scene, conditions, index, where)

    def to_dict(self) -> dict[str, Any]:
        """Networks and codes as `torch.save` takes them."""
        removed = self.removed_direction
        return {
            "relief_schema": SCHEMA,
            "config": self.field.config.to_dict(),
            "field": self.field.state_dict(),
            "latents": self.latents.detach().cpu(),
            "frames": self.frames.tolist(),
            "scale": self.scale,
            "rest": torch.from_numpy(self.rest),
            "slips": self.slips.detach().cpu(),
            "warps": torch.from_numpy(self.warps.astype(np.float16)),
            "facts": dict(self.facts),
            "removed": None if removed is None else torch.from_numpy(removed),
        }

    def save(self, path: str | Path) -> Path:
        """Write networks and codes; returns the path."""
        torch.save(self.to_dict(), path)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> TrainedRelief:
        """Read what `save` wrote.

        Raises:
            WeightsError: not such a file.
        """
        with reading(path, "train it again") as path:
            return cls.from_dict(torch_file.read(path, "train it again"), device)

    @classmethod
    def from_dict(cls, held: Mapping[str, Any], device: str = "cpu") -> TrainedRelief:
        """What `to_dict` gave.

        Raises:
            ValueError: of another schema.
        """
        if held["relief_schema"] != SCHEMA:
            raise ValueError(f"its schema is {held['relief_schema']}, this lipbench reads {SCHEMA}")
        state = held["field"]
        nothing = np.zeros(state["surfaces"].shape[1:], np.float32)
        anywhere = (0.0, 0.0, 1.0, 1.0)
        relief = Relief(anywhere, nothing, nothing, nothing, (anywhere, anywhere), anywhere)
        fine, coarse = (tuple(state[f"{name}.values"].shape[1:3]) for name in ("fine", "coarse"))
        eyes = tuple(state["eyes.values"].shape[1:3]) if "eyes.values" in state else (0, 0)
        more = state["appearances.values"].shape[1:] if "appearances.values" in state else (0, 0, 0)
        appearances = int(more[0]), int(more[1]), int(more[2]) // 4
        mouth = tuple(state["mouth.values"].shape[1:3]) if "mouth.values" in state else (0, 0)
        field = ReliefField(
            ReliefConfig(**held["config"]), relief, fine, coarse, (eyes[0] // 2, eyes[1]), appearances, mouth
        )
        field.load_state_dict(state)
        removed = None if held["removed"] is None else held["removed"].numpy()
        return cls(
            field.to(device).eval(),
            held["latents"].to(device),
            np.asarray(held["frames"], np.int64),
            held["scale"],
            held["rest"].numpy(),
            held["warps"].numpy().astype(np.float32),
            held["slips"].to(device),
            held["facts"],
            removed,
        )
