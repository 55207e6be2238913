"""Embeddings -> LSE-D, LSE-C, offset: against the published loop, on cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lipbench.core.errors import TooShort
from lipbench.metrics.sync.arithmetic import VSHIFT, count_windows, offset_words, pair_distances, score_embeddings


def embeddings(n: int, size: int = 64, seed: int = 0, noise: float = 0.3) -> tuple[torch.Tensor, torch.Tensor]:
    """Video and audio of a well-synchronized clip, |v| about 8."""
    rng = np.random.default_rng(seed)
    v = rng.normal(0, 8 / np.sqrt(size), (n, size))
    a = v + rng.normal(0, noise, (n, size))
    return torch.tensor(v, dtype=torch.float32), torch.tensor(a, dtype=torch.float32)


def published(video: torch.Tensor, audio: torch.Tensor) -> tuple[float, float, int, np.ndarray]:
    """What evaluate() does after the network, one window at a time."""
    window = 2 * VSHIFT + 1
    padded = F.pad(audio, (0, 0, VSHIFT, VSHIFT))
    rows = [F.pairwise_distance(video[[i], :].repeat(window, 1), padded[i : i + window, :]) for i in range(len(video))]
    mean = torch.mean(torch.stack(rows, 1), 1)
    least, index = torch.min(mean, 0)
    return float(least), float(torch.median(mean) - least), VSHIFT - int(index), torch.stack(rows).numpy()


@pytest.mark.parametrize("n", [1, 5, 16, 95])
def test_equals_the_published_loop(n: int) -> None:
    video, audio = embeddings(n, seed=n)
    least, confidence, offset, each = published(video, audio)
    got = score_embeddings(video, audio)
    assert got.lse_d == pytest.approx(least, rel=1e-6)
    assert got.lse_c == pytest.approx(confidence, rel=1e-5, abs=1e-6)
    assert got.av_offset == offset
    assert np.allclose(got.per_window, each, rtol=1e-6)
    assert got.per_window.shape == (n, 31)
    assert got.distances.shape == (31,)


@settings(max_examples=25, deadline=None)
@given(st.integers(-15, 15))
def test_late_audio_has_a_negative_offset(delay: int) -> None:
    """Audio that lags the video by d frames gives -d: positive = the audio leads."""
    video, audio = embeddings(120)
    shifted = torch.zeros_like(audio)
    for t in range(len(audio)):
        if 0 <= t - delay < len(audio):
            shifted[t] = audio[t - delay]
    got = score_embeddings(video, shifted)
    assert got.av_offset == -delay
    if delay:
        assert got.lse_d_at_zero > got.lse_d  # the distance at zero sees the delay that LSE-D forgives
        assert ("lags" if delay > 0 else "leads") in got.offset_words
        assert f"{abs(delay)} frame" in got.offset_words
    else:
        assert got.lse_d_at_zero == got.lse_d


def test_offset_words_give_the_time() -> None:
    assert offset_words(3) == "audio leads video by 3 frames (120 ms)"
    assert offset_words(-1) == "audio lags video by 1 frame (40 ms)"
    assert offset_words(0) == "audio and video are aligned"
    assert offset_words(-1.5) == "audio lags video by 1.5 frames (60 ms)"


def test_equal_embeddings_keep_the_published_floor() -> None:
    video = torch.ones(20, 1024)
    assert float(pair_distances(video, video)[5, VSHIFT]) == pytest.approx(1e-6 * 32, rel=0.2)


def test_zero_padding_lowers_lse_c_on_short_clips_only_there() -> None:
    """The published LSE-C grows with length at equal match quality; the valid-overlap variant does not."""
    lengths = (20, 46, 95, 245)
    long_v, long_a = embeddings(245)
    scores = [score_embeddings(long_v[:n], long_a[:n]) for n in lengths]
    confidence = [s.lse_c for s in scores]
    assert confidence == sorted(confidence)
    assert confidence[-1] / confidence[0] > 1.15
    valid = [s.lse_c_valid for s in scores]
    assert all(v is not None and abs(v / valid[-1] - 1) < 0.05 for v in valid)
    assert valid[0] > confidence[0]


def valid_confidence(video: torch.Tensor, audio: torch.Tensor) -> float:
    """LSE-C over the pairs that exist at each of 31 shifts, in float64, from its definition."""
    v, a = (x.numpy().astype(np.float64) for x in (video, audio))
    means = []
    for shift in range(-15, 16):
        pairs = [(t, t + shift) for t in range(len(v)) if 0 <= t + shift < len(a)]
        means.append(np.mean([np.sqrt(np.sum((v[t] - a[s] + 1e-6) ** 2)) for t, s in pairs]))
    assert len(means) == 31
    return float(np.median(means) - min(means))


@pytest.mark.parametrize(("n", "seed"), [(16, 1), (17, 2), (18, 4), (31, 5), (60, 6)])
def test_valid_variant_averages_existing_pairs_only(n: int, seed: int) -> None:
    video, audio = embeddings(n, seed=seed)
    assert score_embeddings(video, audio).lse_c_valid == pytest.approx(valid_confidence(video, audio), rel=1e-5)


@pytest.mark.parametrize("shift", range(-15, 16))
def test_valid_variant_looks_at_every_shift(shift: int) -> None:
    """Sound that fits at one shift only: without that shift nothing would stand out."""
    video, audio = embeddings(50, seed=7)
    moved = torch.roll(audio, shift, 0)
    got = score_embeddings(video, moved)
    assert got.lse_c_valid == pytest.approx(valid_confidence(video, moved), rel=1e-5)
    assert got.lse_c_valid > 3


def test_valid_variant_needs_a_pair_at_every_shift() -> None:
    video, audio = embeddings(16)
    assert score_embeddings(video, audio).lse_c_valid is not None
    assert score_embeddings(video[:15], audio[:15]).lse_c_valid is None


def test_framewise_values_average_to_the_score() -> None:
    got = score_embeddings(*embeddings(60, seed=2))
    assert got.framewise_distance.mean() == pytest.approx(got.lse_d, rel=1e-5)
    assert got.framewise_confidence.mean() == pytest.approx(got.lse_c, rel=1e-5)
    assert got.framewise_distance_at_zero.mean() == pytest.approx(got.lse_d_at_zero, rel=1e-5)
    assert got.framewise_confidence.shape == (60,)


def test_remarks_flag_numbers_that_mean_little() -> None:
    few = score_embeddings(*embeddings(49))
    assert any("only 49 windows" in remark for remark in few.remarks)
    assert score_embeddings(*embeddings(50)).remarks == ()
    rng = np.random.default_rng(0)
    same = torch.tensor(rng.normal(0, 1, (1, 8)), dtype=torch.float32).repeat(60, 1)
    meaningless = score_embeddings(same, -same)  # everything is far apart: the zero padding is nearest
    assert abs(meaningless.av_offset) == 15
    assert any("may not match" in remark for remark in meaningless.remarks)


@pytest.mark.parametrize(
    ("frames", "samples", "windows"),
    [(0, 0, 0), (5, 640 * 9, 0), (6, 640 * 6, 1), (6, 640 * 6 - 1, 0), (100, 64_000, 95), (100, 640 * 50 + 639, 45)],
)
def test_window_count(frames: int, samples: int, windows: int) -> None:
    assert count_windows(frames, samples) == windows


def test_no_window_is_refused() -> None:
    with pytest.raises(TooShort):
        score_embeddings(torch.zeros(0, 8), torch.zeros(3, 8))
