"""A head with a known answer: a ball whose lower part an expression moves, seen in eight poses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from lipbench.faces.morphable import MorphableModel
from lipbench.faces.morphable.base import LandmarkIndices
from lipbench.faces.raster import Camera, barycentrics, euler_to_matrix, interpolate, visibility
from lipbench.nerf.relief.scene import ReliefScene
from lipbench.nerf.scene_from_fit import make_scene

T, SIZE, FOCAL, K = 8, 56, 150.0, 4
PLATE = 40


def ball_model() -> MorphableModel:
    """A ball of 1 dm radius; the first expression moves what is below y = -0.2 dm down."""
    rows, columns = 25, 32
    polar = np.linspace(0, np.pi, rows)[:, None]
    around = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None]
    ball = np.stack(
        [np.sin(polar) * np.sin(around), np.cos(polar) + 0 * around, np.sin(polar) * np.cos(around)], -1
    ).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(columns), indexing="ij")
    a, b = i * columns + j, i * columns + (j + 1) % columns
    triangles = np.concatenate(
        [np.stack([a, a + columns, b], -1).reshape(-1, 3), np.stack([b, a + columns, b + columns], -1).reshape(-1, 3)]
    )
    basis = np.zeros((K, len(ball), 3))
    basis[0, :, 1] = -np.clip(-0.2 - ball[:, 1], 0, 0.3)
    basis[1:, :, 0] = 0.01 * np.random.default_rng(3).normal(size=(K - 1, 1))
    points = np.zeros(68, np.int64)
    points[8] = len(ball) - 1
    places = {17: (0.0, 0.5), 36: (-0.6, 0.25), 39: (-0.2, 0.25), 42: (0.2, 0.25), 45: (0.6, 0.25)}
    for k, (x, y) in places.items():
        points[k] = int(np.abs(ball - [x, y, np.sqrt(1 - x * x - y * y)]).sum(1).argmin())
    points[18:27] = points[17]
    return MorphableModel(
        "ball",
        "none",
        ball,
        np.zeros((1, len(ball), 3)),
        np.ones(1),
        basis,
        np.ones(K),
        triangles,
        landmarks=LandmarkIndices(points),
    )


def ball_scene(size: int = SIZE, seed: int = 0, yaw: Sequence[float] = (0.0,) * T) -> ReliefScene:
    """Frames of the ball, whose color tells the place on the mesh at rest; neck and torso are at the lower border.

    `yaw` are degrees by which it is turned in each frame, besides a little in all directions.
    """
    rng, model, count = np.random.default_rng(seed), ball_model(), len(yaw)
    rotation = euler_to_matrix(rng.normal(0, 0.12, (count, 3)))
    if any(yaw):
        rotation = rotation @ euler_to_matrix([(0.0, turn, 0.0) for turn in np.radians(yaw)])
    translation = np.array([0.0, 0.0, -7.5]) + rng.normal(0, 0.05, (count, 3))
    expression = rng.normal(0, 1.0, (count, K))
    camera = Camera(FOCAL * size / SIZE, size, size)
    colors = 127 + 100 * np.asarray(model.mean)
    frames, head = np.full((count, size, size, 3), PLATE, np.uint8), np.zeros((count, size, size), bool)
    for t in range(count):
        points = model.vertices(np.zeros(1), expression[t]) @ rotation[t].T + translation[t]
        seen = visibility(points, model.triangles, camera).triangle
        image = interpolate(colors, model.triangles, seen, barycentrics(points, model.triangles, seen, camera))
        head[t] = seen >= 0
        frames[t][head[t]] = image[head[t]].astype(np.uint8)
    mouth = np.tile([size // 2 - 6, size // 2 + 4, size // 2 + 6, size // 2 + 12], (count, 1))
    plate = np.full((size, size, 3), PLATE, np.uint8)
    scene = make_scene(
        frames, head, plate, rotation, translation, camera.focal, camera.center, expression, mouth, mouth[:, None] - 12
    )
    other = np.zeros_like(head)
    other[:, -3:] = True
    return ReliefScene(scene, frames, other, model, np.zeros(1))


@pytest.fixture(scope="session", name="ball_scene")
def _ball_scene() -> Callable[..., ReliefScene]:
    """(size=56, seed=0, yaw=(0, ...)) -> 8 (as many as `yaw`) views of a ball that an expression of 4 numbers moves."""
    return ball_scene
