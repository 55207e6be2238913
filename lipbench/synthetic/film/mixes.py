"""Mixes and masters of a generated film's sound: levels, layouts, edits, speeds, damage, with the truth of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy import signal

from lipbench.synthetic.film.bed import RATE

Layout = Literal["mono", "stereo", "5.1"]
Sound = NDArray[np.float32]


@dataclass(frozen=True)
class Span:
    """Film seconds [start, end) at which dub time = rate * film time + offset: what is true of a dub."""

    start: float
    end: float
    rate: float
    offset: float


def mix(music: Sound, speech: Sound, over_db: float, layout: Layout, reverb: float = 0.0) -> Sound:
    """(C, N): a (2, N) bed with (N,) speech that is `over_db` above the bed's RMS while it sounds.

    Args:
        reverb: share of the speech that comes from the sides, later.
    """
    gain = 10 ** (over_db / 20)
    if layout == "mono":
        y = (music.mean(axis=0) + gain * speech)[None]
    elif layout == "stereo":
        y = music + 0.707 * gain * speech
        if reverb:
            late = [reverb * np.roll(speech, round(s * RATE)) for s in (0.023, 0.035)]
            y = y + gain * np.stack(late)
    else:
        low = signal.lfilter(*signal.butter(2, 120, fs=RATE), music.mean(axis=0))
        center = gain * speech + 0.2 * music.mean(axis=0)
        back = [0.5 * np.roll(side, round(0.01 * RATE)) for side in music]
        y = np.stack([music[0], music[1], center, low, *back])
    return y.astype(np.float32)


def cut(
    y: Sound, parts: list[tuple[float, float, float]], rate: float, rng: np.random.Generator
) -> tuple[Sound, list[Span]]:
    """A dub edited out of film time: parts of (from, to, seconds of near-silence before it).

    Args:
        rate: at which the result will be played; for the truth alone.
    """
    out, truth, at = [], [], 0.0
    for start, end, gap in parts:
        silence = round(gap * RATE)
        out.append((3e-4 * rng.standard_normal((len(y), silence))).astype(np.float32))
        at += silence / RATE
        i, j = round(start * RATE), round(end * RATE)
        out.append(y[:, i:j])
        truth.append(Span(i / RATE, j / RATE, rate, (at - i / RATE) * rate))
        at += (j - i) / RATE
    return np.concatenate(out, axis=1), truth


def played(y: Sound, rate: float) -> Sound:
    """Played so that it lasts `rate` times as long; pitch moves along."""
    return np.stack([soxr.resample(row, RATE, RATE * rate) for row in y]).astype(np.float32)


def stretched(y: Sound, rate: float) -> Sound:
    """Made to last `rate` times as long at its own pitch, by overlapping and adding what is most alike (WSOLA).

    Pieces of 60 ms are placed where they belong to within 10 ms, so this is no more exact than that.
    """
    size, hop, slack = round(0.06 * RATE), round(0.03 * RATE), round(0.01 * RATE)
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    mono, n = y.mean(axis=0), round(y.shape[1] * rate)
    out = np.zeros((len(y), n + size), np.float32)
    following = 0
    for at in range(0, n, hop):
        wanted = round(at / rate)
        low, high = max(wanted - slack, 0), min(wanted + slack, y.shape[1] - size)
        if high <= low:
            break
        # Of the places around the wanted one, that which goes on best from the piece before.
        like = np.correlate(mono[low : high + size], mono[following : following + size], "valid") if at else [1.0]
        place = low + int(np.argmax(like)) if at else 0
        out[:, at : at + size] += y[:, place : place + size] * window
        following = min(place + hop, y.shape[1] - size)
    return out[:, :n]


def remastered(y: Sound) -> Sound:
    """Brighter, thinner and compressed."""
    thin = signal.lfilter(*signal.butter(1, 150, "high", fs=RATE), y, axis=1)
    bright = thin + 0.8 * signal.lfilter(*signal.butter(1, 3000, "high", fs=RATE), thin, axis=1)
    level = signal.lfilter([0.0005], [1, -0.9995], np.abs(bright).mean(axis=0)) + 1e-3 * np.abs(bright).max()
    return (bright / np.sqrt(level)).astype(np.float32)


def to_steps(y: Sound) -> NDArray[np.int16]:
    """(C, N) int16, the loudest sample at 0.8."""
    return np.rint(y / (np.abs(y).max() + 1e-9) * 0.8 * 32767).astype(np.int16)
