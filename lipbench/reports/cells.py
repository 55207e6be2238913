"""The cells of a run, read while it works, after it was killed, and when it has ended.

    RUN/cells/<writer>.jsonl   one file per process, only appended to: a header, then each cell when it is finished
    RUN/cells.jsonl            what a process left that ended: all of its cells, and what others had finished by then

A cell is the newest line about it, a finished one before one that is not. Cells without a line are pending: run.json
says which ones there are (`axes`). A header names the request that its lines belong to; those of an earlier request
count no more.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipbench.core.errors import Remark, StoreError, UsageError

FOLDER = "cells"
FILE = "cells.jsonl"
#: What tells one cell from another.
IDENTITY = ("method", "clip", "dub", "train_seconds", "seed")
#: Statuses of a cell whose video is still to be made.
OPEN = frozenset({"pending", "skipped"})
NOT_RUN = "not run yet"


@dataclass(frozen=True)
class Finished:
    """How much of a run is there.

    Attributes:
        cells: that are finished: every stage of theirs has an outcome.
        total: cells that were asked for.
    """

    cells: int
    total: int

    @property
    def all(self) -> bool:
        return self.cells == self.total

    @property
    def words(self) -> str:
        """ "37 of 40 cells are finished"."""
        return f"{self.cells:,} of {self.total:,} cells {'is' if self.total == 1 else 'are'} finished"


#: Of a run that was put together by hand.
NO_CELLS = Finished(0, 0)


def identity(line: Mapping[str, Any]) -> tuple[Any, ...]:
    """Which cell a line is about."""
    return tuple(line[name] for name in IDENTITY)


def is_finished(line: Mapping[str, Any]) -> bool:
    """Whether nothing of a cell is still to come."""
    return bool(line.get("finished", line["status"] not in OPEN))


def finished(lines: Sequence[Mapping[str, Any]]) -> Finished:
    """How many of a run's cells are finished."""
    return Finished(sum(map(is_finished, lines)), len(lines))


def expected(about: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every cell that a run asks for, as a pending line, in the run's order; none where run.json does not say."""
    axes = about.get("axes")
    if not axes:
        return
    kinds = {method["label"]: method for method in about["methods"]}
    for clip, dubs in axes["dubs"].items():
        for label in axes["methods"]:
            for dub, language in dubs:
                for seconds in axes["train_seconds"]:
                    for seed in axes["seeds"]:
                        yield {
                            "method": label,
                            "method_id": kinds[label]["id"],
                            "kind": kinds[label]["kind"],
                            "clip": clip,
                            "language": language,
                            "dub": dub,
                            "train_seconds": seconds,
                            "seed": seed,
                            "status": "pending",
                            "reason": NOT_RUN,
                            "finished": False,
                            "video": None,
                            "metrics": {},
                            "keys": {},
                            "timing": {},
                        }


def read_lines(
    root: Path, about: Mapping[str, Any], renamed: Callable[[dict[str, Any]], dict[str, Any]] = lambda line: line
) -> list[dict[str, Any]]:
    """One line per cell of a run, whoever wrote it and whether it is finished.

    Args:
        about: run.json.
        renamed: a line with the names that `about` has.

    Raises:
        UsageError: there are no results, and run.json does not say what was asked for.
        StoreError: cells.jsonl is damaged, and run.json does not say what was asked for.
    """
    known = {identity(line): line for line in expected(about)}
    found = _written(root, about.get("request_digest"), bool(known))
    if found is None:
        if not known:
            raise UsageError(
                f"{root} has no results yet", f"there is no {FILE} in it", "let `lipbench run` finish first"
            )
        return list(known.values())
    present = map(renamed, found.values())
    return list((known | {identity(line): line for line in present}).values())


def written(root: Path, request: str | None) -> dict[tuple[Any, ...], dict[str, Any]]:
    """The lines that there are of a request, by cell; what cannot be read is left out, with a remark."""
    return _written(root, request, True) or {}


def _written(root: Path, request: str | None, lenient: bool) -> dict[tuple[Any, ...], dict[str, Any]] | None:
    """None where there is no file at all."""
    files = []
    for path in (root / FILE, *(root / FOLDER).glob("*.jsonl")):
        try:
            files.append((path.stat().st_mtime_ns, path.name, path))
        except OSError:
            continue  # none, or its writer has just ended and put its lines into the other
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for _, _, path in sorted(files):
        own = path.parent.name == FOLDER
        lines = _part(path, request) if own else _whole(path, lenient)
        for line in lines:
            key = identity(line)
            if key not in found or is_finished(line) or not is_finished(found[key]):
                found[key] = line
    return found if files else None


def _part(path: Path, request: str | None) -> Iterator[dict[str, Any]]:
    """Lines of a process that may be writing right now, or was killed while it did: the last one may be cut."""
    try:
        head, *lines = path.read_bytes().split(b"\n")[:-1]
        if json.loads(head)["request"] != request:
            return
    except (OSError, ValueError, TypeError, KeyError):
        return
    for number, line in enumerate(lines, 2):
        if (cell := _cell(line)) is not None:
            yield cell
        else:
            _tell(path, number)


def _whole(path: Path, lenient: bool) -> Iterator[dict[str, Any]]:
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return
    except OSError as error:
        raise damaged(path, str(error)) from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if (cell := _cell(line)) is not None:
            yield cell
        elif lenient:
            _tell(path, number)
        else:
            raise damaged(path, f"line {number} is no cell")


def _cell(text: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
        hash(identity(line))
        return line if isinstance(line["status"], str) and isinstance(line["metrics"], dict) else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _tell(path: Path, number: int) -> None:
    warnings.warn(
        f"{path}: line {number} cannot be read, its cell is shown as not finished; the same `lipbench run` mends it",
        Remark,
        stacklevel=2,
    )


def damaged(path: Path, why: str) -> StoreError:
    """The error for a file that the next run writes anew."""
    return StoreError(f"cannot read {path}", why, "run the same command again: it is written anew")
