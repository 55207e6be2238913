"""What is said in a generated film, in any of the packaged languages, laid into the same places as dubs are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipbench.synthetic.film.bed import RATE
from lipbench.synthetic.speech.formant import synthesize
from lipbench.synthetic.speech.timelines import place, pool, sentences
from lipbench.synthetic.speech.voices import voice

#: How much a dubbed line begins earlier or later than the original one, s (standard deviation).
JITTER_S = 0.06


@dataclass(frozen=True)
class Line:
    """A place in the film where something is said: second, sentence, and which of two people says it."""

    start: float
    sentence: str
    who: int


def lines(seconds: float, rng: np.random.Generator, density: float = 0.6) -> list[Line]:
    """Where something is said: lines follow each other, with longer pauses in between.

    Args:
        density: share of lines that are not followed by a longer pause.
    """
    ids, t, out = pool("all"), 3.0, []
    while t < seconds - 8:
        out.append(Line(t, str(rng.choice(ids)), int(rng.integers(2))))
        t += rng.uniform(2.5, 5.0) + (rng.uniform(4, 14) if rng.random() > density else 0)
    return out


def speak(
    said: list[Line], language: str, seconds: float, voices: tuple[str, str], rng: np.random.Generator
) -> NDArray[np.float32]:
    """(N,) dialogue at 16 kHz, RMS 1 while somebody speaks.

    A line is recorded once and used wherever it is said again, which is harder on an aligner than speech is.
    """
    out = np.zeros(round(seconds * RATE), np.float32)
    takes: dict[tuple[str, int], NDArray[np.float32]] = {}
    for line in said:
        key = line.sentence, line.who
        if key not in takes:
            timeline = sentences()[line.sentence][language]
            seed = int(rng.integers(1 << 31))
            x = synthesize(
                place(timeline.words, 0.0), timeline.duration_s, voice(voices[line.who]), language=language, seed=seed
            ).astype(np.float32)
            takes[key] = x / (np.sqrt(np.mean(np.square(x))) + 1e-9)
        x = takes[key]
        at = max(round((line.start + rng.normal(0, JITTER_S)) * RATE), 0)
        out[at : at + len(x)] += x[: max(len(out) - at, 0)]
    return out
