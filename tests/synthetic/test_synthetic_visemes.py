"""Channels -> the head's expressions: lips meet exactly, never pass through each other."""

from __future__ import annotations

import numpy as np
import pytest

from lipbench.faces.morphable import visemes
from lipbench.faces.morphable.procedural import head_parts
from lipbench.faces.morphable.semantic import SEMANTIC
from lipbench.synthetic.corpus import articulation, motion
from lipbench.synthetic.speech import phones, timelines
from lipbench.synthetic.speech.timelines import LANGUAGES

S = {name: i for i, name in enumerate(SEMANTIC)}


def gaps(weights: np.ndarray) -> np.ndarray:
    """(T, pairs) mm between the lips."""
    out: np.ndarray = 100 * weights @ visemes.lips().opening
    return out


def test_table_names_exist() -> None:
    assert visemes.table().shape == (10, 36)
    assert set(visemes.TABLE) == set(visemes.CHANNELS)


def test_lip_pairs_lie_above_each_other() -> None:
    pairs = visemes.lips()
    points = head_parts().points
    assert points[pairs.upper, 0] == pytest.approx(points[pairs.lower, 0], abs=1e-6)
    assert gaps(np.zeros((1, 36)))[0] == pytest.approx(0)


@pytest.mark.parametrize("language", LANGUAGES)
def test_lips_meet_on_bilabials_and_open_on_vowels(language: str) -> None:
    closed, open_, rounded, crossing = [], [], [], []
    for sentence in timelines.sentences().values():
        units = phones.units(sentence[language].phonemes(0.2))
        channels = articulation.track(units, int((sentence[language].duration_s + 0.5) * 25))
        line = gaps(visemes.weights(channels))
        middle = line[:, visemes.lips().middle].mean(1)
        crossing.append(line[channels[:, visemes.CHANNELS.index("tuck")] < 0.2].min())
        for unit in units:
            now = middle[min(int((unit.center_s - 0.01) * 25), len(middle) - 1)]
            if unit.symbol in ("p", "b", "m"):
                closed.append(now)
            elif unit.symbol in ("a", "ɑ", "æ"):
                open_.append(now)
            elif unit.symbol in ("u", "w", "y"):
                rounded.append(now)
    assert len(closed) > 80
    assert np.max(np.abs(closed)) < 0.15, "mm: /p b m/ shut the lips on every frame they are on"
    assert np.mean(open_) > 6.0
    assert 0.5 < np.mean(rounded) < 4.0
    assert min(crossing) > -0.5, "mm: nothing pushes one lip through the other"


def test_seal_takes_away_what_the_jaw_opened() -> None:
    weights = np.zeros((3, 36))
    weights[:, S["jawOpen"]] = 0.3
    open_ = gaps(weights)[0, 15]
    for share in (0.0, 0.5, 1.0):
        sealed = visemes.seal(weights, np.full(3, share))
        middle = gaps(sealed)[:, visemes.lips().middle].mean(1)
        assert middle == pytest.approx((1 - share) * open_, rel=0.02, abs=1e-6)


def test_rest_is_closed_and_effort_opens() -> None:
    rest = np.zeros((1, 10))
    rest[0, visemes.CHANNELS.index("close")] = 0.55
    assert gaps(visemes.weights(rest))[0].max() == pytest.approx(0, abs=0.05)
    vowel = articulation.TARGETS["a"][0][None]
    assert gaps(visemes.weights(vowel, effort=1.3)).max() > 1.2 * gaps(visemes.weights(vowel)).max()


def test_layers_leave_the_closure_shut() -> None:
    rest = np.zeros((50, 10))
    rest[:, visemes.CHANNELS.index("close")] = 1.0
    moved = motion.move(50, 25, motion.Manner(), [], [], np.random.default_rng(0))
    weights = motion.add_layers(visemes.weights(rest), moved, {"smileL": 0.3, "smileR": 0.3, "squintL": 0.1})
    assert (weights >= 0).all()
    assert gaps(weights).max() < 0.05
    # The whole mood is there, in time with its own slow changes; nothing of it is lost to the closed lips.
    assert np.allclose(weights[:, S["smileL"]], 0.3 * moved.mood)
    assert moved.mood.max() > 0.4
    assert (weights[:, S["blinkL"]] == moved.lids).all()
