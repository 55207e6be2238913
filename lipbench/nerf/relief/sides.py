"""A head that turns far: a relief for each side that it shows, trained on the frames that see it from there.

A relief knows a head as it is seen from the relief's front: what turns away from there is stretched, and what lies
behind has no place in it. So head space is turned about its vertical axis until a side is the front, and everything
else stays as it is. Frames between two sides belong to both and are drawn by both, so that nothing jumps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from lipbench.core.weights import torch_file
from lipbench.core.weights.opening import reading
from lipbench.nerf.relief.rendering import check_frames
from lipbench.nerf.relief.scene import ReliefScene
from lipbench.nerf.relief.trained import TrainedRelief
from lipbench.nerf.training.trained import FrameRender, Where

#: Degrees between a relief's front and a camera beyond which it breaks.
FARTHEST = 60.0
#: Degrees about the head's vertical axis from which reliefs may be seen; 0 is the face's front.
FRONTS = (-60.0, 0.0, 60.0)
SHARED = 6.0  # degrees on either side of the middle between two fronts in which frames belong to both
LEAST = 25  # frames nearest to a side for a relief of its own

Array = NDArray[np.float64]


def azimuths(scene: ReliefScene) -> Array:
    """(T,) degrees, -180 to 180, about the head's vertical axis at which each frame's camera stands."""
    camera = scene.scene.c2w[:, :, 3].astype(np.float64)
    return np.asarray(np.degrees(np.arctan2(camera[:, 0], camera[:, 2])), np.float64)


def fronts_of(azimuth: Array) -> tuple[float, ...]:
    """From which of `FRONTS` frames (T,) ask for a relief: the face's alone where it can follow them all."""
    if (np.abs(azimuth) <= FARTHEST).all():
        return (0.0,)
    nearest = _away(azimuth, FRONTS).argmin(1)
    return tuple(front for k, front in enumerate(FRONTS) if (nearest == k).sum() >= LEAST) or (0.0,)


def shares(azimuth: Array, fronts: Sequence[float]) -> Array:
    """(T, P) how much of each frame is drawn by the relief of each front: the nearest one's, or two's between them."""
    away = _away(azimuth, fronts)
    found, rows = np.zeros(away.shape), np.arange(len(away))
    order = np.argsort(away, 1, kind="stable")
    if away.shape[1] > 1:
        gap = away[rows, order[:, 1]] - away[rows, order[:, 0]]
        found[rows, order[:, 1]] = np.maximum(0.5 - gap / (4 * SHARED), 0.0)
    found[rows, order[:, 0]] = 1.0 - found.sum(1)
    return found


def _away(azimuth: Array, fronts: Sequence[float]) -> Array:
    """(T,) degrees -> (T, P) how far they are from each front, 0 to 180."""
    return np.asarray(np.abs((azimuth[:, None] - np.asarray(fronts) + 180.0) % 360.0 - 180.0), np.float64)


@dataclass
class TrainedSides:
    """Reliefs of one head, each seen from another side.

    Attributes:
        fronts: (P,) degrees, see `FRONTS`.
        reliefs: (P,) each trained in head space turned by its front; their `frames` are those of the whole scene.
    """

    fronts: tuple[float, ...]
    reliefs: tuple[TrainedRelief, ...]

    @property
    def frames(self) -> NDArray[np.int64]:
        """Numbers of the training frames of all reliefs, ascending."""
        return np.unique(np.concatenate([relief.frames for relief in self.reliefs]))

    @property
    def facts(self) -> Mapping[str, Any]:
        """How the relief nearest to the face's front was trained, and which ones there are."""
        first = self.reliefs[int(np.abs(self.fronts).argmin())]
        return {**first.facts, "fronts": ", ".join(f"{front:g}" for front in self.fronts)}

    def renumbered(self, rows: NDArray[np.int64]) -> TrainedSides:
        """See `TrainedRelief.renumbered`."""
        return replace(self, reliefs=tuple(relief.renumbered(rows) for relief in self.reliefs))

    def render(
        self, scene: ReliefScene, conditions: ArrayLike, index: ArrayLike, where: Where | None = None
    ) -> Iterator[FrameRender]:
        """The head under new expressions with the codes of the frames `index`, see `trained.render_frames`."""
        rows, expression = np.asarray(index, np.int64), np.asarray(conditions, np.float64)
        check_frames(rows, expression, self.reliefs[0].field.config.condition, len(scene))
        share = shares(azimuths(scene), self.fronts)[rows]
        drawn = [
            relief.render(scene.turned(front), expression[mine], rows[mine], _of(where, mine))
            for front, relief, mine in zip(self.fronts, self.reliefs, map(np.flatnonzero, share.T), strict=True)
        ]
        for each in share:
            yield _mixed([(float(each[k]), next(drawn[k])) for k in np.flatnonzero(each)])

    def save(self, path: str | Path) -> Path:
        """Write all reliefs; returns the path."""
        held = [{"front": k, "relief": one.to_dict()} for k, one in zip(self.fronts, self.reliefs, strict=True)]
        torch.save({"sides": held}, path)
        return Path(path)


def _of(where: Where | None, rows: NDArray[np.int64]) -> Where | None:
    """Which pixels are wanted of some rows of an output, by their numbers among them."""
    return None if where is None else lambda k: where(int(rows[k]))


def _mixed(parts: Sequence[tuple[float, FrameRender]]) -> FrameRender:
    """Renders of one frame, by their shares of it; one alone stays itself."""
    if len(parts) == 1:
        return parts[0][1]
    rgb = sum((np.float32(share) * shown.rgb for share, shown in parts), np.zeros((), np.float32))
    alpha = sum((np.float32(share) * shown.alpha for share, shown in parts), np.zeros((), np.float32))
    x0, y0, x1, y1 = np.array([shown.box for _, shown in parts]).T
    return FrameRender(rgb, alpha, (int(x0.min()), int(y0.min()), int(x1.max()), int(y1.max())))


def load(path: str | Path, device: str = "cpu") -> TrainedRelief | TrainedSides:
    """Read what `TrainedRelief.save` or `TrainedSides.save` wrote.

    Raises:
        WeightsError: not such a file.
    """
    with reading(path, "train it again") as path:
        held = torch_file.read(path, "train it again")
        if "sides" not in held:
            return TrainedRelief.from_dict(held, device)
        reliefs = tuple(TrainedRelief.from_dict(one["relief"], device) for one in held["sides"])
        return TrainedSides(tuple(float(one["front"]) for one in held["sides"]), reliefs)
