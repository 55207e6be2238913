"""Wav2Lip's trainings: expert, generator, one after the other, resume."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lipbench.baselines.wav2lip.checkpoint import load as load_checkpoint
from lipbench.baselines.wav2lip.checkpoint import read_info, save_npz
from lipbench.baselines.wav2lip.networks import SyncExpert, Wav2LipGenerator
from lipbench.core import registry
from lipbench.core.errors import UsageError
from lipbench.core.training import Budget, Request, train
from lipbench.training.wav2lip import data, trainer
from lipbench.training.wav2lip.audio_pretraining import AudioPretraining
from lipbench.training.wav2lip.config import CONFIGS, GeneratorConfig, Wav2LipConfig
from lipbench.training.wav2lip.expert import ExpertTraining
from lipbench.training.wav2lip.generator import WEIGHTS, GeneratorTraining
from tests.training.wav2lip_clips import HELD_OUT, TALKS, TINY

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


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


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
    assert training.image().shape == (4 * 48, 10 * 96, 3)


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
    assert training.image().shape == (3 * 96, 10 * 96, 3)


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
