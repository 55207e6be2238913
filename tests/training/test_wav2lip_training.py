"""Wav2Lip's trainer: batches, losses, schedule, resume."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lipbench.baselines.wav2lip.checkpoint import load as load_checkpoint
from lipbench.baselines.wav2lip.checkpoint import read_info, save_npz
from lipbench.baselines.wav2lip.mel import melspectrogram, window_starts
from lipbench.baselines.wav2lip.networks import SyncExpert, Wav2LipGenerator
from lipbench.core import registry
from lipbench.core.errors import UsageError
from lipbench.core.training import Budget, Request, train
from lipbench.datasets.manifest import resolve
from lipbench.training.wav2lip import clips, data, trainer
from lipbench.training.wav2lip.audio_pretraining import AudioPretraining
from lipbench.training.wav2lip.config import CONFIGS, ExpertConfig, GeneratorConfig, Wav2LipConfig
from lipbench.training.wav2lip.expert import ExpertTraining
from lipbench.training.wav2lip.generator import WEIGHTS, GeneratorTraining
from lipbench.training.wav2lip.losses import SyncSchedule, agreement, contrast, contrast_loss, reconstruction, windows
from lipbench.training.wav2lip.sources import LipDatasetConfig, from_manifest, generated

TINY = 1 / 64


def talk(name: str, seed: int = 0, n: int = 30) -> clips.LipTrainingClip:
    """Frames whose gray level tells their number, in two languages, and noise to hear."""
    rng = np.random.default_rng(seed)
    frames = np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None, None], (n, 96, 96, 3)).copy()
    sound = melspectrogram((rng.standard_normal(n * 640) * 3000).astype(np.int16))[None].astype(np.float32)
    return clips.LipTrainingClip(
        name, name, 25.0, {"en": frames, "fr": frames + 100}, {"en": sound, "fr": sound[:, ::-1].copy()}
    )


TALKS, HELD_OUT = [talk("a"), talk("b", 1)], [talk("c", 2)]
SMALL = replace(
    CONFIGS["demo"].generator,
    width=TINY,
    batch=1,
    frames=6,
    singles=2,
    hearing=0,
    held_out_batches=1,
    sync_threshold=0.75,
)
EXPERT = replace(CONFIGS["demo"].expert, width=TINY, batch=2, windows=4, wrong=2, hearing=1, held_out_batches=1)
BOTH = Wav2LipConfig(EXPERT, replace(SMALL, sync_threshold=float("inf"), hearing=1), expert_share=0.5, good_enough=0.0)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def plain(monkeypatch):
    """Batches without random light, blur and mirror."""
    for name in ("_lit", "_flipped", "_softened"):
        monkeypatch.setattr(data, name, lambda faces, rng: faces)


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


# -- what is drawn ----------------------------------------------------------------------------------------------------


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


# -- losses -----------------------------------------------------------------------------------------------------------


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


# -- networks ---------------------------------------------------------------------------------------------------------


def test_a_gated_generator_begins_at_its_reference():
    torch.manual_seed(0)
    net = Wav2LipGenerator(TINY, gated=True).eval()
    face = torch.rand(2, 6, 96, 96)
    out = net(torch.randn(2, 1, 80, 16), face)
    assert out.shape == (2, 3, 96, 96)
    assert (out - face[:, 3:]).abs().mean() < 0.25 * (out - face[:, :3]).abs().mean()


def test_gate_and_width_are_read_off_the_weights(tmp_path: Path):
    net = Wav2LipGenerator(0.125, gated=True)
    again = load_checkpoint(save_npz(net, tmp_path / "g.npz", {"seed": 3}))
    assert (again.width, again.gated) == (0.125, True)
    assert read_info(tmp_path / "g.npz") == {"seed": 3}
    for key, value in net.state_dict().items():
        assert torch.allclose(again.state_dict()[key].float(), value.float(), atol=1e-3)
    plainly = load_checkpoint(save_npz(Wav2LipGenerator(0.125), tmp_path / "p.npz"))
    assert not plainly.gated


# -- training ---------------------------------------------------------------------------------------------------------


def listening(config: GeneratorConfig = SMALL) -> GeneratorTraining:
    training = GeneratorTraining(TALKS, HELD_OUT, config)
    torch.manual_seed(9)
    training.hear(SyncExpert(TINY), 10.0)
    return training


def test_expert_is_frozen_and_in_eval_mode():
    training = listening(replace(SMALL, sync_threshold=float("inf")))
    assert training.expert is not None
    before = {k: v.clone() for k, v in training.expert.state_dict().items()}
    losses = training.step(1, 0.0)
    assert "sync" in losses
    assert not training.expert.training
    assert same(before, training.expert.state_dict())


def test_the_published_losses_train_too():
    published = replace(CONFIGS["official"].generator, width=TINY, batch=2, held_out_batches=1, quality_weight=0.07)
    training = listening(replace(published, sync_threshold=float("inf")))
    assert training.critic is not None
    before = training.critic.binary_pred[0].weight.clone()
    losses = training.step(0, 0.0)
    assert {"l1", "sync", "quality", "critic"} <= losses.keys()
    assert not torch.equal(before, training.critic.binary_pred[0].weight)
    training.load_state_dict(training.state_dict())
    expert = ExpertTraining(TALKS, HELD_OUT, replace(CONFIGS["official"].expert, width=TINY, batch=4))
    assert np.isfinite(expert.step(0, 0.0)["loss"])


def test_generator_learns_to_draw_its_talks():
    batch = data.lip_batch(TALKS, 6, 0, 0, frames=1, paired=1.0)
    training = GeneratorTraining(TALKS, TALKS, replace(SMALL, lr=1e-2, warm_up=1))
    training._singles = lambda number, beside: batch  # the same frames again and again
    losses = [training.step(k, 0.0)["l1"] for k in range(30)]
    assert losses[-1] < 0.6 * losses[0]


def test_a_head_start_tells_mouths_apart():
    one = TALKS[0]
    # Two languages whose mouths differ and that sound differently: the difference is there to be learnt.
    heard = {"en": np.full_like(one.sounds["en"], -3.0), "fr": np.full_like(one.sounds["en"], 3.0)}
    talks = [replace(one, sounds=heard)]
    torch.manual_seed(0)
    net = SyncExpert(TINY)
    start = AudioPretraining(net.audio_encoder, talks, faces=net.face_encoder, lr=1e-2, batch=4)
    losses = [start.step(k) for k in range(30)]
    for name in ("hearing", "seeing"):
        # Of one batch of four the loss jumps about; of ten steps it does not.
        assert np.mean([loss[name] for loss in losses[-10:]]) < 0.5 * np.mean([loss[name] for loss in losses[:3]])
    assert start.validate(talks).keys() == {"hearing", "seeing"}
    again = AudioPretraining(net.audio_encoder, talks, faces=net.face_encoder, lr=1e-2, batch=4)
    again.load_state_dict(start.state_dict())
    assert torch.equal(again.heads[0].weight, start.heads[0].weight)


def test_expert_step_and_validation():
    training = ExpertTraining(TALKS, HELD_OUT, EXPERT)
    before = training.net.face_encoder[0].conv_block[0].weight.clone()
    assert np.isfinite(list(training.step(0, 0.0).values())).all()
    assert not torch.equal(before, training.net.face_encoder[0].conv_block[0].weight)
    found = training.validate()
    assert 0 <= found["expert_right"] <= 1
    assert not training.net.training
    assert training.picture().shape == (4 * 48, 10 * 96, 3)


def both(folder: Path | None = None, config: Wav2LipConfig = BOTH) -> trainer.Wav2LipTraining:
    return trainer.Wav2LipTraining(config, TALKS, HELD_OUT, beside=folder)


def test_expert_first_then_the_generator(tmp_path: Path):
    training = both()
    end = train(training, tmp_path, Budget(steps=6, validate_every=2))
    assert end.step == 6
    assert training.began == 3
    assert training.generator.schedule.on
    net = load_checkpoint(tmp_path / WEIGHTS)
    assert net.gated
    assert read_info(tmp_path / WEIGHTS)["config"]["generator"]["gated"]
    assert training.picture().shape == (3 * 96, 10 * 96, 3)


@pytest.mark.parametrize("cut", [2, 4])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path, cut: int):
    whole, budget = both(), Budget(steps=6, validate_every=2)
    train(whole, tmp_path / "whole", budget)
    first = both()
    for k in range(cut):  # as a killed run leaves it: the last checkpoint, not the end
        torch.manual_seed(k)
        first.step(k, k / 6)
    again = both()
    again.load_state_dict(first.state_dict())
    for k in range(cut, 6):
        again.step(k, k / 6)
    assert same(whole.generator.net.state_dict(), again.generator.net.state_dict())


def test_an_expert_trained_beside_joins_when_it_is_there(tmp_path: Path):
    config = replace(BOTH, good_enough=0.0)
    training = both(tmp_path / "expert", config)
    assert training.step(0, 0.0).keys() == {"hearing"}
    assert "sync" not in training.validate()
    train(ExpertTraining(TALKS, HELD_OUT, EXPERT), tmp_path / "expert", Budget(steps=2))
    assert training.validate()["sync_weight"] == SMALL.sync_weight
    assert "sync" in training.step(1, 0.1)
    again = both(tmp_path / "expert", config)
    again.load_state_dict(training.state_dict())
    assert again.generator.schedule.on
    assert again.generator.scale == training.generator.scale


def test_an_expert_that_has_learnt_nothing_does_not_join(tmp_path: Path):
    training = both(config=replace(BOTH, good_enough=1.01))
    train(training, tmp_path, Budget(steps=4, validate_every=2))
    assert training.began == 2
    assert training.generator.expert is None


# -- data -------------------------------------------------------------------------------------------------------------


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


def test_trainers_are_known(tmp_path: Path, monkeypatch):
    assert registry.sources("trainers")["wav2lip"].endswith("trainer:trainer")
    monkeypatch.setattr(trainer, "_talks", lambda request, cache: (TALKS, HELD_OUT))
    monkeypatch.setitem(CONFIGS, "demo", BOTH)
    assert trainer.trainer(Request(tmp_path)).beside is None
    (tmp_path / "expert").mkdir()
    assert trainer.trainer(Request(tmp_path)).beside == tmp_path / "expert"
    assert trainer.expert_trainer(Request(tmp_path / "expert")).config == EXPERT
    with pytest.raises(UsageError):
        trainer.trainer(Request(tmp_path, config="large"))
