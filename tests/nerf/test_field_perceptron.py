"""The MLP's written-out derivative against autograd, and that leaving samples out changes nothing."""

from __future__ import annotations

import pytest
import torch

from lipbench.nerf import fused_mlp as perceptron
from lipbench.nerf import pool
from lipbench.nerf.compositing import composite, matters
from lipbench.nerf.config import FieldConfig
from lipbench.nerf.encoding import encoded_columns, positional_encoding, waves_first
from lipbench.nerf.mlp import SKIP, MLPField
from lipbench.nerf.model import HeadField
from lipbench.nerf.rays import Rays


def by_autograd(net: MLPField, points, directions, condition):
    """The layers as AD-NeRF writes them."""
    f, r, s, _ = points.shape
    x = torch.cat([positional_encoding(points, 10), condition[:, None, None].expand(f, r, s, -1)], -1)
    h = x
    for k, layer in enumerate(net.pts_linears):
        h = torch.relu(layer(h))
        h = torch.cat([x, h], -1) if k == SKIP and k + 1 < net.depth else h
    alpha = net.alpha_linear(h)[..., 0]
    h = torch.cat([h, positional_encoding(directions, 4)[:, :, None].expand(f, r, s, -1)], -1)
    for layer in net.views_linears:
        h = torch.relu(layer(h))
    return net.rgb_linear(h), alpha


def inputs(frames: int, rays: int, samples: int):
    torch.manual_seed(2)
    points = 0.2 * torch.randn(frames, rays, samples, 3, dtype=torch.float64)
    directions = torch.nn.functional.normalize(torch.randn(frames, rays, 3, dtype=torch.float64), dim=-1)
    return points, directions, torch.randn(frames, 5, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize(("frames", "depth", "block"), [(1, 8, 1024), (3, 8, 16), (2, 6, 1024), (2, 4, 7)])
def test_every_gradient(frames, depth, block, monkeypatch):
    monkeypatch.setattr(perceptron, "BLOCK", block)
    net = MLPField(5, width=16, depth=depth, init="he").double()
    points, directions, condition = inputs(frames, 4, 9)
    wanted = by_autograd(net, points, directions, condition)
    found = net(points, directions, condition)
    weight = [torch.randn_like(t) for t in wanted]
    of = [*net.parameters(), condition]
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b)
    wanted_grads = torch.autograd.grad(sum((w * t).sum() for w, t in zip(weight, wanted, strict=True)), of)
    grads = torch.autograd.grad(sum((w * t).sum() for w, t in zip(weight, found, strict=True)), of)
    for a, b in zip(grads, wanted_grads, strict=True):
        torch.testing.assert_close(a, b)
    with torch.no_grad():
        for a, b in zip(net(points, directions, condition), wanted, strict=True):
            torch.testing.assert_close(a, b)
    density = net(points, directions, condition, color=False)[1]
    torch.testing.assert_close(
        torch.autograd.grad(density.sum(), condition),
        torch.autograd.grad(by_autograd(net, points, directions, condition)[1].sum(), condition),
    )


@pytest.mark.parametrize("activation", ["relu", "softplus"])
@pytest.mark.parametrize("bias", [0.0, -1e4, 100.0])
def test_samples_left_out_change_nothing(activation, bias, monkeypatch):
    """Half the samples empty, all of them, and an opaque field."""
    torch.manual_seed(4)
    config = FieldConfig(condition=5, latent=0, width=16, coarse=12, fine=12, init="he", activation=activation)
    field = HeadField(config, torch.tensor([[-0.2] * 3, [0.2] * 3]))
    with torch.no_grad():
        for net in (field.coarse, field.fine):
            net.alpha_linear.weight.mul_(1e4 if bias == 100.0 else 40.0)
            net.alpha_linear.bias.fill_(bias)
    d = torch.cat([0.1 * torch.randn(2, 12, 2), -torch.ones(2, 12, 1)], -1)
    rays = Rays(torch.tensor([[0.0, 0, 0.4]] * 2), d, torch.full((2, 12), 0.38), torch.full((2, 12), 0.5))
    background, code = torch.rand(2, 12, 3), torch.randn(2, 5)
    seen = []

    def everything(raw, matter):
        seen.append(float(matter(raw).double().mean()))

    def run():
        torch.manual_seed(5)
        field.zero_grad()
        out = field.render(rays, background, code, train=True)
        (out.fine.rgb.square().sum() + out.coarse.rgb.square().sum()).backward()
        return out.fine.rgb.detach(), [p.grad.clone() for p in field.parameters()]

    fewer, fewer_grads = run()
    monkeypatch.setattr(perceptron, "_rows", everything)
    rgb, grads = run()
    torch.testing.assert_close(fewer, rgb, rtol=0, atol=1e-6)
    largest = max(float(g.abs().max()) for g in grads)
    for a, b in zip(fewer_grads, grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6 * largest)
    if activation == "relu":
        assert (min(seen) == 0.0) if bias == -1e4 else (0.05 < min(seen) < 0.9)


def test_what_matters():
    sigma = torch.tensor([[0.0, 50.0, 0.0, 1e5, 50.0, 0.0]])
    depth = torch.linspace(0.5, 0.62, 7)[None]
    length = torch.ones(1, 1)
    assert matters(sigma, depth, length).tolist() == [[False, True, False, True, False, False]]
    weights = composite(None, sigma, depth, length, None).weights
    assert weights[~matters(sigma, depth, length)].sum() < 1e-8


def test_encoding_in_columns():
    points = torch.randn(7, 3)
    weight = torch.randn(4, 27)
    torch.testing.assert_close(
        waves_first(weight, 4) @ encoded_columns(points, 4), weight @ positional_encoding(points, 4).t()
    )
    assert encoded_columns(points, 0).shape == (3, 7)
    assert waves_first(weight[:, :3], 0) is not None


def test_memory_is_used_again_but_not_kept_without_end(monkeypatch):
    monkeypatch.setattr(pool, "_free", [])
    like = torch.empty(0)
    one = pool.take(300, 128, like)
    place = one.data_ptr()
    pool.give(one)
    assert pool.take(310, 128, like).data_ptr() == place
    pool.give(*(pool.take(1 << 16, 128, like) for _ in range(6)))  # 32 MB each
    assert sum(t.untyped_storage().nbytes() for t in pool._free) <= pool.LIMIT


def test_two_passes_before_the_first_gradient():
    """Memory in use is not handed out a second time."""
    net = MLPField(5, width=16, init="he").double()
    points, directions, condition = inputs(1, 4, 9)
    one = net(points, directions, condition)[1].sum()
    other = net(points + 0.1, directions, condition)[1].sum()
    grads = torch.autograd.grad(one, condition), torch.autograd.grad(other, condition)
    again = net(points, directions, condition)[1].sum()
    torch.testing.assert_close(torch.autograd.grad(again, condition), grads[0])
    assert not torch.allclose(grads[0][0], grads[1][0])
