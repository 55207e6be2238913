"""Losses and the sync schedule of Wav2Lip's training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lipbench.baselines.wav2lip.networks import SyncExpert
from lipbench.training.wav2lip import data
from lipbench.training.wav2lip.config import CONFIGS, ExpertConfig, GeneratorConfig
from lipbench.training.wav2lip.losses import SyncSchedule, agreement, contrast, contrast_loss, reconstruction, windows
from tests.training.wav2lip_clips import TALKS, TINY


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def test_agreement_is_finite_at_the_ends():
    one = torch.nn.functional.normalize(torch.rand(2, 512), dim=1)
    orthogonal = torch.zeros(1, 512), torch.zeros(1, 512)
    orthogonal[0][0, 0] = orthogonal[1][0, 1] = 1
    assert agreement(one, one, torch.ones(2, 1)).item() == pytest.approx(0, abs=1e-4)
    assert agreement(*orthogonal, torch.ones(1, 1)).item() == pytest.approx(-np.log(1e-7), rel=1e-2)


def test_contrast_prefers_the_own_sound():
    own = torch.eye(4)[None]
    stride, scale = torch.tensor([2]), torch.tensor(20.0)
    assert contrast(own, own, stride, scale).item() == pytest.approx(0, abs=1e-6)
    assert contrast(own, own.roll(1, dims=1), stride, scale).item() > 10
    chance = contrast(own, torch.ones(1, 4, 4) / 2, stride, scale).item()
    assert chance == pytest.approx(np.log(4))
    # Lips that fit every sound, but belong to none, cost; a neighbor one frame away costs less than one two away.
    assert contrast(own, own, stride, scale, own).item() == pytest.approx(np.log(2) / 2, abs=1e-3)
    near = contrast(own, own.roll(1, dims=1), torch.tensor([1]), scale).item()
    assert near < contrast(own, own.roll(1, dims=1), stride, scale).item()


def test_windows_of_a_drawn_row():
    drawn = torch.arange(7.0).view(1, 1, 7, 1, 1).expand(2, 3, 7, 96, 96)
    cut = windows(drawn)
    assert cut.shape == (6, 15, 48, 96)
    assert cut[1, ::3, 0, 0].tolist() == [1, 2, 3, 4, 5]
    assert cut[3, ::3, 0, 0].tolist() == [0, 1, 2, 3, 4]


def test_contrast_loss_ignores_repeated_sounds():
    torch.manual_seed(0)
    expert = SyncExpert(TINY).eval()
    batch = data.lip_batch(TALKS, 2, 0, 2, frames=6, contrast=2)
    every = contrast_loss(expert, 5.0, batch.around, torch.ones_like(batch.valid), batch.target, 2)
    few = batch.valid.clone()
    few[:, :1] = few[:, -1:] = False
    assert contrast_loss(expert, 5.0, batch.around, few, batch.target, 2) < every


def test_mouth_weight():
    target = torch.zeros(1, 3, 1, 96, 96)
    mouth, brow = target.clone(), target.clone()
    mouth[..., 60, 48], brow[..., 10, 48] = 1, 1
    assert reconstruction(mouth, target).item() == pytest.approx(1 / 96**2)
    ratio = reconstruction(mouth, target, 4.0) / reconstruction(brow, target, 4.0)
    assert ratio.item() == pytest.approx(4)


def test_schedule_stays_on():
    schedule = SyncSchedule(0.01)
    schedule.observe(0.76)
    assert schedule.weight == 0
    schedule.observe(0.74)
    schedule.observe(0.9)
    assert schedule.weight == 0.01


def test_official_size_has_the_papers_constants():
    assert CONFIGS["official"].expert == ExpertConfig(
        width=1.0, batch=64, windows=0, wrong=0, lr=1e-4, warm_up=1, hearing=0, held_out_batches=8
    )
    published = GeneratorConfig(
        width=1.0,
        gated=False,
        batch=16,
        frames=5,
        singles=0,
        lr=1e-4,
        warm_up=1,
        decay=0.0,
        hearing=0,
        sync_weight=0.01,
        sync_threshold=0.75,
        contrast=0,
        quality_weight=0.0,
        mouth_weight=1.0,
        paired=0.0,
        mel_shift=0,
        held_out_batches=4,
    )
    assert CONFIGS["official"].generator == published
