"""What a node answers without a cluster, and the Ray executor's choice; test_ray_cluster.py has the clusters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lipbench.core.errors import UsageError
from lipbench.datasets.types import Manifest
from lipbench.engine import api, executors
from lipbench.engine.executors import StageRequest
from lipbench.engine.executors import ray as ray_module
from lipbench.engine.executors.ray import Flight, code_here, remote


def test_unknown_executor_and_missing_extra() -> None:
    with pytest.raises(UsageError, match="known: local, ray"):
        executors.create("slurm", None)
    try:
        import ray  # noqa: F401
    except ImportError:
        with pytest.raises(UsageError, match=r"lipbench\[ray\]"):
            executors.create("ray", None)


def message(workspace: Path, manifest: Manifest, **changes: Any) -> dict[str, Any]:
    clip = manifest.clips[0]
    span = {"fps": 25.0, "start_s": 0.0, "end_s": None}
    task = {"video": str(clip.video), "sha256": clip.sha256, **span}
    return {
        "kind": "clip",
        "key": "k",
        "task": task,
        "workspace": str(workspace),
        "gpu": False,
        "code": code_here(),
        **changes,
    }


def test_a_node_runs_a_stage_and_keeps_its_log(tmp_path: Path, manifest: Manifest) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "half.mp4").write_bytes(b"of an attempt before")
    answer = remote(message(tmp_path, manifest))
    assert answer["status"] == "ok", answer["error"]
    assert not (tmp_path / "out" / "half.mp4").exists()
    assert (tmp_path / answer["outputs"]["video"]["path"]).stat().st_size == answer["outputs"]["video"]["bytes"]
    assert (tmp_path / "log.txt").exists()


def test_a_node_without_the_run_directory_makes_none(tmp_path: Path, manifest: Manifest) -> None:
    answer = remote(message(tmp_path / "elsewhere", manifest))
    assert (answer["status"], answer["error"]["reason"]) == ("error", "not_shared")
    assert not (tmp_path / "elsewhere").exists()


def test_a_node_with_other_code_does_nothing(tmp_path: Path, manifest: Manifest) -> None:
    answer = remote(message(tmp_path, manifest, code="0" * 16))
    assert (answer["status"], answer["error"]["reason"]) == ("error", "other_code")
    assert not (tmp_path / "out").exists()


def test_weights_that_a_node_lacks_are_no_final_answer(
    tmp_path: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def perform(_: Any) -> dict[str, Any]:
        return {"status": "refused", "error": {"reason": "weights_missing", "why": "there is no file"}}

    monkeypatch.setattr("lipbench.engine.worker.perform", perform)
    answer = remote(message(tmp_path, manifest))
    assert answer["status"] == "error"
    assert "(on " in answer["error"]["why"]


def test_time_runs_from_the_start_of_an_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(ray_module.time, "monotonic", lambda: now[0])
    flight = Flight(StageRequest("clip", "k", {}, str(tmp_path), timeout_s=10), 0.0)
    now[0] = 1000.0  # it waits for a node
    assert not flight.is_late()
    (tmp_path / "started").write_text("first")
    assert not flight.is_late()
    now[0] = 1009.0
    assert not flight.is_late()
    (tmp_path / "started").write_text("second")  # its node was lost, another has it now
    now[0] = 1015.0
    assert not flight.is_late()
    now[0] = 1026.0
    assert flight.is_late()


def test_run_directories_are_absolute_and_no_urls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: Manifest
) -> None:
    monkeypatch.chdir(tmp_path)
    request = {"manifest": "t", "metrics": ["fake"], "methods": ["fake-copy"], "name": "mine"}
    assert api.prepare(request, manifest=manifest).root == tmp_path / "runs" / "mine"
    assert api.prepare(request, manifest=manifest, out="there").store.root == tmp_path / "there"
    for url in ("s3://bucket/run", Path("gs://bucket/run"), "hdfs://node/run"):
        with pytest.raises(UsageError, match="cannot be a URL") as caught:
            api.prepare(request, manifest=manifest, out=url)
        assert "all machines see" in caught.value.fix
    with pytest.raises(UsageError, match="cannot be a URL") as caught:
        api.prepare(request, manifest=manifest, out="file:///data/run")
    assert caught.value.fix == "use --out /data/run"


def test_tasks_name_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: Manifest) -> None:
    import dataclasses
    import shutil

    shutil.copyfile(manifest.clips[0].video, tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    clip = dataclasses.replace(manifest.clips[0], video=Path("clip.mp4"))
    nearby = dataclasses.replace(manifest, clips=(clip, *manifest.clips[1:]))
    request = {"manifest": "t", "metrics": ["fake"], "methods": ["fake-copy"], "clips": ["one"], "languages": ["fr"]}
    result = api.execute(api.prepare(request, manifest=nearby, out="run"), workers=1, quiet=True)
    assert result.complete
    jobs = [json.loads(file.read_text()) for file in (tmp_path / "run" / "objects").rglob("job.json")]
    paths = [job["task"]["video"] for job in jobs if job["kind"] == "clip"]
    assert paths == [str(tmp_path / "clip.mp4")]
