"""Which device a stage gets: cards of workers, LIPBENCH_DEVICE, and that no key knows of either."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from lipbench.core import registry
from lipbench.core.errors import UsageError
from lipbench.core.method import Method, Outputs
from lipbench.core.threads import THREAD_VARIABLES
from lipbench.engine import api, executors, rows, score_stage, stages
from lipbench.engine.executors import local
from lipbench.engine.tasks import PrepareTask, ScoreTask


def execute(manifest, out: Path):
    request = {"manifest": "tiny", "metrics": ["fake"], "methods": ["fake-copy"]}
    return api.execute(api.prepare(request, out=out, manifest=manifest), workers=1, quiet=True)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Environments of the workers that would have been started."""
    found: list[dict[str, str]] = []

    def popen(*_: object, env: dict[str, str], **__: object) -> SimpleNamespace:
        found.append(env)
        return SimpleNamespace()

    monkeypatch.setattr(local.subprocess, "Popen", popen)
    return found


def start(workers: int) -> list[str | None]:
    executor = local.LocalExecutor(workers)
    for worker in executor.workers:
        worker.start()
        worker.process = None
    return [worker.gpu for worker in executor.workers]


def test_each_card_goes_to_one_worker_and_is_hidden_from_the_others(monkeypatch, started) -> None:
    monkeypatch.setattr(local, "cards", lambda: ["2", "GPU-8f"])
    assert start(3) == ["2", "GPU-8f", None]
    assert [env["CUDA_VISIBLE_DEVICES"] for env in started] == ["2", "GPU-8f", ""]


@pytest.mark.parametrize("told", [None, "1"])
def test_a_card_that_was_not_found_is_not_hidden(told: str | None, monkeypatch, started) -> None:
    monkeypatch.setattr(local, "cards", list)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if told is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", told)
    assert start(1) == [None]
    assert started[0].get("CUDA_VISIBLE_DEVICES") == told


def test_workers_use_one_thread_in_every_library_accelerate_included(started) -> None:
    start(1)
    assert "VECLIB_MAXIMUM_THREADS" in THREAD_VARIABLES
    assert {started[0][name] for name in THREAD_VARIABLES} == {"1"}


def test_as_many_workers_as_cores_up_to_eight_but_one_for_each_card(monkeypatch) -> None:
    monkeypatch.setattr(local, "cards", list)
    for cores, expected in ((3, 3), (64, 8)):
        monkeypatch.setattr(local, "usable_cores", lambda cores=cores: cores)
        assert len(local.LocalExecutor().workers) == expected
    monkeypatch.setattr(local, "cards", lambda: [str(i) for i in range(10)])
    assert len(local.LocalExecutor().workers) == 10


def test_a_wrong_device_name_stops_the_run_before_any_stage(manifest, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("LIPBENCH_DEVICE", "gpu")
    with pytest.raises(UsageError, match="LIPBENCH_DEVICE"):
        executors.create("local", 1)
    with pytest.raises(UsageError, match="LIPBENCH_DEVICE"):
        execute(manifest, tmp_path / "run")


def test_a_device_that_torch_lacks_fails_stages_and_the_cpu_takes_over_on_request(manifest, tmp_path, monkeypatch):
    monkeypatch.setenv("LIPBENCH_DEVICE", "mps")  # this is no Mac
    cells = execute(manifest, tmp_path / "run").cells
    assert {cell["status"] for cell in cells} != {"ok"}
    assert all("mps is not there" in cell["reason"] for cell in cells)
    monkeypatch.setenv("LIPBENCH_DEVICE", "cpu")
    result = execute(manifest, tmp_path / "run")
    assert result.complete
    # What does not compute on a device was kept: keys do not hold it.
    how = Counter((node.split(" ")[0], state.how) for node, state in result.outcome.states.items())
    assert how == {("clip", "cached"): 2, ("dub", "cached"): 6, ("synthesize", "run"): 6, ("score", "run"): 6}
    monkeypatch.delenv("LIPBENCH_DEVICE")
    assert {state.how for state in execute(manifest, tmp_path / "run").outcome.states.values()} == {"cached"}


@pytest.mark.parametrize(("external", "device"), [(False, "cpu"), (True, "cuda:0")])
def test_an_external_method_keeps_a_card_that_our_torch_cannot_use(
    external: bool, device: str, tmp_path: Path, monkeypatch
) -> None:
    import torch

    seen = []

    class Fake(Method):
        spec = SimpleNamespace(params=SimpleNamespace(model_validate=lambda values: values))

        own_environment = external

        def prepare(self, job):
            seen.append(job.device)
            return Outputs({})

        def synthesize(self, job):
            raise NotImplementedError

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(rows, "load_method", lambda _: Fake())
    (tmp_path / "clip.json").write_text(json.dumps({"fps": 25, "n_frames": 1, "width": 2, "height": 2}))
    task = PrepareTask(
        method={"params": {}},
        clip=tmp_path,
        clip_id="a",
        clip_language="en",
        faces=None,
        annotations=None,
        seed=0,
        train_seconds=None,
    )
    stages.run_method(task, tmp_path, "cuda:0", 1)
    assert seen == [device]


def test_a_metric_is_told_the_device_that_torch_can_use(tmp_path: Path, monkeypatch) -> None:
    import torch

    seen = []
    family = SimpleNamespace(metrics=(), score=lambda pair: seen.append(pair.device) or {})
    monkeypatch.setattr(registry, "load", lambda *_: family)
    task = ScoreTask(family="fake", options={}, fps=25, prediction=Path("a.mp4"))
    for there in (True, False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        monkeypatch.setattr(torch.cuda, "device_count", lambda there=there: int(there))
        score_stage.run_score(task, tmp_path, "cuda:0", 1)
    assert seen == ["cuda:0", "cpu"]


def test_only_stages_that_compute_on_a_gpu_ask_for_one(manifest, tmp_path: Path) -> None:
    methods = ["dubbed", "still-mouth", "shifted-audio", "fake-staged", {"id": "wav2lip", "params": {}}]
    methods.append({"id": "wav2lip", "label": "published", "params": {"detector": "s3fd"}})
    metrics = ["image", "temporal", "landmarks", "lpips", "sync", "fake"]
    request = {"manifest": "t", "methods": methods, "metrics": metrics, "clips": ["one"], "languages": ["fr"]}
    plan = api.prepare(request, out=tmp_path / "run", manifest=manifest).plan
    shares = {node.id.removesuffix(" one/fr"): node.gpu for node in plan.nodes.values()}
    videos = {name.removeprefix("synthesize "): share for name, share in shares.items() if name.startswith("synth")}
    # What says nothing (the plug-in) may use one in every stage.
    used = {"fake-staged": 0.5, "wav2lip": 0.5, "published": 0.5}
    assert videos == {"dubbed": 0, "still-mouth": 0, "shifted-audio": 0, **used}
    assert {name: shares[f"prepare {name} one"] for name in used} == {**used, "wav2lip": 0}
    assert shares["fit fake-staged one"] == 1
    families = {name: shares[f"score {name} of dubbed"] for name in metrics}
    assert families == {"image": 0, "temporal": 0, "landmarks": 0, "lpips": 0.25, "sync": 0.25, "fake": 0.25}
    assert {share for name, share in shares.items() if name.split(" ")[0] in ("clip", "dub", "faces")} == {0}


@pytest.mark.parametrize("more", [{"begin": 1}, {"score": 1}, {}])
def test_a_frame_metric_uses_a_gpu_when_it_is_told_the_device(more) -> None:
    from lipbench.core.metric import MetricSpec
    from lipbench.metrics.frame_metric import FrameMetric

    specs = (MetricSpec("one", "1", "One", "", "none", frozenset({"reference"}), "full"),)
    own = {name: lambda self, pair, **options: None for name in more}
    family = type("Own", (FrameMetric,), {"id": "own", "metrics": specs, "frame": lambda *_: 1.0, **own})()
    assert family.uses_gpu({}) == bool(more)
