"""Melody of speech: where the accents are, and the pitch contour that carries them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipbench.synthetic.speech.phones import Unit

#: A silence this long (s) ends a phrase: pitch is reset after it.
PHRASE_GAP_S = 0.10


@dataclass(frozen=True)
class Accent:
    """A stressed syllable.

    Attributes:
        time_s: middle of its vowel.
        strength: 0.5 (secondary stress) .. 1, less for very short vowels.
    """

    time_s: float
    strength: float


@dataclass(frozen=True)
class Phrase:
    """Speech between two pauses; `question` phrases end high."""

    start_s: float
    end_s: float
    question: bool = False


def accents(units: Sequence[Unit]) -> list[Accent]:
    """The stressed vowels, a diphthong counted once."""
    out: list[Accent] = []
    for unit in units:
        if unit.is_vowel and unit.stress > 0:
            if out and unit.start_s - out[-1].time_s < 0.09:
                continue
            out.append(Accent(unit.center_s, unit.stress * float(np.clip((unit.end_s - unit.start_s) / 0.08, 0.5, 1))))
    return out


def phrases(units: Sequence[Unit], questions: Sequence[float] = ()) -> list[Phrase]:
    """Stretches of speech between pauses; `questions` are times (s) at which an interrogative sentence ends."""
    out: list[Phrase] = []
    for unit in units:
        if not unit.symbol:
            continue
        if out and unit.start_s - out[-1].end_s < PHRASE_GAP_S:
            out[-1] = Phrase(out[-1].start_s, unit.end_s)
        else:
            out.append(Phrase(unit.start_s, unit.end_s))
    return [Phrase(p.start_s, p.end_s, any(abs(q - p.end_s) < 0.15 for q in questions)) for p in out]


def contour(
    units: Sequence[Unit],
    times_s: NDArray[np.float64],
    base_hz: float,
    *,
    span: float = 1.0,
    questions: Sequence[float] = (),
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Fundamental frequency (Hz) at given times, after Fujisaki's split into a phrase part and accents, in semitones.

    Args:
        base_hz: the speaker's mean pitch.
        span: 0 is monotonous, 1 lively, 1.6 excited.
        questions: see `phrases`.
        rng: draws the size of each accent and the slow wander.
    """
    semitones = np.zeros_like(times_s)
    for phrase in phrases(units, questions):
        u = (times_s - phrase.start_s) / max(phrase.end_s - phrase.start_s, 1e-3)
        inside = (u >= 0) & (u <= 1)
        fall = 2.2 - 5.0 * u
        end = np.clip((times_s - (phrase.end_s - 0.35)) / 0.35, 0, 1) ** 2
        fall = fall + end * (9.0 if phrase.question else -2.5)
        semitones = np.where(inside, fall, semitones)
    for accent in accents(units):
        size = accent.strength * rng.uniform(1.6, 4.2)
        width = rng.uniform(0.07, 0.11)
        semitones += size * np.exp(-0.5 * ((times_s - accent.time_s + 0.01) / width) ** 2)
    # Vocal folds wander slowly even on a held tone.
    for hz in (0.7, 1.9, 4.3):
        semitones += 0.35 / np.sqrt(hz) * np.sin(2 * np.pi * (hz * times_s + rng.uniform()))
    # Pitch never jumps: 40 ms smoothing.
    step = float(times_s[1] - times_s[0]) if len(times_s) > 1 else 0.005
    k = max(1, round(0.04 / step)) | 1
    window = np.hanning(k + 2)[1:-1]
    semitones = np.convolve(np.pad(semitones, k // 2, "edge"), window / window.sum(), "valid")
    return base_hz * 2.0 ** (span * semitones / 12.0)
