"""SyncNet's two streams against the published loop, side by side in one run (ratios go to extra_info).

The published loop: batches of 20 windows, every frame copied into five windows, batch norm apart, autograd on.
Times are CPU seconds of one thread, because the machine may be shared.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from lipbench.metrics.sync.folded import mfcc
from lipbench.metrics.sync.network import SyncNet

T = 60  # frames
ROUNDS = 3


@pytest.fixture(scope="module")
def net(rule: ModuleType) -> SyncNet:
    net = SyncNet()
    rule.fill(net.state_dict())
    return net.eval()


def published_video(net: SyncNet, frames: np.ndarray) -> torch.Tensor:
    images = np.expand_dims(np.stack(frames, axis=3), axis=0)  # 1, H, W, 3, T
    video = torch.from_numpy(np.transpose(images, (0, 3, 4, 1, 2)).astype(float)).float()  # 1, 3, T, H, W
    out = []
    for start in range(0, len(frames) - 5, 20):
        batch = [video[:, :, v : v + 5] for v in range(start, min(len(frames) - 5, start + 20))]
        out.append(net.forward_lip(torch.cat(batch, 0)).data)
    return torch.cat(out, 0)


def published_audio(net: SyncNet, features: np.ndarray, count: int) -> torch.Tensor:
    sound = torch.from_numpy(features[None, None].astype(float)).float()
    out = []
    for start in range(0, count, 20):
        batch = [sound[:, :, :, 4 * v : 4 * v + 20] for v in range(start, min(count, start + 20))]
        out.append(net.forward_aud(torch.cat(batch, 0)).data)
    return torch.cat(out, 0)


def cpu_seconds(run: Callable[[], torch.Tensor]) -> tuple[float, torch.Tensor]:
    start = time.process_time()
    out = run()
    return time.process_time() - start, out


def compare(benchmark: Any, fast: Callable[[], torch.Tensor], slow: Callable[[], torch.Tensor]) -> None:
    """Both in turn, ROUNDS times: the least CPU time of each counts."""
    ours, theirs = [], []
    for _ in range(ROUNDS):
        seconds, want = cpu_seconds(slow)
        theirs.append(seconds)
        seconds, got = cpu_seconds(fast)
        ours.append(seconds)
    error = float((got - want).abs().max() / want.abs().max())
    benchmark.pedantic(fast, rounds=1, iterations=1)
    benchmark.extra_info.update(
        windows_per_s=round(len(got) / min(ours), 1),
        published_windows_per_s=round(len(got) / min(theirs), 1),
        ratio=round(min(theirs) / min(ours), 2),
        max_relative_error=error,
    )
    assert error < 1e-4


def test_video_stream(benchmark: Any, net: SyncNet, rule: ModuleType) -> None:
    frames = rule.frames("bench/video", T, 224, 224)
    folded = net.folded()
    compare(benchmark, lambda: folded.embed_video(frames), lambda: published_video(net, frames))


def test_audio_stream(benchmark: Any, net: SyncNet, rule: ModuleType) -> None:
    """From int16 samples, MFCC included on both sides."""
    audio = rule.speech("bench/audio", 4 * T / 25)
    folded = net.folded()

    def embed() -> torch.Tensor:
        folded._heard.clear()  # a sound is embedded once
        return folded.embed_audio(audio)

    compare(benchmark, embed, lambda: published_audio(net, mfcc(audio), len(audio) // 640 - 5))


def test_folding(benchmark: Any, net: SyncNet) -> None:
    """What the first score after loading, or a score during training, pays."""
    benchmark.pedantic(net.folded, rounds=3, iterations=1)


def test_small_sync_model_video(benchmark: Any, rule: ModuleType) -> None:
    """A quarter of the width at 112 px, as `lipbench train` makes them."""
    small = SyncNet(0.25, 112).eval()
    frames = rule.frames("bench/small", T, 112, 112)
    folded = small.folded()
    compare(benchmark, lambda: folded.embed_video(frames), lambda: published_video(small, frames))
