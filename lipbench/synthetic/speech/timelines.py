"""Packaged speech: sentences in five languages as timed phonemes, so that no speech engine is needed at run time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from lipbench.core.errors import UsageError
from lipbench.synthetic.speech.phones import Phoneme

LANGUAGES = ("en", "fr", "es", "de", "it")
PACKAGE = "lipbench.synthetic.speech"


@dataclass(frozen=True)
class Word:
    """One word: its spelling and its phonemes as (ipa, milliseconds). A pause within a sentence has no spelling."""

    text: str
    phonemes: tuple[tuple[str, float], ...]

    @property
    def duration_s(self) -> float:
        return sum(ms for _, ms in self.phonemes) / 1e3


@dataclass(frozen=True)
class Timeline:
    """One sentence in one language.

    Attributes:
        id: of the sentence, the same in every language ("s01").
        pool: "train" or "test": benchmark corpora say what training corpora never say.
        language: "en", "fr", "es", "de" or "it".
        text: the sentence.
        words: in order, pauses included; no silence at either end.
    """

    id: str
    pool: str
    language: str
    text: str
    words: tuple[Word, ...]

    @property
    def duration_s(self) -> float:
        return sum(word.duration_s for word in self.words)

    def phonemes(self, start_s: float = 0.0, rate: float = 1.0) -> tuple[Phoneme, ...]:
        """The timed phonemes from `start_s` on; rate 1.1 speaks ten percent faster."""
        return place(self.words, start_s, rate)


def place(words: Sequence[Word], start_s: float, rate: float = 1.0) -> tuple[Phoneme, ...]:
    """Words one after the other as timed phonemes."""
    out, at = [], start_s
    for word in words:
        for ipa, ms in word.phonemes:
            end = at + ms / 1e3 / rate
            out.append(Phoneme(ipa, at, end))
            at = end
    return tuple(out)


@cache
def sentences() -> dict[str, dict[str, Timeline]]:
    """Every packaged sentence: id -> language -> timeline."""
    data = json.loads(files(PACKAGE).joinpath("timelines.json").read_text(encoding="utf-8"))
    return {
        entry["id"]: {
            language: Timeline(
                entry["id"],
                entry["pool"],
                language,
                entry["text"][language],
                tuple(Word(text, tuple((ipa, float(ms)) for ipa, ms in phonemes)) for text, phonemes in words),
            )
            for language, words in entry["words"].items()
        }
        for entry in data["sentences"]
    }


def pool(name: str) -> list[str]:
    """Ids of the sentences of a pool: "train", "test" or "all".

    Raises:
        UsageError: another name.
    """
    if name not in ("train", "test", "all"):
        raise UsageError(f"no pool of sentences is called {name!r}", "", "choose train, test or all")
    return [key for key, entry in sentences().items() if name in ("all", entry["en"].pool)]


def check_languages(languages: Sequence[str]) -> None:
    """Refuse languages without packaged sentences.

    Raises:
        UsageError: names the language.
    """
    for language in languages:
        if language not in LANGUAGES:
            raise UsageError(
                f"the generated corpus does not speak {language!r}",
                "its sentences are packaged in five languages",
                f"choose from {', '.join(LANGUAGES)}",
            )
