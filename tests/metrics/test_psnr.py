from __future__ import annotations

import inspect
import math
import pkgutil
import subprocess
import sys

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from lipbench import metrics
from lipbench.core.errors import UsageError
from lipbench.metrics import psnr, psnr_per_frame
from lipbench.metrics.functional.psnr import frame_psnr

RNG = np.random.default_rng(1)


def noisy(clip: np.ndarray, sigma: float) -> np.ndarray:
    return np.clip(clip + np.random.default_rng(2).normal(0, sigma, clip.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    return RNG.integers(0, 256, (5, 37, 50, 3), dtype=np.uint8)


def test_each_frame_is_what_skimage_says(clip):
    other = noisy(clip, 7)
    expected = [peak_signal_noise_ratio(r, p, data_range=255) for p, r in zip(other, clip, strict=True)]
    assert np.allclose(psnr_per_frame(other, clip), expected, atol=1e-9, rtol=0)
    assert psnr(other, clip) == pytest.approx(np.mean(expected), abs=1e-9)


def test_mean_of_frames_is_not_the_pooled_error():
    black = np.zeros((4, 20, 20, 3), np.uint8)
    other = black.copy()
    other[:3] = 2  # MSE 4
    other[3] = 20  # MSE 400
    assert psnr(other, black) == pytest.approx((3 * 42.1102 + 22.1102) / 4, abs=1e-3)
    pooled = 10 * math.log10(255**2 / np.mean([4, 4, 4, 400]))
    assert psnr(other, black) - pooled > 9


@pytest.mark.parametrize(("difference", "expected"), [(16, 24.05), (64, 12.01), (200, 2.11), (255, 0.0)])
def test_large_differences_do_not_wrap_around(difference, expected):
    a = np.zeros((16, 16, 3), np.uint8)
    b = np.full_like(a, difference)
    assert psnr(a, b) == pytest.approx(expected, abs=0.01)
    assert psnr(b, a) == psnr(a, b)


def test_exact_on_the_largest_error_of_a_4k_frame():
    a = np.zeros((2160, 3840, 3), np.uint8)
    assert frame_psnr(a, np.full_like(a, 255)) == 0.0


def test_one_gray_level_in_one_pixel():
    a = np.full((720, 1280, 3), 90, np.uint8)
    b = a.copy()
    b[3, 4, 1] += 1
    assert psnr(a, b) == pytest.approx(10 * math.log10(255**2 * a.size), abs=1e-12)


def test_equal_frames_are_infinite_and_left_out_of_a_mixed_mean(clip):
    other = clip.copy()
    other[2] = noisy(clip[2], 5)
    per_frame = psnr_per_frame(other, clip)
    assert np.isposinf(per_frame).tolist() == [True, True, False, True, True]
    assert psnr(other, clip) == per_frame[2]
    assert psnr(clip, clip) == math.inf


def test_a_crop_is_measured_without_copying_it(clip):
    big, other = clip[0], noisy(clip[0], 9)
    view, view2 = big[5:30, 7:40], other[5:30, 7:40]
    assert not view.flags.c_contiguous
    assert frame_psnr(view2, view) == frame_psnr(view2.copy(), view.copy())


def test_single_frames_and_other_peaks(clip):
    other = noisy(clip, 7)
    assert psnr(other[0], clip[0]) == psnr_per_frame(other, clip)[0]
    assert psnr(other, clip, data_range=127.5) == pytest.approx(psnr(other, clip) - 20 * math.log10(2))


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4, 3)),
        np.zeros((4, 4), np.uint8),
        np.zeros((2, 4, 4, 4), np.uint8),
        np.zeros((0, 4, 4, 3), np.uint8),
    ],
)
def test_refuses_what_it_would_have_to_guess(wrong):
    with pytest.raises(UsageError):
        psnr(wrong, wrong)


def test_refuses_unequal_shapes():
    with pytest.raises(UsageError, match="differ in shape"):
        psnr(np.zeros((2, 8, 8, 3), np.uint8), np.zeros((3, 8, 8, 3), np.uint8))


def test_no_module_hides_a_function():
    """The import of a module puts its name into the package, over a function's of that name."""
    functions = {name for name in metrics.__all__ if not inspect.ismodule(getattr(metrics, name))}
    assert len(functions) > 10
    assert not functions & {module.name for module in pkgutil.iter_modules(metrics.__path__)}
    assert all(callable(getattr(metrics, name)) for name in functions)
    assert set(metrics.__all__) <= set(dir(metrics))


def test_the_package_is_light():
    code = "import sys, lipbench.metrics; print({'torch', 'cv2', 'numba', 'av'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
