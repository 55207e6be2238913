"""What a frame's code mixes about the eyes: there, in its own eye, in proportion, and nowhere else."""

from __future__ import annotations

import pytest
import torch

from lipbench.nerf.relief.config import ReliefConfig, relief_preset
from lipbench.nerf.relief.training import ReliefTraining

SMALL = {"condition": 4, "latent": 3, "directions": 2, "rays": 64, "frames": 4, "channels": 4, "width": 16, "looks": 2}
SMALL |= {"registration": False, "appearances": 0}  # which have tests of their own


@pytest.fixture(scope="module")
def field(ball_scene):
    made = ReliefTraining(ball_scene(), relief_preset("demo", SMALL)).field
    made.eye_boxes.copy_(torch.tensor([[0.2, 0.3, 0.2, 0.1], [0.6, 0.3, 0.2, 0.1]]))
    made.eyes.values.zero_()
    half = made.eyes.values.shape[1] // 2
    made.eyes.values[:, :half, :, 0] = 2.0  # first look, first eye: red
    made.eyes.values[:, half:, :, 3 + 1] = 5.0  # second look, second eye: green
    return made


def added(field, u: float, v: float, code: list[float]) -> list[float]:
    points, frames = torch.tensor([[u, v, 0.5]]), torch.tensor([[9.0, 9.0, *code]])
    return field._with_eyes(torch.zeros(1, 4), points, torch.tensor([0, 1]), frames)[0].tolist()


def test_each_eye_has_its_looks(field):
    assert added(field, 0.3, 0.35, [0.5, 1.0, 7.0]) == pytest.approx([1.0, 0.0, 0.0, 0.0])
    assert added(field, 0.7, 0.35, [0.5, 1.0, 7.0]) == pytest.approx([0.0, 5.0, 0.0, 0.0])
    assert added(field, 0.3, 0.35, [0.0, 1.0, 7.0]) == pytest.approx([0.0, 0.0, 0.0, 0.0])


def test_a_look_ends_at_its_box(field):
    for u, v in ((0.19, 0.35), (0.41, 0.35), (0.3, 0.29), (0.3, 0.41), (0.5, 0.35)):
        assert added(field, u, v, [1.0, 1.0, 1.0]) == [0.0] * 4
    edge = added(field, 0.2 + 0.2 / 32, 0.35, [1.0, 0.0, 0.0])[0]
    assert edge == pytest.approx(2.0 * 8 / 32, rel=1e-3)


def test_every_frame_has_its_own_code(field):
    points = torch.tensor([[0.3, 0.35, 0.5]] * 5)
    code = torch.tensor([[9.0, 9.0, k, 0.0, 0.0] for k in (1.0, 2.0, 3.0)])
    found = field._with_eyes(torch.zeros(5, 4), points, torch.tensor([0, 2, 2, 5]), code)
    assert found[:, 0].tolist() == pytest.approx([2.0, 2.0, 6.0, 6.0, 6.0])


def test_looks_learn(ball_scene):
    """Their gradient reaches the grid and the code."""
    training = ReliefTraining(ball_scene(), relief_preset("demo", {**SMALL, "steps": 4}))
    assert not training.field.eyes.values.any()
    for number in range(3):
        training.step(number, number / 4)
    (left, *_), (right, *_) = training.field.eye_boxes.tolist()
    assert 0 < left < right < 1
    moved = training.field.eyes.values.abs().sum((0, 1, 2)).view(2, 3).sum(1)
    assert (moved > 0).all()


def test_without_codes_there_is_nothing_to_mix(ball_scene):
    training = ReliefTraining(ball_scene(), relief_preset("demo", {**SMALL, "latent": 0}))
    assert training.field.eyes is None
    assert ReliefConfig(looks=0).looks == 0
