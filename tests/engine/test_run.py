"""The whole engine on tiny videos: plan, merge, cache, isolation, resume, shards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from lipbench.core import keys
from lipbench.core.errors import RunIncomplete, UsageError, WeightsMissing
from lipbench.core.store import Store
from lipbench.engine import api
from lipbench.engine.outcome import RunOptions
from lipbench.engine.plan import PlanState
from tests.stages_here import stages_here


def go(manifest, out, methods, options=None, workers=2, **fields):
    request = {"manifest": "tiny", "metrics": ["fake"], "methods": methods, **fields}
    prepared = api.prepare(request, out=out, manifest=manifest)
    return api.execute(prepared, workers=workers, options=options, quiet=True)


def by(result, **where):
    found = [c for c in result.cells if all(c[k] == v for k, v in where.items())]
    assert found, where
    return found[0] if len(found) == 1 else found


def kinds(result):
    return Counter(node.split(" ")[0] for node in result.outcome.states)


def test_run_scores_and_a_second_run_is_cached(manifest, tmp_path):
    counter = tmp_path / "count"
    methods = [{"id": "fake-copy", "params": {"trigger": str(counter)}}]
    first = go(manifest, tmp_path / "run", methods)
    assert first.complete
    assert kinds(first) == {"clip": 2, "dub": 6, "synthesize": 6, "score": 6}
    cell = by(first, clip="one", language="fr")
    assert cell["status"] == "ok"
    assert cell["metrics"]["gray_diff"]["value"] == 0
    assert cell["metrics"]["endless"]["value"] == "inf"
    assert cell["metrics"]["never"] == {
        "value": None,
        "reason": "cannot be known",
        "n_valid": 0,
        "n_total": 0,
        "version": "1",
        "extra": {},
    }
    assert (tmp_path / "run" / cell["video"]).exists()
    # Longer and shorter dubs: the clip is played back and forth, or cut.
    assert by(first, clip="one", language="de")["metrics"]["gray"]["n_total"] == 15
    assert by(first, clip="one", language="es")["metrics"]["gray"]["n_total"] == 30

    second = go(manifest, tmp_path / "run", methods)
    assert {s.how for s in second.outcome.states.values()} == {"cached"}
    assert second.cells == first.cells
    assert counter.read_text() == "x" * 6


@pytest.mark.usefixtures("in_process")
def test_the_first_dub_that_is_measured_whole_is_shown_while_the_rest_goes_on(manifest, tmp_path, capsys):
    def lines(out):
        request = {"manifest": "tiny", "metrics": ["fake"], "methods": ["fake-copy", {"id": "fake-copy", "label": "b"}]}
        api.execute(api.prepare(request, out=out, manifest=manifest), workers=1)
        return capsys.readouterr().err.splitlines()

    told = lines(tmp_path / "run")
    (at,) = (i for i, line in enumerate(told) if line.startswith("A first look: "))
    assert told[at].split()[3] == "one"
    rows = [line.split("|")[1].split()[0] for line in told[at:] if line.startswith("|")]
    assert {"copies", "b"} <= set(rows), told[at:]
    assert sum(line.startswith("[") for line in told[:at]) < sum(line.startswith("[") for line in told)
    assert not [
        line for line in lines(tmp_path / "run") if "first look" in line
    ]  # all is there: the table comes at once


@pytest.mark.usefixtures("in_process")
def test_languages_share_prepare_and_fit(manifest, tmp_path):
    counter = tmp_path / "count"
    result = go(
        manifest,
        tmp_path / "run",
        [{"id": "fake-staged", "params": {"trigger": str(counter)}}],
        train_seconds=[0.2, 0.4, None],
        clips=["one"],
        seeds=[0, 1],
    )
    assert kinds(result) == {"clip": 1, "dub": 3, "prepare": 1, "fit": 6, "synthesize": 18, "score": 18}
    assert counter.read_text() == "x" * (1 + 6 + 18)
    record = Store(tmp_path / "run").get(by(result, train_seconds=0.4, seed=1, language="fr")["keys"]["synthesize"])
    assert record.info["from"] == "prepared one fitted 0.4 1"


@pytest.mark.usefixtures("in_process")
def test_methods_share_a_stage_that_they_name_alike(manifest, tmp_path):
    counter = tmp_path / "count"
    both = [{"id": n, "params": {"trigger": str(counter)}} for n in ("fake-sharing", "fake-also-sharing")]
    result = go(manifest, tmp_path / "run", both, clips=["one"], languages=["fr"])
    assert result.complete
    assert counter.read_text() == "x" * (1 + 1 + 2)  # one prepare for both, the other's fit, two syntheses
    other = [{"id": "fake-also-sharing", "params": {"trigger": str(counter), "gray": 3}}]
    go(manifest, tmp_path / "run", other, clips=["one"], languages=["fr"])
    assert counter.read_text() == "x" * (4 + 2)  # other parameters of that stage: another result


@pytest.mark.usefixtures("in_process")
def test_a_method_starts_from_what_another_made(manifest, tmp_path):
    counter = tmp_path / "count"
    params = {"trigger": str(counter)}
    both = [{"id": n, "params": params} for n in ("fake-driven", "fake-copy")]
    result = go(manifest, tmp_path / "run", both, clips=["one"], languages=["fr"])
    assert result.complete
    assert counter.read_text() == "x"  # the row's and the driver's are one
    assert kinds(result)["synthesize"] == 3
    assert [c["method"] for c in result.cells] == ["fake-driven", "fake-copy"]
    made = {name.split(" ")[1]: s.record for name, s in result.outcome.states.items() if name.startswith("synth")}
    assert made["fake-driven"].preimage["inputs"]["synthesize"] == made["fake-copy"].key


@pytest.mark.usefixtures("in_process")
def test_what_a_failed_driver_stops_says_so(manifest, tmp_path):
    params = {"trigger": str(tmp_path / "never"), "gray": 1}
    row = [{"id": "fake-driven", "params": params}]
    result = go(manifest, tmp_path / "run", row, RunOptions(retries=0), clips=["one"], languages=["fr"])
    cell = by(result, method="fake-driven")
    assert cell["status"] != "ok"
    assert "RuntimeError: bang" in cell["reason"]


@pytest.mark.usefixtures("in_process")
def test_unused_axes_share_everything(manifest, tmp_path):
    result = go(manifest, tmp_path / "run", ["fake-copy"], seeds=[0, 1, 2], languages=["fr"], clips=["one"])
    assert kinds(result)["synthesize"] == 1
    assert len(result.cells) == 3


def test_failures_are_told_apart_and_the_run_goes_on(manifest, tmp_path):
    methods = ["fake-copy", "fake-faceless", "fake-raises", "fake-crashes", "fake-short", "fake-memory"]
    result = go(manifest, tmp_path / "run", methods, RunOptions(retries=0), clips=["one"], languages=["fr"])
    status = {c["method"]: c["status"] for c in result.cells}
    assert status == {
        "fake-copy": "ok",
        "fake-faceless": "refused",
        "fake-raises": "error",
        "fake-crashes": "crashed",
        "fake-short": "error",
        "fake-memory": "oom",
    }
    reasons = {c["method"]: c["reason"] for c in result.cells}
    assert reasons["fake-faceless"].startswith("no_face: no face; it is a gray square")
    assert "RuntimeError: bang" in reasons["fake-raises"]
    assert "SIGSEGV" in reasons["fake-crashes"]
    assert "bad_output" in reasons["fake-short"]
    assert by(result, method="fake-raises")["metrics"]["gray"]["reason"] == reasons["fake-raises"]
    store = Store(tmp_path / "run")
    raised = store.get(by(result, method="fake-raises")["keys"]["synthesize"])
    assert "RuntimeError: bang" in raised.error["traceback"]
    assert "about to fail" in (store.directory(raised.key) / "log.txt").read_text()
    assert not result.complete
    with pytest.raises(RunIncomplete, match="4 stages failed"):
        result.raise_if_incomplete()


def test_what_hangs_is_stopped(manifest, tmp_path):
    # Alone: with a limit this short, a busy machine stops what does not hang, too. Clip and dub have an hour.
    result = go(manifest, tmp_path, ["fake-hangs"], RunOptions(timeout_s=1, retries=0), clips=["one"], languages=["fr"])
    assert [c["status"] for c in result.cells] == ["timeout"]


@pytest.mark.usefixtures("in_process")
def test_a_refusal_alone_is_a_complete_run(manifest, tmp_path):
    result = go(manifest, tmp_path / "run", ["fake-faceless"], clips=["one"], languages=["fr"])
    assert result.answered
    assert not result.complete  # nothing was measured at all
    again = go(manifest, tmp_path / "run", ["fake-faceless"], clips=["one"], languages=["fr"])
    assert by(again, method="fake-faceless")["status"] == "refused"
    assert again.outcome.states["synthesize fake-faceless one/fr"].how == "cached"


def test_a_crash_is_tried_again(manifest, tmp_path):
    methods = [{"id": "fake-crashes", "params": {"trigger": str(tmp_path / "died")}}]
    result = go(manifest, tmp_path / "run", methods, RunOptions(retries=1), clips=["one"], languages=["fr"])
    cell = by(result, method="fake-crashes")
    assert cell["status"] == "ok"
    assert Store(tmp_path / "run").get(cell["keys"]["synthesize"]).attempts == 2


@pytest.mark.usefixtures("in_process")
def test_the_next_run_retries_only_what_failed(manifest, tmp_path):
    trigger = tmp_path / "mended"
    methods = [{"id": "fake-raises", "params": {"trigger": str(trigger)}}, "fake-copy"]
    first = go(manifest, tmp_path / "run", methods, clips=["one"], languages=["fr"])
    assert first.outcome.count("failed") == 1
    trigger.write_text("")
    second = go(manifest, tmp_path / "run", methods, clips=["one"], languages=["fr"])
    assert second.complete
    # Its video is fake-copy's, byte for byte: the score is found by content, not by method.
    assert {n for n, s in second.outcome.states.items() if s.how == "run"} == {"synthesize fake-raises one/fr"}


@pytest.mark.usefixtures("in_process")
def test_max_failures_stops_starting(manifest, tmp_path):
    options = RunOptions(max_failures=1)
    result = go(manifest, tmp_path / "run", ["fake-raises", "fake-slow"], options, workers=1)
    assert result.outcome.stopped == "stopped after 1 failures (--max-failures)"
    assert result.outcome.count("failed") == 1
    assert result.outcome.count("skipped") > 0


@pytest.mark.usefixtures("in_process")
def test_wrong_hash_and_missing_file_are_reasons(manifest, tmp_path):
    one, two = manifest.clips
    bad = replace(manifest, clips=(replace(one, sha256="0" * 64), replace(two, video=tmp_path / "gone.mp4")))
    result = go(bad, tmp_path / "run", ["fake-copy"], languages=["fr"])
    assert "is not the file the manifest names" in by(result, clip="one")["reason"]
    assert "gone.mp4 is missing" in by(result, clip="two")["reason"]


@pytest.mark.usefixtures("in_process")
def test_missing_weights_are_a_reason(manifest, tmp_path, monkeypatch):
    from lipbench.engine import method_node

    def missing(name):
        raise WeightsMissing(f"weights {name} are missing", "", f"lipbench weights get {name}")

    monkeypatch.setattr(method_node.weights, "path", missing)
    monkeypatch.setattr(method_node.weights, "sha256", lambda name: None)
    from lipbench.core import registry

    method = registry.load("methods", "fake-copy")
    monkeypatch.setattr(method, "weights", lambda params: ("some_net",), raising=False)
    result = go(manifest, tmp_path / "run", ["fake-copy"], clips=["one"], languages=["fr"])
    cell = by(result, method="fake-copy")
    assert cell["status"] == "refused"
    assert "lipbench weights get some_net" in cell["reason"]
    assert result.answered


def test_editing_a_parameter_or_the_code_changes_the_key(manifest, tmp_path, plugin):
    def key(**params):
        prepared = api.prepare(
            {"manifest": "t", "metrics": ["fake"], "methods": [{"id": "fake-copy", "params": params}]},
            out=tmp_path / "run",
            manifest=manifest,
        )
        from lipbench.engine.plan import PlanState

        return PlanState(prepared.plan, prepared.store).key("synthesize fake-copy one/fr")

    before = key()
    assert key(gray=0) == before
    assert key(gray=1) != before
    source = plugin / "fake_lipbench_plugin.py"
    text = source.read_text()
    source.write_text(text.replace("count(job.params.trigger)", "count(job.params.trigger or None)"))
    assert key() != before
    source.write_text(text + "\n# a remark\n")
    assert key() == before
    source.write_text(text)
    assert key() == before


def test_wrong_parameter_is_named(manifest, tmp_path):
    with pytest.raises(UsageError, match="parameter grey") as caught:
        go(manifest, tmp_path / "run", [{"id": "fake-copy", "params": {"grey": 1}}])
    assert "gray" in caught.value.fix


@pytest.mark.usefixtures("in_process")
def test_shards_divide_the_clips_and_share_the_directory(manifest, tmp_path):
    request = {"manifest": "t", "metrics": ["fake"], "methods": ["fake-copy"], "languages": ["fr"]}
    seen = []
    for i in (1, 2, 3):
        prepared = api.prepare(request, out=tmp_path / "run", manifest=manifest, shard=(i, 3))
        seen += [c.clip for c in prepared.plan.cells]
        result = api.execute(prepared, workers=1, quiet=True)
    assert sorted(seen) == ["one", "two"]
    lines = [json.loads(line) for line in (tmp_path / "run" / "cells.jsonl").read_text().splitlines()]
    assert sorted(line["clip"] for line in lines) == ["one", "two"]
    assert all(line["status"] == "ok" for line in lines)
    assert result.root == tmp_path / "run"


def test_scores_do_not_depend_on_where_they_are_made(manifest, tmp_path, monkeypatch):
    values = []
    for where in ("three workers", "here"):
        if where == "here":
            stages_here(monkeypatch)
        result = go(manifest, tmp_path / where, ["fake-copy"], workers=3)
        values.append({(c["clip"], c["language"]): c["metrics"]["gray"]["value"] for c in result.cells})
    assert values[0] == values[1]


SCRIPT = """
import sys
from pathlib import Path
from lipbench.core import keys
from lipbench.datasets.types import Clip, Dub, Licence, Manifest
from lipbench.engine import api
folder, out, counter = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
lic = Licence("CC0-1.0")
files = [folder / f"{n}.mp4" for n in ("one", "two")]
clips = tuple(Clip(f.stem, f, keys.sha256_file(f), f.stem, "en", lic, "-") for f in files)
dubs = tuple(Dub(f"{c.id}/{l}", c.id, l, "synthetic", folder / f"{l}.wav", keys.sha256_file(folder / f"{l}.wav"))
             for c in clips for l in ("fr", "de", "es"))
manifest = Manifest("tiny", "1", lic, clips, dubs, folder)
methods = [{"id": "fake-slow", "params": {"trigger": counter}}]
prepared = api.prepare({"manifest": "t", "metrics": ["fake"], "methods": methods}, out=out, manifest=manifest)
result = api.execute(prepared, workers=1, quiet=True)
print("complete", result.complete)
"""


def test_sigkill_loses_at_most_the_stage_in_flight(media_files, tmp_path):
    counter, out = tmp_path / "count", tmp_path / "run"
    command = [sys.executable, "-c", SCRIPT, str(media_files), str(out), str(counter)]
    (tmp_path / "count.wait").touch()  # the third stage is in flight until the kill
    first = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + 120
    while len(done(out)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    finished = done(out)
    assert len(finished) == 2
    (tmp_path / "count.wait").unlink()
    before = {key: (out / "objects" / key[:2] / key / "record.json").stat().st_mtime_ns for key in finished}
    second = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert "complete True" in second.stdout
    assert len(done(out)) == 6
    # 6 syntheses, plus at most the one that was in flight.
    assert len(counter.read_text()) in (6, 7)
    for key, stamp in before.items():
        assert (out / "objects" / key[:2] / key / "record.json").stat().st_mtime_ns == stamp


def done(out: Path) -> list[str]:
    store_files = (out / "objects").glob("??/*/record.json")
    return [r["key"] for r in (json.loads(f.read_text()) for f in store_files) if r["kind"] == "synthesize"]


def test_two_runs_in_one_directory_share_the_work(media_files, tmp_path):
    counter, out = tmp_path / "count", tmp_path / "run"
    command = [sys.executable, "-c", SCRIPT, str(media_files), str(out), str(counter)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for run in runs:
        text, _ = run.communicate(timeout=120)
        assert "complete True" in text
    assert counter.read_text() == "x" * 6


@pytest.mark.usefixtures("in_process")
def test_explain_names_the_first_difference(manifest, tmp_path):
    from click.testing import CliRunner

    from lipbench.cli.explain import main

    result = go(manifest, tmp_path / "run", ["fake-copy"], clips=["one"], languages=["fr", "de"])
    first, second = (by(result, language=lang)["keys"]["synthesize"] for lang in ("fr", "de"))
    shown = CliRunner().invoke(main, [first[:12], "--run", str(tmp_path / "run")])
    assert keys.key_of(json.loads(shown.output)["preimage"]) == first
    difference = CliRunner().invoke(main, [first[:12], second[:12], "--run", str(tmp_path / "run"), "--json"])
    assert json.loads(difference.output)["field"] == "inputs.dub"


def test_a_method_waits_only_for_what_its_parameters_need(manifest, tmp_path):
    def needs(**params):
        entry = {"id": "wav2lip", "params": {"weights_file": str(tmp_path / "w.pt"), **params}}
        (tmp_path / "w.pt").write_bytes(b"")
        prepared = api.prepare(
            {"manifest": "t", "metrics": ["fake"], "methods": [entry]}, out=tmp_path / "run", manifest=manifest
        )
        return prepared.plan.nodes["synthesize wav2lip one/fr"].needs

    assert "faces one" in needs()
    assert "faces one" not in needs(box=[10, 5, 50, 45])


@pytest.mark.usefixtures("in_process")
def test_a_source_that_comes_back_is_searched_for_faces_once(manifest, tmp_path):
    """The clip, and the video of a method that copies it under each dub, are one picture with several sounds."""
    request = {"manifest": "tiny", "methods": ["dubbed"], "metrics": ["landmarks"], "faces": "demo-face"}
    prepared = api.prepare(request, out=tmp_path / "run", manifest=manifest, overrides={"languages": ["fr"]})
    result = api.execute(prepared, workers=1, quiet=True)
    names = [name for name in prepared.plan.nodes if name.startswith("faces ")]
    assert {"faces one", "faces of synthesize dubbed one/fr"} <= set(names)
    progress = PlanState(prepared.plan, prepared.store)
    assert progress.key("faces one") == progress.key("faces of synthesize dubbed one/fr") != progress.key("faces two")
    assert progress.image_hash("clip one", "video") == progress.image_hash("synthesize dubbed one/fr", "video")
    assert progress.digest("clip one", "video") != progress.digest("synthesize dubbed one/fr", "video")
    assert len({progress.key(name) for name in names}) == len(names) / 2
    assert result.complete
