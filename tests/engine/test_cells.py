"""Cells of running, killed and sharded runs: no line is lost, and what reads them says how many there are."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lipbench.core.errors import Remark
from lipbench.engine import api, cells
from lipbench.engine.outcome import NodeState
from lipbench.engine.plan import Cell, Node, Plan
from lipbench.reports.cells import FILE, FOLDER, Finished, finished
from lipbench.reports.frame import load_run, read_cells, read_run
from lipbench.reports.tables import table_text

REQUEST = {"manifest": "t", "metrics": ["fake"], "methods": ["fake-copy"]}


def prepared(manifest, out: Path, shard=None, **fields: Any) -> api.PlannedRun:
    return api.prepare({**REQUEST, **fields}, out=out, manifest=manifest, shard=shard)


def plan_of(writer: int, n: int) -> Plan:
    made = [Cell("m", f"c{writer}-{i}", "fr", f"d{i}", None, 0) for i in range(n)]
    plan = Plan(made, {}, {cell: cell.clip for cell in made}, {cell: {} for cell in made})
    plan.request = "r"
    return plan


def line_of(cell: Cell) -> dict[str, Any]:
    names = ("method", "clip", "dub", "train_seconds", "seed")
    return {name: getattr(cell, name) for name in names} | {"status": "ok", "finished": True, "metrics": {}}


def write(writer: int, root: Path, n: int) -> None:
    """What one process of a run does with its cells, each a few hundred bytes, then its end."""
    plan = plan_of(writer, n)
    log = cells.CellLog(root, plan, lambda cell: {**line_of(cell), "reason": "x" * 300})
    for cell in plan.cells:
        log("end", Node(cell.clip, "synthesize", (), dict, dict), NodeState("run"))  # type: ignore[arg-type]
    log.close([])
    cells.write_cells(root, list(log.lines.values()), keep=True, request="r")


def clips(root: Path) -> list[str]:
    from lipbench.reports.cells import read_lines

    return sorted(line["clip"] for line in read_lines(root, {"request_digest": "r"}))


@pytest.mark.parametrize("trial", range(3))
def test_four_writers_lose_no_line(trial, tmp_path):
    start = multiprocessing.get_context("fork")
    writers = [start.Process(target=write, args=(i, tmp_path, 200)) for i in range(4)]
    for one in writers:
        one.start()
    for one in writers:
        one.join(60)
        assert one.exitcode == 0
    expected = sorted(f"c{i}-{j}" for i in range(4) for j in range(200))
    assert clips(tmp_path) == expected
    # cells.jsonl alone has them all too: whoever ends last has read what the others left.
    assert sorted(json.loads(text)["clip"] for text in (tmp_path / FILE).read_text().splitlines()) == expected


def test_lines_are_there_before_the_writer_ends(tmp_path):
    plan = plan_of(0, 3)
    log = cells.CellLog(tmp_path, plan, line_of)
    log("start", Node("another", "synthesize", (), dict, dict), None)  # type: ignore[arg-type]
    for i, cell in enumerate(plan.cells):
        log("end", Node(cell.clip, "synthesize", (), dict, dict), NodeState("run"))  # type: ignore[arg-type]
        assert len(clips(tmp_path)) == i + 1


def test_what_was_there_already_goes_down_in_one_piece_before_the_first_stage_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "AT_ONCE", 3)
    plan = plan_of(0, 5)
    log = cells.CellLog(tmp_path, plan, line_of)
    seen = []
    for cell in plan.cells:
        log("end", Node(cell.clip, "synthesize", (), dict, dict), NodeState("cached"))  # type: ignore[arg-type]
        seen.append(len(clips(tmp_path)) if log.path.exists() else 0)
    assert seen == [0, 0, 3, 3, 3]
    log("start", Node("another", "synthesize", (), dict, dict), None)  # type: ignore[arg-type]
    assert len(clips(tmp_path)) == 5


def test_a_cell_is_finished_when_all_its_stages_are(tmp_path):
    plan = plan_of(0, 1)
    (cell,) = plan.cells
    plan.scores[cell] = {"a": "score a", "b": "score b"}
    log = cells.CellLog(tmp_path, plan, line_of)
    for name in ("score a", cell.clip):
        log("end", Node(name, "s", (), dict, dict), NodeState("run"))  # type: ignore[arg-type]
        assert not log.lines
    log("start", Node("score b", "s", (), dict, dict), None)  # type: ignore[arg-type]
    assert not log.lines
    log("end", Node("score b", "s", (), dict, dict), NodeState("run"))  # type: ignore[arg-type]
    assert list(log.lines) == [cell]
    log("again", Node(cell.clip, "s", (), dict, dict), None)  # type: ignore[arg-type]
    assert not log.lines


def test_a_line_that_the_kill_cut_is_left_out_and_the_others_count(tmp_path):
    write(0, tmp_path, 5)
    (tmp_path / FILE).unlink()
    (part,) = (tmp_path / FOLDER).glob("*.jsonl")
    part.write_bytes(part.read_bytes()[:-40])
    assert clips(tmp_path) == [f"c0-{i}" for i in range(4)]
    lines = part.read_bytes().split(b"\n")
    lines[2] = b'{"method": []}'
    part.write_bytes(b"\n".join(lines))
    with pytest.warns(Remark, match="line 3 cannot be read"):
        assert clips(tmp_path) == ["c0-0", "c0-2", "c0-3"]


def test_a_full_disk_costs_no_byte_of_a_line(tmp_path, monkeypatch):
    plan = plan_of(0, 4)
    log = cells.CellLog(tmp_path, plan, line_of)
    log._works = True
    log._append(line_of(plan.cells[0]))

    class Full:
        """Takes 10 bytes, then nothing."""

        def __init__(self, file: Any) -> None:
            self.file, self.left = file, 10

        def write(self, data: bytes) -> int:
            if not self.left:
                raise OSError(28, "No space left on device")
            n, self.left = self.left, 0
            return int(self.file.write(data[:n]))

    file = log._file
    log._file = Full(file)
    log._append(line_of(plan.cells[1]))
    log._append(line_of(plan.cells[2]))
    assert log.fault is not None
    assert len(clips(tmp_path)) == 1
    log._file = file
    log._append(line_of(plan.cells[3]))
    assert log.fault is None
    assert len(clips(tmp_path)) == 4


def test_newer_lines_count_and_finished_ones_before_others(tmp_path):
    cell = plan_of(0, 1).cells[0]
    stated = [("a", "ok", True, 3), ("b", "error", True, 1), ("c", "pending", False, 9)]
    for name, status, done, when in stated:
        path = tmp_path / FOLDER / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        line = {**line_of(cell), "status": status, "finished": done}
        path.write_text(json.dumps({"request": "r"}) + "\n" + json.dumps(line) + "\n")
        os.utime(path, (when, when))
    (other := tmp_path / FOLDER / "other.jsonl").write_text('{"request": "of before"}\n' + json.dumps(line_of(cell)))
    os.utime(other, (99, 99))
    from lipbench.reports.cells import written

    assert [line["status"] for line in written(tmp_path, "r").values()] == ["ok"]
    os.utime(tmp_path / FOLDER / "b.jsonl", (5, 5))
    assert [line["status"] for line in written(tmp_path, "r").values()] == ["error"]


@pytest.mark.usefixtures("in_process")
def test_a_run_is_readable_while_it_works(manifest, tmp_path):
    """At the end of every stage a reader sees the cells so far, the rest as pending, and x of y."""
    out = tmp_path / "run"
    seen: list[Finished] = []

    class Reader:
        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def __call__(self, event: str, node: Node, state: NodeState | None) -> None:
            if event == "end":
                run = load_run(out)
                assert len(run.frame) == 6 * 4
                seen.append(run.finished)
                text = table_text(out)
                assert (f"{run.finished.cells} of 6 cells are finished: the run goes on" in text) != run.finished.all

    api.execute(prepared(manifest, out), workers=1, listener=Reader())
    counted = [state.cells for state in seen]
    assert counted == sorted(counted)
    assert counted[0] == 0
    assert set(counted) == set(range(7))  # one cell after the other, not all at the end
    assert {state.total for state in seen} == {6}


@pytest.mark.usefixtures("in_process")
def test_an_ended_run_leaves_one_file(manifest, tmp_path):
    api.execute(prepared(manifest, tmp_path), workers=1, quiet=True)
    assert list((tmp_path / FOLDER).glob("*.jsonl")) == []
    lines = [json.loads(text) for text in (tmp_path / FILE).read_text().splitlines()]
    assert read_cells(tmp_path) == lines
    assert finished(lines) == Finished(6, 6)
    assert "cells are finished" not in table_text(tmp_path)


@pytest.mark.usefixtures("in_process")
def test_shards_say_what_the_whole_run_is(manifest, tmp_path):
    request = {"languages": ["fr"]}
    shards = [prepared(manifest, tmp_path, shard=(i, 3), **request) for i in (1, 2, 3)]
    shards = [one for one in shards if one.plan.cells]
    assert len(shards) == 2
    assert len({one.plan.request for one in shards}) == 1
    for one, done in zip(shards, (1, 2), strict=True):
        api.execute(one, workers=1, quiet=True)
        about = read_run(tmp_path)
        assert about["clips"] == ["one", "two"]
        assert set(about["corpus"]["clips"]) == {"one", "two"}
        assert load_run(tmp_path).finished == Finished(done, 2)
        assert [line["clip"] for line in read_cells(tmp_path)] == ["one", "two"]
    whole = prepared(manifest, tmp_path, **request)
    assert whole.plan.request == shards[0].plan.request
    api.execute(whole, workers=1, quiet=True)
    assert list((tmp_path / FOLDER).glob("*.jsonl")) == []
    assert load_run(tmp_path).finished.all


@pytest.mark.usefixtures("in_process")
def test_another_request_does_not_show_the_cells_of_the_one_before(manifest, tmp_path, monkeypatch):
    api.execute(prepared(manifest, tmp_path), workers=1, quiet=True)
    before = read_run(tmp_path)["request_digest"]
    other = prepared(manifest, tmp_path, methods=[{"id": "fake-copy", "params": {"gray": 3}}])
    assert other.plan.request != before
    cells.begin_run(tmp_path, other.about())
    assert load_run(tmp_path).finished == Finished(0, 6)
    assert {line["status"] for line in read_cells(tmp_path)} == {"pending"}
    # The same request again keeps them.
    api.execute(prepared(manifest, tmp_path), workers=1, quiet=True)
    cells.begin_run(tmp_path, prepared(manifest, tmp_path).about())
    assert load_run(tmp_path).finished.all


def test_files_of_living_processes_stay(tmp_path):
    (tmp_path / FOLDER).mkdir()
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        log = cells.CellLog(tmp_path, plan_of(0, 1), line_of)
        from lipbench.core.system import process_start

        heads = {
            "alive": {**log.head, "pid": sleeper.pid, "born": process_start(sleeper.pid)},
            "another": {**log.head, "pid": sleeper.pid, "born": "1"},  # the number was given away again
            "own": log.head,
            "far": {**log.head, "host": "elsewhere"},
            "far-old": {**log.head, "host": "elsewhere"},
        }
        for name, head in heads.items():
            (tmp_path / FOLDER / f"{name}.jsonl").write_text(json.dumps(head) + "\n")
        long_ago = time.time() - 2 * cells.FORGOTTEN_S
        os.utime(tmp_path / FOLDER / "far-old.jsonl", (long_ago, long_ago))
        cells.drop_parts(tmp_path)
        assert {path.stem for path in (tmp_path / FOLDER).glob("*.jsonl")} == {"alive", "far"}
    finally:
        sleeper.kill()
        sleeper.wait()


@pytest.mark.parametrize("damage", ["{", "{}", '{"method": "x"}', "[]", "null", "\x00\x00"])
@pytest.mark.usefixtures("in_process")
def test_a_damaged_line_costs_its_cell_and_nothing_else(damage, manifest, tmp_path):
    api.execute(prepared(manifest, tmp_path, languages=["fr"]), workers=1, quiet=True)
    lines = (tmp_path / FILE).read_text().splitlines()
    (tmp_path / FILE).write_text("\n".join([damage, *lines[1:]]) + "\n")
    with pytest.warns(Remark, match="line 1 cannot be read"):
        assert load_run(tmp_path).finished == Finished(1, 2)
    with pytest.warns(Remark):
        assert "1 of 2 cells are finished" in table_text(tmp_path)
    api.execute(prepared(manifest, tmp_path, languages=["fr"]), workers=1, quiet=True)
    assert (tmp_path / FILE).read_text().splitlines() == lines


@pytest.mark.usefixtures("in_process")
def test_commands_read_a_killed_run(manifest, tmp_path):
    """run.json and the file of the process are all there is, as after SIGKILL."""
    from lipbench.cli import group

    api.execute(prepared(manifest, tmp_path / "run"), workers=1, quiet=True)
    lines = (tmp_path / "run" / FILE).read_text().splitlines()
    (tmp_path / "run" / FILE).unlink()
    head = json.dumps({"request": read_run(tmp_path / "run")["request_digest"]})
    (tmp_path / "run" / FOLDER / "killed.jsonl").write_text("\n".join([head, *lines[:4], lines[4][:50]]))
    said = {}
    for args in (["table"], ["table", "--json"], ["report"], ["trend", "-o", str(tmp_path / "trend")]):
        shown = CliRunner().invoke(group, [args[0], str(tmp_path / "run"), *args[1:]])
        assert shown.exit_code == 0, shown.output
        said[" ".join(args[:2])] = shown.output
    assert "4 of 6 cells are finished" in said["table"]
    assert json.loads(said["table --json"])["cells"] == {"finished": 4, "total": 6}
    assert "4 of 6 cells are finished" in said["trend -o"]
    assert "4 of 6 cells are finished" in (tmp_path / "run/report/index.html").read_text()


def test_a_killed_process_leaves_its_cells(media_files, tmp_path):
    from tests.engine.test_run import SCRIPT

    out = tmp_path / "run"
    (tmp_path / "count.wait").touch()  # not all are made before the kill
    command = [sys.executable, "-c", SCRIPT, str(media_files), str(out), str(tmp_path / "count")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (out / "run.json").exists() or not load_run(out).finished.cells:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert not (out / FILE).exists()
    state = load_run(out).finished
    assert 1 <= state.cells <= 2
    assert state.total == 6
    assert f"{state.cells} of 6 cells are finished" in table_text(out)


@pytest.mark.usefixtures("in_process")
def test_what_a_stop_left_open_is_not_finished(manifest, tmp_path):
    from lipbench.engine.outcome import RunOptions

    one = prepared(manifest, tmp_path, methods=["fake-raises", "fake-driven"], clips=["one"], languages=["fr"])
    result = api.execute(one, workers=1, options=RunOptions(max_failures=1, retries=0), quiet=True)
    assert result.outcome.stopped
    state = {line["method"]: line["finished"] for line in result.cells}
    how = {cell.method: result.outcome.states[name].how for cell, name in one.plan.synthesize.items()}
    assert how == {"fake-raises": "failed", "fake-driven": "blocked"}
    assert state == {"fake-raises": True, "fake-driven": False}


def snapshot(root: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in root.rglob("*")}


@pytest.mark.usefixtures("in_process")
def test_a_directory_that_can_only_be_read_answers_what_it_holds(manifest, tmp_path, monkeypatch):
    from lipbench.core.store import Store

    first = api.execute(prepared(manifest, tmp_path), workers=1, quiet=True)
    before = snapshot(tmp_path)
    monkeypatch.setattr(Store, "is_writable", lambda self: False)
    again = api.execute(prepared(manifest, tmp_path), workers=1, quiet=True)
    assert again.complete
    assert again.cells == first.cells
    assert again.table() == first.table()
    part = api.execute(prepared(manifest, tmp_path, languages=["fr"]), workers=1, quiet=True)
    assert part.complete
    assert [line["language"] for line in part.cells] == ["fr", "fr"]
    assert "| copies |     2 |" in part.table()
    more = prepared(manifest, tmp_path, methods=["fake-copy", "fake-staged"])
    result = api.execute(more, workers=1, quiet=True)
    assert not result.complete
    assert "can only be read" in result.outcome.stopped
    assert {line["method"] for line in result.cells if line["status"] == "ok"} == {"fake-copy"}
    assert snapshot(tmp_path) == before


def test_what_cannot_be_written_is_told_from_what_is_not_there(tmp_path, monkeypatch):
    from lipbench.core.store import Store

    assert Store(tmp_path / "new", create=False).is_writable()
    assert Store(tmp_path, create=False).is_writable()
    assert list(tmp_path.iterdir()) == []
    for number, expected in ((30, False), (13, False), (1, False), (28, True)):

        def touch(self: Path, number: int = number) -> None:
            raise OSError(number, "no")

        monkeypatch.setattr(Path, "touch", touch)
        assert Store(tmp_path, create=False).is_writable() == expected
