"""The relief's loops: those in numba are those in torch, and their gradients are those of the function."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from lipbench.nerf.relief import dense, grid, kernels, ops
from lipbench.nerf.relief.dense import Views
from lipbench.nerf.relief.grid import FeatureGrid, GridAdam
from lipbench.nerf.relief.ops import Pruning, Samples
from lipbench.nerf.relief.perceptron import Perceptron

LAYERS, N, M, C = 5, 13, 9, 3


@pytest.fixture
def in_torch(monkeypatch: pytest.MonkeyPatch):
    """Call to compute by `dense` from here on, as on a GPU."""

    def switch() -> None:
        for module in (ops, grid):
            monkeypatch.setattr(module, "uses_kernels", lambda _: False)

    return switch


def some_points(count: int = 400) -> torch.Tensor:
    """Inside, and at the borders, where a lookup clamps."""
    points = torch.rand(count, 3)
    points[:20] = points[:20].round()
    return points


def some_views(frames: int = 3, size: int = 24) -> Views:
    turn = np.random.default_rng(0).normal(0, 0.1, (frames, 3))
    rotation = torch.linalg.matrix_exp(torch.tensor([[[0, -c, b], [c, 0, -a], [-b, a, 0]] for a, b, c in turn]))
    near = 6.8 + 0.1 * torch.rand(frames, size, size)
    return Views(
        70.0,
        (size / 2, size / 2),
        rotation,
        torch.tensor([[0.02, -0.03, -7.0]] * frames, dtype=torch.float64),
        0.05 * torch.randn(frames, size, size, 3),
        near,
        near + 0.4 * torch.rand(frames, size, size) + 0.05,
    )


def marched(count: int = 500, opaque: float = 3.0) -> Samples:
    generator = torch.manual_seed(1)
    views = some_views()
    front = 0.1 + 0.05 * torch.rand(20, 16, generator=generator)
    density = 4 * torch.randn(LAYERS, N, M) - 3
    return ops.march(
        views,
        torch.randint(3, (count,)),
        24 * torch.rand(count),
        24 * torch.rand(count),
        torch.rand(count),
        torch.rand(count) < 0.2,
        torch.stack([front - 0.3, front]),
        torch.tensor([-1.1, 1.0, 2.2, 2.1], dtype=torch.float64),
        Pruning(density, -2.0, opaque),
        15.0,
        8,
    )


def test_marching_is_the_same_in_torch(in_torch):
    one = marched()
    in_torch()
    other = marched()
    counts = one.starts.diff()
    assert 0 < len(one.points) < 500 * 8
    assert counts.min() == 0
    # A sample on the edge of two texels may fall into either of them: float32 against float64.
    same = counts == other.starts.diff()
    assert same.float().mean() > 0.99
    first, second = (torch.repeat_interleave(same, s.starts.diff()) for s in (one, other))
    torch.testing.assert_close(one.points[first], other.points[second], atol=2e-5, rtol=0)
    torch.testing.assert_close(one.lengths[first], other.lengths[second], atol=1e-5, rtol=1e-4)


def test_rays_end_where_all_is_opaque():
    assert len(marched(opaque=0.05).points) < 0.8 * len(marched(opaque=50.0).points)


def test_lookup_and_its_gradient():
    torch.manual_seed(0)
    values = torch.randn(LAYERS, N, M, C, requires_grad=True)
    points, given = some_points(), torch.randn(400, C + 2)
    out = torch.full((400, C + 2), 7.0)
    kernels.lookup(values.detach().numpy(), points.numpy(), out.numpy(), 1)
    wanted = dense.lookup(values, points)
    torch.testing.assert_close(out[:, 1:-1], wanted, atol=2e-6, rtol=1e-5)
    assert (out[:, [0, -1]] == 7.0).all()
    (exact,) = torch.autograd.grad((wanted * given[:, 1:-1]).sum(), values)
    gradient, touched = torch.zeros(LAYERS, N, M, C), torch.zeros(LAYERS, N, M, dtype=torch.uint8)
    kernels.scatter(gradient.numpy(), touched.numpy(), points.numpy(), given.numpy(), 1)
    torch.testing.assert_close(gradient, exact, atol=1e-5, rtol=1e-5)
    assert touched[exact.abs().sum(-1) > 1e-7].all()
    again, marks = torch.zeros_like(gradient), torch.zeros_like(touched)
    dense.scatter(again, marks, points, given[:, 1:-1])
    torch.testing.assert_close(again, exact, atol=1e-5, rtol=1e-5)
    assert torch.equal(marks, touched)


def test_lookup_is_trilinear():
    """A grid that holds linear functions of its texels' centers gives them back between those centers."""
    v, u = torch.meshgrid((torch.arange(N) + 0.5) / N, (torch.arange(M) + 0.5) / M, indexing="ij")
    s = torch.linspace(0, 1, LAYERS)[:, None, None].expand(LAYERS, N, M)
    grid = torch.stack([u.expand(LAYERS, N, M), v.expand(LAYERS, N, M), s], -1).contiguous()
    points = 0.1 + 0.8 * torch.rand(200, 3)
    out = torch.empty(200, 3)
    kernels.lookup(grid.numpy(), points.numpy(), out.numpy(), 0)
    torch.testing.assert_close(out, points, atol=2e-6, rtol=0)


def test_mixing_and_its_gradients(in_torch):
    torch.manual_seed(0)
    images, count = FeatureGrid(torch.randn(1, N, M, 4 * 6)), 6
    window = torch.rand(N, M)
    window[:3] = 0.0
    points, starts, given = some_points(), torch.tensor([0, 150, 150, 400]), torch.randn(400, 4)
    mixes = torch.randn(3, count, requires_grad=True)

    def found() -> list[torch.Tensor]:
        images.collect()
        out = ops.mix(mixes, images, window, points, starts)
        (to_mixes,) = torch.autograd.grad((out * given).sum(), mixes)
        return [out.detach(), to_mixes, images.gradient, images.touched]

    one = found()
    owner = torch.tensor([0] * 150 + [2] * 250)
    held = (images.values[0] * window[..., None]).requires_grad_()
    told = mixes.detach().clone().requires_grad_()
    looked = dense.lookup(torch.stack([held, held]), points).view(400, count, 4)  # by the other loop, layer on layer
    wanted = (looked * told[owner][..., None]).sum(1)
    torch.testing.assert_close(one[0], wanted.detach(), atol=1e-5, rtol=1e-5)
    to_held, to_told = torch.autograd.grad((wanted * given).sum(), (held, told))
    torch.testing.assert_close(one[1], to_told, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(one[2][0], to_held * window[..., None], atol=1e-5, rtol=1e-5)
    assert not one[3][0, :3].any()  # nothing is moved where the window is shut
    assert one[3][0][one[2][0].abs().sum(-1) > 0].all()
    step = torch.zeros_like(mixes)
    step[2, 4] = 1e-2
    ahead, back = (ops.mix(mixes.detach() + sign * step, images, window, points, starts) for sign in (1, -1))
    difference = ((ahead - back).double() * given).sum() / 2e-2
    assert float(difference) == pytest.approx(float(one[1][2, 4]), rel=1e-3, abs=1e-3)
    in_torch()
    for a, b in zip(one, found(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_compositing_and_its_gradient(in_torch):
    torch.manual_seed(0)
    starts = torch.tensor([0, 0, 4, 9, 10, 10, 16])
    lengths = 0.2 * torch.rand(16)
    logits = (torch.randn(16, 4) * 2).requires_grad_()
    samples, given = Samples(torch.zeros(16, 3), lengths, starts), torch.randn(6, 4)

    def found() -> tuple[torch.Tensor, torch.Tensor]:
        out = ops.composite(logits, samples, 15.0)
        (gradient,) = torch.autograd.grad((out * given).sum(), logits)
        return out.detach(), gradient

    out, gradient = found()
    assert (out[[0, 4]] == 0).all()  # rays that meet nothing
    for k, (a, b) in enumerate(pairwise(starts)):  # by the formula, ray by ray
        alpha = 1 - torch.exp(-torch.nn.functional.softplus(logits[a:b, 3]) * 15 * lengths[a:b])
        weight = alpha * torch.cumprod(torch.cat([torch.ones(1), 1 - alpha]), 0)[:-1]
        torch.testing.assert_close(out[k, :3], (weight[:, None] * torch.sigmoid(logits[a:b, :3])).sum(0))
        torch.testing.assert_close(out[k, 3], weight.sum())
    in_torch()
    other, exact = found()
    torch.testing.assert_close(out, other, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(gradient, exact, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("direct", [None, [1.0, 0.0, 2.0, -3.0]])
def test_the_networks_gradient(direct):
    torch.manual_seed(0)
    added = None if direct is None else torch.tensor(direct).double()
    net = Perceptron(7, 5, 3, 16, 4).double()
    torch.nn.init.normal_(net.last.weight)
    features, code, more = torch.randn(30, 7).double(), torch.randn(4, 5).double(), torch.randn(4, 3).double()
    counts = [9, 0, 14, 7]

    def plain(features, code, more):
        at = torch.repeat_interleave(torch.arange(4), torch.tensor(counts))
        h = torch.relu(net.first(features) + net.told_first(code)[at])
        out = net.last(torch.relu(net.second(h) + net.told_second(torch.cat([code, more], 1))[at]))
        return out if added is None else out + features[:, :4] * added

    inputs = [x.requires_grad_() for x in (features, code, more)]
    wanted, out = plain(*inputs), net.told(features, counts, *net.biases(code, more), added)
    if added is None:
        assert torch.equal(net(features, counts, code, more), out)
    torch.testing.assert_close(out, wanted)
    given = torch.randn_like(out)
    every = [*inputs, *net.parameters()]
    for a, b in zip(torch.autograd.grad(out, every, given), torch.autograd.grad(wanted, every, given), strict=True):
        torch.testing.assert_close(a, b)


def test_adam_moves_what_was_met_as_torch_does(in_torch):
    torch.manual_seed(0)
    start, gradients = torch.randn(LAYERS, N, M, C), torch.randn(3, LAYERS, N, M, C)
    met = torch.rand(LAYERS, N, M) < 0.4
    plain = start.clone().requires_grad_()
    reference = torch.optim.Adam([plain], lr=0.05, betas=grid.BETAS, eps=grid.FLOOR)

    def moved() -> torch.Tensor:
        held = FeatureGrid(start.clone())
        adam = GridAdam(held, 0.05)
        for gradient in gradients:
            held.gradient.copy_(gradient)
            held.touched.copy_(met)
            adam.step(1.0)
            assert not held.touched.any()
            assert not held.gradient[met].any()
        return held.values

    one = moved()
    for gradient in gradients:
        plain.grad = gradient.clone()
        reference.step()
    torch.testing.assert_close(one[met], plain.detach()[met], atol=1e-5, rtol=1e-5)
    assert torch.equal(one[~met], start[~met])
    in_torch()
    torch.testing.assert_close(moved(), one, atol=1e-6, rtol=1e-5)


def test_noise_hardly_moves_a_grid_with_a_floor(in_torch):
    def moved(size: float) -> float:
        held = FeatureGrid(torch.zeros(1, 2, 2, 1))
        adam = GridAdam(held, 0.05, torch.full((2, 2), 1e-3))
        held.gradient.fill_(size)
        held.touched.fill_(1)
        adam.step(1.0)
        return float(held.values[0, 0, 0, 0])

    assert moved(1.0) == pytest.approx(-0.05, rel=2e-3)
    assert moved(1e-5) == pytest.approx(-0.05 * 1e-5 / (1e-5 + 1e-3), rel=1e-3)
    one = moved(3e-4)
    in_torch()
    assert moved(3e-4) == pytest.approx(one, rel=1e-6)
