"""Training of the sync model: the flat network, the loss, batches, damage."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lipbench.core.training import Budget, train
from lipbench.faces.morphable.semantic import SEMANTIC
from lipbench.faces.morphable.visemes import lips
from lipbench.metrics.sync.network import SyncNet
from lipbench.training.syncnet import augment, cache, data
from lipbench.training.syncnet.generated import damp
from lipbench.training.syncnet.loss import flat_lip, sync_loss
from lipbench.training.syncnet.trainer import SyncConfig, SyncTraining


@pytest.fixture
def clips(tmp_path):
    rng = np.random.default_rng(0)
    names = []
    for k in range(3):
        frames = rng.integers(0, 256, (40, 64, 64, 3), dtype=np.uint8)
        facts = cache.CachedClipFacts(f"c{k}", f"key{k}", f"person{k}", "en", 40, ("a", "b"), 0.5 if k == 0 else None)
        sound = rng.normal(size=(2, 13, 159)).astype(np.float32)
        cache.write_clip(tmp_path / "cache", facts, frames, sound, frames if k == 0 else None)
        names.append(f"c{k}")
    return cache.read_clips(tmp_path / "cache", names)


@pytest.mark.parametrize("training", [False, True])
def test_the_flat_network_computes_the_same(training):
    torch.manual_seed(0)
    a, b = SyncNet(0.05, 112), SyncNet(0.05, 112)
    b.load_state_dict(a.state_dict())
    a.train(training)
    b.train(training)
    x = torch.rand(3, 3, 5, 112, 112)
    flat = x.transpose(1, 2).flatten(1, 2)
    torch.testing.assert_close(flat_lip(b, flat), a.forward_lip(x), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(b.netcnnlip[1].running_mean, a.netcnnlip[1].running_mean, atol=1e-5, rtol=1e-4)


def test_the_loss_falls_when_pairs_match_and_rises_when_stillness_fits():
    torch.manual_seed(0)
    audio = torch.randn(2, 6, 8)
    scale = torch.zeros(())
    matched, right = sync_loss(audio + 0.01, audio, scale)
    shifted, wrong = sync_loss(audio.roll(2, 1), audio, scale)
    assert matched < shifted
    assert float(right) == 1.0
    assert float(wrong) == 0.0
    fooled, _ = sync_loss(audio + 0.01, audio, scale, audio[:, 2:3])
    assert fooled > matched


def test_windows_of_a_batch_are_the_clips_own(clips):
    batch = data.draw(clips, 56, np.random.default_rng(0), batch=2, n=4)
    assert batch.frames.shape == (8, 15, 56, 56)
    assert batch.sound.shape == (8, 1, 13, 20)
    assert batch.still.shape == (2, 15, 56, 56)
    windows = batch.frames.view(2, 4, 5, 3, 56, 56)
    torch.testing.assert_close(windows[:, 0, 1], windows[:, 1, 0])  # the next window starts one frame later
    torch.testing.assert_close(batch.sound[0, 0, :, 4:], batch.sound[1, 0, :, :16])


def test_damage_keeps_shape_and_mean():
    frames = np.random.default_rng(0).integers(60, 190, (3, 48, 48, 3)).astype(np.uint8)
    for damaged in (augment.blur(frames, 2.0), augment.low_resolution(frames, 16), augment.jpeg(frames, 30)):
        assert damaged.shape == frames.shape
        assert damaged.dtype == np.uint8
        assert abs(float(damaged.mean()) - float(frames.mean())) < 3
    boxed = augment.mouth_box(frames, np.random.default_rng(1))
    assert np.array_equal(boxed[:, :8], frames[:, :8])
    assert not np.array_equal(boxed[:, 24:30, 20:28], frames[:, 24:30, 20:28])


def test_damping_scales_the_mouth_alone():
    semantic = np.random.default_rng(0).uniform(size=(20, len(SEMANTIC)))
    half = damp(semantic, 0.5)
    jaw, blink = SEMANTIC.index("jawOpen"), SEMANTIC.index("blinkL")
    assert np.ptp(half[:, jaw]) == pytest.approx(np.ptp(semantic[:, jaw]) / 2)
    assert half[:, jaw].mean() == pytest.approx(semantic[:, jaw].mean())
    assert np.array_equal(half[:, blink], semantic[:, blink])
    assert len(lips().upper) > 0


def test_a_resumed_sync_model_equals_an_uninterrupted_one(clips, tmp_path):
    config = SyncConfig(width=0.05, size=56, batch=2, windows=4)
    budget = Budget(4, validate_every=2, report_every=1, image_every=2)
    whole = SyncTraining(config, clips[:2], clips[2:])
    train(whole, tmp_path / "whole", budget)

    class Cut(SyncTraining):
        def step(self, number, progress):
            if number == 3:
                raise RuntimeError("killed")
            return super().step(number, progress)

    with pytest.raises(RuntimeError, match="killed"):
        train(Cut(config, clips[:2], clips[2:]), tmp_path / "cut", budget)
    resumed = SyncTraining(config, clips[:2], clips[2:])
    train(resumed, tmp_path / "cut", budget)
    for key, value in whole.net.state_dict().items():
        assert torch.equal(value, resumed.net.state_dict()[key]), key
    net = SyncNet.from_file(tmp_path / "whole" / "syncnet.npz")
    assert (net.shape.width, net.shape.size) == (0.05, 56)
