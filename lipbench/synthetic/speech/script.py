"""What is said in a clip, in every language, as a dubbing studio would lay it: same starts, pauses kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lipbench.core.errors import UsageError
from lipbench.synthetic.speech import phones, timelines
from lipbench.synthetic.speech.phones import Phoneme, Unit
from lipbench.synthetic.speech.timelines import Word

#: Slower or faster speech than this sounds wrong; a dub that needs more loses its last words.
TEMPO = (0.82, 1.40)
LEAD_S, TAIL_S, GAP_S = 0.20, 0.20, 0.22
SHORTEST_LINE_S = 0.9


@dataclass(frozen=True)
class ScriptLine:
    """One sentence as spoken.

    Attributes:
        text: with punctuation, or the words that were kept.
        start_s: the time it may use; it ends earlier or there.
        slot_end_s: the time it may use; it ends earlier or there.
        phonemes: timed, first starting at start_s.
    """

    text: str
    start_s: float
    slot_end_s: float
    phonemes: tuple[Phoneme, ...]

    @property
    def end_s(self) -> float:
        return self.phonemes[-1].end_s if self.phonemes else self.start_s


@dataclass(frozen=True)
class ScriptPart:
    """Everything said in one language of a clip."""

    language: str
    lines: tuple[ScriptLine, ...]

    @property
    def phonemes(self) -> tuple[Phoneme, ...]:
        return tuple(p for line in self.lines for p in line.phonemes)

    @property
    def units(self) -> list[Unit]:
        return phones.units(self.phonemes)

    @property
    def transcript(self) -> str:
        return " ".join(line.text for line in self.lines)

    @property
    def questions(self) -> list[float]:
        return [line.end_s for line in self.lines if line.text.endswith("?")]


def compose(
    seconds: float,
    source: str,
    dubs: Sequence[str],
    rng: np.random.Generator,
    *,
    pool: str = "train",
    shuffle_words: bool = False,
    sentences: Sequence[str] | None = None,
) -> dict[str, ScriptPart]:
    """Write the script of a clip.

    Args:
        seconds: length of the clip.
        source: language of the original.
        dubs: other languages; their lines start with the original's and use its pauses.
        pool: sentences to draw from, see `timelines.pool`.
        shuffle_words: speak random words of the pool instead of its sentences: more varied, for training.
        sentences: ids to say, in order, instead of a random choice.

    Returns:
        language -> Part, the source first.

    Raises:
        UsageError: a clip of under a second, an unknown language.
    """
    timelines.check_languages([source, *dubs])
    if seconds < 1.0:
        raise UsageError(f"a clip of {seconds:g} s is too short to say anything", "", "use --seconds 2 or more")
    ids = list(sentences) if sentences is not None else list(rng.permutation(timelines.pool(pool)))
    tempo = float(rng.uniform(0.97, 1.15))
    slots = _slots(seconds, [timelines.sentences()[i][source].duration_s / tempo for i in ids], rng)
    parts: dict[str, ScriptPart] = {}
    for language in dict.fromkeys((source, *dubs)):
        lines = []
        for k, (chosen, start, end) in enumerate(slots):
            limit = slots[k + 1][1] - GAP_S if k + 1 < len(slots) else seconds - 0.10
            if shuffle_words:
                words = _random_words(pool, language, end - start, rng)
                text = " ".join(w.text for w in words) + "."
            else:
                line = timelines.sentences()[ids[chosen]][language]
                words, text = list(line.words), line.text
            # The original fills its slot; a dub is a little shorter or longer, as translations are.
            wish = (end - start) * (1.0 if language == source else float(rng.uniform(0.92, 1.06)))
            lines.append(_fit(words, text, start, min(wish, limit - start), limit))
        parts[language] = ScriptPart(language, tuple(lines))
    return parts


def _slots(seconds: float, durations: list[float], rng: np.random.Generator) -> list[tuple[int, float, float]]:
    """(number of the sentence, start, end) of each line of the original.

    As many whole sentences as fit, in order, those skipped that do not; the rest of the time goes to the pauses.
    """
    room = seconds - LEAD_S - TAIL_S
    chosen: list[int] = []
    total = 0.0
    for number, duration in enumerate(durations):
        if not chosen or total + duration + GAP_S * len(chosen) <= room * 1.08:
            chosen.append(number)
            total += duration
    spare = room - total - GAP_S * len(chosen)
    left = [k for k in range(len(durations)) if k not in chosen]
    if spare > SHORTEST_LINE_S and left:  # the beginning of another sentence
        chosen.append(left[0])
        durations = [min(d, spare) if k == left[0] else d for k, d in enumerate(durations)]
        total += durations[left[0]]
    scale = min(1.0, (room - GAP_S * (len(chosen) - 1)) / total)
    spare = room - total * scale - GAP_S * (len(chosen) - 1)
    shares = rng.dirichlet(np.full(len(chosen) + 1, 3.0)) * min(spare, 0.5 * (len(chosen) + 1))
    slots, at = [], LEAD_S + float(shares[0])
    for k, number in enumerate(chosen):
        end = at + durations[number] * scale
        slots.append((number, at, end))
        at = end + GAP_S + float(shares[k + 1])
    return slots


def _random_words(pool: str, language: str, seconds: float, rng: np.random.Generator) -> list[Word]:
    entries = timelines.sentences()
    vocabulary = [w for i in timelines.pool(pool) for w in entries[i][language].words if w.text]
    words: list[Word] = []
    total = 0.0
    while total < seconds:
        word = vocabulary[int(rng.integers(len(vocabulary)))]
        words.append(word)
        total += word.duration_s
    return words


def _fit(words: list[Word], text: str, start_s: float, wish_s: float, limit_s: float) -> ScriptLine:
    """Words at the tempo that comes nearest to the wished length, cut at a word where even the fastest is too long."""
    room = limit_s - start_s
    kept = list(words)
    if sum(w.duration_s for w in kept) / TEMPO[1] > room:
        # Once words have to go, as many go as an unhurried tempo asks for.
        while len(kept) > 1 and (sum(w.duration_s for w in kept) / 1.1 > room or not kept[-1].text):
            kept.pop()
    if len(kept) < len(words):
        text = _spoken(text, kept)
    natural = sum(w.duration_s for w in kept)
    tempo = float(np.clip(natural / max(wish_s, 1e-3), *TEMPO))
    tempo = max(tempo, natural / room)
    return ScriptLine(text, start_s, limit_s, timelines.place(kept, start_s, tempo))


def _spoken(text: str, words: list[Word]) -> str:
    """The start of a sentence up to the last of these words."""
    at = 0
    for word in words:
        for token in word.text.split():
            found = text.find(token, at)
            at = found + len(token) if found >= 0 else at
    return text[:at].rstrip(" ,;") + "."


def with_phonemes(line: ScriptLine, phonemes: tuple[Phoneme, ...]) -> ScriptLine:
    """The line as another engine speaks it."""
    return replace(line, phonemes=phonemes)
