"""The sample loop of the formant synthesiser."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.raster.kernel import kernel

RATE = 16000
CONTROL_RATE = 200
#: Columns of the control frames: Hz for f0, F1-F3 and noise, linear amplitudes, nasality 0 .. 1.
COLUMNS = ("f0", "F1", "F2", "F3", "voice", "aspiration", "frication", "noise_hz", "noise_width", "nasal")
_HOP = RATE // CONTROL_RATE
_BLOCK = 16  # filter coefficients are renewed every millisecond


@kernel
def _resonator(hz: float, width: float, coefficients: NDArray[np.float64]) -> None:
    """Klatt's digital resonator, unit gain at 0 Hz: y = a x + b y1 + c y2."""
    hz = min(hz, 7700.0)
    r = np.exp(-np.pi * width / RATE)
    c = -r * r
    b = 2.0 * r * np.cos(2.0 * np.pi * hz / RATE)
    coefficients[0] = 1.0 - b - c
    coefficients[1] = b
    coefficients[2] = c


@kernel
def render(
    frames: NDArray[np.float64],
    noise: NDArray[np.float32],
    cycles: NDArray[np.float32],
    n: int,
    tract: float,
    tilt_db: float,
    breath: float,
    open_quotient: float,
    jitter: float,
    width: float,
) -> NDArray[np.float32]:
    """Control frames (K, 10), two noises (2, n), one random number per glottal cycle -> (n,) float32 samples."""
    out = np.zeros(n, np.float32)
    coef = np.zeros((7, 3))  # F1..F5, nasal pole, nasal zero (run backwards)
    state = np.zeros((7, 2))
    band = np.zeros(3)
    band_state = np.zeros(2)
    bandwidths = np.array([60.0, 90.0, 140.0, 220.0, 320.0]) * width
    corner = 3000.0 / np.sqrt(10.0 ** (tilt_db / 10.0) - 1.0 + 1e-6)
    tilt_pole = np.exp(-2.0 * np.pi * corner / RATE)
    tilted = 0.0
    phase = 0.0
    cycle = 0
    stretch = 1.0
    previous_noise = 0.0
    previous_out = 0.0
    band_gain = 0.0
    f0 = voice = aspiration = frication = 0.0
    for i in range(n):
        if i % _BLOCK == 0:
            at = i / _HOP
            k = int(at)
            w = at - k
            f0 = frames[k, 0] * (1 - w) + frames[k + 1, 0] * w
            voice = frames[k, 4] * (1 - w) + frames[k + 1, 4] * w
            aspiration = frames[k, 5] * (1 - w) + frames[k + 1, 5] * w
            frication = frames[k, 6] * (1 - w) + frames[k + 1, 6] * w
            nasal = frames[k, 9] * (1 - w) + frames[k + 1, 9] * w
            for j in range(3):
                f = (frames[k, 1 + j] * (1 - w) + frames[k + 1, 1 + j] * w) * tract
                # Nasal coupling and glottal opening damp the first formant.
                extra = 1.0 + (1.2 * nasal if j == 0 else 0.6 * nasal)
                _resonator(f, bandwidths[j] * extra, coef[j])
            _resonator(3500.0 * tract, bandwidths[3], coef[3])
            _resonator(4500.0 * tract, bandwidths[4], coef[4])
            _resonator(270.0, 100.0, coef[5])
            _resonator(270.0 + 230.0 * nasal, 100.0 * (1 + 0.5 * nasal), coef[6])
            hz = min(frames[k, 7], 7500.0)
            wide = frames[k, 8]
            r = np.exp(-np.pi * wide / RATE)
            theta = 2.0 * np.pi * hz / RATE
            band[0] = (1.0 - r) * np.sqrt(1.0 - 2.0 * r * np.cos(2.0 * theta) + r * r)
            band[1] = 2.0 * r * np.cos(theta)
            band[2] = -r * r
            band_gain = np.sqrt(2000.0 / wide)
        # glottal flow derivative: 2u - 3u^2 while open, 0 while closed
        phase += f0 * stretch / RATE
        if phase >= 1.0:
            phase -= 1.0
            cycle += 1
            stretch = 1.0 + jitter * cycles[cycle % len(cycles)]
        source = 0.0
        open_now = phase < open_quotient
        if open_now:
            u = phase / open_quotient
            source = 2.0 * u - 3.0 * u * u
        tilted = (1.0 - tilt_pole) * source + tilt_pole * tilted
        white = noise[0, i]
        air = aspiration * 0.10 * white
        if voice > 0.0:
            air += voice * breath * 0.25 * white * (1.0 if open_now else 0.35)
        x = voice * tilted + air
        # nasal zero: the inverse of a resonator
        zero = (x - coef[6, 1] * state[6, 0] - coef[6, 2] * state[6, 1]) / coef[6, 0]
        state[6, 1] = state[6, 0]
        state[6, 0] = x
        x = zero
        for j in range(5, -1, -1):
            y = coef[j, 0] * x + coef[j, 1] * state[j, 0] + coef[j, 2] * state[j, 1]
            state[j, 1] = state[j, 0]
            state[j, 0] = y
            x = y
        hiss = noise[1, i]
        edge = hiss - 0.9 * previous_noise
        previous_noise = hiss
        strength = frication * (0.5 + 0.5 * (1.0 if open_now else 0.0) if voice > 0.1 else 1.0)
        y = band[0] * edge * band_gain + band[1] * band_state[0] + band[2] * band_state[1]
        band_state[1] = band_state[0]
        band_state[0] = y
        # Radiation is in the source's derivative; this lifts the upper formants to where speakers have them.
        bright = x - 0.75 * previous_out
        previous_out = x
        out[i] = 2.0 * bright + 0.30 * strength * y
    return out
