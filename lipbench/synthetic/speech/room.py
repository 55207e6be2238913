"""What lies between mouth and file: a room, a background noise, a microphone, a level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve, lfilter

RATE = 16000
NOISES = ("white", "pink", "brown", "hum", "street")
NoiseKind = Literal["white", "pink", "brown", "hum", "street"]


@dataclass(frozen=True)
class Acoustics:
    """How a recording sounds.

    Attributes:
        rt60_s: reverberation time, 0 for none.
        direct_db: level of the direct sound over the reverberation.
        noise: kind of background noise.
        snr_db: speech over noise, over the whole clip; None for no noise.
        low_cut_hz: the microphone's band.
        high_cut_hz: the microphone's band.
        level_db: of the speech's loudest 50 ms, dBFS.
    """

    rt60_s: float = 0.0
    direct_db: float = 10.0
    noise: NoiseKind = "pink"
    snr_db: float | None = None
    low_cut_hz: float = 60.0
    high_cut_hz: float = 7800.0
    level_db: float = -12.0


STUDIO = Acoustics(rt60_s=0.12, direct_db=16.0, snr_db=48.0)


def random_acoustics(rng: np.random.Generator, *, snr_db: tuple[float, float] = (15.0, 50.0)) -> Acoustics:
    """Anything from a studio to a noisy hall."""
    return Acoustics(
        rt60_s=float(rng.choice([0.0, rng.uniform(0.1, 0.35), rng.uniform(0.3, 0.7)], p=[0.25, 0.5, 0.25])),
        direct_db=float(rng.uniform(2, 16)),
        noise=NOISES[int(rng.integers(len(NOISES)))],  # type: ignore[arg-type]
        snr_db=float(rng.uniform(*snr_db)),
        low_cut_hz=float(rng.uniform(40, 180)),
        high_cut_hz=float(rng.uniform(3800, 7900)),
        level_db=float(rng.uniform(-26, -6)),
    )


def record(speech: NDArray[np.int16], acoustics: Acoustics, seed: int | Sequence[int] = 0) -> NDArray[np.int16]:
    """The speech as recorded there: same length, never clipped.

    Args:
        speech: (N,) int16 at 16 kHz.
        seed: of the room's reflections and the noise.
    """
    rng = np.random.default_rng(seed)
    x = speech.astype(np.float64) / 32768.0
    if acoustics.rt60_s > 0:
        x = reverberate(x, acoustics.rt60_s, acoustics.direct_db, rng)
    x = _band(x, acoustics.low_cut_hz, acoustics.high_cut_hz)
    x *= 10.0 ** (acoustics.level_db / 20.0) / (_loudness(x) + 1e-12)
    if acoustics.snr_db is not None and x.any():
        noise = background(len(x), acoustics.noise, rng)
        power = float((x**2).mean()) / (float((noise**2).mean()) + 1e-20)
        x = x + noise * np.sqrt(power) * 10.0 ** (-acoustics.snr_db / 20.0)
    peak = float(np.abs(x).max(initial=0.0))
    if peak > 0.98:
        x *= 0.98 / peak
    return (x * 32767.0).round().astype(np.int16)


def reverberate(
    x: NDArray[np.float64], rt60_s: float, direct_db: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Convolve with a random room: a few early reflections, then noise that decays by 60 dB in `rt60_s`."""
    n = max(2, round(min(rt60_s, 1.5) * RATE))
    t = np.arange(n) / RATE
    tail = rng.standard_normal(n) * 10.0 ** (-3.0 * t / rt60_s)
    tail = lfilter([0.55], [1, -0.45], tail)  # walls take the treble
    tail[: round(0.004 * RATE)] = 0.0
    for _ in range(6):
        tail[int(rng.uniform(0.004, min(0.04, 0.9 * n / RATE)) * RATE)] += rng.choice([-1, 1]) * rng.uniform(0.5, 2.0)
    tail *= 10.0 ** (-direct_db / 20.0) / (np.sqrt((tail**2).sum()) + 1e-12)
    tail[0] = 1.0
    out: NDArray[np.float64] = fftconvolve(x, tail)[: len(x)]
    return out


def background(n: int, kind: NoiseKind, rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise of one kind, (n,), unit RMS."""
    white = rng.standard_normal(n)
    if kind == "white":
        out = white
    elif kind == "hum":
        t = np.arange(n) / RATE
        mains = float(rng.choice([50.0, 60.0]))
        tones = [np.sin(2 * np.pi * (k * mains * t + rng.uniform())) / k for k in (1, 2, 3, 5, 8)]
        out = np.sum(tones, axis=0) + 0.3 * _colored(white, 1.0)
    elif kind == "street":
        knots = np.arange(0, n + RATE, RATE // 2)
        slow = np.interp(np.arange(n), knots, rng.uniform(0.3, 1.0, len(knots)))
        out = _colored(white, 1.4) * slow
    else:
        out = _colored(white, 1.0 if kind == "pink" else 2.0)
    rms: NDArray[np.float64] = out / (np.sqrt((out**2).mean()) + 1e-12)
    return rms


def _colored(white: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    """Noise with a power spectrum of 1 / f^exponent above 30 Hz."""
    spectrum = np.fft.rfft(white)
    hz = np.fft.rfftfreq(len(white), 1 / RATE)
    spectrum *= np.where(hz > 30.0, np.maximum(hz, 30.0) ** (-exponent / 2), 0.0)
    out: NDArray[np.float64] = np.fft.irfft(spectrum, len(white))
    return out


def _band(x: NDArray[np.float64], low_hz: float, high_hz: float) -> NDArray[np.float64]:
    a = np.exp(-2 * np.pi * low_hz / RATE)
    x = lfilter([(1 + a) / 2, -(1 + a) / 2], [1, -a], x)
    if high_hz < 7500:
        b = np.exp(-2 * np.pi * high_hz / RATE)
        x = lfilter([1 - b], [1, -b], x)
    out: NDArray[np.float64] = x
    return out


def _loudness(x: NDArray[np.float64]) -> float:
    """RMS of the loudest 50 ms."""
    n = RATE // 20
    if len(x) < n:
        return float(np.sqrt((x**2).mean())) if len(x) else 0.0
    blocks = x[: len(x) // n * n].reshape(-1, n)
    return float(np.sqrt((blocks**2).mean(1)).max())
