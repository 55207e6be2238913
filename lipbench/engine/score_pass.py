"""Several metric families on one video, outside any run: those that compare the same frames read them once.

In a run every family is a stage with a key of its own, so that an edit or an option of one measures no other again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lipbench.core import registry
from lipbench.engine.score_stage import pair_of, score_result
from lipbench.engine.tasks import Result, ScoreTask
from lipbench.metrics.frame_metric import FrameMetric
from lipbench.metrics.measurement import measure_all


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
