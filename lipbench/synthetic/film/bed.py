"""Music and effects of a generated film: scenes with music, with effects, with a room's tone, with next to nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import signal

RATE = 16000

_DEGREES = (0, 2, 3, 5, 7, 8, 10, 12, 15, 19, 24)
#: Loudness of the room's tone in each kind of scene; music is some 0.5.
_ROOM = {"music": 0.03, "effects": 0.05, "room": 0.08, "still": 0.004}


def bed(seconds: float, rng: np.random.Generator, loop_s: float | None = None) -> NDArray[np.float32]:
    """Music and effects, (2, N) at 16 kHz, RMS 1 over all.

    Args:
        seconds: length.
        loop_s: one bar of music that long, over and over, instead of scenes.
    """
    n = round(seconds * RATE)
    out = np.zeros((2, n), np.float32)
    t = 0.0
    while t < seconds:
        length = seconds if loop_s else float(rng.uniform(12, 40))
        kind = "music" if loop_s else str(rng.choice(["music", "music", "effects", "effects", "room", "still"]))
        end = min(t + length, seconds)
        if kind == "music":
            _music(out, t, end, rng, loop_s)
        if kind in ("music", "effects"):
            _effects(out, t, end, rng, 0.9 if kind == "effects" else 0.2)
        i, j = round(t * RATE), round(end * RATE)
        both = pink(j - i, rng)
        for side in out:
            side[i:j] += _ROOM[kind] * (0.7 * both + 0.7 * pink(j - i, rng))
        t += length
    return out / np.sqrt(np.mean(np.square(out)))


def pink(n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(n,) noise of a room, RMS 1."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    spectrum /= np.sqrt(np.maximum(np.fft.rfftfreq(n, 1 / RATE), 40))
    y = np.fft.irfft(spectrum, n)
    return (y / (y.std() + 1e-12)).astype(np.float32)


def _put(out: NDArray[np.float32], x: NDArray[np.float32], at: float, pan: float, gain: float) -> None:
    a = round(at * RATE)
    m = min(len(x), out.shape[1] - a)
    if m > 0 and a >= 0:
        out[0, a : a + m] += gain * np.cos(pan) * x[:m]
        out[1, a : a + m] += gain * np.sin(pan) * x[:m]


def _note(hz: float, seconds: float, rng: np.random.Generator, pad: bool) -> NDArray[np.float32]:
    t = np.arange(round(seconds * RATE), dtype=np.float32) / RATE
    if pad:
        envelope = np.sin(np.pi * np.clip(t / seconds, 0, 1)) ** 0.7
        parts = ((1, 1), (2, 0.4), (3, 0.2), (4.01, 0.1))
    else:
        envelope = np.exp(-t * rng.uniform(2, 5)) * np.clip(t / 0.004, 0, 1)
        parts = ((1, 1), (2, 0.6), (3, 0.3), (5, 0.15))
    tones = sum(a * np.sin(2 * np.pi * hz * k * t + rng.uniform(0, 6)) for k, a in parts)
    return (envelope * tones).astype(np.float32)


def _music(out: NDArray[np.float32], start: float, end: float, rng: np.random.Generator, loop_s: float | None) -> None:
    beat, root = rng.uniform(0.35, 0.8), rng.uniform(90, 180)
    span = loop_s or end - start
    notes, t = [], 0.0
    while t < span:
        x = _note(root * 2 ** (rng.choice(_DEGREES) / 12), rng.uniform(0.5, 2.5), rng, bool(rng.random() < 0.3))
        notes.append((t + rng.normal(0, 0.01), x, rng.uniform(0.2, 1.37), rng.uniform(0.2, 0.7)))
        t += beat * rng.choice([0.5, 1, 1, 2])
    drums = rng.random() < 0.6
    length = round(0.08 * RATE)
    hit = (rng.standard_normal(length) * np.exp(-np.arange(length) / RATE * 60)).astype(np.float32)
    at = start
    while at < end:
        for offset, x, pan, gain in notes:
            if at + offset < end:
                _put(out, x[: round((end - at - offset) * RATE)], at + offset, pan, gain)
        for k in range(int(span / beat)) if drums else ():
            if at + k * beat < end:
                _put(out, hit, at + k * beat, 0.8, 0.5)
        at += span


def _effects(out: NDArray[np.float32], start: float, end: float, rng: np.random.Generator, a_second: float) -> None:
    """Steps, doors, cloth, passing cars, bells."""
    for _ in range(int((end - start) * a_second)):
        what = rng.random()
        if what < 0.6:
            n = round(rng.uniform(0.03, 0.15) * RATE)
            x: NDArray[np.floating] = rng.standard_normal(n) * np.exp(-np.arange(n) / RATE * 30)
            x = signal.lfilter(*signal.butter(2, rng.uniform(300, 4000), fs=RATE), x)
        elif what < 0.85:
            n = round(rng.uniform(0.5, 2.5) * RATE)
            x = 0.3 * rng.standard_normal(n) * np.hanning(n)
            x = signal.lfilter(*signal.butter(2, [200, rng.uniform(800, 5000)], "band", fs=RATE), x)
        else:
            x = _note(rng.uniform(150, 900), rng.uniform(0.2, 0.8), rng, False)
        _put(out, x.astype(np.float32), rng.uniform(start, end), rng.uniform(0.1, 1.47), rng.uniform(0.5, 2))
