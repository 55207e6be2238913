"""What a relief learns from: a scene, and the mesh that was fitted to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipbench.core.errors import UsageError
from lipbench.faces.morphable import MorphableModel
from lipbench.faces.raster import Camera, euler_to_matrix
from lipbench.media.held import hold, taken
from lipbench.nerf.scene import Scene
from lipbench.nerf.scene import pool as pool_scenes

PER_DM = 10.0  # dm in a meter


@dataclass(frozen=True)
class ReliefScene:
    """The frames, cameras and codes of a clip, and the mesh that was fitted to it.

    Attributes:
        scene: its conditions are expressions of `model`.
        filmed: (T, H, W, 3) uint8 RGB as filmed; the scene's own frames have the plate where there is no head.
        other: (T, H, W) bool, neck and torso.
        model: that was fitted.
        identity: (K_id,) of the person.
    """

    scene: Scene
    filmed: NDArray[np.uint8]
    other: NDArray[np.bool_]
    model: MorphableModel
    identity: NDArray[np.floating]

    def __post_init__(self) -> None:
        t, (h, w) = len(self.scene), self.scene.size
        shapes = {"filmed": (t, h, w, 3), "other": (t, h, w)}
        for name, expected in shapes.items():
            found = getattr(self, name).shape
            if found != expected:
                raise UsageError(
                    f"a relief's {name} has the shape {found}", f"its scene asks for {expected}", "one row per frame"
                )
        length = self.model.n_expression
        if self.scene.condition.shape[1] != length:
            raise UsageError(
                f"the scene's codes have {self.scene.condition.shape[1]} numbers",
                f"a relief is moved by the mesh, which an expression of {length} numbers tells",
                "use another field for other codes (`field: mlp`)",
            )

    def __len__(self) -> int:
        return len(self.scene)

    @property
    def condition(self) -> NDArray[np.float32]:
        """(T, K) expressions."""
        return self.scene.condition

    @property
    def camera(self) -> Camera:
        """Of every frame; pixel (i, j) covers [j, j + 1) x [i, i + 1)."""
        h, w = self.scene.size
        return Camera(self.scene.focal, w, h, self.scene.center[0] + 0.5, self.scene.center[1] + 0.5)

    @property
    def rotation(self) -> NDArray[np.float64]:
        """(T, 3, 3) head to camera."""
        return np.ascontiguousarray(np.swapaxes(self.scene.c2w[:, :, :3], 1, 2), np.float64)

    @property
    def translation(self) -> NDArray[np.float64]:
        """(T, 3) dm."""
        origin = self.scene.c2w[:, :, 3:].astype(np.float64)
        return np.ascontiguousarray(-(self.rotation @ origin)[..., 0] * PER_DM)

    def take(self, index: ArrayLike) -> ReliefScene:
        """The frames `index` in that order.

        Raises:
            TooShort: fewer than 5 frames are left.
        """
        rows = np.arange(len(self))[np.asarray(index)]
        filmed, other = (taken(each, rows) for each in (self.filmed, self.other))
        return replace(self, scene=self.scene.take(rows), filmed=filmed, other=other)

    def turned(self, degrees: float) -> ReliefScene:
        """The same in head space turned about its vertical axis: what a camera sees from `degrees` is its front.

        Only what a relief looks at is turned: cameras, mesh and the head's box.
        """
        turn = euler_to_matrix((0.0, np.radians(degrees), 0.0))
        scene, model = self.scene, self.model
        c2w = np.einsum("ji,tjk->tik", turn, scene.c2w.astype(np.float64)).astype(np.float32)
        x, y, z = scene.bounds.T.astype(np.float64)
        corners = np.stack(np.meshgrid(x, y, z), -1).reshape(-1, 3) @ turn
        bounds = np.stack([corners.min(0), corners.max(0)]).astype(np.float32)
        names = ("mean", "identity_basis", "expression_basis")
        moved = {name: getattr(model, name) @ turn.astype(getattr(model, name).dtype) for name in names}
        return replace(self, scene=replace(scene, c2w=c2w, bounds=bounds), model=replace(model, **moved))

    def resized(self, factor: float) -> ReliefScene:
        """The same at `factor` <= 1 times the resolution, by area averaging."""
        import cv2

        if factor >= 1.0:
            return self
        scene = self.scene.resized(factor)
        size = scene.size[::-1]

        def shrunk(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
            return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)

        other = hold(shrunk(mask.astype(np.uint8) * 255) >= 128 for mask in self.other)
        return replace(self, scene=scene, filmed=hold(shrunk(image) for image in self.filmed), other=other)


def pool(scenes: Sequence[ReliefScene]) -> ReliefScene:
    """Several shots of one person, fitted together, as one.

    Raises:
        UsageError: no scene; shots that were not fitted as one person; see `nerf.scene.pool`.
    """
    pooled = pool_scenes([each.scene for each in scenes])
    first = scenes[0]
    for k, each in enumerate(scenes):
        if each.model.basis_hash != first.model.basis_hash or not np.array_equal(each.identity, first.identity):
            raise UsageError(
                f"cannot pool shot {k} with shot 0", "their fits are of two persons", "fit all shots together"
            )
    if len(scenes) == 1:
        return first
    filmed, other = (hold(chain.from_iterable(getattr(each, name) for each in scenes)) for name in ("filmed", "other"))
    return replace(first, scene=pooled, filmed=filmed, other=other)
