"""The rays on which a relief is validated, the same ones every time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lipbench.nerf.relief.dense import Views
from lipbench.nerf.relief.mesh import HeadMesh
from lipbench.nerf.relief.rendering import views_of
from lipbench.nerf.relief.scene import ReliefScene
from lipbench.nerf.relief.surface import Relief
from lipbench.nerf.training.codes import without

FRAMES, RAYS = 8, 256


class Probe(NamedTuple):
    """Rays of the head, of a few frames.

    Attributes:
        views: of these frames.
        frames: (F,) their numbers in the scene.
        told: (F, C) their expressions, less the removed direction.
        columns: (F, R) px.
        rows: (F, R) px.
        color: (F, R, 3) in [0, 1].
        background: (F, R, 3) in [0, 1].
    """

    views: Views
    frames: Tensor
    told: Tensor
    columns: Tensor
    rows: Tensor
    color: Tensor
    background: Tensor


def probe_of(
    scene: ReliefScene,
    mesh: HeadMesh,
    relief: Relief,
    warps: NDArray[np.float32],
    removed: ArrayLike | None,
    behind: bool,
    seed: int,
    device: str,
) -> Probe:
    """Rays of frames from the first to the last; where a frame shows no head, from anywhere.

    Args:
        scene: of the training or kept from it.
        mesh: of the training.
        relief: of the training.
        warps: (T, h, w, 2) dm, displacements of the scene's frames.
        removed: direction that expressions are told without, see `codes.lid_direction`.
        behind: whether rays pass between the lips.
        seed: decides which rays.
        device: where they are wanted.
    """
    rng, s = np.random.default_rng([seed, 6]), scene.scene
    frames = np.linspace(0, len(scene) - 1, FRAMES).round().astype(np.int64)
    width = s.size[1]
    pixels = np.stack([rng.choice(np.flatnonzero(s.head[t] if s.head[t].any() else ~s.head[t]), RAYS) for t in frames])
    rotation, translation = scene.rotation[frames], scene.translation[frames]
    seen = [
        mesh.view(s.condition[t], turn, move, scene.camera)
        for t, turn, move in zip(frames, rotation, translation, strict=True)
    ]
    row, column = np.divmod(pixels, width)
    held = (
        frames,
        without(s.condition[frames], removed),
        column.astype(np.float32) + 0.5,
        row.astype(np.float32) + 0.5,
        scene.filmed[frames[:, None], row, column].astype(np.float32) / 255,
        s.plates[s.shot[frames][:, None], row, column].astype(np.float32) / 255,
    )
    views = views_of(seen, relief, rotation, translation, scene.camera, warps[frames], behind, device)
    return Probe(views, *(torch.from_numpy(each).to(device) for each in held))
