"""Why two answers of `lipbench score --json` differ: which convention moves which number by how much.

A convention is a list of words (`ssim[rgb,gauss11s1.5,pop,valid,full,...]`), and so are the options of a family. From
one number to the other leads a chain of numbers that both answers hold, in which as few words as possible change at a
time: each link says what its words are worth on this video.
"""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from lipbench.core.errors import NothingComparable, UsageError
from lipbench.metrics.sync.protocol import CODED, without_effect

Answer = Mapping[str, Any]


@dataclass(frozen=True)
class Number:
    """One measured number.

    Attributes:
        answer: "A", "B", or "C" and so on for what lies between them.
        metric: its id.
        value: measured.
        words: of its convention and of the options it was measured with.
    """

    answer: str
    metric: str
    value: float
    words: frozenset[str]


@dataclass(frozen=True)
class Step:
    """From one number to the next.

    Attributes:
        gone: words that hold for the first alone.
        come: words that hold for the second alone.
    """

    first: Number
    second: Number
    gone: tuple[str, ...]
    come: tuple[str, ...]

    @property
    def moved(self) -> float:
        """By how much; NaN between two infinities."""
        return self.second.value - self.first.value

    def as_json(self) -> dict[str, Any]:
        """Plain JSON; infinite numbers are text."""
        numbers = {"from": self.first, "to": self.second}
        found: dict[str, Any] = {
            side: {"answer": n.answer, "metric": n.metric, "value": _plain(n.value)} for side, n in numbers.items()
        }
        return {**found, "moved": _plain(self.moved), "without": list(self.gone), "with": list(self.come)}


def _plain(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def explain(a: Answer, b: Answer, through: Sequence[Answer] = ()) -> list[list[Step]]:
    """A chain of steps for every number of A that has a counterpart in B with another value or convention.

    Args:
        a: answer of `lipbench score --json`.
        b: another.
        through: further answers on the same video, whose numbers the chains may go through.

    Counterparts are metrics of one id; what only one of them holds meets the nearest variant of the other, against the
    same video.

    Raises:
        UsageError: an answer that `lipbench score --json` did not write.
        NothingComparable: no number of one has a counterpart in the other.
    """
    numbers = {"A": _numbers(a, "A"), "B": _numbers(b, "B")}
    between = [_numbers(answer, chr(ord("C") + k)) for k, answer in enumerate(through)]
    nodes = [n for side in (*numbers.values(), *between) for n in side.values()]
    chains, met = [], 0
    for number in numbers["A"].values():
        other = numbers["B"].get(number.metric) or _nearest(number, numbers["B"].values(), numbers["A"])
        if other is None:
            continue
        met += 1
        if other.value != number.value or other.words != number.words:
            chains.append(_chain(number, other, [n for n in nodes if _kind(n) == _kind(number)]))
    if not met:
        raise NothingComparable("the two answers share no number", "", "score the same video by both conventions")
    return chains


def _numbers(answer: Answer, side: str) -> dict[str, Number]:
    found = {}
    try:
        for metric, score in answer["metrics"].items():
            if score["value"] is None:
                continue
            about = answer["conventions"][metric]
            options = answer["options"][about["family"]]
            words = {word for word in re.split(r"[\],;]\s*", about["convention"].split("[")[-1]) if word}
            idle = without_effect(options, metric) if about["family"] == "sync" else ()
            words |= {f"{name}: {value}" for name, value in options.items() if name not in idle}
            words |= set(CODED.get((options.get("codec"), options.get("protocol")), ()))
            words.add(f"video {answer['sha256'][:12]}")
            found[metric] = Number(side, metric, float(score["value"]), frozenset(words))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(
            f"{side} is no answer of `lipbench score --json`",
            f"{type(error).__name__}: {error}",
            "write it with `lipbench score VIDEO --json > A.json`",
        ) from error
    return found


def _kind(number: Number) -> tuple[str, bool]:
    """What may be compared: the quantity, and whether it is against the truth."""
    return number.metric.split("_")[0], number.metric.endswith("_truth")


def _nearest(number: Number, others: Any, own: Mapping[str, Number]) -> Number | None:
    """The variant of the other answer that shares most words; not one that has a counterpart of its own."""
    free = [n for n in others if _kind(n) == _kind(number) and n.metric not in own]
    return min(free, key=lambda n: (len(n.words ^ number.words), n.metric), default=None)


def _chain(start: Number, end: Number, nodes: list[Number]) -> list[Step]:
    """The steps from one to the other in which the fewest words change at once (least sum of squares)."""
    best: dict[Number, float] = {start: 0.0}
    before: dict[Number, Number] = {}
    queue = [(0.0, 0, start)]
    count = 0
    while queue:
        cost, _, here = heapq.heappop(queue)
        if here == end:
            break
        if cost > best[here]:
            continue
        for there in nodes:
            if there == here:
                continue
            total = cost + max(len(there.words ^ here.words), 1) ** 2
            if total < best.get(there, math.inf):
                best[there], before[there] = total, here
                count += 1
                heapq.heappush(queue, (total, count, there))
    path = [end]
    while path[-1] != start:
        path.append(before[path[-1]])
    return list(_steps(path[::-1]))


def _steps(path: list[Number]) -> Iterator[Step]:
    for first, second in pairwise(path):
        yield Step(first, second, tuple(sorted(first.words - second.words)), tuple(sorted(second.words - first.words)))


def lines(chains: list[list[Step]]) -> Iterator[str]:
    """For people: a head for every number, a line for every step."""
    for chain in chains:
        first, last = chain[0].first, chain[-1].second
        yield f"{_told(first)} -> {_told(last)}: {last.value - first.value:+.4f}"
        for step in chain:
            change = " -> ".join(", ".join(words) or "nothing" for words in (step.gone, step.come))
            yield f"  {step.moved:+.4f}  {change if step.gone or step.come else 'the same convention: another run'}"


def _told(number: Number) -> str:
    return f"{number.answer} {number.metric} {number.value:.4f}"
