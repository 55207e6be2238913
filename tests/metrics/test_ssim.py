from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from lipbench.core.errors import Unsupported, UsageError
from lipbench.metrics import ssim, ssim_per_frame
from lipbench.metrics.functional import ssim as structural
from lipbench.metrics.functional.ssim import STRIP, box_ssim


def wang(a: np.ndarray, b: np.ndarray, data_range: float = 255) -> float:
    return structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=data_range, channel_axis=-1
    )


def image(height: int, width: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)


def spoiled(image: np.ndarray) -> np.ndarray:
    soft = cv2.GaussianBlur(image, (0, 0), 2)
    return np.clip(soft + np.random.default_rng(9).normal(0, 6, image.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [(11, 11), (11, 200), (64, 12), (50, (STRIP + 30) // 3), (97, 131), (120, 400)])
def test_is_what_skimage_says(size):
    a = image(*size)
    b = spoiled(a)
    assert ssim(b, a) == pytest.approx(wang(b, a), abs=1e-13)
    assert wang(b, a) < 0.99  # or this would show nothing


@pytest.mark.parametrize(("x", "y"), [(0, 1), (0, 10), (0, 255), (200, 255), (255, 90), (100, 200)])
def test_flat_areas_where_single_precision_is_off_by_1e_4(x, y):
    a, b = (np.full((40, 40, 3), v, np.uint8) for v in (x, y))
    assert ssim(a, b) == pytest.approx(wang(a, b), abs=1e-10)


def test_letterbox_bars():
    a = image(90, 120)
    a[:30] = 0
    b = spoiled(a)
    b[:30] = 1
    assert ssim(b, a) == pytest.approx(wang(b, a), abs=1e-10)


@settings(max_examples=25, deadline=None)
@given(st.integers(11, 40), st.integers(11, 150), st.integers(0, 2**16), st.integers(1, 256))
def test_any_size_and_content(height, width, seed, levels):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, levels, (2, height, width, 3)).astype(np.uint8)
    assert ssim(a, b) == pytest.approx(wang(a, b), abs=1e-9)
    assert ssim(a, b) == ssim(b, a)


def test_exactly_one_for_equal_frames():
    for seed in range(3):
        a = image(75, 140, seed)
        assert ssim(a, a) == 1.0


def test_the_mean_over_frames_and_channels():
    a = np.stack([image(30, 40, s) for s in range(3)])
    b = np.stack([spoiled(a[0]), a[1], spoiled(a[2])])
    per_frame = ssim_per_frame(b, a)
    assert per_frame.shape == (3,)
    assert per_frame[1] == 1.0
    assert ssim(b, a) == pytest.approx(per_frame.mean())
    one_channel = a[0].copy()
    one_channel[..., 2] = b[0][..., 2]
    assert 1 - ssim(one_channel, a[0]) < (1 - per_frame[0]) / 2


def test_crops_and_read_only_frames():
    a = image(60, 80)
    b = spoiled(a)
    for frame in (a, b):
        frame.setflags(write=False)
    assert ssim(b[7:40, 9:61], a[7:40, 9:61]) == pytest.approx(wang(b[7:40, 9:61], a[7:40, 9:61]), abs=1e-10)


def test_several_boxes_at_once_are_their_crops():
    a = image(64, STRIP // 3 + 150)  # two strips and a rest
    b = spoiled(a)
    b[20:50, 100:130] = a[20:50, 100:130]
    width = a.shape[1]
    boxes = [(0, 0, width, 64), (5, 9, 40, 20), (110, 3, 170, 64), (width - 11, 30, width, 60), (100, 20, 130, 50)]
    together = box_ssim(b, a, boxes)
    for (x1, y1, x2, y2), value in zip(boxes, together, strict=True):
        assert value == pytest.approx(wang(b[y1:y2, x1:x2], a[y1:y2, x1:x2]), abs=1e-10)
    assert together[-1] == 1
    assert max(together[:-1]) < 1


def test_the_kernel_stays_inside_its_arrays(monkeypatch):
    """Compiled code reads past the end of an array without a word; the same code in plain Python says so."""
    for name in ("_fill", "_down", "_along", "_mean_ssim"):
        compiled = getattr(structural, name)
        monkeypatch.setattr(structural, name, getattr(compiled, "py_func", compiled))
    a = image(13, STRIP // 3 + 14)  # a strip, and 12 columns of another
    b = spoiled(a)
    assert ssim(b, a) == pytest.approx(wang(b, a), abs=1e-10)


def test_other_ranges():
    a = image(30, 40) // 4
    b = spoiled(a) // 2
    assert ssim(b, a, data_range=63) == pytest.approx(wang(b, a, 63), abs=1e-10)


def test_frames_smaller_than_the_window():
    small = np.zeros((10, 40, 3), np.uint8)
    with pytest.raises(Unsupported, match="40 x 10 px"):
        ssim(small, small)


def test_refuses_floats():
    with pytest.raises(UsageError, match="float64"):
        ssim(np.zeros((20, 20, 3)), np.zeros((20, 20, 3)))
