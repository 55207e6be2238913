"""PSNR and SSIM of a 720p frame against scikit-image, side by side in one run (ratios go to extra_info).

Times are CPU seconds of one thread, because the machine may be shared.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lipbench.metrics import psnr, ssim

ROUNDS = 5


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Any:
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(before)


@pytest.fixture(scope="module")
def frames() -> tuple[np.ndarray, np.ndarray]:
    """A smooth image, and the same blurred and with noise."""
    noise = np.random.default_rng(0)
    image = cv2.GaussianBlur(noise.integers(0, 256, (720, 1280, 3), dtype=np.uint8), (0, 0), 4)
    image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX)
    other = cv2.GaussianBlur(image, (0, 0), 2) + noise.normal(0, 4, image.shape)
    return np.clip(other, 0, 255).astype(np.uint8), image


def cpu_seconds(function: Callable[[], Any], repeat: int) -> float:
    best = np.inf
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(repeat):
            function()
        best = min(best, (time.process_time() - start) / repeat)
    return best


def compare(benchmark: Any, ours: Callable[[], float], theirs: Callable[[], float], repeat: int) -> None:
    assert ours() == pytest.approx(theirs(), abs=1e-6)
    benchmark.pedantic(ours, rounds=ROUNDS, iterations=repeat)
    mine, reference = cpu_seconds(ours, repeat), cpu_seconds(theirs, 1)
    benchmark.extra_info.update(
        ours_ms=round(1e3 * mine, 3), skimage_ms=round(1e3 * reference, 3), times_faster=round(reference / mine, 2)
    )


def test_bench_psnr_720p(benchmark, frames):
    prediction, reference = frames
    compare(
        benchmark,
        lambda: psnr(prediction, reference),
        lambda: peak_signal_noise_ratio(reference, prediction, data_range=255),
        repeat=20,
    )


def test_bench_ssim_720p(benchmark, frames):
    prediction, reference = frames
    compare(
        benchmark,
        lambda: ssim(prediction, reference),
        lambda: structural_similarity(
            prediction,
            reference,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
            channel_axis=-1,
        ),
        repeat=1,
    )
