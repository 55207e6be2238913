"""Phonemes -> what jaw, lips and tongue do: ten channels, blended by dominance functions.

Cohen and Massaro (1993), "Modeling coarticulation in synthetic visual speech": every sound has a target and a dominance
D(t) = a exp(-theta tau) per channel, tau being the time outside its hold, and a channel is sum(D T) / sum(D). Sounds
that need an articulator (lips for /p b m f v/) have a large `a` there; what they do not care about has a small one, so
that rounding spreads over the consonants around a rounded vowel.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.morphable.visemes import CHANNELS
from lipbench.synthetic.speech.phones import BILABIAL, CONSONANTS, VOWELS, Unit

N_CHANNELS = len(CHANNELS)
_AT = {name: i for i, name in enumerate(CHANNELS)}
_SEAL = (_AT["close"], _AT["tuck"])
LEAD_S = 0.01  # how much the mouth is ahead of the sound it prepares
RATE = 100  # evaluations per second before the shutter average

#: Consonants by what they ask of the lips, jaw and tongue; channels that are not named are free.
_CONSONANT_TARGETS: dict[str, dict[str, float]] = {
    "p b m": {"close": 1.0, "jaw": 0.06, "upper": 0.0, "lower": 0.0},
    "f v ɱ": {"tuck": 1.0, "jaw": 0.08, "upper": 0.55, "lower": 0.0},
    "ʋ": {"tuck": 0.6, "jaw": 0.12, "upper": 0.3},
    "ɸ β": {"close": 0.72, "jaw": 0.12},
    "θ ð": {"jaw": 0.14, "tongue_out": 0.9, "upper": 0.25, "lower": 0.22},
    "t d n": {"jaw": 0.10, "tongue_up": 1.0, "lower": 0.15},
    "l ɾ r ɬ": {"jaw": 0.15, "tongue_up": 0.9, "lower": 0.15},
    "s z": {"jaw": 0.03, "spread": 0.40, "lower": 0.30, "upper": 0.35},
    "ʃ ʒ ɕ ʑ ʂ ʐ": {"jaw": 0.06, "protrude": 0.80, "round": 0.30, "upper": 0.40, "lower": 0.36},
    "ɹ ɻ": {"jaw": 0.12, "round": 0.38, "protrude": 0.35},
    "w ʍ": {"jaw": 0.08, "round": 0.95, "protrude": 0.45},
    "ɥ": {"jaw": 0.08, "round": 0.90, "protrude": 0.45},
    "j ʎ ɲ ʝ ç c ɟ": {"jaw": 0.12, "spread": 0.30},
    "k ɡ ŋ x ɣ q ɢ χ ʁ ʀ": {"jaw": 0.17},
    "h ɦ ʔ": {},
}
_FREE = {"jaw": 0.30, "round": 0.10, "protrude": 0.10, "spread": 0.10, "upper": 0.30, "lower": 0.30}
_VOWEL_DOMINANCE = {
    "jaw": 1.0,
    "round": 0.9,
    "protrude": 0.8,
    "spread": 0.9,
    "upper": 0.8,
    "lower": 0.8,
    "close": 1.2,
    "tuck": 1.2,
    "tongue_up": 0.4,
    "tongue_out": 0.5,
}


def _vector(values: Mapping[str, float], default: float = 0.0) -> NDArray[np.float64]:
    out = np.full(N_CHANNELS, default)
    for name, value in values.items():
        out[_AT[name]] = value
    return out


def _vowel(height: float, back: float, rounded: float) -> NDArray[np.float64]:
    """Targets of a vowel from its place on the chart (height 0 close .. 1 open)."""
    spread = (1 - rounded) * (1 - back) * (1 - height)
    return _vector(
        {
            "jaw": 0.10 + 0.62 * height,
            "round": 0.95 * rounded * (1 - 0.50 * height),
            "protrude": rounded * (0.30 + 0.25 * (1 - back)),
            "spread": 0.85 * spread,
            "upper": 0.28 * height + 0.30 * spread + 0.10 * rounded * height,
            "lower": 0.24 * height + 0.22 * spread + 0.22 * rounded * height,
            "tongue_up": 0.25 * (1 - height) * (1 - back),
        }
    )


def _consonant(symbol: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    wants = next(v for k, v in _CONSONANT_TARGETS.items() if symbol in k.split())
    dominance = {**_FREE, "close": 1.0, "tuck": 1.0, "tongue_up": 0.4, "tongue_out": 0.6}
    dominance.update(dict.fromkeys(wants, 1.3))
    if "close" in wants or "tuck" in wants:
        dominance.update(close=3.0, tuck=3.0, jaw=1.0, upper=2.0, lower=2.0)
    elif wants.get("round", 0.0) > 0.8:
        dominance.update(round=2.5, protrude=2.0)
    return _vector(wants), _vector(dominance, 0.3)


#: symbol -> (targets (10,), dominance (10,))
TARGETS: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {
    **{symbol: (_vowel(*place), _vector(_VOWEL_DOMINANCE)) for symbol, place in VOWELS.items()},
    **{symbol: _consonant(symbol) for symbol in CONSONANTS},
    # Silence: the mouth comes to rest, lips lightly together.
    "": (_vector({"close": 0.55}), np.full(N_CHANNELS, 1.1)),
}


def track(
    units: Sequence[Unit], n_frames: int, fps: float = 25.0, *, effort: float = 1.0, lead_s: float = LEAD_S
) -> NDArray[np.float64]:
    """Articulation of every video frame.

    Args:
        units: timed sounds.
        n_frames: of the video; frame i is the mean over [i / fps, (i + 1) / fps), as a shutter takes it.
        fps: see `n_frames`.
        effort: 0.6 mumbles, 1.3 over-articulates; scales what is open, round or spread, never what must close.
        lead_s: how much the mouth is ahead of the sound it prepares.

    Returns:
        (n_frames, 10) float64 in [0, 1], columns as CHANNELS.
    """
    sub = max(1, round(RATE / fps))
    times = np.asarray((np.arange(n_frames * sub) + 0.5) / (fps * sub), np.float64)
    fine = sample(units, times, effort=effort, lead_s=lead_s)
    out = fine.reshape(n_frames, sub, N_CHANNELS).mean(1)
    return _hold_closures(out, units, fps, lead_s)


def sample(
    units: Sequence[Unit], times_s: NDArray[np.float64], *, effort: float = 1.0, lead_s: float = LEAD_S
) -> NDArray[np.float64]:
    """Articulation at given times, (len(times_s), 10), without the shutter average."""
    spoken = _with_rest(units, float(times_s[-1]) + 1.0 if len(times_s) else 1.0)
    targets = np.stack([TARGETS[u.symbol][0] for u in spoken])
    dominance = np.stack([TARGETS[u.symbol][1] for u in spoken])
    strength = np.array([_strength(u) for u in spoken])
    scaled = [_AT[c] for c in ("jaw", "round", "protrude", "spread", "upper", "lower")]
    targets[:, scaled] = np.clip(targets[:, scaled] * (effort * strength)[:, None], 0.0, 1.0)

    center = np.array([u.center_s for u in spoken]) - lead_s
    length = np.array([u.end_s - u.start_s for u in spoken])
    hold = 0.30 * length
    theta = 1.0 / np.clip(0.38 * length, 0.014, 0.070)
    tau = np.maximum(np.abs(times_s[:, None] - center) - hold, 0.0)
    out = np.empty((len(times_s), N_CHANNELS))
    # Lips part from a closure about twice as fast as jaw and rounding move.
    for columns, speed in ((list(_SEAL), 2.0), ([i for i in range(N_CHANNELS) if i not in _SEAL], 1.0)):
        weight = np.exp(-np.minimum(tau * theta * speed, 60.0))
        d = dominance[:, columns]
        out[:, columns] = (weight @ (d * targets[:, columns])) / (weight @ d + 1e-12)
    return out


def _strength(unit: Unit) -> float:
    """Stressed vowels are spoken with more effort, unstressed ones reduced."""
    if not unit.is_vowel:
        return 1.0
    return 0.86 + 0.24 * unit.stress


def _with_rest(units: Sequence[Unit], end_s: float) -> list[Unit]:
    """The sounds with silence before, between and after them; long silences as several short ones at their edges."""
    out: list[Unit] = []
    at = -1.0
    for unit in [*units, Unit("", end_s, end_s)]:
        if unit.start_s - at > 0.03:
            out.extend(_rest(at, unit.start_s))
        if not unit.symbol:
            out.extend(_rest(unit.start_s, unit.end_s))
        else:
            out.append(unit)
        at = unit.end_s
    return out or [Unit("", 0.0, end_s)]


def _rest(start_s: float, end_s: float) -> list[Unit]:
    # The hold of a silence must span it: steps of 0.2 s, the first starting once the sound has died away.
    n = max(1, round((end_s - start_s) / 0.2))
    edges = np.linspace(start_s, end_s, n + 1)
    return [Unit("", float(a), float(b)) for a, b in itertools.pairwise(edges) if b > a]


def _hold_closures(
    channels: NDArray[np.float64], units: Sequence[Unit], fps: float, lead_s: float
) -> NDArray[np.float64]:
    """Every /p b m/ closes the lips, every /f v/ tucks the lip on the frame nearest to its middle.

    A closure lasts 50-90 ms, one or two frames, and the shutter average would leave some of them half open.
    """
    out = channels.copy()
    close, tuck, spoil = _AT["close"], _AT["tuck"], [_AT[c] for c in ("upper", "lower")]
    for unit in units:
        channel = close if unit.symbol in BILABIAL else tuck if unit.symbol in "fv" and unit.symbol else None
        if channel is None:
            continue
        frame = int((unit.center_s - lead_s) * fps)
        if 0 <= frame < len(out):
            out[frame, channel] = max(out[frame, channel], 0.95)
            if channel == close:
                out[frame, [*spoil, tuck]] = np.minimum(out[frame, [*spoil, tuck]], 0.05)
            else:
                out[frame, close] = min(out[frame, close], 0.1)
    return out
