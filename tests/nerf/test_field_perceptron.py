"""The fused MLP against the plain one, its written-out derivative, and that leaving samples out changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lipbench.nerf import fused_layers, pool
from lipbench.nerf.compositing import active_samples, composite
from lipbench.nerf.config import FieldConfig
from lipbench.nerf.encoding import encoded_columns, positional_encoding, waves_first
from lipbench.nerf.fused_mlp import FusedMLPField
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


@pytest.mark.parametrize("network", [MLPField, FusedMLPField])
@pytest.mark.parametrize(("frames", "depth", "block"), [(1, 8, 1024), (3, 8, 16), (2, 6, 1024), (2, 4, 7)])
def test_every_gradient(network, frames, depth, block, monkeypatch):
    monkeypatch.setattr(fused_layers, "BLOCK", block)
    net = network(5, width=16, depth=depth, init="he").double()
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


def rays_into(box: float, count: int = 12) -> tuple[Rays, torch.Tensor, torch.Tensor]:
    """Rays of two frames into a box at the origin, their backgrounds, the frames' codes."""
    d = torch.cat([0.1 * torch.randn(2, count, 2), -torch.ones(2, count, 1)], -1)
    near, far = torch.full((2, count), 0.4 - 0.1 * box), torch.full((2, count), 0.4 + 0.5 * box)
    return Rays(torch.tensor([[0.0, 0, 0.4]] * 2), d, near, far), torch.rand(2, count, 3), torch.randn(2, 5)


CONFIGS = [
    FieldConfig(condition=5, latent=0, width=128, coarse=12, fine=12, density_bias=5.0),  # the paper's
    FieldConfig(condition=5, latent=0, width=256, coarse=12, fine=12, init="he", density_bias=0.5),  # AD-NeRF's
    FieldConfig(
        condition=5,
        latent=0,
        width=64,
        coarse=9,
        fine=8,
        init="he",
        position_frequencies=8,
        position_scale=10.0,
        activation="softplus",
        density_scale=100.0,
        interval="box",
    ),  # the demo's
    FieldConfig(condition=5, latent=0, width=32, depth=4, direction_frequencies=2, coarse=8, fine=8, density_bias=1.0),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_the_configuration_chooses_between_two_equal_networks(config):
    torch.manual_seed(7)
    bounds = torch.tensor([[-0.2] * 3, [0.2] * 3])
    fused, plain = HeadField(config, bounds), HeadField(replace(config, fused=False), bounds)
    plain.load_state_dict(fused.state_dict())
    assert (type(fused.fine), type(plain.fine)) == (FusedMLPField, MLPField)
    rays, background, code = rays_into(0.2)
    codes = [code.clone().requires_grad_() for _ in range(2)]
    results = []
    for field, own in zip((fused, plain), codes, strict=True):
        torch.manual_seed(8)
        out = field.render(rays, background, own, train=True)
        (out.fine.rgb.square().sum() + out.coarse.rgb.square().sum()).backward()
        results.append(out)
    assert results[0].fine.weights.sum(-1).mean() > 0.02  # there is something to see
    torch.testing.assert_close(results[0].fine.rgb, results[1].fine.rgb, rtol=0, atol=2e-6)
    torch.testing.assert_close(results[0].coarse.rgb, results[1].coarse.rgb, rtol=0, atol=2e-6)
    # A ReLU within rounding of 0 switches a sample's gradient on or off, so whole tensors are compared.
    for ours, theirs in zip((codes[0], *fused.parameters()), (codes[1], *plain.parameters()), strict=True):
        assert (ours.grad - theirs.grad).norm() <= 1e-3 * theirs.grad.norm()


def test_the_plain_network_runs_in_bfloat16():
    net, (points, directions, condition) = MLPField(5, width=16, init="he"), inputs(2, 4, 9)
    points, directions, condition = points.float(), directions.float(), condition.detach().float()
    with torch.autocast("cpu", torch.bfloat16):
        rgb, density = net(points, directions, condition)
    assert rgb.dtype == density.dtype == torch.bfloat16
    torch.testing.assert_close(rgb.float(), net(points, directions, condition)[0], rtol=0.05, atol=0.05)


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
    rays, background, code = rays_into(0.2)
    seen = []

    def everything(raw, active):
        seen.append(float(active(raw).double().mean()))

    def run():
        torch.manual_seed(5)
        field.zero_grad()
        out = field.render(rays, background, code, train=True)
        (out.fine.rgb.square().sum() + out.coarse.rgb.square().sum()).backward()
        return out.fine.rgb.detach(), [p.grad.clone() for p in field.parameters()]

    fewer, fewer_grads = run()
    monkeypatch.setattr(fused_layers, "_rows", everything)
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
    assert active_samples(sigma, depth, length).tolist() == [[False, True, False, True, False, False]]
    weights = composite(None, sigma, depth, length, None).weights
    assert weights[~active_samples(sigma, depth, length)].sum() < 1e-8


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
    net = FusedMLPField(5, width=16, init="he").double()
    points, directions, condition = inputs(1, 4, 9)
    one = net(points, directions, condition)[1].sum()
    other = net(points + 0.1, directions, condition)[1].sum()
    grads = torch.autograd.grad(one, condition), torch.autograd.grad(other, condition)
    again = net(points, directions, condition)[1].sum()
    torch.testing.assert_close(torch.autograd.grad(again, condition), grads[0])
    assert not torch.allclose(grads[0][0], grads[1][0])
