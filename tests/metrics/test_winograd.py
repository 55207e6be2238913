"""Convolutions by minimal filtering against torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from lipbench.metrics.functional import winograd
from lipbench.metrics.functional.lpips_trunk import layers
from lipbench.metrics.functional.winograd import Winograd, matrices, with_winograd


@pytest.mark.parametrize(("m", "r"), [(1, 3), (2, 3), (4, 3), (2, 5), (4, 5)])
def test_matrices_correlate(m, r):
    a, g, b = matrices(m, r)
    rng = np.random.default_rng(0)
    d, kernel = rng.normal(size=m + r - 1), rng.normal(size=r)
    np.testing.assert_allclose(a @ ((g @ kernel) * (b @ d)), np.correlate(d, kernel, "valid"), atol=1e-12)


@pytest.mark.parametrize("size", [(4, 4), (13, 22), (40, 41), (33, 7)])  # whole tiles, parts of tiles, several strips
@pytest.mark.parametrize(
    ("kernel", "pad", "stride", "tile"),
    [
        (3, 1, 1, (4, 4)),
        (5, 2, 1, (4, 4)),
        (3, 0, 1, (4, 4)),
        (3, 1, 1, (2, 3)),
        (3, 1, 1, (4, 3)),
        (3, 1, 2, (4, 4)),
        (5, 1, 2, (3, 4)),
        (4, 0, 2, (4, 4)),
        (7, 3, 3, (2, 2)),
    ],
)
@torch.inference_mode()
def test_is_the_convolution_and_its_relu(size, kernel, pad, stride, tile, monkeypatch):
    monkeypatch.setattr(winograd, "STRIP", 8)
    torch.manual_seed(0)
    layer = nn.Conv2d(32, 24, kernel, stride, pad)
    images = torch.rand(3, 32, *size).contiguous(memory_format=torch.channels_last)
    exact = layer.double()(images.double()).relu()
    layer.float()
    quick = Winograd(layer.weight, layer.bias, stride, pad, tile)
    found = quick(images)
    assert found.shape == exact.shape
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert float((found - exact).abs().max()) < 2e-5 * float(exact.square().mean().sqrt())
    assert 0.1 < float((found == 0).float().mean()) < 0.9  # both sides of the ReLU are seen
    assert torch.allclose(quick(images[1:2]), found[1:2], rtol=0, atol=1e-5)


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_a_trunk_keeps_its_places(net):
    plain = [*layers(net)]
    quick = with_winograd(plain)
    assert len(quick) == len(plain)
    replaced = [i for i, layer in enumerate(quick) if isinstance(layer, Winograd)]
    convolutions = [i for i, layer in enumerate(plain) if isinstance(layer, nn.Conv2d)]
    assert replaced == convolutions[1:]  # the first has a stride, or three channels
    assert all(isinstance(quick[i + 1], nn.Identity) for i in replaced)
    assert all(quick[i] is plain[i] for i in range(len(plain)) if i not in replaced and i - 1 not in replaced)
