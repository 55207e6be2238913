"""What Wav2Lip's training draws: batches, their sounds and lips, clips on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lipbench.baselines.wav2lip.mel import window_starts
from lipbench.core.errors import UsageError
from lipbench.datasets.manifest import resolve
from lipbench.training.wav2lip import clips, data
from lipbench.training.wav2lip.sources import LipDatasetConfig, from_manifest, generated
from tests.training.wav2lip_clips import TALKS, talk


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def plain(monkeypatch):
    """Batches without random light, blur and mirror."""
    for name in ("_lit", "_flipped", "_softened"):
        monkeypatch.setattr(data, name, lambda faces, rng: faces)


def test_training_hears_what_inference_hears():
    one = talk("a")
    starts = window_starts(one.sounds["en"].shape[2], 25.0)
    for frame in range(one.starts("en") + data.SYNC_FRAMES - 1):
        assert np.array_equal(one.mel("en", 0, frame), one.sounds["en"][0, :, starts[frame] : starts[frame] + 16])


def test_last_window_has_its_sound():
    one = talk("a")
    last = one.starts("en") - 1 + data.SYNC_FRAMES - 1
    assert one.mel("en", 0, last).shape == (80, 16)
    assert int((last + 1) * 3.2) + 16 > one.sounds["en"].shape[2] or last + 1 == len(one.faces["en"])


def test_batches_depend_on_seed_and_step_alone():
    a, b = (data.lip_batch(TALKS, 3, 5, 7) for _ in range(2))
    assert torch.equal(a.face, b.face)
    assert torch.equal(a.mels, b.mels)
    assert not torch.equal(a.face, data.lip_batch(TALKS, 3, 5, 8).face)


def test_lip_batch_masks_the_target_and_keeps_the_reference():
    batch = data.lip_batch(TALKS, 4, 0, 0)
    assert batch.face.shape == (4, 6, 5, 96, 96)
    assert batch.target.shape == (4, 3, 5, 96, 96)
    assert batch.mels.shape == (4, 5, 1, 80, 16)
    assert torch.equal(batch.face[:, :3, :, :48], batch.target[:, :, :, :48])
    assert not batch.face[:, :3, :, 48:].any()
    assert batch.face[:, 3:, :, 48:].any()
    assert not torch.equal(batch.face[:, 3:], batch.target)
    assert torch.equal(batch.mels[:, :1], batch.around)


def test_paired_reference_is_the_same_moment_in_another_language(plain):
    batch = data.lip_batch(TALKS, 6, 0, 1, paired=1.0)
    difference = (batch.face[:, 3:] - batch.target) * 255
    assert torch.allclose(difference.abs(), torch.full_like(difference, 100.0), atol=1e-3)


def test_mel_shift_moves_the_frames_sound_only():
    plainly, shifted = (data.lip_batch(TALKS, 4, 3, 0, mel_shift=shift) for shift in (0, -1))
    assert torch.equal(plainly.target, shifted.target)
    assert torch.equal(plainly.around, shifted.around)
    assert torch.equal(plainly.mels[:, :4], shifted.mels[:, 1:])


def test_sounds_around_a_row_of_windows():
    batch = data.lip_batch(TALKS, 8, 0, 2, frames=8, contrast=3)
    assert batch.around.shape == (8, 4 + 6, 1, 80, 16)
    assert torch.equal(batch.around[:, 3:7], batch.mels[:, :4])
    assert batch.valid[:, 3:7].all()
    beyond = ~batch.valid.flatten()
    assert beyond.any()  # the clips are short: some rows begin or end with them
    early = ~batch.valid[:, 0]
    assert torch.equal(batch.around[early, 0], batch.around[early, 1])


def test_sync_batch_labels_are_true(plain):
    batch = data.sync_batch(TALKS, 32, 0, 0)
    assert batch.face.shape == (32, 15, 48, 96)
    for mel, face, label in zip(batch.mel, batch.face, batch.together, strict=True):
        frame = round(float(face[0, 0, 0]) * 255)
        heard = [
            t.mel(tag, 0, frame - 100 * (tag == "fr")) for t in TALKS for tag in (["fr"] if frame >= 100 else ["en"])
        ]
        assert any(np.array_equal(mel[0].numpy(), h) for h in heard) == bool(label)


def test_rows_of_windows_and_their_wrong_lips(plain):
    batch = data.row_batch(TALKS, 6, 0, 0, n=5, wrong=3)
    assert batch.face.shape == (30, 15, 48, 96)
    assert batch.wrong.shape == (18, 15, 48, 96)
    level = (batch.face[:, 0, 0, 0] * 255).round().view(6, 5)
    assert torch.equal(level.diff(dim=1), batch.stride[:, None].expand(-1, 4).float())
    assert set(batch.stride.tolist()) <= set(data.STRIDES)
    wrong = (batch.wrong[:, 0, 0, 0] * 255).round().view(6, 3)
    for own, other in zip(level, wrong, strict=True):
        # The other language is 100 levels away at the same moments.
        assert set((other - own[0]).abs().tolist()) <= {
            100 + s * (1 if other[0] > own[0] else -1) for s in (own - own[0]).tolist()
        }
    for mel, number, k in zip(batch.mel, level.flatten().tolist(), range(30), strict=True):
        tag = "fr" if number >= 100 else "en"
        assert any(np.array_equal(mel[0].numpy(), t.mel(tag, 0, int(number) % 100)) for t in TALKS), k


def test_split_keeps_speakers_apart():
    train_talks, held_out = clips.split([talk(n) for n in "aabbcc"], 0.3, 0)
    assert {t.speaker for t in train_talks}.isdisjoint(t.speaker for t in held_out)
    assert train_talks
    assert held_out
    with pytest.raises(UsageError):
        clips.split([talk("a")], 0.3, 0)


def test_short_clips_are_left_out():
    assert [t.id for t in clips.usable([talk("a"), talk("b", n=12)])] == ["a"]
    with pytest.raises(UsageError):
        clips.usable([talk("b", n=12)])


def test_talks_survive_the_disk(tmp_path: Path):
    again = clips.load(clips.save(replace(talk("a"), gaps={"en": np.arange(30.0)}), tmp_path / "a", "key"))
    assert (again.id, again.languages, again.fps, again.key) == ("a", ("en", "fr"), 25, "key")
    assert np.array_equal(again.faces["fr"], talk("a").faces["fr"])
    assert np.array_equal(again.sounds["en"], talk("a").sounds["en"])
    assert np.array_equal(again.gaps["en"], np.arange(30.0))
    assert clips.is_cached(tmp_path / "a", "key")
    assert not clips.is_cached(tmp_path / "a", "other")


def test_generated_clips_are_cached_and_cut_alike(tmp_path: Path):
    recipe = LipDatasetConfig("held-out", 1, seconds=1.0, spoken=2, size=96, takes=2, jitter=0.0, coded=0.0)
    (one,) = generated(recipe, tmp_path)
    assert len(one.languages) == 2
    for tag in one.languages:
        assert one.faces[tag].shape == (25, 96, 96, 3)
        assert one.sounds[tag].shape == (2, 80, 81)
        assert one.gaps[tag].shape == (25,)
    a, b = (one.faces[tag].astype(int) for tag in one.languages)
    # Only the articulation differs: brows and eyes are the same pixels, the mouths are not.
    assert np.abs(a - b)[:, :30].mean() < 0.2 * np.abs(a - b)[:, 60:].mean()
    said: list[str] = []
    (again,) = generated(recipe, tmp_path, log=said.append)
    assert not said
    assert np.array_equal(again.faces[one.languages[1]], one.faces[one.languages[1]])


def test_manifest_gives_truth_in_every_language():
    manifest = resolve("demo")
    clip = manifest.clips[0]
    (one,) = from_manifest(manifest, clip_ids=[clip.id])
    assert one.languages[0] == clip.language
    assert set(one.languages) == {clip.language, *clip.truth}
    assert all(one.starts(tag) > 0 for tag in one.languages)
