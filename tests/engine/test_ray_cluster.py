"""Ray clusters of several raylets on this machine: the same numbers as the local executor, lost nodes, lost drivers."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lipbench.core import keys, registry
from lipbench.core.store import Store
from lipbench.datasets.types import Manifest
from lipbench.engine import api
from lipbench.engine.outcome import RunOptions

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.ray

#: Writes down who works on what; does not end before the file `hold`, which names languages, lets it.
PLUGIN = """
import os, shutil, time
from lipbench.core.method import Method, MethodSpec, Outputs, Params

class LedgerParams(Params):
    ledger: str

class Ledger(Method):
    spec = MethodSpec(id="ledger", version="1", title="writes down", params=LedgerParams)
    def synthesize(self, job):
        self.line(job, "start")
        until = time.monotonic() + 60
        while self.held(job) and time.monotonic() < until:
            time.sleep(0.05)
        self.line(job, "end")
        return Outputs({"video": shutil.copy(job.dub.video, job.out / "video.mp4")})
    def held(self, job):
        try:
            return job.dub.language in open(job.params.ledger + ".hold").read().split()
        except FileNotFoundError:
            return False
    def line(self, job, what):
        with open(job.params.ledger, "a") as file:
            file.write(f"{what} {job.dub.language} {os.getpid()} {os.getppid()}\\n")
"""


@pytest.fixture(scope="module", autouse=True)
def _ledger_method(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    site = tmp_path_factory.mktemp("ledger-site")
    (site / "ledger_plugin.py").write_text(PLUGIN)
    info = site / "ledger_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ledger-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lipbench.methods]\nledger = ledger_plugin:Ledger\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ["PYTHONPATH"]]))
        patch.setattr(sys, "path", [str(site), *sys.path])
        registry.sources.cache_clear()
        yield
    registry.sources.cache_clear()


@pytest.fixture(scope="module")
def cluster(_ledger_method: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A head that computes nothing, and two nodes of one core; their working folder is not the tests'."""
    from ray.cluster_utils import Cluster

    before = Path.cwd()
    with contextlib.chdir(tmp_path_factory.mktemp("of-the-nodes")) if hasattr(contextlib, "chdir") else nothing():
        made = patiently(lambda: Cluster(initialize_head=True, head_node_args={"num_cpus": 0}))
        for _ in range(2):
            patiently(lambda: made.add_node(num_cpus=1))
    assert Path.cwd() == before
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", made.address)
        yield made
    ray.shutdown()
    made.shutdown()


def patiently(start: Callable[[], Any], attempts: int = 3) -> Any:
    """Ray gives a node half a minute to start, which a busy machine may need more than once."""
    for last in (*[False] * (attempts - 1), True):
        try:
            return start()
        except Exception as error:
            if last:  # no finding about lipbench
                pytest.skip(f"no node of Ray came up in {attempts} tries: {error}")


@contextlib.contextmanager
def nothing() -> Iterator[None]:
    yield


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def lines(ledger: Path, what: str) -> list[list[str]]:
    """[language, pid, pid of the raylet] of each line of a kind."""
    if not ledger.exists():
        return []
    return [words[1:] for words in map(str.split, ledger.read_text().splitlines()) if words[0] == what]


def request(ledger: Path, **more: Any) -> dict[str, Any]:
    methods = [{"id": "ledger", "params": {"ledger": str(ledger)}}]
    return {"manifest": "t", "metrics": ["fake"], "methods": methods, "clips": ["one"], **more}


def test_the_same_numbers_as_here(cluster: Any, manifest: Manifest, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)  # the run directories below are relative ones, and the nodes are elsewhere
    asked = {"manifest": "t", "metrics": ["fake"], "methods": ["fake-copy", "fake-raises"], "clips": ["one"]}
    values = {}
    for name in ("ray", "local"):
        prepared = api.prepare(asked, out=name, manifest=manifest)
        result = api.execute(prepared, executor=name, workers=2, quiet=True)
        values[name] = [(c["method"], c["language"], c["status"], c["metrics"]["gray"]) for c in result.cells]
        logs = [Store(tmp_path / name).directory(c["keys"]["synthesize"]) / "log.txt" for c in result.cells]
        assert any("about to fail" in log.read_text() for log in logs)
    assert values["ray"] == values["local"]
    assert {status for _, _, status, _ in values["ray"]} == {"ok", "error"}


def test_a_time_limit(cluster: Any, manifest: Manifest, tmp_path: Path) -> None:
    asked = {"manifest": "t", "metrics": ["fake"], "methods": ["fake-hangs"], "clips": ["one"], "languages": ["fr"]}
    prepared = api.prepare(asked, out=tmp_path / "run", manifest=manifest)
    result = api.execute(prepared, executor="ray", options=RunOptions(timeout_s=3, retries=0), quiet=True)
    (cell,) = result.cells
    assert cell["status"] == "timeout"
    assert f"read objects/{cell['keys']['synthesize'][:2]}/{cell['keys']['synthesize']}/log.txt" in cell["reason"]


def test_a_lost_node_costs_the_stage_in_flight(cluster: Any, manifest: Manifest, tmp_path: Path) -> None:
    ledger, hold = tmp_path / "ledger", tmp_path / "ledger.hold"
    hold.write_text("fr de es")
    started: list[str] = []
    prepared = api.prepare(request(ledger), out=tmp_path / "run", manifest=manifest)

    class Listener:
        def __enter__(self) -> Callable[..., None]:
            return lambda event, node, state: started.append(node.id) if event == "start" else None

        def __exit__(self, *_: object) -> None: ...

    results: list[Any] = []
    run = threading.Thread(
        target=lambda: results.append(api.execute(prepared, executor="ray", listener=Listener(), quiet=True))
    )
    run.start()
    until(lambda: len(lines(ledger, "start")) == 2)
    lost_language, worker, raylet = lines(ledger, "start")[0]
    lost = next(n for n in cluster.list_all_nodes() if str(n.all_processes["raylet"][0].process.pid) == raylet)
    cluster.remove_node(lost, allow_graceful=False)
    until(lambda: not alive(int(worker)))
    cluster.add_node(num_cpus=1)
    hold.unlink()
    run.join(120)
    (result,) = results
    assert result.complete
    assert [c["status"] for c in result.cells] == ["ok"] * 3
    starts, ends = (Counter(d for d, _, _ in lines(ledger, what)) for what in ("start", "end"))
    assert starts == {language: 1 + (language == lost_language) for language in ("fr", "de", "es")}
    assert set(ends.values()) == {1}
    assert set(Counter(started).values()) == {1}  # of the other kinds nothing was asked for twice either
    assert empty(tmp_path / "run")


def test_a_lost_driver_costs_the_stages_in_flight(
    cluster: Any, media_files: Path, manifest: Manifest, tmp_path: Path
) -> None:
    ledger, hold = tmp_path / "ledger", tmp_path / "ledger.hold"
    clip = next(c for c in manifest.clips if c.id == "one")
    document = {
        "schema": 1,
        "name": "tiny",
        "version": "1",
        "licence": "CC0-1.0",
        "root": str(media_files),
        "clips": [
            {"id": "one", "video": clip.video.name, "language": "en", "speaker": "one", "consent": "none needed"}
            | {"sha256": keys.sha256_file(clip.video)}
        ],
        "dubs": [
            {"clip": "one", "language": lang, "kind": "synthetic", "audio": f"{lang}.wav"}
            | {"sha256": keys.sha256_file(media_files / f"{lang}.wav")}
            for lang in ("fr", "de", "es")
        ],
    }
    (tmp_path / "manifest.yaml").write_text(yaml.safe_dump(document))
    asked = {"schema": 1, **request(ledger), "manifest": "manifest.yaml", "name": "lost"}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(asked))
    command = [sys.executable, "-m", "lipbench", "run", "run.yaml", "--out", "run", "--executor", "ray", "--json"]
    hold.write_text("es")
    first = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    # clip, three dubs; two languages made and scored. The third is in flight.
    run = tmp_path / "run"
    until(lambda: first.poll() is not None or (len(records(run)), len(lines(ledger, "start"))) == (8, 3), 120)
    assert first.poll() is None
    first.kill()
    first.wait()
    (worker,) = (int(pid) for language, pid, _ in lines(ledger, "start") if language == "es")
    until(lambda: not alive(worker))  # Ray ends what a dead driver has asked for
    before = records(run)
    hold.unlink()
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    answer = json.loads(again.stdout)
    assert {c["status"] for c in answer["cells"]} == {"ok"}
    starts, ends = (Counter(d for d, _, _ in lines(ledger, what)) for what in ("start", "end"))
    assert starts == {"fr": 1, "de": 1, "es": 2}
    assert set(ends.values()) == {1}
    assert answer["stages"]["run"] == 2  # the one that was lost, and its score
    assert before.items() <= records(run).items()
    assert empty(run)


def records(run: Path) -> dict[str, int]:
    """Key -> when its record was written, ns."""
    return {file.parent.name: file.stat().st_mtime_ns for file in (run / "objects").rglob("record.json")}


def empty(run: Path) -> bool:
    """Whether a run has left neither leases nor work behind."""
    return not any((run / "leases").iterdir()) and not any((run / "work").iterdir())


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
