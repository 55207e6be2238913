"""The stage that scores: one metric family on one video. Runs inside a worker, as `stages` does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import numpy as np

from lipbench.core.devices import choose_device
from lipbench.core.errors import LipbenchError, MediaError, NoVideo, Truncated
from lipbench.core.metric import MetricFamily, Pair, Score
from lipbench.engine.score_json import score_json
from lipbench.engine.tasks import Result, ScoreTask


def run_score(task: ScoreTask, out: Path, device: str, threads: int) -> Result:
    """One metric family on one video."""
    from lipbench.core import registry

    family = registry.load("metrics", task.family)
    pair = pair_of(task, out, device, threads)
    return score_result(task, out, family, pair, family.score(pair))


def pair_of(task: ScoreTask, out: Path, device: str, threads: int) -> Pair:
    """What a task measures; the clip's face track is laid over the dub."""
    from lipbench.faces.track import FaceTrack

    inputs = {f.name: getattr(task, f.name) for f in fields(task) if f.name not in ("family", "index")}
    if task.faces is not None:
        track = FaceTrack.load(task.faces)
        every = list(range(len(track)))
        index = every if task.index is None else json.loads(task.index.read_text())
        if index != every:
            track = track.take(index)
        if track.found.any():
            inputs["faces"] = task.faces if index == every else track.save(out / "faces.npz")
        else:
            inputs |= {"faces": None, "faces_reason": "no_face: no face was found in the source video"}
    return Pair(**inputs, work=out, device=choose_device(device), threads=threads)


def score_result(task: ScoreTask, out: Path, family: MetricFamily, pair: Pair, scores: Mapping[str, Score]) -> Result:
    """What a stage leaves of a family's scores.

    Raises:
        LipbenchError: they are not those that its specs name, or a video of the run cannot be read.
    """
    if set(scores) != (named := {m.id for m in family.metrics}):
        raise LipbenchError(
            f"the metric family {task.family} did not score what its specs name",
            f"it scored {', '.join(sorted(scores)) or 'nothing'}; its specs name {', '.join(sorted(named))}",
            "this is a fault of the metric family, not of the input",
            reason="bad_output",
        )
    own = [str(value) for f in fields(pair) if isinstance(value := getattr(pair, f.name), Path) and f.name != "work"]
    unread = next((s.reason for s in scores.values() if s.value is None and _is_unread(s.reason, own)), None)
    if unread is not None:
        raise LipbenchError(
            f"a video that {task.family} measures cannot be read",
            unread,
            "look at the video: where it is broken, what made it is at fault",
            reason="unreadable",
        )
    per_frame = {name: s.per_frame for name, s in scores.items() if s.per_frame is not None}
    for path in out.iterdir():  # what the family left behind is scratch
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    outputs = {}
    if per_frame:
        outputs["per_frame"] = out / "per_frame.npz"
        np.savez_compressed(outputs["per_frame"], **per_frame)  # type: ignore[arg-type]
    versions = {m.id: m.version for m in family.metrics}
    return outputs, {}, {name: score_json(s, versions[name]) for name, s in scores.items()}


def _is_unread(reason: str | None, own: list[str]) -> bool:
    """Whether a score says that one of the files that lipbench made or accepted for it cannot be read."""
    word, _, text = (reason or "").partition(":")
    broken = word in (MediaError.reason, NoVideo.reason, Truncated.reason)
    return broken and any(path in text for path in own)
