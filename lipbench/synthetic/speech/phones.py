"""IPA: what a phoneme string is made of, and where each sound is made.

One table for all languages. Viseme alphabets in use (OpenXR's 15, MPEG-4's 15) are drawn for English and fold French
and German /y ø œ/ into /i e/; place, height, backness and rounding do not.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Literal

from lipbench.datasets.annotations import Phoneme

Manner = Literal["stop", "nasal", "fricative", "approximant", "tap"]
Place = Literal[
    "bilabial", "labiodental", "dental", "alveolar", "postalveolar", "palatal", "velar", "uvular", "glottal"
]

#: vowel -> (height 0 close .. 1 open, backness 0 front .. 1 back, lip rounding 0 .. 1): the IPA vowel chart.
VOWELS: dict[str, tuple[float, float, float]] = {
    "i": (0.00, 0.00, 0.0),
    "y": (0.00, 0.00, 1.0),
    "ɪ": (0.20, 0.15, 0.0),
    "ʏ": (0.20, 0.15, 1.0),
    "e": (0.35, 0.00, 0.0),
    "ø": (0.35, 0.00, 1.0),
    "ɛ": (0.60, 0.05, 0.0),
    "œ": (0.60, 0.05, 1.0),
    "æ": (0.85, 0.10, 0.0),
    "a": (1.00, 0.30, 0.0),
    "ɑ": (1.00, 1.00, 0.0),
    "ɒ": (1.00, 1.00, 0.6),
    "ɔ": (0.65, 1.00, 0.8),
    "o": (0.35, 1.00, 1.0),
    "ʊ": (0.20, 0.85, 0.9),
    "u": (0.00, 1.00, 1.0),
    "ɯ": (0.00, 1.00, 0.0),
    "ɨ": (0.00, 0.50, 0.0),
    "ᵻ": (0.15, 0.40, 0.0),
    "ʉ": (0.00, 0.50, 1.0),
    "ə": (0.45, 0.50, 0.0),
    "ɐ": (0.75, 0.50, 0.0),
    "ɜ": (0.55, 0.50, 0.0),
    "ɚ": (0.40, 0.50, 0.25),
    "ɝ": (0.50, 0.50, 0.25),
    "ʌ": (0.70, 0.70, 0.0),
    "ɵ": (0.40, 0.50, 0.7),
    "ɤ": (0.40, 1.00, 0.0),
}


@dataclass(frozen=True)
class Consonant:
    """Place and manner of articulation and whether the vocal folds swing."""

    place: Place
    manner: Manner
    voiced: bool


def _consonants() -> dict[str, Consonant]:
    rows: list[tuple[str, Place, Manner]] = [
        ("p b", "bilabial", "stop"),
        ("t d", "alveolar", "stop"),
        ("k ɡ", "velar", "stop"),
        ("c ɟ", "palatal", "stop"),
        ("q ɢ", "uvular", "stop"),
        ("ʔ _", "glottal", "stop"),
        ("_ m", "bilabial", "nasal"),
        ("_ ɱ", "labiodental", "nasal"),
        ("_ n", "alveolar", "nasal"),
        ("_ ɲ", "palatal", "nasal"),
        ("_ ŋ", "velar", "nasal"),
        ("ɸ β", "bilabial", "fricative"),
        ("f v", "labiodental", "fricative"),
        ("θ ð", "dental", "fricative"),
        ("s z", "alveolar", "fricative"),
        ("ʃ ʒ", "postalveolar", "fricative"),
        ("ɕ ʑ", "postalveolar", "fricative"),
        ("ʂ ʐ", "postalveolar", "fricative"),
        ("ç ʝ", "palatal", "fricative"),
        ("x ɣ", "velar", "fricative"),
        ("χ ʁ", "uvular", "fricative"),
        ("h ɦ", "glottal", "fricative"),
        ("ɬ _", "alveolar", "fricative"),
        ("_ ʋ", "labiodental", "approximant"),
        ("_ l", "alveolar", "approximant"),
        ("_ ɹ", "postalveolar", "approximant"),
        ("_ ɻ", "postalveolar", "approximant"),
        ("_ ʎ", "palatal", "approximant"),
        ("_ j", "palatal", "approximant"),
        ("ʍ w", "bilabial", "approximant"),
        ("_ ɥ", "palatal", "approximant"),
        ("_ ɾ", "alveolar", "tap"),
        ("_ r", "alveolar", "tap"),
        ("_ ʀ", "uvular", "tap"),
    ]
    table = {}
    for symbols, place, manner in rows:
        for symbol, voiced in zip(symbols.split(), (False, True), strict=True):
            if symbol != "_":
                table[symbol] = Consonant(place, manner, voiced)
    return table


CONSONANTS = _consonants()
BILABIAL = frozenset("pbm")
_NASAL, _LONG, _STRESS = "\u0303", "ː", {"ˈ": 1.0, "ˌ": 0.5}


@dataclass(frozen=True)
class Unit:
    """One sound: a phoneme without its marks; diphthongs and affricates have two.

    Attributes:
        symbol: a key of VOWELS or CONSONANTS, "" for a pause.
        start_s: seconds.
        end_s: seconds.
        stress: 0, 0.5 (secondary) or 1, on vowels.
        nasal: nasalised vowel.
    """

    symbol: str
    start_s: float
    end_s: float
    stress: float = 0.0
    nasal: bool = False

    @property
    def is_vowel(self) -> bool:
        return self.symbol in VOWELS

    @property
    def center_s(self) -> float:
        return 0.5 * (self.start_s + self.end_s)


def symbols(ipa: str) -> list[str]:
    """The known sounds of a phoneme string, in order; marks and unknown characters are dropped."""
    if ipa.startswith("("):
        # A language-switch marker such as "(en)", which would otherwise read as /e/ + /n/.
        return []
    plain = unicodedata.normalize("NFD", ipa.replace("ç", "\ue000")).replace("g", "ɡ")
    return [s for c in plain if (s := "ç" if c == "\ue000" else c) in VOWELS or s in CONSONANTS]


def units(phonemes: list[Phoneme] | tuple[Phoneme, ...]) -> list[Unit]:
    """Timed phonemes -> timed sounds.

    Within a phoneme a diphthong's first vowel takes 55 %, an affricate's stop half, a vowel with a glide or an
    r-colored tail 70 %; everything is inside the phoneme's own interval.
    """
    out: list[Unit] = []
    for phoneme in phonemes:
        found = symbols(phoneme.ipa)
        if not found:
            out.append(Unit("", phoneme.start_s, phoneme.end_s))
            continue
        stress = max((_STRESS.get(c, 0.0) for c in phoneme.ipa), default=0.0)
        nasal = _NASAL in unicodedata.normalize("NFD", phoneme.ipa)
        weights = _shares(found)
        at = phoneme.start_s
        for symbol, weight in zip(found, weights, strict=True):
            end = at + phoneme.duration_s * weight
            vowel = symbol in VOWELS
            out.append(Unit(symbol, at, end, stress if vowel else 0.0, nasal and vowel))
            at = end
    return out


def _shares(found: list[str]) -> list[float]:
    if len(found) == 1:
        return [1.0]
    first_vowel = found[0] in VOWELS
    if len(found) == 2:
        first = (0.55 if found[1] in VOWELS else 0.7) if first_vowel else 0.5
        return [first, 1.0 - first]
    return [1.0 / len(found)] * len(found)
