"""Looks that frames mix in boxes: the loops are what torch's operations say, gradients too."""

from __future__ import annotations

import pytest
import torch

from lipbench.nerf.relief import looks
from lipbench.nerf.relief.grid import FeatureGrid

BOXES = [(0.1, 0.2, 0.4, 0.3), (0.3, 0.4, 0.5, 0.5)]  # which overlap
STARTS = torch.tensor([0, 250, 250, 600])


@pytest.mark.parametrize(("layers", "numbers", "flat"), [(2, 3, True), (5, 4, False)])
def test_the_loops_are_torchs_operations(layers, numbers, flat, monkeypatch):
    torch.manual_seed(0)
    grid, points, given = FeatureGrid(torch.randn(layers, 14, 9, 6 * numbers)), torch.rand(600, 3), torch.randn(600, 4)
    logits, mixes = torch.randn(600, 4, requires_grad=True), torch.randn(3, 6, requires_grad=True)

    def found() -> list[torch.Tensor]:
        grid.collect()
        out = looks.add_looks(logits, mixes, grid, BOXES, flat, points, STARTS)
        logits.grad, mixes.grad = None, None
        (out * given).sum().backward()
        return [out.detach(), logits.grad, mixes.grad, grid.gradient, grid.touched]

    loops = found()
    assert (loops[0] != logits).any(1).sum() > 100
    assert loops[2][0].any()
    assert not loops[2][1].any()  # it has no point
    monkeypatch.setattr(looks, "uses_kernels", lambda _: False)
    for a, b in zip(loops, found(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_their_gradients_are_those_of_differences():
    torch.manual_seed(1)
    grid, points = FeatureGrid(torch.randn(3, 10, 8, 2 * 4)), torch.rand(300, 3)
    mixes, given, starts = torch.randn(1, 2), torch.randn(300, 4).double(), torch.tensor([0, 300])

    def total() -> float:
        out = looks.add_looks(torch.zeros(300, 4), mixes, grid, BOXES[:1], False, points, starts)
        return float((out.double() * given).sum())

    grid.collect()
    told = mixes.clone().requires_grad_()
    out = looks.add_looks(torch.zeros(300, 4), told, grid, BOXES[:1], False, points, starts)
    (out * given.float()).sum().backward()
    texel = int(grid.gradient.abs().argmax())
    for held, at, found in ((grid.values, texel, grid.gradient), (mixes, 1, told.grad)):
        flat = held.view(-1)
        before = float(flat[at])
        flat[at] = before + 0.5
        ahead = total()
        flat[at] = before - 0.5
        difference = ahead - total()
        flat[at] = before
        assert difference == pytest.approx(float(found.reshape(-1)[at]), rel=1e-4)
