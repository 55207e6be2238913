"""Runs that may stand in one table: the same clips and dubs, sync model, protocol and metric versions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipbench.core.errors import NothingComparable
from lipbench.reports.frame import Run, combine, load_run, read_run
from lipbench.reports.html.videos import free_names


@dataclass(frozen=True)
class Board:
    """Runs in one table.

    Attributes:
        name: of its page, letters and digits.
        title: for people: data set and sync model.
        about: run.json of each run.
    """

    name: str
    title: str
    runs: tuple[Run, ...]
    about: tuple[dict[str, Any], ...]
    run: Run


def boards(run_dirs: Sequence[str | Path]) -> list[Board]:
    """Run directories, put together where their numbers compare; the order is that of the directories.

    Raises:
        UsageError, StoreError: as `load_run`.
    """
    groups: list[list[tuple[Run, dict[str, Any]]]] = []
    for folder in dict.fromkeys(Path(given).resolve() for given in run_dirs):
        one = (load_run(folder), read_run(folder))
        for group in groups:
            if _together([run for run, _ in group], one[0], group[0][1], one[1]):
                group.append(one)
                break
        else:
            groups.append([one])
    titles = [_title(group[0][1]) for group in groups]
    names = free_names([slug(title) for title in titles])
    return [
        Board(name, title, tuple(r for r, _ in group), tuple(a for _, a in group), combine([r for r, _ in group]))
        for name, title, group in zip(names, titles, groups, strict=True)
    ]


def _together(runs: Sequence[Run], other: Run, about: dict[str, Any], its: dict[str, Any]) -> bool:
    if about.get("manifest_digest") != its.get("manifest_digest"):
        return False
    # Means over other clips or dubs are other numbers.
    if {*runs[0].frame["dub"]} != {*other.frame["dub"]}:
        return False
    try:
        combine([*runs, other])
    except NothingComparable:
        return False
    return True


def _title(about: dict[str, Any]) -> str:
    corpus = about.get("corpus") or {}
    name = corpus.get("name") or Path(str(about.get("manifest") or about["name"])).stem
    return f"{name}, sync model {about['sync_model']}"


def slug(text: str) -> str:
    """A file name for the web."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text).strip("-.").lower()[:60] or "x"
