"""Tasks: what travels to a worker comes back the same."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
from pydantic import ValidationError

from lipbench.core.metric import Pair
from lipbench.engine import stages, tasks

VALUES = {
    "Path": Path("/a/b.mp4"),
    "Path | None": Path("c.npz"),
    "str": "text",
    "str | None": None,
    "int": 3,
    "float": 25.0,
    "float | None": 1.5,
    "int | None": 2,
    "tuple[tuple[float, float], ...]": ((0.0, 1.5), (2.0, 3.0)),
    "Mapping[str, Any]": {"a": [1, None], "b": {"c": 0.5}},
}


@pytest.mark.parametrize("kind", tasks.TASKS)
def test_a_task_survives_the_way_to_a_worker(kind):
    task = tasks.TASKS[kind](**{f.name: VALUES[f.type] for f in fields(tasks.TASKS[kind])})
    assert task.kind == kind
    data = json.loads(json.dumps(task.to_json()))
    assert tasks.from_json(kind, data) == task


@pytest.mark.parametrize("kind", tasks.TASKS)
def test_unknown_and_missing_fields_are_refused(kind):
    needed = {f.name: VALUES[f.type] for f in fields(tasks.TASKS[kind]) if f.default is MISSING}
    tasks.from_json(kind, needed)
    with pytest.raises(ValidationError, match="nonsense"):
        tasks.from_json(kind, {**needed, "nonsense": 1})
    for name in needed:
        with pytest.raises(ValidationError, match=name):
            tasks.from_json(kind, {k: v for k, v in needed.items() if k != name})


def test_a_score_task_holds_what_a_pair_needs_of_a_plan():
    given = {f.name for f in fields(tasks.ScoreTask)} - {"family", "index"}
    assert given == {f.name for f in fields(Pair)} - {"work", "device", "threads", "alone"}


def test_every_kind_of_stage_is_run_by_its_task(tmp_path, monkeypatch):
    seen = []
    for name in ("run_clip", "run_dub", "run_faces", "run_method", "run_score"):
        monkeypatch.setattr(stages, name, lambda task, *_, name=name: seen.append((task.kind, name)))
    for kind, task in tasks.TASKS.items():
        data = {f.name: VALUES[f.type] for f in fields(task)}
        stages.execute(kind, task(**data).to_json(), tmp_path, "cpu", 1)
    method = {"prepare", "fit", "synthesize"}
    assert seen == [(kind, "run_method" if kind in method else f"run_{kind}") for kind in tasks.TASKS]
