"""Where the relief is one surface, rays stay where they meet it, and meet it from all sides."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from lipbench.nerf.relief import ops, surface
from lipbench.nerf.relief.config import relief_preset
from lipbench.nerf.relief.dense import Views
from lipbench.nerf.relief.field import DENSITY
from lipbench.nerf.relief.ops import Pruning, Samples
from lipbench.nerf.relief.surface import SKIN, STEEPEST
from lipbench.nerf.relief.training import ReliefTraining

SMALL = {"condition": 4, "latent": 6, "directions": 3, "rays": 64, "frames": 4, "channels": 4, "width": 16, "looks": 2}
SMALL |= {"appearances": 0}  # which have tests of their own
FRONT, BACK, COUNT = 0.02, 0.025, 300


def marched(opaque: float = 3.0, density: torch.Tensor | None = None) -> tuple[Samples, Views, torch.Tensor]:
    """Samples of rays, what they are seen from, and the pixels they go through."""
    torch.manual_seed(2)
    turn = 0.15 * torch.randn(3, 3, dtype=torch.float64)
    skew = torch.zeros(3, 3, 3, dtype=torch.float64)
    skew[:, 0, 1], skew[:, 0, 2], skew[:, 1, 2] = turn.T
    near = 6.9 + 0.05 * torch.rand(3, 24, 24)
    views = Views(
        70.0,
        (12.0, 12.0),
        torch.linalg.matrix_exp(skew - skew.transpose(1, 2)),
        torch.tensor([[0.02, -0.03, -7.0]] * 3, dtype=torch.float64),
        0.05 * torch.randn(3, 24, 24, 3),
        near,
        near + FRONT + BACK,
        FRONT,
    )
    middle = 0.05 * torch.rand(20, 16)
    pixels = torch.stack([torch.randint(3, (COUNT,)), *torch.randint(24, (2, COUNT))])
    given = 4 * torch.randn(7, 13, 9) - 3 if density is None else density
    samples = ops.march(
        views,
        pixels[0],
        pixels[1] + 0.5,
        pixels[2] + 0.5,
        torch.rand(COUNT),
        torch.rand(COUNT) < 0.2,
        torch.stack([middle - BACK, middle + FRONT]),
        torch.tensor([-1.3, 1.2, 2.6, 2.5], dtype=torch.float64),
        Pruning(given, -2.0, opaque),
        15.0,
        8,
    )
    return samples, views, pixels


def test_they_are_the_same_in_torch(monkeypatch: pytest.MonkeyPatch):
    one = marched()[0]
    monkeypatch.setattr(ops, "uses_kernels", lambda _: False)
    other = marched()[0]
    assert 0 < len(one.points) < COUNT * 8
    same = one.starts.diff() == other.starts.diff()  # a sample on the edge of two texels may fall into either
    assert same.float().mean() > 0.99
    first, second = (torch.repeat_interleave(same, s.starts.diff()) for s in (one, other))
    torch.testing.assert_close(one.points[first], other.points[second], atol=2e-5, rtol=0)
    torch.testing.assert_close(one.lengths[first], other.lengths[second], atol=1e-5, rtol=1e-4)


def test_a_ray_ends_where_all_is_opaque():
    assert len(marched(0.05)[0].points) < 0.8 * len(marched(50.0)[0].points)


@pytest.mark.parametrize("device", ["kernels", "torch"])
def test_a_rays_samples_lie_behind_each_other_where_it_meets_the_surface(device, monkeypatch: pytest.MonkeyPatch):
    if device == "torch":
        monkeypatch.setattr(ops, "uses_kernels", lambda _: False)
    samples, views, (frames, columns, rows) = marched(1e9, torch.zeros(7, 13, 9))
    points = samples.points.view(COUNT, 8, 3)
    assert torch.equal(points[:, 1:, :2], points[:, :-1, :2])
    assert (points[:, 1:, 2] <= points[:, :-1, 2]).all()
    depth = views.near[frames, rows, columns] + FRONT
    away = torch.stack([(columns + 0.5 - 12) / 70, (12 - rows - 0.5) / 70, -torch.ones(COUNT)], 1) * depth[:, None]
    seen = away.double() - views.translation[frames]
    p = torch.einsum("ri,rij->rj", seen, views.rotation[frames]) - views.shift[frames, rows, columns]
    place = torch.stack([(p[:, 0] + 1.3) / 2.6, (1.2 - p[:, 1]) / 2.5], 1).clamp(0, 1)
    torch.testing.assert_close(points[:, 0, :2], place.float(), atol=1e-5, rtol=0)
    # What lies a step further is that much deeper, by the angle at which the camera looks onto the head.
    ray = torch.nn.functional.normalize(away.double(), dim=1)
    facing = -(ray * views.rotation[frames][..., 2]).sum(1)
    inside = (points[..., 2] > 1e-3) & (points[..., 2] < 1 - 1e-3)
    both = inside[:, 1:] & inside[:, :-1]
    assert both.sum() > COUNT
    step = (FRONT + BACK) / 8 * (away.norm(dim=1) / depth) * facing / (FRONT + BACK)
    fallen = points[:, :-1, 2] - points[:, 1:, 2]
    torch.testing.assert_close(fallen[both], step[:, None].expand(-1, 7)[both].float(), atol=1e-4, rtol=1e-3)


def test_frames_in_their_place_are_seen_so(ball_scene):
    put, plain = (
        ReliefTraining(ball_scene(), relief_preset("demo", {**SMALL, "registration": on})) for on in (True, False)
    )
    assert put.views.front == SKIN[1]
    assert plain.views.front == 0.0


@pytest.mark.parametrize("raw", [2.4, 3.0])
def test_rendering_ends_a_ray_no_sooner_than_training(raw, ball_scene):
    """One sample whose nearest texels are opaque may itself be half transparent, and must not be the only one."""
    training = ReliefTraining(ball_scene(), relief_preset("demo", {**SMALL, "registration": True}))
    field = training.field
    field.fine.values[..., 3] = -5 / DENSITY
    field.fine.values[:3, ..., 3] = raw / DENSITY
    field.refresh()
    rows, columns = (
        x.flatten().float()[None] for x in torch.meshgrid(torch.arange(20, 36), torch.arange(20, 36), indexing="ij")
    )
    rays = training.views, torch.tensor([0]), columns + 0.5, rows + 0.5, torch.zeros(1, 9)
    with torch.no_grad():
        shown, seen = field.render(*rays)[..., 3], field.render(*rays, torch.full_like(rows, 0.5))[..., 3]
    assert seen.min() > 0.9
    torch.testing.assert_close(shown, seen, atol=1e-4, rtol=0)


def test_the_middle_is_nowhere_steep():
    middle = np.zeros((40, 50), np.float32)
    middle[10:14, 20:24] = 3.0
    rise = 0.1
    found = surface._gentle(middle, rise)
    assert (found[10:14, 20:24] == 3.0).all()
    v, u = np.indices(middle.shape)
    away = cdist(np.stack([v, u], -1).reshape(-1, 2), [(a, b) for a in range(10, 14) for b in range(20, 24)]).min(1)
    cone = np.maximum(3.0 - rise * away.reshape(middle.shape), 0.0)
    assert (found <= cone + 1e-4).all()
    assert np.abs(found - cone).max() < 0.09 * (3.0 - cone).max()  # an octagon instead of a circle
    assert (found >= middle).all()
    assert max(np.abs(np.diff(found, axis=axis)).max() for axis in (0, 1)) <= rise + 1e-5
    gentle = (0.05 * u).astype(np.float32)
    assert np.array_equal(surface._gentle(gentle, rise), gentle)


def test_of_frames_in_their_place_it_is_so(ball_scene):
    put, plain = (
        ReliefTraining(ball_scene(), relief_preset("demo", {**SMALL, "registration": on})).relief
        for on in (True, False)
    )
    unit = put.place[2] / put.middle.shape[1]
    steepest = [max(np.abs(np.diff(each.middle, axis=k)).max() for k in (0, 1)) / unit for each in (put, plain)]
    assert steepest[0] <= STEEPEST * 1.01
    assert steepest[1] > STEEPEST * 1.2
