"""The stage that measures a video: one node for each family, whether its inputs come out of a plan or are files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lipbench.core.metric import MetricFamily
from lipbench.engine.plan import GPU_SHARE, Node, PlanState, file_digest
from lipbench.engine.tasks import ScoreTask

#: Inputs that a stage may fail to make; why they are missing is told to the metric.
TRACKS = ("faces", "prediction_faces", "truth_faces")


class Source(Protocol):
    """Where an input of a score comes from."""

    def digest(self, progress: PlanState) -> str | None:
        """SHA-256 of the file, None without one; raises Pending while it is still to be made."""

    def path(self, progress: PlanState) -> Path | None:
        """The file, None without one."""

    def reason(self, progress: PlanState) -> str:
        """Why there is none; "" when that needs no reason."""


@dataclass(frozen=True, slots=True)
class StageOutput:
    """An output of a stage that has to be there: without it nothing is measured."""

    node: str
    output: str

    def digest(self, progress: PlanState) -> str | None:
        return progress.digest(self.node, self.output)

    def path(self, progress: PlanState) -> Path | None:
        return progress.path(self.node, self.output)

    def reason(self, progress: PlanState) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class StageTrack(StageOutput):
    """The face track of a stage that may have failed."""

    output: str = "faces"

    def digest(self, progress: PlanState) -> str | None:
        record = progress.find(self.node)
        return str(record.outputs[self.output]["sha256"]) if record is not None and record.status == "ok" else None

    def reason(self, progress: PlanState) -> str:
        record = progress.find(self.node)
        return "" if record is None else record.reason or ""


@dataclass(frozen=True)
class File:
    """A file that somebody gave, or why there is none."""

    file: Path | None
    why: str = ""

    def digest(self, progress: PlanState) -> str | None:
        return file_digest(self.file)

    def path(self, progress: PlanState) -> Path | None:
        return self.file

    def reason(self, progress: PlanState) -> str:
        return self.why


def score_node(
    family: MetricFamily,
    options: Mapping[str, Any],
    of: str,
    fps: float,
    inputs: Mapping[str, Source],
    code: str = "",
    needs: Sequence[str] = (),
    source_fps: float | None = None,
) -> Node:
    """The node that measures a video with a family.

    Args:
        options: values of the family's options.
        of: what is measured, for people.
        fps: of all videos.
        inputs: fields of `ScoreTask` -> where the file comes from; "prediction" at least.
        code: digest of what measures, for the key; scores that no store keeps need none.
        source_fps: rate of the file that the prediction was brought to `fps` from, where it is known.
        needs: nodes that must be ok first. Tracks among the inputs are waited for, whatever comes of them.
    """

    def preimage(progress: PlanState) -> dict[str, Any]:
        identity = dict(family.identity(options))
        return {
            "kind": "score",
            "family": family.id,
            "code": code,
            "metrics": {m.id: m.version for m in family.metrics},
            "options": {name: value for name, value in options.items() if name not in identity},
            "identity": identity,
            "fps": fps,
            **{name: source.digest(progress) for name, source in inputs.items()},
        }

    def task(progress: PlanState) -> ScoreTask:
        files: dict[str, Any] = {name: source.path(progress) for name, source in inputs.items()}
        reasons: dict[str, Any] = {f"{name}_reason": inputs[name].reason(progress) for name in TRACKS if name in inputs}
        return ScoreTask(family=family.id, options=dict(options), fps=fps, source_fps=source_fps, **files, **reasons)

    optional_deps = tuple(source.node for source in inputs.values() if isinstance(source, StageTrack))
    return Node(
        f"score {family.id} of {of}",
        "score",
        tuple(needs),
        preimage,
        task,
        optional_deps=optional_deps,
        gpu=GPU_SHARE["score"] if family.uses_gpu(options) else 0.0,
    )
