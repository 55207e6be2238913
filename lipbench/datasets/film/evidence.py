"""How likely it is that witnesses agree by chance.

A witness is a sound that was heard by itself: a cell of `cells`, or where waveforms do not match a stretch of film
that overlaps no other. That many of them name one offset says little as long as it is not known how many named
another, and how near each other they had to be; the binomial law weighs both.
"""

from __future__ import annotations

from math import log, log10

from scipy.stats import binom

#: How likely a witness that knows nothing names an offset within the tolerance: sounds look 60 ms to either side and
#: must come within 0.3 ms; stretches that follow the pauses of the dialogue scatter by 40 ms and more, and must come
#: within 5.
SOUND_BY_CHANCE = 0.01
STRETCH_BY_CHANCE = 0.08

#: Powers of ten: an alignment is accepted when the chance of its evidence is below 1e-6; so much is asked of a piece.
ACCEPTED, PIECE = -6.0, -5.0

#: Seconds that one noise may last: sounds in as many parts of the film have to be heard, a shared jingle is one.
PLACE_S, PLACES = 10.0, 4


def log10_chance(agree: int, of: int, by_chance: float) -> float:
    """log10 of how likely at least `agree` of `of` witnesses name one offset though they know nothing; at most 0.

    Any of them may be the first one, which the others agree with.
    """
    if agree < 2 or of < agree:
        return 0.0
    tail = float(binom.logsf(agree - 2, of - 1, by_chance)) / log(10)
    return min(tail + log10(of), 0.0)


def places(moments: list[float]) -> int:
    """In how many parts of PLACE_S seconds moments lie."""
    return len({int(t // PLACE_S) for t in moments})
