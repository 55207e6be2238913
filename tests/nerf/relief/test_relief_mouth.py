"""What a mouth holds lies in layers of its own, and the expression mixes how lips and chin look."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lipbench.nerf.relief import surface
from lipbench.nerf.relief.config import ReliefConfig, relief_preset
from lipbench.nerf.relief.dense import Views
from lipbench.nerf.relief.kernels import DEEP
from lipbench.nerf.relief.mesh import HeadMesh
from lipbench.nerf.relief.ops import Pruning, march
from lipbench.nerf.relief.training import ReliefTraining

SMALL = {"condition": 4, "latent": 3, "directions": 2, "rays": 64, "frames": 4, "channels": 4, "width": 16, "looks": 2}
SMALL |= {"registration": False, "appearances": 0}  # which have tests of their own


@pytest.fixture(scope="module")
def field(ball_scene):
    made = ReliefTraining(ball_scene(), relief_preset("demo", SMALL)).field
    made.mouth_box.copy_(torch.tensor([0.2, 0.6, 0.4, 0.2]))
    made.mouth.values.zero_()
    made.mouth.values[..., 0] = 2.0  # first direction: red
    made.mouth.values[-1, ..., 4 + 3] = 5.0  # second direction: density, in the first layer from the front
    return made


def added(field, u: float, v: float, s: float, told: list[float]) -> list[float]:
    points, code = torch.tensor([[u, v, s]]), torch.tensor([[*told, 9.0, 9.0, 9.0]])
    return field._with_mouth(torch.zeros(1, 4), points, [1], code)[0].tolist()


def test_expressions_mix_the_looks_of_lips_and_chin(field):
    assert added(field, 0.4, 0.7, 0.0, [0.5, 1.0]) == pytest.approx([1.0, 0.0, 0.0, 0.0])
    assert added(field, 0.4, 0.7, 1.0, [0.5, -1.0]) == pytest.approx([1.0, 0.0, 0.0, -5.0], abs=0.02)
    for u, v in ((0.19, 0.7), (0.61, 0.7), (0.4, 0.59), (0.4, 0.81)):
        assert added(field, u, v, 0.0, [1.0, 1.0]) == [0.0] * 4
    assert added(field, 0.2 + 0.4 / 32, 0.7, 0.0, [1.0, 0.0])[0] == pytest.approx(2.0 * 8 / 32, rel=1e-3)


def test_they_learn(ball_scene):
    training = ReliefTraining(ball_scene(), relief_preset("demo", {**SMALL, "steps": 4}))
    assert not training.field.mouth.values.any()
    for number in range(3):
        training.step(number, number / 4)
    assert training.field.mouth.values.abs().sum((0, 1, 2)).view(2, 4).sum(1).min() > 0
    without = ReliefTraining(ball_scene(), relief_preset("demo", {**SMALL, "mouth_looks": False}))
    assert without.field.mouth is None


def test_their_texels_are_as_large_as_they_should(ball_scene):
    sizes = [
        ReliefTraining(ball_scene(112), relief_preset("demo", {**SMALL, "mouth_texel": texel})).field.mouth.values.shape
        for texel in (1.0, 2.0)
    ]
    assert sizes[0][0] == sizes[1][0]
    assert [large / small for large, small in zip(sizes[0][1:3], sizes[1][1:3], strict=True)] == pytest.approx(
        [2.0, 2.0], rel=0.1
    )


def depths(behind: int, depth: list[float]) -> list[float]:
    """s of samples at these depths (dm) behind the relief's back, straight ahead."""
    still = torch.zeros(1, 4, 4, 3)
    found = []
    for away in depth:
        near = torch.full((1, 4, 4), 7.0 + away)
        pose = torch.eye(3)[None], torch.tensor([[0.0, 0.0, -7.0]])
        views = Views(50.0, (2.0, 2.0), *(x.double() for x in pose), still, near, near + 1e-4)
        flat = torch.zeros(4, 4)
        samples = march(
            views,
            torch.zeros(1, dtype=torch.int64),
            *torch.full((3, 1), 2.0) * torch.tensor([[1.0], [1.0], [0.25]]),
            torch.ones(1, dtype=torch.bool),
            torch.stack([flat, flat + 0.1]),
            torch.tensor([-1.0, 1.0, 2.0, 2.0], dtype=torch.float64),
            Pruning(torch.zeros(7, 4, 4), -4.0, 50.0),
            15.0,
            1,
            ReliefConfig(behind=behind).floor,
        )
        found.append(float(samples.points[0, 2]))
    return found


@pytest.mark.parametrize("device", ["kernels", "torch"])
def test_what_lies_behind_is_told_apart(device, monkeypatch):
    if device == "torch":
        monkeypatch.setattr("lipbench.nerf.relief.ops.uses_kernels", lambda _: False)
    assert depths(2, [-0.1, -0.05, 0.0]) == pytest.approx([1.0, 2 / 3, 1 / 3], abs=1e-3)
    assert depths(2, [DEEP / 2, DEEP, 5.0]) == pytest.approx([1 / 6, 0.0, 0.0], abs=1e-3)
    assert depths(0, [-0.05, DEEP / 2]) == pytest.approx([0.5, 0.0], abs=1e-3)


def test_the_relief_passes_before_an_open_mouth(ball_scene, monkeypatch):
    scene = ball_scene()
    mesh = HeadMesh(scene.model, scene.identity, scene.condition.mean(0).astype(np.float64))
    lips = np.array([[x, y, 0.9] for x in (-0.2, 0.0, 0.2) for y in (-0.3, -0.2)] * 4)[:20]
    mesh.marks = np.concatenate([mesh.marks[:48], lips])
    place = (-1.0, 1.0, 2.0, 2.0)
    middle = np.full((100, 100), 0.9, np.float32)
    middle[61:65, 42:59] = 0.2  # between the lips
    middle[20:24, 42:59] = 0.2  # elsewhere
    found = surface._shut(middle, mesh, place, 0.02)
    assert (found[55:70] == np.float32(0.9)).all()
    assert (found[20:24, 42:59] == np.float32(0.2)).all()


def test_teeth_begin_with_their_colors(ball_scene):
    """Pixels of the mouth that see the mesh behind the relief's back color the layers there, and those alone; lips'
    and chin's texels that none of them sees are like the nearest one that some do."""
    from lipbench.nerf.relief.start import _fill_behind

    scene = ball_scene()
    training = ReliefTraining(scene, relief_preset("demo", {**SMALL, "registration": True}))
    deep = training.relief._replace(inner=training.relief.inner + DEEP)  # as if all lay in the last layer
    deep = deep._replace(mouth=(0.0, 0.25, 1.0, 0.75))
    values = np.zeros_like(training.field.fine.values.numpy())
    values[2] = 7.0
    _fill_behind(values, 2, scene, training.mesh, deep)
    assert (values[1] == 7.0).all()
    n, m = values.shape[1:3]
    above = n // 4
    assert (values[0, :above] == 7.0).all()
    values = values[:, above + 1 :]
    left, top, width, height = training.relief.place
    unit = 6.6 / scene.camera.focal  # dm a px, on the ball's front
    x0, y0, x1, y1 = (scene.scene.mouth[0] - np.tile(scene.camera.center, 2)) * unit
    column, row = ((x0 + x1) / 2 - left) / width * m, (top + (y0 + y1) / 2) / height * n - above - 1
    inside = 255 / (1 + np.exp(-values[0, ..., :3]))
    # A ball whose color tells the place: red to the right, green upward.
    wanted = 127 + 100 * np.array([(x0 + x1) / 2, -(y0 + y1) / 2])
    assert inside[round(row), round(column), :2] == pytest.approx(wanted, abs=12)
    reds, greens = 127 + 100 * np.array([x0, x1]), 127 - 100 * np.array([y1, y0])
    assert reds[0] - 25 < inside[..., 0].min() < wanted[0] - 10 < wanted[0] + 10 < inside[..., 0].max() < reds[1] + 25
    assert greens[0] - 25 < inside[..., 1].min() < inside[..., 1].max() < greens[1] + 25
    # On one line with the mouth all to its left is like the mouth's left end.
    assert inside[round(row), 0, 0] < wanted[0] - 10
    assert (values[0, ..., 3] == values[0, 0, 0, 3]).all()
