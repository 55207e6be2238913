"""A damaged run directory on the command line: one remark, no exit code 5, and the numbers that are still there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lipbench.cli import main as entry
from lipbench.core import keys
from lipbench.core.store import Store
from lipbench.reports.details import Details

MANIFEST = """schema: 1
name: tiny
version: "1"
licence: {{id: CC0-1.0}}
clips:
- {{id: one, video: one.mp4, sha256: {clip}, speaker: a, language: en, consent: none needed}}
dubs:
- {{id: one/fr, clip: one, language: fr, kind: synthetic, audio: fr.wav, sha256: {dub}}}
"""
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(
    media_files: Path,
    tmp_path: Path,
    in_process: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Call:
    """`lipbench ...` in this process: exit code, what it printed and what it told. A run in RUN is there."""
    hashes = {"clip": keys.sha256_file(media_files / "one.mp4"), "dub": keys.sha256_file(media_files / "fr.wav")}
    (media_files / "told.yaml").write_text(MANIFEST.format(**hashes))
    (tmp_path / "run.yaml").write_text(
        f"manifest: {media_files / 'told.yaml'}\nmethods: [fake-copy]\nmetrics: [fake]\n"
    )
    monkeypatch.chdir(tmp_path)

    def call(*args: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            entry([*args])
        return (int(caught.value.code or 0), *capsys.readouterr())

    assert call("run", "run.yaml", "--out", "RUN")[0] == 0
    return call


def spoil(kind: str, text: str) -> Path:
    """Write `text` over the record of a kind of stage."""
    store = Store(Path("RUN"))
    (record,) = (r for r in store.records() if r.kind == kind)
    path = store.directory(record.key) / "record.json"
    path.write_text(text)
    return path


def remarks(told: str) -> list[str]:
    return [line for line in told.splitlines() if line.startswith("remark:")]


def test_a_dry_run_says_so_and_moves_nothing(call: Call) -> None:
    path = spoil("synthesize", "[]")
    code, printed, told = call("run", "run.yaml", "--out", "RUN", "--dry-run")
    assert (code, len(remarks(told))) == (0, 1)
    assert "is damaged (it holds a list, not a record)" in told
    assert "50 % cached" in printed
    assert path.exists()


def test_a_run_mends_it_and_says_so(call: Call) -> None:
    spoil("synthesize", "")
    code, _, told = call("run", "run.yaml", "--out", "RUN")
    assert (code, len(remarks(told))) == (0, 1)
    assert "4 stages: 3 cached, 1 " in told
    assert call("run", "run.yaml", "--out", "RUN")[2].count("remark") == 0


def test_tables_and_reports_go_on(call: Call) -> None:
    before = call("table", "RUN")
    spoil("score", "{}")
    spoil("synthesize", "null")
    assert call("table", "RUN") == before
    details = Details("RUN")
    (cell,) = details.cells
    with pytest.warns(Warning, match="is damaged"):
        assert details.per_frame(cell) == {}
    assert details.source(cell) is not None
    assert details.failures == ()
    assert details.stage_seconds(cell) == {}
    assert isinstance(details.machines, tuple)


def test_explain_names_the_mend(call: Call) -> None:
    key = spoil("score", "{}").parent.name
    code, _, told = call("explain", key[:12], "--run", "RUN")
    assert code == 2
    lines = told.splitlines()
    assert lines[0] == f"error: cannot use the record of {key[:12]}"
    assert "run the same command again" in lines[2]


def test_verify(call: Call) -> None:
    code, _, told = call("run", "run.yaml", "--out", "RUN", "--verify")
    assert (code, told.splitlines()[0].startswith("verified 4 results, ")) == (0, True)
    assert "all are what was written" in told
    path = spoil("score", "{}")
    code, _, told = call("run", "run.yaml", "--out", "RUN", "--verify", "--dry-run")
    assert code == 0
    assert "verified 3 results" in told
    assert "its schema is None" in told
    assert path.exists()
    assert "1 damaged" in call("run", "run.yaml", "--out", "RUN", "--verify")[2]
    assert "all are what was written" in call("run", "run.yaml", "--out", "RUN", "--verify")[2]
