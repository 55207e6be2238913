"""The gated-convolution inpainter: layout, attention against its definition, what it may change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lipbench.core.errors import WeightsError, WeightsMissing
from lipbench.faces.parsing import Label, Parsing, Plate
from lipbench.lipnerf.composite import CompositeOptions, Compositor
from lipbench.lipnerf.composite.gated import GatedConv, GatedGenerator, contextual_attention
from lipbench.lipnerf.composite.gated_inpainter import GatedInpainter, cut, square


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("weights") / "states.pth"
    torch.save({"G": GatedGenerator(cnum=8).state_dict()}, path)
    return path


def test_the_layout_is_that_of_the_converted_weights() -> None:
    shapes = {key: tuple(value.shape) for key, value in GatedGenerator().state_dict().items()}
    assert len(shapes) == 2 * (17 + 10 + 8 + 7)
    assert shapes["conv1.conv.weight"] == (48, 5, 5, 5)
    assert shapes["conv2_downsample.conv.weight"] == (96, 24, 3, 3)
    assert shapes["conv10_atrous.conv.weight"] == (192, 96, 3, 3)
    assert shapes["conv13_upsample.conv.conv.weight"] == (96, 96, 3, 3)
    assert shapes["conv17.conv.bias"] == (3,)
    assert shapes["xconv5.conv.weight"] == (192, 48, 3, 3)
    assert shapes["pmconv6.conv.weight"] == (192, 96, 3, 3)
    assert shapes["allconv11.conv.weight"] == (192, 192, 3, 3)
    assert shapes["allconv17.conv.weight"] == (3, 12, 3, 3)


def test_a_gated_convolution_is_elu_times_sigmoid_with_tensorflow_padding() -> None:
    layer = GatedConv(2, 3, 3, 2)
    x = torch.randn(1, 2, 8, 8)
    y = layer(x)
    padded = torch.nn.functional.pad(x, (0, 1, 0, 1))  # SAME for stride 2 on an even size: right and down only
    a, b = torch.nn.functional.conv2d(padded, layer.conv.weight, layer.conv.bias, 2).chunk(2, 1)
    torch.testing.assert_close(y, torch.nn.functional.elu(a) * torch.sigmoid(b))
    assert y.shape == (1, 3, 4, 4)


def _slow_attention(x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The definition, patch by patch: x (C, H, W), mask (H, W)."""
    _, height, width = x.shape
    small, small_mask = x[:, ::2, ::2], mask[::2, ::2]
    h, w = small.shape[1:]
    pad = np.pad(small, ((0, 0), (1, 1), (1, 1)))
    mask_pad = np.pad(small_mask, 1)
    patch = {(i, j): pad[:, i : i + 3, j : j + 3].ravel() for i in range(h) for j in range(w)}
    places = [(i, j) for i in range(h) for j in range(w)]
    score = np.zeros((h, w, h, w))  # candidate, place
    for b in places:
        for f in places:
            score[(*b, *f)] = patch[b] @ patch[f] / max(np.linalg.norm(patch[b]), 1e-4)

    def fused(s: np.ndarray) -> np.ndarray:  # diagonal sums over positions counted row by row
        flat = s.reshape(h * w, h * w)
        out = flat.copy()
        out[1:, 1:] += flat[:-1, :-1]
        out[:-1, :-1] += flat[1:, 1:]
        return out.reshape(s.shape)

    score = fused(score)
    turned = np.ascontiguousarray(score.transpose(1, 0, 3, 2)).reshape(w * h, w * h)
    out = turned.copy()
    out[1:, 1:] += turned[:-1, :-1]
    out[:-1, :-1] += turned[1:, 1:]
    score = out.reshape(w, h, w, h).transpose(1, 0, 3, 2)
    usable = {b: float(mask_pad[b[0] : b[0] + 3, b[1] : b[1] + 3].mean() == 0) for b in places}
    big = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    result = np.zeros((x.shape[0], height + 2, width + 2))
    for f in places:
        values = np.array([score[(*b, *f)] * usable[b] * 10 for b in places])
        weight = np.exp(values - values.max())
        weight /= weight.sum()
        for b, share in zip(places, weight, strict=True):
            part = big[:, 2 * b[0] : 2 * b[0] + 4, 2 * b[1] : 2 * b[1] + 4]
            result[:, 2 * f[0] : 2 * f[0] + 4, 2 * f[1] : 2 * f[1] + 4] += share * usable[b] * part
    return result[:, 1:-1, 1:-1] / 4


def test_contextual_attention_is_its_definition() -> None:
    rng = np.random.default_rng(0)
    x, mask = rng.normal(size=(3, 8, 12)) * 0.2, np.zeros((8, 12))
    mask[2:4, 4:8] = 1
    found = contextual_attention(torch.from_numpy(x)[None], torch.from_numpy(mask)[None, None])[0].numpy()
    np.testing.assert_allclose(found, _slow_attention(x, mask), atol=1e-9)


def test_only_the_hole_is_made_up(checkpoint: Path) -> None:
    made = GatedInpainter(checkpoint)
    image = np.random.default_rng(0).integers(0, 255, (90, 140, 3), dtype=np.uint8)
    hole = np.zeros((90, 140), bool)
    hole[80:88, 3:30] = True
    out = made.fill(0, image, hole, ~hole)
    assert (out[~hole] == image[~hole]).all()
    assert (out[hole] != image[hole]).any(1).mean() > 0.9
    other = image.copy()
    other[hole] = 0
    assert (made.fill(0, other, hole, ~hole) == out * hole[..., None] + other * ~hole[..., None]).all()
    assert made.fill(0, image, np.zeros_like(hole), ~hole) is image


def test_the_square_is_twice_the_hole_and_may_reach_outside() -> None:
    hole = np.zeros((300, 400), bool)
    hole[280:295, 100:280] = True
    x, y, side = square(hole)
    assert side == 360
    assert abs(x + side / 2 - 190) <= 1
    assert y + side > 300
    assert cut(np.zeros((300, 400, 3), np.uint8), (x, y, side)).shape == (360, 360, 3)


def test_it_serves_in_the_compositor(checkpoint: Path) -> None:
    frames = np.full((2, 64, 64, 3), 120, np.uint8)
    labels = np.zeros((2, 64, 64), np.uint8)
    labels[:, 30:], labels[:, 10:40, 16:48] = Label.NECK, Label.HEAD
    alpha = np.zeros((64, 64), np.float32)
    alpha[10:30, 16:48] = 1
    options = CompositeOptions(inpainter="gated", weights=checkpoint)
    compositor = Compositor(frames, Parsing(labels, "x"), Plate.still(frames[0]), options)
    out = compositor.frame(0, 0.5 * alpha[..., None].repeat(3, 2), alpha)
    assert (out[34:38, 20:44] != 120).any()
    assert (out[50:] == 120).all()


def test_weights_that_are_missing_or_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsMissing, match="deepfill_celeba"):
        GatedInpainter()
    torch.save({"G": {"conv1.conv.weight": torch.zeros(8, 5, 5, 5)}}, tmp_path / "part.pth")
    with pytest.raises(WeightsError, match="gated-convolution"):
        GatedInpainter(tmp_path / "part.pth")
