"""Wav2Lip's trainer: batches, losses, schedule, resume."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from lipbench.baselines.wav2lip.checkpoint import load as load_checkpoint
from lipbench.baselines.wav2lip.mel import melspectrogram, window_starts
from lipbench.baselines.wav2lip.networks import SyncExpert
from lipbench.baselines.wav2lip.training import __main__ as command
from lipbench.baselines.wav2lip.training import data
from lipbench.baselines.wav2lip.training.config import DEMO, OFFICIAL, SIZES, GeneratorConfig
from lipbench.baselines.wav2lip.training.evaluate import mouth_psnr, redraw, score, strip
from lipbench.baselines.wav2lip.training.expert import ExpertTraining
from lipbench.baselines.wav2lip.training.generator import GeneratorTraining
from lipbench.baselines.wav2lip.training.losses import SyncSchedule, agreement, reconstruction
from lipbench.baselines.wav2lip.training.run import run
from lipbench.baselines.wav2lip.training.sources import Recipe, from_manifest, generated
from lipbench.core.errors import UsageError
from lipbench.datasets.manifest import resolve

TINY = 1 / 64


def talk(name: str, seed: int = 0, n: int = 30) -> data.Talk:
    """Frames whose grey level tells their number, in two languages, and noise to hear."""
    rng = np.random.default_rng(seed)
    frames = np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None, None], (n, 96, 96, 3)).copy()
    sound = melspectrogram((rng.standard_normal(n * 640) * 3000).astype(np.int16))[None].astype(np.float32)
    return data.Talk(name, name, 25.0, {"en": frames, "fr": frames + 100}, {"en": sound, "fr": sound[:, ::-1].copy()})


TALKS, HELD_OUT = [talk("a"), talk("b", 1)], [talk("c", 2)]
SMALL = replace(DEMO[1], width=TINY, batch=2, held_out_batches=1)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


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
    assert batch.mel.shape == (4, 1, 80, 16)
    assert torch.equal(batch.face[:, :3, :, :48], batch.target[:, :, :, :48])
    assert not batch.face[:, :3, :, 48:].any()
    assert batch.face[:, 3:, :, 48:].any()
    assert not torch.equal(batch.face[:, 3:], batch.target)
    assert torch.equal(batch.mels[:, 0], batch.mel)


def test_paired_reference_is_the_same_moment_in_another_language(monkeypatch):
    monkeypatch.setattr(data, "_lit", lambda faces, rng: faces)
    batch = data.lip_batch(TALKS, 6, 0, 1, paired=1.0)
    difference = (batch.face[:, 3:] - batch.target) * 255
    assert torch.allclose(difference.abs(), torch.full_like(difference, 100.0), atol=1e-3)


def test_mel_shift_moves_the_frames_sound_only():
    plain, shifted = (data.lip_batch(TALKS, 4, 3, 0, mel_shift=shift) for shift in (0, -1))
    assert torch.equal(plain.target, shifted.target)
    assert torch.equal(plain.mel, shifted.mel)
    assert torch.equal(plain.mels[:, :4], shifted.mels[:, 1:])


def test_sync_batch_labels_are_true(monkeypatch):
    monkeypatch.setattr(data, "_flipped", lambda faces, rng: faces)
    batch = data.sync_batch(TALKS, 32, 0, 0)
    assert batch.face.shape == (32, 15, 48, 96)
    for mel, face, label in zip(batch.mel, batch.face, batch.together, strict=True):
        frame = round(float(face[0, 0, 0]) * 255)
        heard = [
            t.mel(tag, 0, frame - 100 * (tag == "fr")) for t in TALKS for tag in (["fr"] if frame >= 100 else ["en"])
        ]
        assert any(np.array_equal(mel[0].numpy(), h) for h in heard) == bool(label)


def test_split_keeps_speakers_apart():
    train, held_out = data.split([talk(n) for n in "aabbcc"], 0.3, 0)
    assert {t.speaker for t in train}.isdisjoint(t.speaker for t in held_out)
    assert train
    assert held_out
    with pytest.raises(UsageError):
        data.split([talk("a")], 0.3, 0)


def test_short_clips_are_left_out():
    assert [t.id for t in data.usable([talk("a"), talk("b", n=12)])] == ["a"]
    with pytest.raises(UsageError):
        data.usable([talk("b", n=12)])


def test_talks_survive_the_disk(tmp_path: Path):
    again = data.load(data.save(talk("a"), tmp_path / "a.npz"))
    assert again.id == "a"
    assert again.languages == ("en", "fr")
    assert again.fps == 25
    assert np.array_equal(again.faces["fr"], talk("a").faces["fr"])
    assert np.array_equal(again.sounds["en"], talk("a").sounds["en"])


def test_agreement_is_finite_at_the_ends():
    one = torch.nn.functional.normalize(torch.rand(2, 512), dim=1)
    orthogonal = torch.zeros(1, 512), torch.zeros(1, 512)
    orthogonal[0][0, 0] = orthogonal[1][0, 1] = 1
    assert agreement(one, one, torch.ones(2, 1)).item() == pytest.approx(0, abs=1e-4)
    assert agreement(*orthogonal, torch.ones(1, 1)).item() == pytest.approx(-np.log(1e-7), rel=1e-2)


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
    expert, generator = OFFICIAL
    assert (expert.width, expert.batch, expert.lr) == (1, 64, 1e-4)
    assert generator == GeneratorConfig(1.0, 16, 1e-4, 0, 0.01, 0.75, 0.0, 1.0, 0.0, False, 0, 4)


def trainings() -> GeneratorTraining:
    torch.manual_seed(9)
    return GeneratorTraining(TALKS, HELD_OUT, SMALL, SyncExpert(TINY))


def test_expert_is_frozen_and_in_eval_mode():
    training = trainings()
    training.schedule.on = True
    before = {k: v.clone() for k, v in training.expert.state_dict().items()}
    losses = training.step(1)
    assert "sync" in losses
    assert not training.expert.training
    assert all(torch.equal(v, before[k]) for k, v in training.expert.state_dict().items())


def test_resumed_run_equals_an_uninterrupted_one(tmp_path: Path):
    whole, first = trainings(), trainings()
    run(whole, tmp_path / "whole", 4, every=2)
    first.schedule.threshold = whole.schedule.threshold
    run(first, tmp_path / "parts", 2, every=2)
    second = trainings()
    assert run(second, tmp_path / "parts", 4, every=2) == 4
    for key, value in whole.net.state_dict().items():
        assert torch.equal(value, second.net.state_dict()[key]), key


def test_sync_weight_survives_a_resume(tmp_path: Path):
    training = trainings()
    training.schedule.threshold = float("inf")
    run(training, tmp_path, 1)
    assert training.schedule.weight == SMALL.sync_weight
    again = trainings()
    run(again, tmp_path, 1)
    assert again.schedule.weight == SMALL.sync_weight


def test_quality_discriminator_learns_beside():
    training = GeneratorTraining(TALKS, HELD_OUT, replace(SMALL, quality_weight=0.07), SyncExpert(TINY))
    assert training.critic is not None
    before = training.critic.binary_pred[0].weight.clone()
    losses = training.step(1)
    assert {"l1", "quality", "critic"} <= losses.keys()
    assert not torch.equal(before, training.critic.binary_pred[0].weight)
    training.load_state_dict(training.state_dict())


def test_generator_learns_to_draw_its_talks():
    training = GeneratorTraining(TALKS, TALKS, replace(SMALL, lr=1e-2), SyncExpert(TINY))
    losses = [training.step(k)["l1"] for k in range(40)]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:3])


def test_expert_step_and_validation():
    training = ExpertTraining(TALKS, HELD_OUT, replace(DEMO[0], width=TINY, batch=4, held_out_batches=1))
    before = training.net.face_encoder[0].conv_block[0].weight.clone()
    assert np.isfinite(training.step(1)["sync"])
    assert not torch.equal(before, training.net.face_encoder[0].conv_block[0].weight)
    found = training.validate()
    assert 0 <= found["accuracy"] <= 1
    assert not training.net.training


def test_evaluation_compares_with_the_untouched_video():
    net = trainings().net
    found = score(net, TALKS)
    assert list(found) == ["fr"]
    assert found["fr"].n == 2 * TALKS[0].starts("fr")
    assert found["fr"].untouched == pytest.approx(20 * np.log10(255 / 100))
    assert strip(net, TALKS[0], "fr", 4).shape == (288, 384, 3)
    assert redraw(net, TALKS[0], "fr", "en").dtype == np.uint8
    assert mouth_psnr(TALKS[0].faces["en"][:2], TALKS[0].faces["en"][:2]).tolist() == [np.inf, np.inf]
    assert trainings().picture(2).shape == (288, 192, 3)


def test_saved_generator_is_a_checkpoint_of_the_method(tmp_path: Path):
    net = GeneratorTraining(TALKS, HELD_OUT, replace(SMALL, width=0.125), SyncExpert(TINY)).net
    torch.save({k: v.half() if v.is_floating_point() else v for k, v in net.state_dict().items()}, tmp_path / "g.pt")
    again = load_checkpoint(tmp_path / "g.pt")
    assert again.width == 0.125
    for key, value in net.state_dict().items():
        assert torch.allclose(again.state_dict()[key].float(), value.float(), atol=1e-3)


def test_generated_clips_are_cached_and_cut_alike(tmp_path: Path):
    recipe = Recipe("held-out", 1, seconds=1.0, size=96, takes=2, jitter=0.0)
    (one,) = generated(recipe, tmp_path)
    assert len(one.languages) == 2
    for tag in one.languages:
        assert one.faces[tag].shape == (25, 96, 96, 3)
        assert one.sounds[tag].shape == (2, 80, 81)
    a, b = (one.faces[tag].astype(int) for tag in one.languages)
    # Only the articulation differs: brows and eyes are the same pixels, the mouths are not.
    assert np.abs(a - b)[:, :30].mean() < 0.2 * np.abs(a - b)[:, 60:].mean()
    said: list[str] = []
    (again,) = generated(recipe, tmp_path, say=said.append)
    assert not said
    assert np.array_equal(again.faces[one.languages[1]], one.faces[one.languages[1]])


def test_manifest_gives_truth_in_every_language():
    manifest = resolve("demo")
    clip = manifest.clips[0]
    (one,) = from_manifest(manifest, clip_ids=[clip.id])
    assert one.languages[0] == clip.language
    assert set(one.languages) == {clip.language, *clip.truth}
    assert all(one.starts(tag) > 0 for tag in one.languages)


def test_command_trains_and_goes_on(tmp_path: Path, monkeypatch):
    expert = replace(DEMO[0], width=TINY, batch=2, held_out_batches=1)
    monkeypatch.setitem(SIZES, "demo", (expert, SMALL))
    monkeypatch.setattr(command, "from_manifest", lambda manifest: [*TALKS, *HELD_OUT])
    options = ["--manifest", "demo", "--every", "1", "--threads", "1", str(tmp_path)]
    first = CliRunner().invoke(command.main, ["--expert-steps", "1", "--steps", "1", *options], catch_exceptions=False)
    assert first.exit_code == 0
    assert "trained without the sync loss" in first.output
    assert "untouched video" in first.output
    second = CliRunner().invoke(command.main, ["--expert-steps", "1", "--steps", "2", *options], catch_exceptions=False)
    steps = [json.loads(line)["step"] for line in (tmp_path / "generator" / "log.jsonl").read_text().splitlines()]
    assert second.exit_code == 0
    assert steps == [1, 2]
    assert (tmp_path / "sample.png").is_file()
    assert load_checkpoint(tmp_path / "generator.pt").width == pytest.approx(8 / 512)
