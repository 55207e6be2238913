"""Articulation and everything else that moves."""

from __future__ import annotations

import numpy as np
import pytest

from lipbench.faces.morphable.visemes import CHANNELS
from lipbench.synthetic.corpus import articulation, motion
from lipbench.synthetic.speech import phones, prosody, script, timelines
from lipbench.synthetic.speech.phones import Phoneme, Unit
from lipbench.synthetic.speech.timelines import LANGUAGES

AT = {name: i for i, name in enumerate(CHANNELS)}


def spoken(language: str, pool: str = "all") -> list[tuple[list[Unit], np.ndarray]]:
    out = []
    for i in timelines.pool(pool):
        timeline = timelines.sentences()[i][language]
        units = phones.units(timeline.phonemes(0.2))
        out.append((units, articulation.track(units, int((timeline.duration_s + 0.5) * 25))))
    return out


def frame(unit: Unit, channels: np.ndarray) -> np.ndarray:
    out: np.ndarray = channels[min(int((unit.center_s - 0.01) * 25), len(channels) - 1)]
    return out


def test_every_sound_has_targets() -> None:
    assert set(articulation.TARGETS) == set(phones.VOWELS) | set(phones.CONSONANTS) | {""}


@pytest.mark.parametrize("language", LANGUAGES)
def test_lips_close_round_and_tuck_when_they_must(language: str) -> None:
    rounded, spread, open_ = [], [], []
    for units, channels in spoken(language):
        assert ((channels >= 0) & (channels <= 1)).all()
        for unit in units:
            now = frame(unit, channels)
            if unit.symbol in ("p", "b", "m"):
                assert now[AT["close"]] >= 0.95
            elif unit.symbol in ("f", "v"):
                assert now[AT["tuck"]] >= 0.95
            elif unit.symbol in ("u", "y", "o", "ø"):
                rounded.append(now[AT["round"]])
            elif unit.symbol in ("i", "e"):
                spread.append(now[AT["round"]])
            elif unit.symbol in ("a", "ɑ", "æ"):
                open_.append((now[AT["close"]], now[AT["jaw"]]))
    assert np.mean(rounded) > 0.55
    assert np.mean(spread) < 0.2
    close, jaw = np.mean(open_, axis=0)
    assert close < 0.15, "lips are apart in open vowels"
    assert jaw > 0.4


def test_rounding_spreads_to_the_consonant_before_but_closures_do_not_leak() -> None:
    def at(word: list[str]) -> np.ndarray:
        units = [Unit(s, 0.3 + 0.1 * k, 0.4 + 0.1 * k) for k, s in enumerate(word)]
        out: np.ndarray = articulation.sample(units, np.array([0.35]))[0]
        return out

    assert at(["s", "u"])[AT["round"]] > at(["s", "i"])[AT["round"]] + 0.15
    between = articulation.sample([Unit("m", 0.3, 0.4), Unit("a", 0.4, 0.55), Unit("m", 0.55, 0.65)], np.array([0.475]))
    assert between[0, AT["close"]] < 0.1


def test_the_mouth_rests_before_after_and_between() -> None:
    units = phones.units([Phoneme("a", 0.6, 0.9), Phoneme("", 0.9, 1.7), Phoneme("a", 1.7, 2.0)])
    channels = articulation.track(units, 70)
    for second in (0.1, 1.3, 2.6):
        assert channels[int(second * 25), AT["jaw"]] < 0.03
    assert channels[int(0.75 * 25), AT["jaw"]] > 0.5
    assert (articulation.track([], 10)[:, AT["jaw"]] == 0).all()


def test_effort_opens_the_mouth_but_never_a_closure() -> None:
    timeline = timelines.sentences()["s01"]["en"]
    units = phones.units(timeline.phonemes(0.2))
    low, high = (articulation.track(units, 90, effort=e) for e in (0.6, 1.3))
    assert high[:, AT["jaw"]].mean() > 1.7 * low[:, AT["jaw"]].mean()
    assert low[:, AT["close"]] == pytest.approx(high[:, AT["close"]])


def test_frames_are_means_over_the_shutter() -> None:
    units = [Unit("a", 0.4, 0.6)]
    fine = articulation.sample(units, (np.arange(100) + 0.5) / 100)
    assert articulation.track(units, 25) == pytest.approx(fine.reshape(25, 4, -1).mean(1))


@pytest.fixture(scope="module")
def drawn() -> list[motion.HeadMotion]:
    units = script.compose(30, "en", [], np.random.default_rng(0))["en"].units
    accents, pauses = prosody.accents(units), [p.end_s for p in prosody.phrases(units)]
    assert len(accents) > 25
    assert 5 < len(pauses) < 20
    manner = motion.Manner(yaw=(12.0, 5.0))
    return [motion.move(750, 25, manner, accents, pauses, np.random.default_rng(s)) for s in range(6)]


def test_motion_is_finite_and_reproducible(drawn: list[motion.HeadMotion]) -> None:
    for m in drawn:
        for values, width in ((m.angles, 3), (m.shift, 3), (m.gaze, 2), (m.lids, 0), (m.brows, 0), (m.mood, 0)):
            assert values.shape == ((750, width) if width else (750,))
            assert np.isfinite(values).all()
    again = motion.move(750, 25, motion.Manner(), [], [], np.random.default_rng(3))
    assert (again.angles == motion.move(750, 25, motion.Manner(), [], [], np.random.default_rng(3)).angles).all()


def test_head_turns_like_a_head(drawn: list[motion.HeadMotion]) -> None:
    yaw = np.concatenate([m.angles[:, 0] for m in drawn])
    assert yaw.mean() == pytest.approx(12, abs=3)
    assert 3 < yaw.std() < 8
    speed = np.abs(np.diff(drawn[0].angles, axis=0)) * 25
    assert np.quantile(speed, 0.99) < 60, "degrees per second"
    slow, fast = (motion.pink(2000, 25, np.random.default_rng(0), s) for s in (1.0, 2.5))
    assert np.abs(np.diff(fast)).mean() > 1.6 * np.abs(np.diff(slow)).mean()


def test_pink_motion_has_unit_spread_and_falls_with_frequency() -> None:
    x = np.stack([motion.pink(250, 25, np.random.default_rng(i)) for i in range(200)])
    assert x.std() == pytest.approx(1.0, abs=0.08)
    power = (np.abs(np.fft.rfft((x - x.mean(1, keepdims=True)) * np.hanning(250))) ** 2).mean(0)
    assert power[3] > 10 * power[10] > 10 * power[30]


def test_people_blink_every_few_seconds_for_a_fifth_of_a_second(drawn: list[motion.HeadMotion]) -> None:
    starts = [np.flatnonzero((m.lids[1:] > 0.5) & (m.lids[:-1] <= 0.5)) for m in drawn]
    per_minute = np.mean([len(s) for s in starts]) * 2
    assert 12 < per_minute < 30
    assert all(np.diff(s).min() >= 5 for s in starts)
    assert all(m.lids.max() > 0.85 for m in drawn)
    shut = np.mean([(m.lids > 0.3).mean() for m in drawn])
    assert shut < 0.12


def test_eyes_hold_the_camera_while_the_head_turns(drawn: list[motion.HeadMotion]) -> None:
    for m in drawn:
        seen = m.gaze[:, 0] + m.angles[:, 0] * 0.85
        assert np.median(np.abs(seen)) < 4.0
        assert np.abs(m.gaze[:, 0]).max() <= 26
        assert np.abs(m.gaze[:, 1]).max() <= 20
    jumps = np.abs(np.diff(drawn[0].gaze[:, 0]))
    assert jumps.max() > 4
    assert np.median(jumps) < 0.6, "saccades, not drift"


def test_heads_nod_on_accents() -> None:
    accents = [prosody.Accent(t, 1.0) for t in np.arange(1.0, 29.0, 1.7)]
    manner = motion.Manner(pitch=(0, 0.0), nod=2.0)
    pitch = np.mean(
        [motion.move(750, 25, manner, accents, [], np.random.default_rng(s)).angles[:, 1] for s in range(8)], axis=0
    )
    on = np.mean([pitch[int(a.time_s * 25) - 1] for a in accents])
    off = np.mean([pitch[int((a.time_s + 0.8) * 25)] for a in accents])
    assert on > off + 1.0
