"""Wav2Lip's generator: frames per CPU second, and what folding and channels last are worth."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from lipbench.baselines.wav2lip.inference import Wav2LipInference
from lipbench.baselines.wav2lip.mel import melspectrogram
from lipbench.baselines.wav2lip.networks import Wav2LipGenerator


def best(run: Callable[[], object], rounds: int = 3) -> float:
    """CPU seconds, which other programs on the machine do not change."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.slow
def test_generator_batch(benchmark: Any) -> None:
    net = Wav2LipGenerator().eval()
    drawer = Wav2LipInference(net)
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (drawer.batch, 96, 96, 3), dtype=np.uint8)
    mel = rng.uniform(-4, 4, (drawer.batch, 80, 16))
    sound, face = torch.randn(drawer.batch, 1, 80, 16), torch.rand(drawer.batch, 6, 96, 96)

    def as_published() -> None:
        with torch.inference_mode():
            net(sound, face)

    benchmark.extra_info["frames"] = drawer.batch
    benchmark.extra_info["published_over_ours"] = best(as_published) / best(lambda: drawer.infer(crops, mel))
    benchmark.pedantic(drawer.infer, (crops, mel), rounds=3, warmup_rounds=1)


def test_spectrogram_of_ten_seconds(benchmark: Any) -> None:
    audio = np.random.default_rng(0).normal(0, 3000, 160000).astype(np.int16)
    melspectrogram(audio)  # builds the filters
    assert benchmark(melspectrogram, audio).shape == (80, 801)
