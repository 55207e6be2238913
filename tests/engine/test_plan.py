"""Plan and progress without any worker: keys, records, what is pending, what counts as done."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from lipbench.core import keys
from lipbench.core.errors import UsageError, WeightsMissing
from lipbench.core.store import Record, Store
from lipbench.datasets.manifest import resolve
from lipbench.engine.build import build
from lipbench.engine.config import parse_run_file
from lipbench.engine.plan import Cell, Count, Node, Pending, Plan, PlanState, counts, file_digest, select

VIDEO = {"path": "out/video.mp4", "sha256": "ab" * 32, "bytes": 1}


def node(name: str, kind: str = "clip", preimage=None, **more) -> Node:
    return Node(name, kind, (), preimage or (lambda progress: {"name": name}), lambda progress: {}, **more)


@pytest.fixture
def progress(tmp_path: Path) -> PlanState:
    """Two stages: a score that hashes the video of a synthesis."""
    made, scored = node("made", "synthesize"), node("scored", "score", lambda p: {"video": p.digest("made", "video")})
    return PlanState(Plan([], {"made": made, "scored": scored}), Store(tmp_path))


def finish(progress: PlanState, name: str, status: str = "ok", **outputs) -> Record:
    key = progress.key(name)
    record = Record(key, progress.plan.nodes[name].kind, status, progress.preimage(name), outputs=outputs)
    workspace = progress.store.workspace(key)
    for output in outputs.values():
        (workspace / output["path"]).write_text("x" * output["bytes"])
    return progress.store.put(record, workspace)


def test_a_key_is_the_hash_of_the_preimage(progress):
    assert progress.key("made") == keys.key_of({"name": "made"})


def test_a_key_is_made_once(tmp_path):
    calls = []
    once = node("once", preimage=lambda p: {"call": calls.append(1) or len(calls)})
    progress = PlanState(Plan([], {"once": once}), Store(tmp_path))
    assert progress.key("once") == progress.key("once") == keys.key_of({"call": 1})
    assert calls == [1]


def test_a_key_waits_for_the_file_it_depends_on(progress):
    with pytest.raises(Pending, match="made"):
        progress.key("scored")
    assert progress.find("scored") is None
    finish(progress, "made", video=VIDEO)
    assert progress.key("scored") == keys.key_of({"video": "ab" * 32})
    assert progress.find("scored") is None


@pytest.mark.parametrize("status", ["refused", "error"])
def test_what_failed_is_found_but_not_ok(progress, status):
    record = finish(progress, "made", status, video=VIDEO)
    assert progress.find("made") == record
    with pytest.raises(Pending):
        progress.ok("made")
    assert progress.path("made", "video") is None


def test_a_record_that_appears_later_is_found(progress):
    """Another process may work in the same directory."""
    assert progress.find("made") is None
    record = finish(progress, "made")
    assert progress.find("made") == progress.ok("made") == record


def test_a_settled_record_counts_until_it_is_forgotten(progress):
    stored = finish(progress, "made")
    own = Record("k", "synthesize", "crashed", {})
    progress.put("made", own)
    assert progress.find("made") is own
    progress.evict("made")
    assert progress.find("made") == stored
    progress.evict("scored")  # nothing is known of it


def test_outputs_of_a_finished_stage(progress):
    assert progress.path("made", "video") is None
    record = finish(progress, "made", video=VIDEO)
    assert progress.digest("made", "video") == "ab" * 32
    assert progress.digest("made", "mask") is None
    assert progress.path("made", "video") == progress.store.output(record, "video")
    assert progress.path("made", "mask") is None


def test_the_folder_of_a_stage(progress):
    assert progress.folder("made") == progress.store.directory(progress.key("made")) / "out"


def test_counts_by_kind(tmp_path):
    refusal = WeightsMissing("weights are missing", "", "get them")
    nodes = [
        node("a", "synthesize"),
        node("b", "synthesize"),
        node("c", "synthesize"),
        node("d", "synthesize"),
        node("e", "synthesize", refusal=refusal),
        node("f", "clip"),
        node("g", "score", lambda p: {"video": p.digest("a", "video")}),
    ]
    progress = PlanState(Plan([], {n.id: n for n in nodes}), Store(tmp_path))
    before = {"synthesize": Count(5, 0, 1), "clip": Count(1, 0, 0), "score": Count(1, 0, 0)}
    assert counts(progress.plan, progress) == before
    finish(progress, "a")
    finish(progress, "b", "refused")
    finish(progress, "c", "error")
    finish(progress, "f")
    assert counts(progress.plan, progress) == {
        "synthesize": Count(5, 2, 1),
        "clip": Count(1, 1, 0),
        "score": Count(1, 0, 0),
    }


def test_a_stage_that_cannot_run_is_not_looked_up(tmp_path):
    def broken(progress):
        raise AssertionError("its inputs may not even exist")

    plan = Plan([], {"x": node("x", preimage=broken, refusal=WeightsMissing("weights are missing", "", "get them"))})
    assert counts(plan, PlanState(plan, Store(tmp_path))) == {"clip": Count(1, 0, 1)}


def test_a_stage_whose_key_cannot_be_made_cannot_run(tmp_path):
    def keyless(progress):
        raise WeightsMissing("weights are missing", "", "get them")

    plan = Plan([], {"x": node("x", preimage=keyless), "y": node("y")})
    assert counts(plan, PlanState(plan, Store(tmp_path))) == {"clip": Count(2, 0, 1)}


def test_a_stage_waits_for_nothing_that_it_does_not_name():
    """A GPU above all: clips and dubs would queue for it."""
    plain = node("x")
    assert (plain.optional_deps, plain.refusal, plain.gpu) == ((), None, False)


def test_cells_are_points_of_the_benchmark():
    a, b = (Cell("m", "katie", "fr", "katie/fr", None, 0) for _ in range(2))
    assert {a: 1}[b] == 1
    with pytest.raises(AttributeError):
        a.seed = 1


def test_select_keeps_the_order_of_the_values():
    assert select(["b2", "a1", "b1", "c"], ("a*", "b?"), "clip") == ["b2", "a1", "b1"]
    assert select(["a", "A"], ("A",), "clip") == ["A"]
    with pytest.raises(UsageError, match="no clip matches 'x'") as caught:
        select(["a", "b"], ("a", "x"), "clip")
    assert caught.value.why == "there are: a, b"


def test_digest_of_a_side_file(tmp_path):
    path = tmp_path / "landmarks.npz"
    assert file_digest(None) is None
    assert file_digest(path) is None
    path.write_bytes(b"points")
    assert file_digest(path) == sha256(b"points").hexdigest()


def test_dubs_of_a_clip_are_judged_where_its_own_audio_lies(tmp_path):
    """Only in families that ask for it; without an offset, and where the run file says one, nothing changes."""
    manifest = resolve("demo")

    def options(av_offset, **sync):
        clips = tuple(replace(c, av_offset=av_offset if c.id == "demo-en" else None) for c in manifest.clips)
        request = {"manifest": "demo", "methods": ["dubbed"], "clips": ["demo-en"], "metrics": ["*", "landmark-sync"]}
        config = parse_run_file({**request, "sync_model": "demo", "sync": sync}, "run")
        plan, _, measured = build(config, replace(manifest, clips=clips), tmp_path)
        progress = PlanState(plan, Store(tmp_path / "store"))
        for name, made in plan.nodes.items():
            if made.kind != "score" and not name.startswith("faces"):
                finish(progress, name, **dict.fromkeys(("video", "audio", "index", "truth"), VIDEO))
        for name in plan.nodes:
            if name.startswith("faces"):
                finish(progress, name, faces=VIDEO)
        assert all(given.get("own_offset") is None for _, given in measured if not sync)  # run.json: of the whole run
        return {
            family: progress.preimage(f"score {family} of dubbed demo-en@fr")["options"].get("own_offset")
            for family in ("sync", "landmark-sync", "image")
        }

    assert options(None) == {"sync": None, "landmark-sync": None, "image": None}
    assert options(-3) == {"sync": -3, "landmark-sync": -3, "image": None}
    assert options(0)["sync"] == 0
    assert options(-3, own_offset=2)["sync"] == 2


def test_scores_are_planned_dub_by_dub_and_cells_row_by_row(tmp_path):
    """What a worker keeps of a dub's reference serves the next method; tables keep their order."""
    config = parse_run_file({"manifest": "demo", "methods": ["dubbed", "truth"], "clips": ["demo-en"]}, "run")
    plan, _, _ = build(config, resolve("demo"), tmp_path)
    dubs = [name.split("@")[1] for name in plan.nodes if name.startswith("score lpips ")]
    assert dubs == sorted(dubs, key=dubs.index)
    assert len(dubs) == 2 * len(set(dubs))
    assert [cell.method for cell in plan.cells] == sorted(cell.method for cell in plan.cells)


def test_all_metrics_of_a_video_share_one_track(tmp_path):
    """Landmarks, boxes and the sync model on landmarks look at one search of each video."""
    request = {"manifest": "demo", "methods": ["shifted-audio", "truth"], "clips": ["demo-en"], "sync_model": "demo"}
    config = parse_run_file({**request, "languages": ["fr", "de"], "metrics": ["*", "landmark-sync"]}, "run")
    plan, _, _ = build(config, resolve("demo"), tmp_path)
    searches = {name: node for name, node in plan.nodes.items() if node.kind == "faces"}
    searched = [node.needs for node in searches.values()]
    assert len(searched) == len(set(searched)) == 1 + 2 + 4  # clip, truth of two dubs, videos of two methods
    for dub in ("demo-en@fr", "demo-en@de"):
        for method in ("shifted-audio", "truth"):
            own = f"faces of synthesize {method} {dub}"
            used = {family: set(plan.nodes[f"score {family} of {method} {dub}"].optional_deps) for family in
                    ("landmark-sync", "landmarks", "sync", "image")}  # fmt: skip
            assert used["landmark-sync"] == {own}
            assert used["landmarks"] == {own, "faces demo-en", f"faces of truth {dub}"}
            assert used["sync"] == used["image"] == {"faces demo-en"}
