"""Training of the sync model on landmarks: pairs, their damage, the loss, equal bytes from equal seeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lipbench.core.errors import UsageError
from lipbench.core.training import Budget, Request, train
from lipbench.faces.morphable.visemes import CHANNELS
from lipbench.metrics.sync.landmark.mouth import MEASURES
from lipbench.training.landmark_sync import mouths, sounds, speech, tracker
from lipbench.training.landmark_sync.loss import similarities, sync_loss
from lipbench.training.landmark_sync.trainer import CONFIGS, LandmarkSyncTraining, trainer

CONFIG = replace(CONFIGS["formant"], batch=4, frames=60, width=16, seconds=4.0)


@pytest.fixture(scope="module")
def data():
    """Four clips of 4 s by formant voices, and two held-out ones."""

    def spoken(split, n):
        found = [speech.speak(i, 0, split, CONFIG, 0.0) for i in range(n)]
        return np.stack([s for s, _ in found]).astype(np.float16), np.stack([c for _, c in found]), split

    return spoken("train", 4), spoken("held-out", 2)


def test_clips_are_sound_and_articulation_of_one_length(data):
    bands, channels, _ = data[0]
    assert bands.shape == (4, 2, 400, 40)
    assert channels.shape == (4, 100, len(CHANNELS))
    again, _ = speech.speak(1, 0, "train", CONFIG, 0.0)
    np.testing.assert_array_equal(again.astype(np.float16), bands[1])


def test_a_mouth_opens_with_the_jaw():
    channels = np.zeros((50, len(CHANNELS)))
    channels[:, 0] = np.linspace(0, 0.8, 50)
    rows = mouths.clean(channels, mouths.FIRST_PERSON)
    assert rows.shape == (50, len(MEASURES))
    assert (np.diff(rows[5:, 0]) > 0).all()  # inner gap
    assert rows[-1, 6] > rows[5, 6]  # chin


def test_damage_leaves_the_speech_in_place(data):
    channels = data[0][1][0]
    rows, usual = mouths.clean(channels, mouths.FIRST_PERSON), np.full(12, 0.03)
    rng = np.random.default_rng(0)
    seen = [mouths.misread(rows, usual, rng) for _ in range(20)]
    widths = [np.corrcoef(one[:, 2], rows[:, 2])[0, 1] for one in seen if one[:, 2].std() > 0]
    assert np.median(widths) > 0.7
    assert len({round(float(one.sum()), 6) for one in seen}) == 20


def test_trackers_err_where_they_were_found_to_err():
    true = np.random.default_rng(0).normal(size=(400, 12)) * 0.03
    seen = true @ np.diag(np.linspace(0.5, 1, 12)) + np.random.default_rng(1).normal(size=true.shape) * 0.01
    errors = tracker.fit([(true - true.mean(0), seen - seen.mean(0))])
    np.testing.assert_allclose(np.diag(errors.response), np.linspace(0.5, 1, 12), atol=0.06)
    applied = errors.apply(true, np.random.default_rng(2), 1.0, 1.0)
    np.testing.assert_allclose(applied.std(0), seen.std(0), rtol=0.15)
    np.testing.assert_allclose(errors.apply(true, np.random.default_rng(2), 0.0, 0.0), true, atol=1e-12)


def test_stretching_keeps_both_sides_together():
    rows = np.arange(100.0)[:, None]
    fast = sounds.stretched(rows, 40, 1.2, 1)
    bands = np.repeat(rows, 4, 0)
    heard = sounds.stretched(bands, 40, 1.2, 4)
    assert len(heard) == 4 * len(fast)
    np.testing.assert_allclose(heard.reshape(40, 4).mean(1), fast[:, 0], atol=0.6)


def test_the_loss_wants_the_own_shift_and_the_own_clip():
    torch.manual_seed(0)
    rows = torch.nn.functional.normalize(torch.randn(3, 8, 60), dim=1)
    found, there = similarities(rows, rows.roll(2, 2))
    assert found.shape == (3, 60, 31)
    assert int(found[0, 30].argmax()) == 17
    assert not there[0, 14]
    assert there[0, 15]
    scale = torch.tensor(2.5)
    right, late = sync_loss(rows, rows, scale), sync_loss(rows, rows.roll(2, 2), scale)
    swapped = sync_loss(rows, rows[[1, 2, 0]], scale)
    assert right < late
    assert right < swapped


def test_equal_seeds_give_equal_bytes_and_the_loss_falls(tmp_path, data):
    files = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        training = LandmarkSyncTraining(CONFIG, *data)
        before = training.validate()["held_out_loss"]
        train(training, folder, Budget(steps=30, validate_every=100))
        after = training.validate()["held_out_loss"]
        assert after < before
        files.append((folder / "landmark-sync.npz").read_bytes())
    assert files[0] == files[1]


def test_recordings_are_refused_and_missing_engines_named(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="manifest"):
        trainer(Request(tmp_path, data="people.yaml"))
    monkeypatch.setattr(speech.flite, "available", lambda: False)
    monkeypatch.setattr(speech.espeak, "available", lambda: False)
    with pytest.raises(UsageError, match="espeak and flite"):
        trainer(Request(tmp_path))
