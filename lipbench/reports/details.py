"""What a run directory holds beyond its numbers: videos, values per frame, sync distances, logs, provenance.

Reads run.json, cells.jsonl and the records behind the cells; what has been deleted is simply absent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.core.store import Record, Store
from lipbench.faces.track import FaceTrack
from lipbench.reports.frame import load_run, read_cells, read_run

#: Lines of a log that a report shows.
TAIL_LINES = 40


@dataclass(frozen=True)
class Failure:
    """A stage that did not end well.

    Attributes:
        where: cells behind it, for people.
        status: error, crashed, oom, timeout or refused.
        reason: one line.
        log: the last lines that the stage printed, "" when it printed nothing.
        traceback: of the exception, "" without one.
    """

    where: tuple[str, ...]
    kind: str
    status: str
    reason: str
    log: str
    traceback: str


class Details:
    """The records and files behind a run's cells.

    Args:
        root: run directory.

    Raises:
        UsageError: not a run directory.
        StoreError: files of another schema, or damaged.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.run = load_run(self.root)
        self.about = read_run(self.root)
        self.cells = list(read_cells(self.root))
        self.store = Store(self.root, create=False)
        self._records: dict[str, Record | None] = {}

    def record(self, key: str | None) -> Record | None:
        """The record of a key; None when there is none (any more)."""
        if not key:
            return None
        if key not in self._records:
            self._records[key] = self.store.get(key)
        return self._records[key]

    def output(self, key: str | None, name: str) -> Path | None:
        """A file that a stage left, if it is still there."""
        record = self.record(key)
        if record is None or name not in record.outputs:
            return None
        path = self.store.output(record, name)
        return path if path.exists() else None

    def video(self, cell: Mapping[str, Any]) -> Path | None:
        """The cell's video."""
        path = None if not cell.get("video") else self.root / cell["video"]
        return path if path is not None and path.exists() else None

    def source(self, cell: Mapping[str, Any]) -> Path | None:
        """The undubbed frames under the dub's audio: what the method started from."""
        return self.output(cell.get("keys", {}).get("dub"), "video")

    def truth(self, cell: Mapping[str, Any]) -> Path | None:
        """The correct video of the dub, for generated clips."""
        return self.output(cell.get("keys", {}).get("dub"), "truth")

    def faces(self, cell: Mapping[str, Any]) -> FaceTrack | None:
        """The source's face on every frame of the dub, as the metrics used it; None when no metric did."""
        wanted = {digest for record in self.scores(cell) if (digest := record.preimage.get("faces"))}
        index = self.output(cell.get("keys", {}).get("dub"), "index")
        paths = [path for digest in wanted if (path := self._face_files.get(digest)) is not None]
        if not paths or index is None:
            return None
        return FaceTrack.load(paths[0]).take(json.loads(index.read_text(encoding="utf-8")))

    @cached_property
    def _face_files(self) -> dict[str, Path]:
        """Content hash -> file, of every face track in the store."""
        found = {}
        for record in self.store.records():
            if record.kind == "faces" and "faces" in record.outputs:
                path = self.store.output(record, "faces")
                if path.exists():
                    found[str(record.outputs["faces"]["sha256"])] = path
        return found

    def scores(self, cell: Mapping[str, Any]) -> Iterator[Record]:
        """The cell's score records."""
        for key in (cell.get("keys", {}).get("score") or {}).values():
            if (record := self.record(key)) is not None:
                yield record

    def per_frame(self, cell: Mapping[str, Any]) -> dict[str, NDArray[np.float64]]:
        """Metric id -> (T,) values per frame, NaN where a frame has none. +inf is possible (PSNR of equal frames)."""
        found: dict[str, NDArray[np.float64]] = {}
        for record in self.scores(cell):
            path = self.output(record.key, "per_frame")
            if path is not None:
                with np.load(path) as arrays:
                    found |= {name: np.asarray(arrays[name], np.float64) for name in arrays.files}
        return found

    def distances(self, cell: Mapping[str, Any]) -> NDArray[np.float64] | None:
        """(31,) mean sync distance per shift of the audio by -15..15 frames; None when the sync model said nothing.

        Of several face tracks the one with most windows; entry j compares a frame with the audio j - 15 frames later.
        """
        score = cell["metrics"].get("lse_d") or {}
        tracks = (score.get("extra") or {}).get("tracks") or []
        scored = [track for track in tracks if track.get("distances")]
        if not scored:
            return None
        return np.asarray(max(scored, key=lambda track: track["n_windows"])["distances"], np.float64)

    def stage_seconds(self, cell: Mapping[str, Any]) -> dict[str, float]:
        """Seconds that each stage of the method took: {"prepare", "fit", "synthesize"}, as far as recorded."""
        record = self.record(cell.get("keys", {}).get("synthesize"))
        found: dict[str, float] = {}
        if record is None:
            return found
        inputs = record.preimage.get("inputs") or {}
        for kind, key in {
            **{k: v for k, v in inputs.items() if k in ("prepare", "fit")},
            "synthesize": record.key,
        }.items():
            stage = self.record(key)
            if stage is not None and "wall_s" in stage.timing:
                found[kind] = float(stage.timing["wall_s"])
        return found

    @cached_property
    def failures(self) -> tuple[Failure, ...]:
        """Stages that failed, each once, with the cells behind them."""
        where: dict[tuple[str, str, str, str], list[str]] = {}
        for cell in self.cells:
            name = cell_name(cell)
            if cell["status"] not in ("ok", "pending"):
                key = (cell.get("keys", {}).get("synthesize") or "", "synthesize", cell["status"], cell["reason"] or "")
                where.setdefault(key, []).append(name)
            for family, key in (cell.get("keys", {}).get("score") or {}).items():
                record = self.record(key)
                if record is not None and record.status not in ("ok", "refused"):
                    at = (record.key, f"score {family}", record.status, record.reason or "")
                    where.setdefault(at, []).append(name)
        return tuple(
            Failure(tuple(names), kind, status, reason, self.log(key), self._traceback(key))
            for (key, kind, status, reason), names in where.items()
        )

    def log(self, key: str) -> str:
        """The last lines that a stage printed."""
        path = self.store.directory(key) / "log.txt" if key else None
        if path is None or not path.exists():
            return ""
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:])

    def _traceback(self, key: str) -> str:
        record = self.record(key)
        return "" if record is None or record.error is None else record.error.get("traceback", "")

    @cached_property
    def machines(self) -> tuple[str, ...]:
        """Where the videos and scores were made: one line per kind of machine."""
        found: dict[str, None] = {}
        for cell in self.cells:
            keys = [cell.get("keys", {}).get("synthesize"), *(cell.get("keys", {}).get("score") or {}).values()]
            for record in map(self.record, keys):
                if record is not None and record.provenance:
                    found[machine(record.provenance)] = None
        return tuple(found)


def machine(facts: Mapping[str, Any]) -> str:
    """One line on where something ran."""
    gpus = facts.get("gpus") or []
    parts = [str(facts.get("cpu") or facts.get("platform") or "unknown"), f"{facts.get('cores', '?')} cores"]
    parts += [", ".join(map(str, gpus)) if gpus else "no GPU", f"Python {facts.get('python', '?')}"]
    return "; ".join(parts)


def cell_name(cell: Mapping[str, Any]) -> str:
    """A cell for people: "lipnerf, katie in fr, trained on 5 s, seed 1"."""
    name = f"{cell['method']}, {cell['clip']} in {cell['language']}"
    if cell.get("train_seconds") is not None:
        name += f", trained on {cell['train_seconds']:g} s"
    return name + (f", seed {cell['seed']}" if cell.get("seed") else "")


def title_of(methods: Mapping[str, Mapping[str, Any]], label: str) -> str:
    """The label that somebody chose, else the method's title."""
    method = methods[label]
    return str(method["title"] if label == method["id"] and method.get("title") else label)


def number(value: Any) -> float | None:
    """A stored score's value: None, or a float; "inf" is +inf."""
    return None if value is None else float(value)
