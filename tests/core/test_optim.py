"""Learning rates at the points that a reader would work out by hand, and what one step does."""

from __future__ import annotations

import pytest
import torch

from lipbench.core import optim


@pytest.mark.parametrize(
    ("progress", "floor", "share"), [(0.0, 0.01, 1.0), (0.5, 0.01, 0.505), (1.0, 0.01, 0.01), (0.5, 0.2, 0.6)]
)
def test_cosine_falls_from_one_to_its_floor(progress, floor, share):
    assert optim.cosine(progress, floor) == pytest.approx(share, abs=1e-15)
    assert optim.cosine(progress, floor) <= 1.0


@pytest.mark.parametrize(
    ("progress", "floor", "share", "wanted"),
    [
        (0.0, 0.1, 1.0, 1.0),
        (0.5, 0.1, 1.0, 0.55),
        (1.0, 0.1, 1.0, 0.1),
        (0.5, 0.05, 0.25, 1.0),
        (0.75, 0.05, 0.25, 1.0),
        (0.875, 0.05, 0.25, 0.525),
        (1.0, 0.05, 0.25, 0.05),
    ],
)
def test_a_line_over_the_last_share_of_the_budget(progress, floor, share, wanted):
    assert optim.linear(progress, floor, share) == pytest.approx(wanted, abs=1e-15)


def test_exponential_has_its_geometric_mean_halfway():
    assert [optim.exponential(p, 0.01) for p in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.1, 0.01], abs=1e-15)


def test_warmup_reaches_the_full_rate_with_its_last_step():
    assert [optim.warmup(n, 4) for n in (0, 1, 3, 4, 100)] == [0.25, 0.5, 1.0, 1.0, 1.0]
    assert optim.warmup(0, 0) == 1.0


def test_a_step_scales_the_rate_per_group_and_clips():
    one, other = (torch.nn.Parameter(torch.zeros(2)) for _ in range(2))
    optimizer = torch.optim.SGD([{"params": [one]}, {"params": [other], "lr_scale": 0.5}], lr=9.0)
    for max_norm, length in ((None, 10.0), (1.0, 1.0)):
        with torch.no_grad():
            one.zero_()
            other.zero_()
        loss = one @ torch.tensor([6.0, 0.0]) + other @ torch.tensor([0.0, 8.0])
        optim.step(optimizer, loss, 0.1, [one, other], max_norm)
        torch.testing.assert_close(one.detach(), torch.tensor([-0.06, 0.0]) * length)
        torch.testing.assert_close(other.detach(), torch.tensor([0.0, -0.04]) * length)
