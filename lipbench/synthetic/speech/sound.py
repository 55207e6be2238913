"""The sound of a clip in one language: voices, rooms, takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import LipbenchError
from lipbench.synthetic.corpus.spec import ClipSpec, stream
from lipbench.synthetic.speech import espeak, room
from lipbench.synthetic.speech.espeak import RATE, Espeak, SpokenText
from lipbench.synthetic.speech.formant import synthesize
from lipbench.synthetic.speech.phones import Phoneme
from lipbench.synthetic.speech.script import ScriptLine, ScriptPart, with_phonemes
from lipbench.synthetic.speech.voices import random_voice

_TRIES = 5


@dataclass(frozen=True)
class Take:
    """One recording.

    Attributes:
        audio: (duration * 16000,) int16.
        voice: who speaks.
        clean: as a dubbing studio delivers.
    """

    audio: NDArray[np.int16]
    voice: str
    clean: bool


def record(spec: ClipSpec, part: ScriptPart, female: bool, engine: Espeak | None) -> tuple[ScriptPart, list[Take]]:
    """Speak a part of the script `spec.takes` times.

    Args:
        female: the voice that goes with the face; further takes are by anybody.
        engine: the espeak-ng process when `spec.voices` is "espeak".

    Returns:
        The part with the phoneme times that are heard (espeak-ng has its own), and the takes, all on those times.
    """
    dubbed = part.language != spec.source
    # The same person speaks in all of their clips; every dub has an actor of its own.
    owner = (spec.seed, "actor", part.language) if dubbed else (0, "speaker", spec.identity)
    if engine is not None:
        part = _spoken_by_espeak(spec, part, female, owner, engine)
    takes = []
    for k in range(max(1, spec.takes)):
        rng = stream(*owner) if k == 0 else stream(spec.seed, "take", part.language, k)
        woman = female if k == 0 else bool(rng.integers(2))
        dry, name = _dry(spec, part, woman, k, rng, engine)
        clean = k == 0 and spec.studio
        acoustics = room.STUDIO if clean else room.random_acoustics(stream(spec.seed, "room", part.language, k))
        seed = int(stream(spec.seed, "noise", part.language, k).integers(1 << 62))
        takes.append(Take(room.record(dry, acoustics, seed), name, clean))
    return part, takes


def _dry(
    spec: ClipSpec, part: ScriptPart, female: bool, take: int, rng: np.random.Generator, engine: Espeak | None
) -> tuple[NDArray[np.int16], str]:
    n = round(spec.duration_s * RATE)
    if engine is not None and (take == 0 or rng.uniform() < 0.7):
        variants = _variants(female)
        for _ in range(_TRIES):
            variant = variants[int(rng.integers(len(variants)))]
            pitch = float(rng.uniform(30, 70))
            audio = _espeak_audio(part, variant, pitch, n, engine)
            if audio is not None:
                return audio, f"espeak-ng {variant}"
        # Every voice tried says other phonemes here (variants differ a little): a formant voice keeps the times.
    voice = random_voice(rng, female)
    seed = int(stream(spec.seed, "voice", part.language, take).integers(1 << 62))
    audio = synthesize(
        part.phonemes, spec.duration_s, voice, language=part.language, questions=part.questions, seed=seed
    )
    return audio, f"formant {voice.id}"


def _variants(female: bool) -> list[str]:
    return [v for v in espeak.VARIANTS if (v in espeak.FEMALE_VARIANTS) == female]


# ---- espeak-ng on the script's times -------------------------------------------------------------------------


def _spoken_by_espeak(
    spec: ClipSpec, part: ScriptPart, female: bool, owner: tuple[int | str, ...], engine: Espeak
) -> ScriptPart:
    """The part with the phonemes and times of the espeak-ng voice that takes the lead."""
    rng = stream(int(owner[0]), *owner[1:])
    variants = _variants(female)
    variant = variants[int(rng.integers(len(variants)))]
    return ScriptPart(part.language, tuple(_line(line, part.language, variant, engine) for line in part.lines))


def _line(line: ScriptLine, language: str, variant: str, engine: Espeak) -> ScriptLine:
    wish = line.end_s - line.start_s
    rate = 165.0
    trimmed: tuple[Phoneme, ...] = ()
    for _ in range(3):
        speech = engine.say(line.text, language, variant=variant, rate=rate)
        trimmed = _trim(speech)
        length = trimmed[-1].end_s
        if abs(length - wish) < 0.03 * wish:
            break
        rate = float(np.clip(rate * length / wish, 90, 360))
    # What the rate parameter cannot reach is scaled, so that the line ends inside its slot.
    scale = min(1.0, (line.slot_end_s - line.start_s) / trimmed[-1].end_s)
    return with_phonemes(
        line, tuple(Phoneme(p.ipa, line.start_s + p.start_s * scale, line.start_s + p.end_s * scale) for p in trimmed)
    )


def _trim(speech: SpokenText) -> tuple[Phoneme, ...]:
    """Phonemes without the silence at both ends, from 0.

    Raises:
        LipbenchError: there is no sound at all.
    """
    sounding = [i for i, p in enumerate(speech.phonemes) if p.ipa]
    if not sounding:
        raise LipbenchError("espeak-ng said nothing", "its answer holds no phoneme", "use --voices formant")
    kept = speech.phonemes[sounding[0] : sounding[-1] + 1]
    at = kept[0].start_s
    return tuple(Phoneme(p.ipa, p.start_s - at, p.end_s - at) for p in kept)


def _espeak_audio(part: ScriptPart, variant: str, pitch: float, n: int, engine: Espeak) -> NDArray[np.int16] | None:
    """The part in an espeak-ng voice, warped to the part's times; None when that voice says other phonemes."""
    out = np.zeros(n, np.float64)
    for line in part.lines:
        length = line.end_s - line.start_s
        speech = engine.say(line.text, part.language, variant=variant, rate=165, pitch=pitch)
        rate = float(np.clip(165 * _trim(speech)[-1].end_s / length, 90, 360))
        speech = engine.say(line.text, part.language, variant=variant, rate=rate, pitch=pitch)
        sounding = [p for p in speech.phonemes if p.ipa]
        wanted = [p for p in line.phonemes if p.ipa]
        if [p.ipa for p in sounding] != [p.ipa for p in wanted]:
            return None
        theirs = np.array([t for p in sounding for t in (p.start_s, p.end_s)])
        ours = np.array([t for p in wanted for t in (p.start_s, p.end_s)])
        ours = np.maximum.accumulate(ours + np.arange(len(ours)) * 1e-7)
        first, last = int(ours[0] * RATE), min(int(ours[-1] * RATE), n)
        times = np.interp(np.arange(first, last) / RATE, ours, theirs)
        out[first:last] = np.interp(times * RATE, np.arange(len(speech.audio)), speech.audio)
    return out.round().astype(np.int16)
