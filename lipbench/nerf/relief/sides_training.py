"""Training what a head asks for: one relief, or where it turns far one for each side that it shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lipbench.nerf.relief import training
from lipbench.nerf.relief.config import ReliefPreset
from lipbench.nerf.relief.scene import ReliefScene
from lipbench.nerf.relief.sides import TrainedSides, azimuths, fronts_of, shares
from lipbench.nerf.relief.trained import TrainedRelief

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from lipbench.nerf.training.running import Running


def train(
    scene: ReliefScene,
    preset: ReliefPreset,
    folder: str | Path,
    *,
    seed: int = 0,
    device: str = "cpu",
    **how: Unpack[Running],
) -> TrainedRelief | TrainedSides:
    """Train one relief on a scene, in a folder, or where the head turns far one for each side, in a folder each.

    Each takes the preset's steps, and its part of `seconds`. Further arguments and errors as `run_training`'s. The
    same call on an interrupted folder goes on where it stopped.
    """
    azimuth = azimuths(scene)
    fronts = fronts_of(azimuth)
    if fronts == (0.0,):
        return training.train(scene, preset, folder, seed=seed, device=device, **how)
    log: Callable[[str], None] = how.get("log", lambda _: None)
    if (seconds := how.get("seconds")) is not None:
        how["seconds"] = seconds / len(fronts)
    reliefs = []
    for front, share in zip(fronts, shares(azimuth, fronts).T, strict=True):
        rows = np.flatnonzero(share)
        log(f"the head from {front:g} degrees: {len(rows)} of {len(scene)} frames")
        own = scene.take(rows).turned(front)
        found = training.train(own, preset, Path(folder) / f"front{front:+g}", seed=seed, device=device, **how)
        reliefs.append(found.renumbered(rows))
    return TrainedSides(fronts, tuple(reliefs))
