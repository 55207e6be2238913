"""Files that change behind a run: what is read is what was written, or its stage runs again. Never a wrong number."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lipbench.core import keys
from lipbench.core.errors import MediaError, Remark
from lipbench.core.store import Store
from lipbench.engine import api, custody, worker
from lipbench.engine.outcome import RunOptions

pytestmark = pytest.mark.filterwarnings("ignore::lipbench.core.errors.Remark")


class Run:
    """One clip in one language through fake-staged, in a folder that files change in."""

    def __init__(self, manifest: Any, root: Path) -> None:
        self.manifest, self.root, self.counter = manifest, root, root.parent / "count"

    def prepare(self, metrics: tuple[str, ...] = ("fake",)) -> api.PlannedRun:
        methods = [{"id": "fake-staged", "params": {"trigger": str(self.counter)}}]
        request = {"manifest": "t", "metrics": metrics, "methods": methods, "clips": ["one"], "languages": ["fr"]}
        return api.prepare(request, out=self.root, manifest=self.manifest)

    def go(self, prepared: api.PlannedRun | None = None) -> dict[str, str]:
        """Run; stage kind -> how it ended."""
        prepared = prepared or self.prepare()
        self.result = api.execute(prepared, workers=1, options=RunOptions(retries=0), quiet=True)
        return {name.split(" ")[0]: state.how for name, state in self.result.outcome.states.items()}

    def without_scores(self) -> api.PlannedRun:
        prepared = self.prepare()
        prepared.plan.nodes = {n: node for n, node in prepared.plan.nodes.items() if node.kind != "score"}
        prepared.plan.scores = {cell: {} for cell in prepared.plan.cells}
        return prepared

    def folder(self, kind: str) -> Path:
        (record,) = (r for r in Store(self.root).records() if r.kind == kind)
        return Store(self.root).directory(record.key)

    @property
    def gray(self) -> Any:
        (cell,) = self.result.cells
        return cell["metrics"]["gray"]["value"]

    def aside(self) -> list[str]:
        return sorted(p.name for p in (self.root / "damaged").glob("*"))


@pytest.fixture
def run(manifest: Any, tmp_path: Path, in_process: None) -> Run:
    return Run(manifest, tmp_path / "run")


ALL = {"clip": "cached", "dub": "cached", "prepare": "cached", "fit": "cached", "synthesize": "cached"}


def exchange(file: Path, other: Path) -> None:
    """Another video of the same size and time: only its content tells."""
    stat = file.stat()
    content = other.read_bytes()[: stat.st_size]
    file.write_bytes(content + b"\0" * (stat.st_size - len(content)))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("fault", ["missing", "cut", "other", "disguised"])
def test_a_video_that_changed_is_made_again_before_it_is_scored(run: Run, media_files: Path, fault: str) -> None:
    run.go(run.without_scores())
    video = run.folder("synthesize") / "out" / "video.mp4"
    if fault == "missing":
        video.unlink()
    elif fault == "cut":
        video.write_bytes(video.read_bytes()[:-100])
    elif fault == "other":
        shutil.copyfile(media_files / "two.mp4", video)
    else:
        exchange(video, media_files / "two.mp4")
    assert run.go() == {**ALL, "synthesize": "run", "score": "run"}
    assert run.result.complete
    assert run.gray == pytest.approx(68.6)  # clip one; clip two has 50 more
    assert len(run.aside()) == 1
    assert run.go() == {**ALL, "score": "cached"}
    assert run.counter.read_text() == "x" * 4  # prepare, fit and two syntheses


def test_an_input_deep_down_is_made_again_and_nothing_else(run: Run) -> None:
    run.go(run.without_scores())
    shutil.rmtree(run.folder("synthesize"))
    for kind in ("fit", "dub"):
        exchange(next((run.folder(kind) / "out").iterdir()), Path(__file__))
    assert run.go() == {**ALL, "fit": "run", "dub": "run", "synthesize": "run", "score": "run"}
    assert run.gray == pytest.approx(68.6)
    assert len(run.aside()) == 2


def test_a_file_that_no_output_names_is_an_input_too(run: Run) -> None:
    """clip.json lies beside the outputs of a clip, and every method reads it."""
    run.go(run.without_scores())
    shutil.rmtree(run.folder("synthesize"))
    facts = run.folder("clip") / "out" / "clip.json"
    exchange(facts, Path(__file__))
    assert run.go() == {**ALL, "clip": "run", "synthesize": "run", "score": "run"}
    assert json.loads(facts.read_text())["n_frames"] == 20


def test_a_finished_run_notices_missing_and_cut_files(run: Run) -> None:
    run.go()
    for kind, cut in (("synthesize", None), ("clip", b"x")):
        video = run.folder(kind) / "out" / "video.mp4"
        video.unlink() if cut is None else video.write_bytes(cut)
    with pytest.warns(Remark, match="out/video.mp4 is missing") as told:
        assert run.go() == {**ALL, "clip": "run", "synthesize": "run", "score": "cached"}
    assert len(told) == 2


RECORDS = ["", "{", "\0\0\0", "[]", "null", "{}", '{"schema": 99}', '{"schema": 1, "key": 3}']


@pytest.mark.parametrize("text", RECORDS)
def test_a_damaged_record_costs_its_stage_and_no_more(run: Run, text: str) -> None:
    run.go()
    before = run.gray
    (run.folder("synthesize") / "record.json").write_text(text)
    prepared = run.prepare()
    with pytest.warns(Remark, match="is damaged"):
        kinds = prepared.counts()  # what --dry-run shows
    assert {kind: count.cached for kind, count in kinds.items()} == {
        **dict.fromkeys(ALL, 1),
        "synthesize": 0,
        "score": 0,
    }
    assert run.aside() == []
    assert run.go(prepared) == {**ALL, "synthesize": "run", "score": "cached"}
    assert run.gray == before
    assert len(run.aside()) == 1


def test_a_number_edited_by_hand_is_found(run: Run) -> None:
    run.go()
    before = run.gray
    record = run.folder("score") / "record.json"
    record.write_text(record.read_text().replace(f'"value": {before}', '"value": 98.98'))
    assert "98.98" in record.read_text()
    assert run.go() == {**ALL, "score": "run"}
    assert run.gray == before


def test_verify_finds_what_no_stage_reads(run: Run) -> None:
    run.go()
    values = run.folder("score") / "out" / "per_frame.npz"
    exchange(values, Path(__file__))
    assert run.go() == {**ALL, "score": "cached"}  # nobody reads it, and a look does not tell
    prepared = run.prepare()
    found = prepared.verify(repair=True)
    assert found.records == 5
    assert [*found.damaged.values()] == ["out/per_frame.npz has another content"]
    assert run.go(prepared) == {**ALL, "score": "run"}
    assert run.prepare().verify(repair=True).damaged == {}


def test_what_is_damaged_again_and_again_fails_in_the_end(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.go(run.without_scores())
    publish = Store.put

    def spoilt(store: Store, record: Any, workspace: Path) -> Any:
        kept = publish(store, record, workspace)
        if record.kind == "synthesize":
            store.output(record, "video").write_bytes(b"spoilt")
        return kept

    monkeypatch.setattr(Store, "put", spoilt)
    (run.folder("synthesize") / "out" / "video.mp4").unlink()
    assert run.go() == {**ALL, "synthesize": "run", "score": "failed"}
    assert not run.result.complete
    assert run.result.cells[0]["metrics"]["gray"]["value"] is None
    assert run.counter.read_text() == "x" * (3 + custody.REMADE + 1)


def test_inputs_are_read_once_in_a_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.go(run.without_scores())
    prepared = run.prepare(("fake", "psnr_full"))
    asked: list[tuple[str, bool]] = []
    real = custody.Custody.inputs

    def watched(self: custody.Custody, records: Any) -> Any:
        records = list(records)
        damaged, told = real(self, records)
        # Where weights of a face tracker lie on the machine, the track is made in this run, and just made is not read.
        old = {record.key for record in records if record.kind != "faces"}
        asked.extend((about["key"], about["check"]) for about in told if about["key"] in old)
        return damaged, told

    monkeypatch.setattr(custody.Custody, "inputs", watched)
    run.go(prepared)
    whole = [key for key, check in asked if check]
    assert len(whole) == len(set(whole)) == 3  # the clip (by the face tracker), the dub and the synthesis
    assert {key for key, check in asked if not check} < set(whole)  # by the second family: looked at


def stage(folder: Path, **more: Any) -> dict[str, Any]:
    (folder / "out").mkdir(parents=True)
    task = {"family": "fake", "options": {"gain": 1.0}, "fps": 25.0, "prediction": "p", **more}
    return {"kind": "score", "key": "k", "task": task, "workspace": str(folder), "device": "cpu", "threads": 1}


@pytest.fixture
def finished(tmp_path: Path, media_files: Path) -> dict[str, Any]:
    """A finished stage as a worker is told of it."""
    folder = tmp_path / "made"
    (folder / "out").mkdir(parents=True)
    video = folder / "out" / "video.mp4"
    shutil.copyfile(media_files / "one.mp4", video)
    about = {"path": "out/video.mp4", "sha256": keys.sha256_file(video), "bytes": video.stat().st_size}
    return {"key": "made", "directory": str(folder), "outputs": {"video": about}, "rest": {}, "check": True}


def test_a_file_that_changes_while_it_is_read_gives_no_result(
    tmp_path: Path, finished: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    video = Path(finished["directory"]) / "out" / "video.mp4"

    def changes(*_: Any) -> Any:
        video.write_bytes(b"x")
        return {}, {}, {"gray": {"value": 1.0}}

    monkeypatch.setattr("lipbench.engine.stages.execute", changes)
    answer = worker.perform({**stage(tmp_path / "w"), "inputs": [finished]})
    assert answer["status"] == "damaged"
    assert answer["damaged"] == ["made"]
    assert answer["scores"] == {}
    assert "out/video.mp4 has 1 bytes" in answer["error"]["why"]


@pytest.mark.parametrize(("where", "status"), [("made", "error"), ("w", "error"), ("elsewhere", "refused")])
def test_that_a_file_of_the_run_cannot_be_read_is_never_the_last_word(
    tmp_path: Path, finished: dict[str, Any], monkeypatch: pytest.MonkeyPatch, where: str, status: str
) -> None:
    def unreadable(*_: Any) -> Any:
        raise MediaError(f"cannot read {tmp_path / where / 'out' / 'x.mp4'}")

    monkeypatch.setattr("lipbench.engine.stages.execute", unreadable)
    answer = worker.perform({**stage(tmp_path / "w"), "inputs": [finished]})
    assert answer["status"] == status
    assert answer["error"]["reason"] == "bad_media"


def test_a_broken_video_has_no_score_without_a_value(tmp_path: Path, media_files: Path) -> None:
    """Whatever let it through: what cannot be decoded is an error, not a result that says nothing."""
    broken = tmp_path / "broken.mp4"
    content = (media_files / "one.mp4").read_bytes()
    broken.write_bytes(content[: len(content) // 2])
    task = {"family": "image", "options": {}, "prediction": str(broken), "reference": str(media_files / "one.mp4")}
    answer = worker.perform(stage(tmp_path / "w", **task))
    assert answer["status"] == "error"
    assert answer["error"]["reason"] == "unreadable"
    assert "broken.mp4" in answer["error"]["why"]
    assert answer["scores"] == {}


def test_a_source_that_is_put_right_is_taken(run: Run, tmp_path: Path, manifest: Any) -> None:
    """A key holds what the file should be: that it was missing, or another, is no result."""
    clip = replace(manifest.clips[0], video=tmp_path / "moved.mp4")
    run.manifest = replace(manifest, clips=(clip,), dubs=manifest.dubs[:3])
    blocked = {**dict.fromkeys(ALL, "blocked"), "clip": "refused", "score": "blocked"}
    assert run.go() == blocked
    assert run.result.answered
    assert "moved.mp4 is missing" in run.result.cells[0]["reason"]
    shutil.copyfile(manifest.clips[1].video, clip.video)
    assert run.go() == blocked
    assert "is not the file the manifest names" in run.result.cells[0]["reason"]
    shutil.copyfile(manifest.clips[0].video, clip.video)
    assert set(run.go().values()) == {"run"}
