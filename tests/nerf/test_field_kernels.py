"""Loops in numba and their twins in torch: tri-planes and where a grid puts samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lipbench.nerf import planes, told_layers, triplane
from lipbench.nerf.config import FieldConfig
from lipbench.nerf.model import HeadField
from lipbench.nerf.rays import Rays
from lipbench.nerf.triplane import BLOCK, TriPlaneField

BOUNDS = torch.tensor([[-0.1, -0.15, -0.1], [0.1, 0.15, 0.1]])


@pytest.fixture
def field() -> HeadField:
    torch.manual_seed(0)
    config = FieldConfig(
        field="triplane", condition=5, latent=0, width=16, depth=3, proposal="grid", interval="hull", coarse=24, fine=6,
        resolutions=(4, 9), blended=12, blend=3, activation="softplus", density_scale=100.0,
    )  # fmt: skip
    made = HeadField(config, BOUNDS)
    made.fine.view.weight.data.normal_()
    assert made.grid is not None
    x, y, z = np.moveaxis(np.indices((made.grid.size,) * 3), 0, 0) / made.grid.size - 0.5
    ball = torch.from_numpy((x**2 + y**2 + z**2 < 0.15).reshape(-1))
    made.grid.hull.copy_(ball)
    made.grid.values.copy_(torch.where(ball, 60.0 * torch.rand(len(ball)), torch.zeros(len(ball))))
    made.grid.dilate()
    return made


def rays_of(field: HeadField, count: int = 400) -> Rays:
    c2w = torch.eye(3, 4).repeat(2, 1, 1)
    c2w[:, 2, 3] = torch.tensor([0.7, 0.9])
    c2w[1, 0, 3] = 0.05
    row, column = 128 * torch.rand(2, 2, count)
    return field.rays(c2w, row, column, 300.0, (64.0, 64.0), torch.tensor([[0.1, 2.0]] * 2))


@pytest.mark.parametrize(("blend", "block"), [(3, told_layers.BLOCK), (3, 50), (0, 1)])
def test_planes_agree_with_torch(field, monkeypatch, blend, block):
    """Also where the frames are more than one block, and without planes that are blended."""
    monkeypatch.setattr(told_layers, "BLOCK", block)
    net = field.fine
    if not blend:
        net = TriPlaneField(5, BOUNDS, resolutions=(4, 9), channels=8, blended=12, blend=0, width=16, depth=2)
    points, codes = 0.3 * torch.rand(3, 7, 3, 3) - 0.15, torch.randn(3, 5)
    away = torch.nn.functional.normalize(torch.randn(3, 7, 3), dim=-1)
    answers = []
    for loops in (True, False):
        if not loops:
            for module in (planes, triplane):
                monkeypatch.setattr(module, "uses_kernels", lambda points, channels: False)
        net.zero_grad()
        color, raw = net(points, away, codes)
        (color.square().sum() + (3 * raw).sin().sum()).backward()
        answers.append((color, raw, *(p.grad for p in net.parameters() if p.grad is not None)))
    assert len(answers[0]) == len(answers[1]) == 2 + sum(p.numel() > 0 for p in net.parameters())
    assert all(g.abs().max() > 0 for g in answers[0][2:])
    for ours, theirs in zip(*answers, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-5, atol=2e-5 * float(theirs.detach().abs().max()))


def test_without_gradients_in_blocks(field):
    net, code = field.fine, torch.randn(1, 5)
    points, away = 0.3 * torch.rand(1, BLOCK // 2 + 3, 5, 3) - 0.15, torch.randn(1, BLOCK // 2 + 3, 3)
    color, raw = net(points, away, code)
    with torch.no_grad():
        in_blocks = net(points, away, code)
    torch.testing.assert_close(in_blocks[0], color.detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(in_blocks[1], raw.detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels", [4, 6])
def test_planes_of_any_layout_learn(channels):
    """A field from a file has its planes as torch has them; what the loops cannot do goes another way."""
    net = TriPlaneField(3, BOUNDS, resolutions=(5,), channels=channels, blended=8, blend=2, width=8)
    for name in ("shapes_front", "shapes_across"):
        setattr(net, name, torch.nn.Parameter(getattr(net, name).detach().clone(memory_format=torch.contiguous_format)))
    color, _ = net(0.1 * torch.rand(1, 9, 4, 3), torch.randn(1, 9, 3), torch.randn(1, 3))
    color.square().sum().backward()
    for planes_ in (net.planes[0], net.shapes_front, net.shapes_across):
        assert planes_.grad.shape == planes_.shape
        assert planes_.grad.abs().max() > 0


def test_rays_enter_and_leave_the_hull_where_torch_says(field):
    whole = field.grid.hull.clone()
    field.grid.hull.fill_(True)
    rays = rays_of(field)
    field.grid.hull.copy_(whole)
    ours, theirs = field._tightened(rays), field._tightened_in_torch(rays)
    assert ((theirs.near > rays.near) & (theirs.far < rays.far)).sum() > 100
    same = (ours.near - theirs.near).abs() + (ours.far - theirs.far).abs() < 1e-5
    assert same.float().mean() > 0.995  # a reading on the border of two cells may round into either


def test_samples_go_where_torch_puts_them(field):
    rays, inside = rays_of(field), torch.full((2, 400, 6), 0.5)
    depths, seen = field.place(rays)
    theirs, weights = field._placed_in_torch(rays, inside)
    assert (weights > 0.5).sum() > 100
    assert (weights == 0).sum() > 20
    assert ((seen - weights).abs() < 1e-4).float().mean() > 0.99
    assert ((depths - theirs).abs().amax(-1) < 1e-4).float().mean() > 0.99
    assert (depths.diff(dim=-1) >= 0).all()
    torch.manual_seed(3)
    drawn, _ = field.place(rays, train=True)
    torch.manual_seed(3)
    theirs, _ = field._placed_in_torch(rays, torch.rand(2, 400, 6))
    assert ((drawn - theirs).abs().amax(-1) < 1e-4).float().mean() > 0.99
    assert not torch.allclose(drawn, depths)


def test_a_shown_ray_has_fewer_samples_of_which_the_last_is_where_training_has_it(field):
    field.config = replace(field.config, shown=3)
    rays = rays_of(field)
    depths, _ = field.place(rays)
    theirs, _ = field._placed_in_torch(rays, torch.full((2, 400, 3), 0.75))
    assert depths.shape == (2, 400, 4)
    assert ((depths - theirs).abs().amax(-1) < 1e-4).float().mean() > 0.99
    field.grid.wide.fill_(0.0)  # every depth is as likely
    trained, shown = field.place(rays, train=True)[0], field.place(rays)[0]
    assert trained.shape == (2, 400, 7)
    share = [((z[..., -2] - rays.near) / (rays.far - rays.near)).mean() for z in (trained, shown)]
    assert share[0] == pytest.approx(11 / 12, abs=0.01)
    assert share[1] == pytest.approx(11 / 12, abs=1e-3)


@pytest.mark.parametrize("activation", ["softplus", "relu"])
def test_rays_show_what_torch_shows(field, activation):
    field.config = replace(field.config, activation=activation)
    rays = rays_of(field)
    z = field.place(rays)[0]
    points = rays.at(z[..., :-1])
    inside = field.grid.hull[field.grid.cells(points)]
    assert 0.02 < 1 - inside.float().mean() < 0.9
    shape = z[..., 1:].shape
    color, raw = torch.randn(*shape, 3, requires_grad=True), (2 * torch.randn(shape)).requires_grad_()
    background = torch.rand(*shape[:2], 3)
    field.fine.forward = lambda *_: (color, raw)
    ours = field.shade(rays, z, background, None).fine
    theirs = field._composite_in_torch(rays, z, points, color, raw, background)
    assert 0.1 < theirs.transmittance.mean() < 0.9
    wanted = torch.randn_like(theirs.rgb)
    pairs = []
    for found in (ours, theirs):
        color.grad = raw.grad = None
        ((found.rgb * wanted).sum() + found.transmittance.square().sum()).backward()
        pairs.append((found.rgb, found.foreground, found.weights, found.transmittance, color.grad, raw.grad))
    for mine, other in zip(*pairs, strict=True):
        off = (mine - other).abs() > 1e-4 * (1 + other.abs().max())
        assert off.float().mean() < 0.005  # a sample on the border of two cells may round into either
