"""Cost of a fit on one core, per frame, on the packaged demo clip; `cpu_ms` is process CPU time per frame."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lipbench.datasets.demo as demo
from lipbench import media
from lipbench.datasets.annotations import Annotations
from lipbench.faces.track import FaceTrack
from lipbench.lipnerf.fitting import FitOptions, fit_clip, refit

CLIP = Path(demo.__file__).parent / "clips" / "demo-en"
N = 50


@pytest.fixture(scope="module")
def clip() -> tuple[np.ndarray, FaceTrack]:
    frames = media.load_frames(CLIP / "demo-en.mp4", end_s=N / 25)[:N]
    return frames, Annotations.load(CLIP / "annotations_en.npz").face_track().take(list(range(len(frames))))


def per_frame_ms(call: Callable[[], Any]) -> float:
    start = time.process_time()
    call()
    return (time.process_time() - start) / N * 1e3


@pytest.mark.parametrize("preset", ["landmarks", "demo"])
def test_fit(benchmark: Any, clip: tuple[np.ndarray, FaceTrack], preset: str) -> None:
    options = FitOptions.preset(preset)
    fit_clip(clip[0][:4], clip[1].take([0, 1, 2, 3]), replace(options, focal=660.0))  # builds the model
    benchmark.extra_info["cpu_ms"] = round(per_frame_ms(lambda: fit_clip(*clip, options)), 1)
    benchmark.pedantic(lambda: fit_clip(*clip, options), rounds=1)


@pytest.mark.parametrize("preset", ["landmarks", "demo"])
def test_refit(benchmark: Any, clip: tuple[np.ndarray, FaceTrack], preset: str) -> None:
    """What every dub costs; the share of a first fit says what freezing person and pose saves."""
    options = FitOptions.preset(preset)
    start = time.process_time()
    fit = fit_clip(*clip, options)
    first = (time.process_time() - start) / N * 1e3
    again = per_frame_ms(lambda: refit(fit, *clip, options))
    benchmark.extra_info["cpu_ms"] = round(again, 1)
    benchmark.extra_info["share_of_first_fit"] = round(again / first, 3)
    benchmark.pedantic(lambda: refit(fit, *clip, options), rounds=1)
