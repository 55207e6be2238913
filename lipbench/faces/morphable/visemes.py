"""Articulation channels -> the procedural head's 36 semantic expression weights. The one place where the two meet.

The channels say what the mouth wants; this says how the head does it, so that closed lips meet exactly: the opening
that the jaw and everything else make is known (expressions are linear), and `lipsTogether` takes away as much as is
wished, never more. Lips of a linear model pushed through each other would be a wrong truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.morphable.procedural import head_parts
from lipbench.faces.morphable.semantic import SEMANTIC

Array = NDArray[np.float64]

#: jaw opening, lip rounding, protrusion, spreading, upper lip raised, lower lip lowered, lips shut, lower lip under the
#: upper teeth, tongue tip up, tongue tip out; all 0 .. 1.
CHANNELS = ("jaw", "round", "protrude", "spread", "upper", "lower", "close", "tuck", "tongue_up", "tongue_out")
#: channel -> semantic weights at full strength. "L" and "R" stand for both halves.
TABLE: dict[str, dict[str, float]] = {
    "jaw": {"jawOpen": 0.80},
    "round": {"pucker": 0.95},
    "protrude": {"funnel": 0.75},
    "spread": {"stretchL": 0.70, "stretchR": 0.70},
    "upper": {"upRaiseL": 0.70, "upRaiseR": 0.70},
    "lower": {"loDepressL": 0.75, "loDepressR": 0.75},
    "tuck": {"tuck": 0.60},
    "tongue_up": {"tongueUp": 1.0},
    "tongue_out": {"tongueOut": 1.0},
    "close": {},  # handled by `seal`
}
_SPEECH = {name for row in TABLE.values() for name in row} | {"press", "lipsTogether", "part"}
#: Columns of the semantic expressions that speech decides: those of the table and what `weights` and `seal` set.
SPEECH_COLUMNS = [i for i, name in enumerate(SEMANTIC) if name in _SPEECH]
#: Lips that are not sealed stay this far apart (dm) while somebody speaks.
MIN_OPEN = 0.010
_S = {name: i for i, name in enumerate(SEMANTIC)}
_C = {name: i for i, name in enumerate(CHANNELS)}


@cache
def table() -> Array:
    """(10, 36) linear part of the mapping."""
    out = np.zeros((len(CHANNELS), len(SEMANTIC)))
    for channel, weights in TABLE.items():
        for name, value in weights.items():
            out[_C[channel], _S[name]] = value
    return out


@dataclass(frozen=True)
class Lips:
    """The line where the lips meet: pairs of vertices from the image's right to its left, corners left out.

    Attributes:
        upper: (K,) vertex indices.
        lower: (K,) vertex indices.
        opening: (36, K) dm by which each semantic shape parts each pair.
    """

    upper: NDArray[np.int64]
    lower: NDArray[np.int64]
    opening: Array

    @property
    def middle(self) -> slice:
        """The middle fifth of the pairs: where "the gap" is measured."""
        k = len(self.upper)
        return slice(k // 2 - k // 10, k // 2 + k // 10 + 1)


@cache
def lips() -> Lips:
    """Lip pairs of the procedural head."""
    parts = head_parts()
    return Lips(*parts.lip_pairs, parts.lip_opening)


def weights(channels: Array, *, effort: float = 1.0) -> Array:
    """Articulation (T, 10) -> semantic weights (T, 36) of the mouth.

    Args:
        effort: speaker's gain on everything that opens or shapes the mouth.

    Sealed lips (/p b m/) have a gap of zero in the middle of the mouth, unsealed ones one of at least `MIN_OPEN`.
    """
    sealed = closure(channels[:, _C["close"]])
    tucked = np.clip(channels[:, _C["tuck"]], 0, 1)
    shaped = channels * 1.0
    for name in ("upper", "lower"):
        shaped[:, _C[name]] *= 1 - sealed
    shaped[:, _C["lower"]] *= 1 - tucked
    gain = np.ones(len(CHANNELS))
    gain[[_C[c] for c in ("jaw", "round", "protrude", "spread", "upper", "lower")]] = effort
    out: Array = np.clip((shaped * gain) @ table(), 0.0, 1.0)
    # Full closures press: a little, so that the red narrows.
    out[:, _S["press"]] = 0.35 * np.clip((channels[:, _C["close"]] - 0.75) / 0.2, 0, 1) * (1 - tucked)
    return seal(out, sealed * (1 - tucked))


def closure(close: Array) -> Array:
    """Channel `close` -> share of the opening taken away: 0 below 0.15, 1 (lips meet) from 0.55, where rest is."""
    u = np.clip((close - 0.15) / 0.40, 0, 1)
    out: Array = u * u * (3 - 2 * u)
    return out


def seal(semantic: Array, sealed: Array) -> Array:
    """Bring the lips together by the share `sealed` (T,) of their opening; part them where they would cross.

    Returns:
        (T, 36) weights whose gap in the middle of the mouth is (1 - sealed) times max(opening, MIN_OPEN).
    """
    line = lips()
    opening = line.opening[:, line.middle].mean(1)
    gap = semantic @ opening
    excess = gap - (1 - sealed) * np.maximum(gap, MIN_OPEN)
    out = semantic.copy()
    out[:, _S["lipsTogether"]] += np.maximum(excess, 0) / -opening[_S["lipsTogether"]]
    out[:, _S["part"]] += np.maximum(-excess, 0) / opening[_S["part"]]
    return out
