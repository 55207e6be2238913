"""A formant synthesiser after Klatt (1980): timed IPA sounds -> 16 kHz speech, with scipy-free numba inside.

A glottal pulse (KLGLOTT88) and aspiration noise run through a cascade of five formants and a nasal pole-zero pair;
frication noise has a branch of its own. It is intelligible, clearly a machine, and needs no data but the tables: the
packaged corpus uses it, and nothing presents it as natural speech.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lipbench.synthetic.speech import formant_tables as tables
from lipbench.synthetic.speech import phones, prosody
from lipbench.synthetic.speech.formant_kernel import COLUMNS, CONTROL_RATE, RATE, render
from lipbench.synthetic.speech.phones import Phoneme, Unit
from lipbench.synthetic.speech.voices import Voice

#: Voiceless stops before a vowel are aspirated in these languages.
ASPIRATED = frozenset(("en", "de"))
_C = {name: i for i, name in enumerate(COLUMNS)}


def synthesize(
    phonemes: Sequence[Phoneme],
    duration_s: float,
    voice: Voice,
    *,
    language: str = "en",
    questions: Sequence[float] = (),
    seed: int | Sequence[int] = 0,
) -> NDArray[np.int16]:
    """Speak a timeline.

    Args:
        phonemes: timed IPA; gaps between them are silence.
        duration_s: of the result.
        voice: who speaks.
        language: decides on aspiration.
        questions: times (s) at which an interrogative sentence ends.
        seed: of melody, jitter and noise.

    Returns:
        (round(duration_s * 16000),) int16, peaks at about -3 dBFS.
    """
    rng = np.random.default_rng(seed)
    n = round(duration_s * RATE)
    spoken = phones.units(list(phonemes))
    frames = controls(spoken, n, voice, language=language, questions=questions, rng=rng)
    noise = rng.standard_normal((2, n)).astype(np.float32)
    cycles = rng.standard_normal(n // 20 + 2).astype(np.float32)
    wave = render(
        frames,
        noise,
        cycles,
        n,
        voice.tract,
        voice.tilt_db,
        voice.breath,
        voice.open_quotient,
        voice.jitter,
        voice.width,
    )
    peak = float(np.abs(wave).max(initial=0.0))
    if peak > 0:
        wave *= 0.7 / peak
    return (wave * 32767.0).round().astype(np.int16)


def controls(
    units: Sequence[Unit],
    n_samples: int,
    voice: Voice,
    *,
    language: str,
    questions: Sequence[float],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Synthesis parameters every 5 ms: (n_samples / 80 + 2, 10), columns as COLUMNS."""
    n = n_samples // (RATE // CONTROL_RATE) + 2
    times = np.arange(n) / CONTROL_RATE
    out = np.zeros((n, len(COLUMNS)))
    out[:, _C["noise_hz"]], out[:, _C["noise_width"]] = 3000.0, 2000.0
    _formants(out, units, times)
    _levels(out, units, voice, language)
    out[:, _C["f0"]] = prosody.contour(units, times, voice.pitch_hz, span=voice.span, questions=questions, rng=rng)
    if voice.creak > 0:
        _creak(out, units, voice, questions)
    return out


def _span(unit: Unit, n: int, start: float = 0.0, end: float = 1.0) -> slice:
    """Frames of a share [start, end] of a unit, at least one."""
    length = unit.end_s - unit.start_s
    a = round((unit.start_s + start * length) * CONTROL_RATE)
    b = max(a + 1, round((unit.start_s + end * length) * CONTROL_RATE))
    return slice(min(max(a, 0), n), min(max(b, 0), n))


def _target(units: Sequence[Unit], i: int) -> NDArray[np.float64]:
    unit = units[i]
    if unit.is_vowel:
        return np.array(tables.VOWEL_FORMANTS[unit.symbol])
    spectrum = tables.CONSONANTS[unit.symbol]
    own = np.array(spectrum.formants)
    near = [
        tables.VOWEL_FORMANTS[units[j].symbol]
        for j in (i + 1, i - 1, i + 2, i - 2)
        if 0 <= j < len(units) and units[j].is_vowel
    ][:2]
    if not near:
        return own
    vowel = np.mean(near, axis=0)
    bent: NDArray[np.float64] = vowel + spectrum.pull * (own - vowel)
    if spectrum.pull > 0:  # the mouth is narrow: F1 is the consonant's own
        bent[0] = own[0]
    return bent


def _formants(out: NDArray[np.float64], units: Sequence[Unit], times: NDArray[np.float64]) -> None:
    n = len(times)
    track = np.full((n, 3), np.nan)
    nasal = np.zeros(n)
    sounding = [i for i, u in enumerate(units) if u.symbol]
    for i in sounding:
        span = _span(units[i], n)
        track[span] = _target(units, i)
        symbol = units[i].symbol
        if units[i].nasal or (symbol in phones.CONSONANTS and phones.CONSONANTS[symbol].manner == "nasal"):
            nasal[span] = 0.8 if units[i].nasal else 1.0
    for k, rest in enumerate((500.0, 1500.0, 2500.0)):
        column = track[:, k]
        known = np.isfinite(column)
        column = np.interp(np.arange(n), np.flatnonzero(known), column[known]) if known.any() else np.full(n, rest)
        out[:, _C[f"F{k + 1}"]] = _smooth(column, 0.055)
    out[:, _C["nasal"]] = _smooth(nasal, 0.035)


def _levels(out: NDArray[np.float64], units: Sequence[Unit], voice: Voice, language: str) -> None:
    n = len(out)
    voiced, aspiration, frication = np.zeros(n), np.zeros(n), np.zeros(n)
    for i, unit in enumerate(units):
        if not unit.symbol:
            continue
        span = _span(unit, n)
        if unit.is_vowel:
            voiced[span] = 0.85 + 0.20 * unit.stress
            continue
        kind, spectrum = phones.CONSONANTS[unit.symbol], tables.CONSONANTS[unit.symbol]
        follows_vowel = i + 1 < len(units) and units[i + 1].is_vowel
        if spectrum.noise_hz:
            out[span, _C["noise_hz"]], out[span, _C["noise_width"]] = spectrum.noise_hz, spectrum.noise_width_hz
        if kind.manner == "stop":
            share = float(np.clip(0.045 / max(unit.end_s - unit.start_s, 1e-3), 0.25, 0.5))
            release = _span(unit, n, 1.0 - share, 1.0)
            voiced[span.start : release.start] = spectrum.voice
            frication[release.start : release.start + 2] = spectrum.noise * 1.5
            frication[release.start + 2 : release.stop] = spectrum.noise * (0.35 if not kind.voiced else 0.1)
            if kind.voiced:
                voiced[release] = 0.5 if follows_vowel else 0.15
            else:
                strong = language in ASPIRATED and follows_vowel
                aspiration[release] = 0.8 if strong else 0.2
                if strong:
                    after = slice(release.stop, min(release.stop + 4, n))
                    aspiration[after] = 0.6
        elif unit.symbol == "h":
            aspiration[span] = 0.8
        else:
            voiced[span] = spectrum.voice
            frication[span] = spectrum.noise
            if unit.symbol in ("r", "ʀ"):  # a trill: the tongue tip beats at about 26 Hz
                t = np.arange(span.stop - span.start) / CONTROL_RATE
                voiced[span] *= 0.55 + 0.45 * np.cos(2 * np.pi * 26 * t)
    strong_h = aspiration > 0.5
    voiced[strong_h] *= 0.15  # voicing starts after the aspiration
    out[:, _C["voice"]] = _smooth(voiced, 0.025)
    out[:, _C["aspiration"]] = _smooth(aspiration, 0.015)
    out[:, _C["frication"]] = _smooth(frication, 0.010)


def _creak(out: NDArray[np.float64], units: Sequence[Unit], voice: Voice, questions: Sequence[float]) -> None:
    times = np.arange(len(out)) / CONTROL_RATE
    for phrase in prosody.phrases(units, questions):
        if not phrase.question:
            u = np.clip((times - (phrase.end_s - 0.25)) / 0.25, 0, 1) * (times <= phrase.end_s)
            out[:, _C["f0"]] *= 1.0 - 0.35 * voice.creak * u**1.5


def _smooth(values: NDArray[np.float64], width_s: float) -> NDArray[np.float64]:
    k = max(1, round(width_s * CONTROL_RATE)) | 1
    window = np.hanning(k + 2)[1:-1]
    out: NDArray[np.float64] = np.convolve(np.pad(values, k // 2, "edge"), window / window.sum(), "valid")
    return out
