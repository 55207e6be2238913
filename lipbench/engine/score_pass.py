"""Several metric families on one video, outside any run: those that compare the same frames read them once.

In a run every family is a stage with a key of its own, so that an edit or an option of one measures no other again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from lipbench.core import registry
from lipbench.core.memory import give_back_freed_memory
from lipbench.core.store import Store
from lipbench.engine.pairing import Pairing
from lipbench.engine.plan import Plan, PlanState
from lipbench.engine.rows import Measured
from lipbench.engine.score_node import Source, score_node
from lipbench.engine.score_progress import ScoreProgress
from lipbench.engine.score_stage import pair_of, score_result
from lipbench.engine.tasks import Result, ScoreTask
from lipbench.metrics.frame_metric import FrameMetric
from lipbench.metrics.measurement import measure_all


def run_families(
    measured: Sequence[Measured], inputs: Mapping[str, Source], of: str, pairing: Pairing, progress: ScoreProgress
) -> dict[str, dict[str, Any]]:
    """Scores by metric id: a plan of one node for each family, run here.

    Args:
        of: name of the video, for messages.
    """
    fps, work = pairing.fps, pairing.work
    nodes = [score_node(family, options, of, fps, inputs, source_fps=pairing.rate) for family, options in measured]
    known = PlanState(Plan([], {node.id: node for node in nodes}), Store(work / "store"))
    tasks = [cast(ScoreTask, node.task(known)) for node in nodes]
    frames = [i for i, (family, _) in enumerate(measured) if compares_frames(family)]
    alone = [[i] for i in range(len(measured)) if i not in frames]
    scores: dict[str, dict[str, Any]] = {}
    for group in sorted([*([frames] if frames else []), *alone]):  # what compares frames reads them once
        names = [measured[i][0].id for i in group]
        asked = [(tasks[i], _made(work / f"score-{name}")) for i, name in zip(group, names, strict=True)]
        with step(progress, *names):
            for _, _, found in run_scores(asked, "cpu", 1):
                scores |= found
    return scores


@contextmanager
def step(progress: ScoreProgress, *names: str) -> Iterator[None]:
    """Inside, a step runs. What it freed goes back to the system: blocks of its sizes are no use to the next one."""
    with progress.running(*names):
        yield
    give_back_freed_memory()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def compares_frames(family: object) -> bool:
    """Whether a family scores as `FrameMetric` does."""
    return isinstance(family, FrameMetric) and type(family).score is FrameMetric.score


def run_scores(asked: Sequence[tuple[ScoreTask, Path]], device: str, threads: int) -> list[Result]:
    """What `score_stage.run_score` gives for each task.

    Args:
        asked: tasks, each with its empty folder.
    """
    families = [registry.load("metrics", task.family) for task, _ in asked]
    pairs = [replace(pair_of(task, out, device, threads), alone=True) for task, out in asked]
    frames = [i for i, family in enumerate(families) if compares_frames(family)]
    scores = dict(zip(frames, measure_all([(families[i], pairs[i]) for i in frames]), strict=True))
    return [
        score_result(task, out, family, pair, scores[i] if i in scores else family.score(pair))
        for i, ((task, out), family, pair) in enumerate(zip(asked, families, pairs, strict=True))
    ]
