"""`lipbench cache`: what is there, what goes, what is damaged; and a run that uses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lipbench.cli.cache import main
from lipbench.core.errors import UsageError
from lipbench.core.integrity import describe
from lipbench.core.record import Record
from lipbench.core.run_store import RunStore
from lipbench.core.shared import cache_of_user


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with two clips and a score, which a run directory links to."""
    monkeypatch.setenv("LIPBENCH_CACHE", str(tmp_path / "cache"))
    store = RunStore(tmp_path / "run", cache_of_user())
    store.begin()
    for i, kind in enumerate(("clip", "clip", "score")):
        key = f"{i:02x}" * 32
        workspace = store.workspace(key)
        (workspace / "out" / "a").write_bytes(b"x" * 1_000_000)
        outputs, rest = describe(workspace / "out", {"a": workspace / "out" / "a"})
        store.put(Record(key, kind, "ok", {}, outputs, rest), workspace)
    return tmp_path / "cache"


def call(*args: str) -> str:
    found = CliRunner().invoke(main, args, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def answer(*args: str) -> Any:
    return json.loads(call(*args, "--json"))


def test_show(cache: Path) -> None:
    found = answer("show")
    assert (found["folder"], found["limit"], found["results"]) == (str(cache), 20 * 10**9, 3)
    assert 3_000_000 < found["bytes"] < 3_010_000
    assert found["kinds"]["clip"]["results"] == 2
    lines = call("show").splitlines()
    assert lines[0] == f"{cache}: 3 results, 3.0 MB; limit 20.0 GB"
    assert lines[1].split() == ["clip", "2", "2.0", "MB"]
    assert "3.0 MB are links" in lines[3]


def test_an_empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPBENCH_CACHE", str(tmp_path / "none"))
    assert "0 results, 0.0 MB" in call("show")
    assert call("prune", "--all").startswith("deleted: 0 results")
    assert "verified 0 results" in call("verify")
    assert not (tmp_path / "none" / "objects").exists()


def test_prune(cache: Path) -> None:
    assert answer("prune")["results"] == 0  # within the limit
    assert "would go: 2 results" in call("prune", "--to", "1.5 MB", "--dry-run")
    assert answer("show")["results"] == 3
    assert call("prune", "--to", "1.5 MB").startswith("deleted: 2 results, 2.0 MB (2.0 MB links)")
    assert answer("show")["results"] == 1
    assert answer("prune", "--all")["results"] == 1
    assert answer("show")["bytes"] == 0
    assert len([*(cache.parent / "run" / "objects").glob("*/*/out/a")]) == 3  # the run has its own


def test_verify(cache: Path) -> None:
    assert "verified 3 results, 3 files, 3 MB: all are what was written" in call("verify")
    (file,) = cache.glob("objects/02/*/out/a")
    file.write_bytes(b"y" * 1_000_000)
    found = answer("verify")
    assert (found["records"], [*found["damaged"].values()]) == (2, ["out/a has another content"])
    assert answer("verify")["damaged"] == {}


def test_wrong_use(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for args in (("prune", "--to", "much"), ("prune", "--all", "--to", "1GB")):
        with pytest.raises(UsageError):
            call(*args)
    monkeypatch.setenv("LIPBENCH_CACHE", "off")
    with pytest.raises(UsageError, match="there is no cache"):
        call("show")
