"""The recognizer of sounds: its classes, its alignment, its training, and what the packaged one hears."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lipbench.baselines.adnerf import audio
from lipbench.baselines.adnerf.phones import CEILING, CLASS_OF, CLASSES, WEIGHTS, PhoneNet, phone_rows
from lipbench.core import weights
from lipbench.core.errors import TooShort, UsageError, WeightsError
from lipbench.core.training import Budget, Request, train
from lipbench.synthetic.corpus.spec import ClipSpec, stream
from lipbench.synthetic.speech import script, sound
from lipbench.synthetic.speech.phones import BILABIAL, CONSONANTS, VOWELS, Unit
from lipbench.training import phones as phones_training
from lipbench.training.phones import PhoneConfig, PhoneTraining, labels


@pytest.fixture(scope="module")
def speech() -> Any:
    """One Italian line, a language that the packaged network was not trained on, by two people; what is said when."""
    spec = ClipSpec("x", 5, 990_000, "it", seconds=4.0, pool="test", takes=2)
    part = script.compose(4.0, "it", (), stream(5, "script"), pool="test")["it"]
    part, takes = sound.record(spec, part, True, None)
    return part, [take.audio for take in takes]


def test_every_sound_has_one_class() -> None:
    assert len(CLASSES) == audio.LETTERS
    assert set(CLASS_OF) == {*VOWELS, *CONSONANTS, ""}
    assert sum(len(group.split() or [""]) for group in CLASSES) == len(CLASS_OF)
    assert CLASS_OF[""] == 0
    shut = {CLASS_OF[s] for s in BILABIAL}
    assert not shut & {c for s, c in CLASS_OF.items() if s not in BILABIAL}  # shut lips look like nothing else
    both = {CLASS_OF[s] for s in VOWELS} & {CLASS_OF[s] for s in CONSONANTS}
    assert both == {CLASS_OF["ɹ"], CLASS_OF["y"]}  # r-colored vowels and the glide of /y/


def test_labels_are_those_of_the_middle_of_a_row() -> None:
    got = labels([Unit("p", 0.0, 0.035), Unit("a", 0.035, 0.1), Unit("", 0.1, 0.15), Unit("m", 0.15, 9.0)], 9)
    p, a, m = (CLASS_OF[s] for s in "pam")
    assert got.tolist() == [p, p, a, a, a, 0, 0, m, m]  # the second row's middle is at 30 ms
    assert labels([], 3).tolist() == [0, 0, 0]


def test_rows_follow_the_sound() -> None:
    torch.manual_seed(0)
    net = PhoneNet(16)
    noise = np.random.default_rng(0).normal(0, 3000, 32000).astype(np.int16)
    assert net.scores(noise[:16001]).shape == (51, 29)
    late = np.concatenate([noise[:1280] * 0, noise])  # 80 ms: four rows
    found, moved = net.scores(noise)[30:70], net.scores(late)
    alike = [float(np.corrcoef(found.ravel(), moved[30 + k : 70 + k].ravel())[0, 1]) for k in range(9)]
    assert int(np.argmax(alike)) == 4
    assert np.abs(net.rows((noise * 4.0).clip(-32768, 32767).astype(np.int16))).max() <= CEILING
    with pytest.raises(TooShort):
        net.scores(noise[:500])


def test_the_packaged_network_hears_what_is_said_whoever_says_it(speech: Any) -> None:
    part, takes = speech
    net = PhoneNet.from_file(weights.path(WEIGHTS))
    wanted = labels(part.units, 200)
    for take in takes:
        right = net.scores(take).argmax(1) == wanted
        assert right[wanted > 0].mean() > 0.6

    # Two people who say the same: alike in sounds, less so in bands.
    def alike(rows: Any) -> float:
        return float(np.corrcoef(rows(takes[0])[wanted > 0].ravel(), rows(takes[1])[wanted > 0].ravel())[0, 1])

    assert alike(phone_rows) > alike(audio.mel29)
    quiet = phone_rows((takes[0] * 0.3).astype(np.int16))
    assert np.corrcoef(quiet.ravel(), phone_rows(takes[0]).ravel())[0, 1] > 0.97


def test_phones_are_a_source_of_features(speech: Any) -> None:
    take = speech[1][0]
    made = audio.extract(take, 100, source="phones29")
    assert made.windows.shape == (100, 16, 29)
    np.testing.assert_array_equal(made.windows[40], phone_rows(take)[72:88])
    assert made.record == {"features": "phones29", "weights": {WEIGHTS: weights.sha256(WEIGHTS)}}
    with pytest.raises(UsageError, match="needs no file"):
        audio.extract(take, 100, source="phones29", file="x.npz")


def test_no_recognizer(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    with pytest.raises(WeightsError, match="recognizer"):
        PhoneNet.from_file(tmp_path / "x.npz")
    with pytest.raises(UsageError, match="manifest"):
        phones_training.trainer(Request(tmp_path, data="mine.yaml"))
    with pytest.raises(UsageError, match="wide"):
        phones_training.trainer(Request(tmp_path, config="official"))


SMALL = PhoneConfig(width=16, batch=2, rows=60, warm_up=2, seconds=2.0, takes=1)


@pytest.fixture(scope="module")
def corpus() -> Any:
    found = [phones_training._speech(k, 0, "train", SMALL, 0.0) for k in range(5)]
    return np.stack([s for s, _ in found]).astype(np.float16), np.stack([c for _, c in found]), "digest"


def test_a_training_that_was_cut_goes_on_exactly(corpus: Any, tmp_path: Path) -> None:
    assert corpus[0].shape == (5, 1, 40, 200)
    assert corpus[1].shape == (5, 100)

    def make() -> PhoneTraining:
        return PhoneTraining(SMALL, corpus, corpus)

    budget = Budget(steps=8, validate_every=4, report_every=4)
    train(make(), tmp_path / "whole", budget)
    cut = make()
    real_step = cut.step

    def step(number: int, progress: float) -> dict[str, float]:
        if number == 6:
            raise KeyboardInterrupt
        return real_step(number, progress)

    cut.step = step  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        train(cut, tmp_path / "cut", budget)
    train(make(), tmp_path / "cut", budget)
    a, b = (PhoneNet.from_file(tmp_path / name / "phones.npz").state_dict() for name in ("whole", "cut"))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert float(a["spread"].min()) > 0
    assert not torch.equal(a["mean"], torch.zeros(29))


def test_it_learns(corpus: Any, tmp_path: Path) -> None:
    training = PhoneTraining(SMALL, corpus, corpus)
    before = training.validate()
    for number in range(60):
        training.step(number, number / 60)
    after = training.validate()
    assert after["held_out_loss"] < before["held_out_loss"] - 0.5
    assert {"en_accuracy", "it_accuracy", "accuracy"} <= set(after)
