"""A scene with a known answer, small enough to train on in a second."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lipbench.faces.raster import Camera, euler_to_matrix
from lipbench.nerf.scene import Scene
from lipbench.nerf.scene_from_fit import make_scene

T, H, W, F = 8, 48, 64, 120.0


def ball_scene(height: int = H, width: int = W, plate_value: int = 40, moving: bool = False) -> Scene:
    """A ball of 1 dm radius that turns; its color tells the direction of the surface in its own space."""
    rng = np.random.default_rng(0)
    rotation = euler_to_matrix(rng.normal(0, 0.15, (T, 3)))
    translation = np.array([0.0, 0.0, -7.5]) + rng.normal(0, 0.05, (T, 3))
    camera = Camera(F * width / W, width, height)
    frames = np.full((T, height, width, 3), 200, np.uint8)
    head = np.zeros((T, height, width), bool)
    cx, cy = camera.center
    column, row = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    d = np.stack([(column - cx) / camera.focal, -(row - cy) / camera.focal, -np.ones_like(column)], -1)
    for t in range(T):
        b, c = d @ translation[t], translation[t] @ translation[t] - 1.0
        a = (d * d).sum(-1)
        inside = b * b - a * c
        head[t] = inside > 0
        z = (b - np.sqrt(np.maximum(inside, 0))) / a
        normal = (d * z[..., None] - translation[t]) @ rotation[t]
        frames[t][head[t]] = (127 + 100 * normal[head[t]]).astype(np.uint8)
    plate = np.full((height, width, 3), plate_value, np.uint8)
    mouth = np.tile([width // 2 - 5, height // 2 + 4, width // 2 + 5, height // 2 + 10], (T, 1))
    return make_scene(
        frames,
        head,
        np.stack([plate] * T) if moving else plate,
        rotation,
        translation,
        camera.focal,
        camera.center,
        rng.normal(size=(T, 6)),
        mouth,
    )


@pytest.fixture(scope="session", name="ball_scene")
def _ball_scene() -> Callable[..., Scene]:
    """(height=48, width=64, plate_value=40, moving=False) -> 8 views of a turning ball, 6 numbers of code a frame."""
    return ball_scene
