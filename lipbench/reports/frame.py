"""A run directory -> one tidy long frame: a row per cell and metric.

Reads run.json (the request) and the lines of its cells; never the records, never torch.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from lipbench.core import renames
from lipbench.core.errors import NothingComparable, StoreError, UsageError
from lipbench.core.registry import former_names
from lipbench.reports.cells import NO_CELLS, Finished, damaged, finished, read_lines

SCHEMA = 1

#: value: float, +inf allowed, NaN = none, and then `reason` says why. train_seconds: NaN = the whole clip.
COLUMNS = (
    "run",
    "method",
    "method_id",
    "kind",
    "clip",
    "language",
    "dub",
    "train_seconds",
    "seed",
    "status",
    "metric",
    "value",
    "reason",
    "n_valid",
    "n_total",
    "version",
)


@dataclass(frozen=True)
class Run:
    """What a run directory says.

    Attributes:
        name: of the run; several runs are joined by " + ".
        sync_model: of the sync metrics.
        protocol: of the sync metrics.
        metrics: the specs of run.json, by metric id, in the run's order.
        methods: the rows of run.json, by label, in the run's order.
        frame: tidy long, columns COLUMNS.
        corpus: what run.json says of clips and dubs (licences, kinds, transcripts, phonemes); {} in older runs.
        roots: the run directories.
        finished: how many of its cells have an outcome; the others may be going on.
        remarks: (method, what its scores carry beside the numbers) -> in how many of its videos.
    """

    name: str
    sync_model: str
    protocol: str
    metrics: Mapping[str, Mapping[str, Any]]
    methods: Mapping[str, Mapping[str, Any]]
    frame: pd.DataFrame
    corpus: Mapping[str, Any] = field(default_factory=dict)
    roots: tuple[Path, ...] = ()
    finished: Finished = NO_CELLS
    remarks: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def sound(self) -> pd.Series:
        """Per row of `frame`: "original" where the clip keeps its own audio (reconstruction), else "dubbed"."""
        dubs = self.corpus.get("dubs") or {}
        kinds = {dub: "original" if about["kind"] == "original" else "dubbed" for dub, about in dubs.items()}
        return self.frame["dub"].map(lambda dub: kinds.get(dub, "dubbed"))


def frame(run_dir: str | Path) -> pd.DataFrame:
    """The tidy long frame of a run directory (COLUMNS).

    Raises:
        UsageError: not a run directory.
        StoreError: files of another schema, or damaged.
    """
    return load_run(run_dir).frame


def load_run(run_dir: str | Path) -> Run:
    """Everything that tables need from a run directory; raises as `frame`."""
    root = Path(run_dir)
    about = read_run(root)
    return make_run(root, about, read_cells(root, about))


def make_run(root: Path, about: Mapping[str, Any], cells: Sequence[Mapping[str, Any]]) -> Run:
    """The same of what run.json would hold, and the lines of all cells."""
    metrics = {str(m["id"]): m for m in about["metrics"]}
    methods = {str(m["label"]): m for m in about["methods"]}
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    remarks: Counter[tuple[str, str]] = Counter()
    for cell in cells:
        remarks.update((cell["method"], text) for text in _remarks(cell))
        for row in _rows(cell, about["name"], metrics):
            for name, value in zip(COLUMNS, row, strict=True):
                columns[name].append(value)
    types = {"value": float, "train_seconds": float, "seed": int, "n_valid": int, "n_total": int}
    # object: pandas' own text type would turn None into NaN
    data = pd.DataFrame({name: pd.Series(values, dtype=types.get(name, object)) for name, values in columns.items()})
    return Run(
        str(about["name"]),
        str(about["sync_model"]),
        str(about.get("protocol") or ""),
        metrics,
        methods,
        data,
        about.get("corpus") or {},
        (root,),
        finished(cells),
        remarks,
    )


def read_run(root: Path) -> dict[str, Any]:
    """run.json; methods that were called otherwise when it was written have their present names.

    Raises:
        UsageError: not a run directory.
        StoreError: of another schema, or damaged.
    """
    path = root / "run.json"
    try:
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(
            f"{root} is not a run directory", "there is no run.json in it", "name the folder that `lipbench run` wrote"
        ) from None
    except (OSError, ValueError) as error:
        raise damaged(path, str(error)) from error
    if about.get("schema") != SCHEMA:
        raise StoreError(
            f"cannot read {path}",
            f"its schema is {about.get('schema')}, this lipbench reads {SCHEMA}",
            "use the lipbench that wrote it, or run again",
        )
    about = {**about, **renames.present_record({name: about[name] for name in renames.FIELDS if name in about})}
    methods = [_present(method, "label", "id") for method in about["methods"]]
    if about.get("axes"):
        now = {old["label"]: new["label"] for old, new in zip(about["methods"], methods, strict=True)}
        about["axes"] = {**about["axes"], "methods": [now[label] for label in about["axes"]["methods"]]}
    return {**about, "methods": methods}


def read_cells(root: Path, about: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """One line per cell that the run asks for, with the methods' present names; see `lipbench.reports.cells`.

    Args:
        about: run.json, where it was read already.

    Raises:
        UsageError: there are none yet.
        StoreError: damaged.
    """
    known = read_run(root) if about is None else about
    return read_lines(root, known, lambda line: _present(line, "method", "method_id"))


def _present(data: dict[str, Any], label: str, method_id: str) -> dict[str, Any]:
    """The same with the present id of a renamed method, also where the id served as the label."""
    former = str(data.get(method_id))
    if former not in former_names():
        return data
    own = former_names()[former]
    return {**data, method_id: own, label: own if data[label] == former else data[label]}


def _rows(cell: Mapping[str, Any], run: str, metrics: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """One row per metric of the run; what the cell does not have gets the cell's reason."""
    head = (
        run,
        cell["method"],
        cell["method_id"],
        cell["kind"],
        cell["clip"],
        cell["language"],
        cell["dub"],
        cell["train_seconds"],
        cell["seed"],
        cell["status"],
    )
    missing = cell.get("reason") or ("not measured" if cell["status"] == "ok" else str(cell["status"]))
    for name in metrics:
        score = cell["metrics"].get(name) or {"value": None, "reason": missing}
        value = score["value"]
        number = float("nan") if value is None else float(value)  # float("inf") reads the string form too
        reason = (score.get("reason") or missing) if value is None else score.get("reason")
        yield (*head, name, number, reason, score.get("n_valid", 0), score.get("n_total", 0), score.get("version"))


def _remarks(cell: Mapping[str, Any]) -> set[str]:
    """What the scores of a cell carry beside their numbers, each once."""
    extras = (score.get("extra") or {} for score in cell["metrics"].values())
    return {str(remark["short"]) for extra in extras for remark in extra.get("remarks") or ()}


def combine(runs: Sequence[Run]) -> Run:
    """Several runs as one, for one table. A method that several runs have is told apart by its run's name.

    Raises:
        NothingComparable: other sync models, other protocols, other versions of a metric, or no clip in common.
    """
    if len(runs) == 1:
        return runs[0]
    first = runs[0]
    for other in runs[1:]:
        for what in ("sync model", "protocol"):
            a, b = (getattr(run, what.replace(" ", "_")) for run in (first, other))
            if a != b:
                raise NothingComparable(
                    f"{first.name} and {other.name} do not belong in one table",
                    f"the {what} is {a} in one and {b} in the other",
                    f"run one of them again with --{what.replace(' ', '-')} {a}",
                )
        for name in first.metrics.keys() & other.metrics.keys():
            a, b = first.metrics[name].get("version"), other.metrics[name].get("version")
            if a != b:
                raise NothingComparable(
                    f"{first.name} and {other.name} do not belong in one table",
                    f"{name} has version {a} in one and {b} in the other",
                    "run the older one again",
                )
        if not set(first.frame["clip"]) & set(other.frame["clip"]):
            raise NothingComparable(
                f"{first.name} and {other.name} do not belong in one table", "they share no clip", "show them apart"
            )
    labels = [label for run in runs for label in run.methods]
    methods: dict[str, Mapping[str, Any]] = {}
    frames = []
    remarks: Counter[tuple[str, str]] = Counter()
    for i, run in enumerate(runs):
        names = {x: _label(x, run.name, i, labels.count(x) > 1, methods) for x in run.methods}
        methods |= {names[x]: {**spec, "label": names[x]} for x, spec in run.methods.items()}
        remarks.update({(names[label], text): n for (label, text), n in run.remarks.items()})
        frames.append(run.frame.assign(method=run.frame["method"].map(names)))
    metrics = {name: spec for run in runs for name, spec in run.metrics.items()}
    parts = ("clips", "dubs")
    corpus = {part: {k: v for run in runs for k, v in (run.corpus.get(part) or {}).items()} for part in parts}
    return Run(
        " + ".join(run.name for run in runs),
        first.sync_model,
        first.protocol,
        metrics,
        methods,
        pd.concat(frames),
        corpus,
        tuple(root for run in runs for root in run.roots),
        Finished(sum(run.finished.cells for run in runs), sum(run.finished.total for run in runs)),
        remarks,
    )


def _label(label: str, run: str, i: int, shared: bool, taken: Mapping[str, Any]) -> str:
    if not shared:
        return label
    name = f"{label} ({run})"
    return name if name not in taken else f"{label} ({run} #{i + 1})"
