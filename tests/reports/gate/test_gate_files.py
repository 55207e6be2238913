"""The baseline file, git refs, and what the gate writes for CI."""

from __future__ import annotations

import json
import subprocess
from xml.etree import ElementTree as xml

import pytest
from click.testing import CliRunner

from lipbench.cli import main as entry
from lipbench.cli.gate import main
from lipbench.core.errors import NothingComparable, Regression, RunIncomplete, StoreError, UnknownName, UsageError
from lipbench.reports import gate
from lipbench.reports.gate import github, writers


def damped(number, values):
    values["lse_d"] += 1.0 + 0.05 * number
    values["lse_d_at_zero"] += 1.0 + 0.05 * number


def call(*args, **environment):
    return CliRunner().invoke(main, [str(a) for a in args], env=environment)


@pytest.fixture
def old(bench):
    return bench.write("old", {"ours": bench.cells(), "still": bench.cells()}, control=("still",))


@pytest.fixture
def path(bench, old):
    path = bench.folder / "gate.json"
    gate.accept(old, path, "first numbers")
    return path


# ---- the file -------------------------------------------------------------------------------------------------


def test_round_trip(old, path):
    made = gate.read(path)
    now = gate.snapshot(old)
    assert set(made.headlines) == {("ours", m) for m in ("lse_d", "lse_d_at_zero", "av_offset", "ssim_full")}
    for key, line in made.headlines.items():
        assert line == now.headlines[key]
    assert (made.sync_model, made.hardware, made.manifest_digest) == (now.sync_model, now.hardware, now.manifest_digest)
    assert made.reason == "first numbers"
    data = json.loads(path.read_text())
    clip = data["headlines"][0]["clips"]["clip0"]
    assert clip["value"] == 7.0
    assert len(clip["dubs"]["clip0/fr"]) == 16


def test_a_baseline_of_before_a_method_was_renamed_still_gates(bench, path):
    path.write_text(path.read_text().replace('"ours"', '"still_mouth"'))
    assert {method for method, _ in gate.read(path).headlines} == {"still-mouth"}
    new = bench.write("new", {"still-mouth": bench.cells()})
    assert gate.decide(gate.read(path), gate.snapshot(new)).exit_code == 0


def test_accepting_again_keeps_choice_tolerances_and_history(bench, old, path):
    gate.accept(old, path, "only two", metrics=["lse_d", "av_*"], tolerances={"lse_d": 0.3}, methods=["ours", "still"])
    new = bench.write("new", {"ours": bench.cells(6, damped), "still": bench.cells()}, control=("still",))
    made, _ = gate.accept(new, path, "the damping is wanted")
    assert {k: h.tolerance for k, h in made.headlines.items()} == {("ours", "lse_d"): 0.3, ("ours", "av_offset"): 1.0}
    assert [h["reason"] for h in made.history] == ["first numbers", "only two"]
    assert gate.decide(gate.read(path), gate.snapshot(new)).exit_code == 0
    assert gate.decide(gate.read(path), gate.snapshot(old)).exit_code == 0


def test_headlines_without_numbers_are_left_out(bench):
    def unscored(number, values):
        for name in ("lse_d", "lse_d_at_zero", "av_offset"):
            values[name] = "weights_missing: model-a is not here"

    root = bench.write("old", {"ours": bench.cells(6, unscored)}, sha=None)
    with pytest.raises(UsageError, match="no sync headline has a number") as refused:
        gate.accept(root, bench.folder / "g.json", "why")
    assert "model-a is not here" in str(refused.value)
    assert not (bench.folder / "g.json").exists()
    made, remarks = gate.accept(root, bench.folder / "g.json", "why", allow=["no-sync"])
    assert list(made.headlines) == [("ours", "ssim_full")]
    assert remarks == ["left out: ours lse_d, ours av_offset, ours lse_d_at_zero: weights_missing: model-a is not here"]
    with pytest.raises(NothingComparable, match="makes no baseline"):
        gate.accept(root, bench.folder / "h.json", "why", metrics=["lse_d"])


def test_no_baseline_of_an_unfinished_run(bench):
    cells = bench.cells()
    cells["clip3"]["fr"] = "later"
    root = bench.write("old", {"ours": cells}, pending=True)
    with pytest.raises(RunIncomplete, match="ours clip3 fr is pending"):
        gate.accept(root, bench.folder / "g.json", "why")
    assert not (bench.folder / "g.json").exists()


def test_refused_clips_can_be_accepted(bench):
    """A clip that a method never can do is part of the baseline, and its fix is no fault."""
    cells = bench.cells()
    cells["clip3"] = dict.fromkeys(("fr",), "no_face: nobody there")
    path = bench.folder / "g.json"
    old = bench.write("old", {"ours": cells})
    with pytest.raises(UsageError, match="5 clips make no baseline"):
        gate.accept(old, path, "clip3 has no face")
    made, _ = gate.accept(old, path, "clip3 has no face", allow=["few-clips"])
    assert len(made.headlines["ours", "lse_d"].known) == 5
    assert gate.decide(gate.read(path), gate.snapshot(bench.write("new", {"ours": bench.cells()}))).exit_code == 0
    assert gate.decide(gate.read(path), gate.snapshot(bench.write("same", {"ours": cells}))).exit_code == 0


def test_accept_refuses(bench, old, path):
    before = path.read_text()
    with pytest.raises(UsageError, match="needs a reason"):
        gate.accept(old, path, "  ")
    with pytest.raises(UnknownName):
        gate.accept(old, path, "why", methods=["nobody"])
    with pytest.raises(UnknownName):
        gate.accept(old, path, "why", metrics=["nothing"])
    with pytest.raises(UnknownName):
        gate.accept(old, path, "why", tolerances={"ssim": 0.1})
    assert path.read_text() == before


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1}', '{"schema": 1, "headlines": [{}]}', "null"])
def test_not_a_baseline(bench, text):
    path = bench.folder / "g.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="is not a baseline"):
        gate.read(path)


def test_baseline_of_another_schema(path):
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    with pytest.raises(StoreError, match="cannot read"):
        gate.read(path)
    with pytest.raises(UsageError, match="there is no baseline"):
        gate.read(path.with_name("nowhere.json"))


# ---- git ------------------------------------------------------------------------------------------------------


def git(folder, *args):
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *args]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_baseline_of_a_branch(bench, old):
    """A change cannot loosen its own gate: the file of the base branch counts, not the one in the working tree."""
    repo = bench.folder / "repo" / "ci"
    repo.mkdir(parents=True)
    git(repo.parent, "init", "-q", "-b", "main")
    git(repo.parent, "commit", "-q", "--allow-empty", "-m", "start")
    start = git(repo.parent, "rev-parse", "HEAD")
    path = repo / "gate.json"
    made, _ = gate.accept(old, path, "first")
    assert made.commit == start
    git(repo.parent, "add", ".")
    git(repo.parent, "commit", "-q", "-m", "baseline")
    git(repo.parent, "checkout", "-q", "-b", "change")
    bad = bench.write("bad", {"ours": bench.cells(6, damped), "still": bench.cells()}, control=("still",))
    gate.accept(bad, path, "loosened")
    git(repo.parent, "commit", "-q", "-a", "-m", "loosen")
    assert gate.read(path).reason == "loosened"
    assert gate.read(path, "main").reason == "first"
    assert call(bad, "--baseline", path).exit_code == 0
    assert isinstance(call(bad, "--baseline", path, "--baseline-ref", "main").exception, Regression)
    with pytest.raises(UsageError, match=r"there is no .* in nowhere"):
        gate.read(path, "nowhere")
    with pytest.raises(UsageError, match=r"and commit it"):
        gate.read(path, start)


def test_ref_outside_git(path):
    with pytest.raises(UsageError, match="not a git repository"):
        gate.read(path, "main")


# ---- the command ----------------------------------------------------------------------------------------------


def test_everything_is_written_before_the_command_fails(bench, path):
    bad = bench.write("bad", {"ours": bench.cells(6, damped)})
    out = bench.folder / "out"
    result = call(bad, "--baseline", path, "--junit", out / "g.xml", "-o", out / "g.json", "--summary", out / "s.md")
    assert isinstance(result.exception, Regression)
    assert result.output.startswith("**gate: regression: bad against the baseline of 20")
    assert (out / "s.md").read_text().startswith("**gate: regression")
    data = json.loads((out / "g.json").read_text())
    assert (data["verdict"], data["exit_code"], data["run"]) == ("regression", 1, "bad")
    assert {h["metric"] for h in data["headlines"] if h["verdict"] == "worse"} == {"lse_d", "lse_d_at_zero"}
    suite = xml.parse(out / "g.xml").getroot().find("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors"), suite.get("skipped")) == (
        "4",
        "2",
        "0",
        "0",
    )
    case = suite.find("testcase")
    assert (case.get("classname"), case.get("name")) == ("gate.ours", "lse_d")
    assert "worse by 1.125, 0.100 is tolerated" in case.find("failure").get("message")
    assert "clip5: worse by 1.250" in case.find("failure").text


def test_json_alone_is_json(bench, path, old):
    assert json.loads(call(old, "--baseline", path, "--json").output)["verdict"] == "fine"
    result = CliRunner().invoke(main, [str(old), "--baseline", str(path), "--json"], env={"GITHUB_ACTIONS": "true"})
    assert json.loads(result.stdout)["exit_code"] == 0


def test_accept_command(bench, old):
    path = bench.folder / "g.json"
    result = call(old, "--baseline", path, "--accept", "--reason", "why", "--tolerance", "lse_d=0.2", "--json")
    assert result.exit_code == 0, result.output
    lines = {h["metric"]: h["tolerance"] for h in json.loads(result.output)["headlines"]}
    assert lines == {"lse_d": 0.2, "av_offset": 1.0, "lse_d_at_zero": 0.1, "ssim_full": 0.005}
    text = call(old, "--baseline", path, "--accept", "--reason", "again").output
    assert "4 headlines of old" in text
    assert "ours lse_d: 6 clips, 0.2 tolerated" in text


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "there is nothing to check"),
        (("RUN",), "--baseline FILE is missing"),
        (("--baseline", "PATH"), "RUN is missing"),
        (("RUN", "--baseline", "PATH", "--metric", "lse_d"), "belong to --accept"),
        (("RUN", "--baseline", "PATH", "--tolerance", "lse_d=9"), "belong to --accept"),
        (("RUN", "--baseline", "PATH", "--accept", "--baseline-ref", "x"), "--accept writes a file"),
        (("RUN", "--baseline", "PATH", "--accept"), "needs a reason"),
    ],
)
def test_usage(old, path, args, message):
    result = call(*({"RUN": old, "PATH": path}.get(a, a) for a in args))
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)


@pytest.mark.parametrize("text", ["lse_d", "lse_d=x", "lse_d=-1", "lse_d=nan"])
def test_bad_tolerance(old, path, text):
    assert call(old, "--baseline", path, "--accept", "--reason", "x", "--tolerance", text).exit_code == 2


@pytest.mark.parametrize(
    ("change", "code", "word"),
    [
        ({}, 0, "fine"),
        ({"cells": damped}, 1, "regression"),
        ({"clips": 5}, 3, "incomplete"),
        ({"sync_model": "other"}, 4, "nothing comparable"),
    ],
)
def test_exit_codes_of_the_program(bench, path, capsys, change, code, word):
    cells = bench.cells(change.get("clips", 6), change.get("cells"))
    root = bench.write("new", {"ours": cells}, sync_model=change.get("sync_model", "model-a"))
    with pytest.raises(SystemExit) as caught:
        entry(["gate", str(root), "--baseline", str(path)])
    printed = capsys.readouterr()
    assert (caught.value.code or 0) == code
    assert printed.out.startswith(f"**gate: {word}: new")
    assert printed.err.startswith("error: ") == (code != 0)
    assert len(printed.err.splitlines()) <= 3


# ---- GitHub ---------------------------------------------------------------------------------------------------


def many(bench, count):
    base = {f"m{i}": bench.cells(2) for i in range(count)}
    path = bench.folder / "many.json"
    gate.accept(bench.write("many", base), path, "why", metrics=["lse_d"], allow=["few-clips"])
    root = bench.write("few", {"m0": bench.cells(2)})
    return root, path, gate.decide(gate.read(path), gate.snapshot(root))


def test_annotations_are_bounded(bench):
    _, _, result = many(bench, 14)
    lines = github.annotate(result)
    assert len(lines) == 9
    assert all(line.startswith("::error title=incomplete%3A m") for line in lines[:8])
    assert lines[8] == "::notice title=gate::and 5 more; the step summary has them all"


def test_workflow(bench):
    root, path, _ = many(bench, 3)
    summary = bench.folder / "s.md"
    summary.write_text("before\n")
    result = call(root, "--baseline", path, GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary))
    assert "::error title=incomplete%3A m1 lse_d::the run has no method m1\n" in result.output
    assert summary.read_text().startswith("before\n**gate: incomplete")
    assert "::error" not in call(root, "--baseline", path).output


def test_annotations_cannot_be_broken_out_of():
    assert github._data("50 %\n::error::x\r") == "50 %25%0A::error::x%0D"
    assert github._property("a:b,c") == "a%3Ab%2Cc"


def test_junit_of_reasons_with_control_characters(bench, path):
    cells = {c: dict.fromkeys(("fr",), "crashed: \x1b[31mred\x00 & <b>") for c in bench.cells()}
    root = bench.write("new", {"ours": cells})
    text = writers.junit(gate.decide(gate.read(path), gate.snapshot(root)))
    assert "crashed: [31mred & <b>" in xml.fromstring(text).find(".//failure").get("message")


def test_a_baseline_that_says_judge_still_gates(bench, path):
    text = path.read_text()
    path.write_text(text.replace('"sync_model":', '"judge":'))
    assert path.read_text() != text
    assert gate.decide(gate.read(path), gate.snapshot(bench.write("new", {"ours": bench.cells()}))).exit_code == 0


def test_accepting_by_command_says_what_to_allow(bench):
    root, path = bench.write("old", {"ours": bench.cells(2)}), bench.folder / "g.json"
    refused = call(root, "--baseline", path, "--accept", "--reason", "why")
    assert "--allow few-clips" in str(refused.exception)
    assert call(root, "--baseline", path, "--accept", "--reason", "why", "--allow", "few-clips").exit_code == 0
    assert path.exists()


def test_headlines_follow_what_was_measured(bench):
    """Against correct videos where there are any, else the mouth against the undubbed one."""

    def images(number, values):
        values |= {
            "psnr_mouth": 30.0 + number,
            "ssim_mouth": 0.9,
            "lpips_mouth": 0.1,
            "psnr_mouth_truth": "no_truth: -",
        }

    def truth(number, values):
        images(number, values)
        values["psnr_mouth_truth"] = 31.0

    cells = {"film": bench.cells(6, images), "demo": bench.cells(6, truth)}
    made, _ = gate.accept(bench.write("old", cells), bench.folder / "g.json", "why")
    film, demo = ({metric for method, metric in made.headlines if method == name} for name in cells)
    sync = {"lse_d", "lse_d_at_zero", "av_offset", "ssim_full"}
    assert film == sync | {"psnr_mouth", "ssim_mouth", "lpips_mouth"}
    assert demo == sync | {"psnr_mouth_truth"}


# ---- the source's own offset ------------------------------------------------------------------------------------


def at_own(number, values):
    values["lse_d_at_own"] = values["lse_d"] + 0.05


def with_offsets(run, offsets):
    """The run as its manifest said where the clips' own audio lies."""
    about = json.loads((run / "run.json").read_text())
    about["corpus"] = {"clips": {clip: {"av_offset": frames} for clip, frames in offsets.items()}}
    (run / "run.json").write_text(json.dumps(about))
    return run


def test_distances_at_the_own_offset_stand_for_those_at_none(bench):
    path, offsets = bench.folder / "own.json", {f"clip{i}": -3 for i in range(6)}
    run = with_offsets(bench.write("old", {"ours": bench.cells(change=at_own)}), offsets)
    gate.accept(run, path, "first numbers")
    assert [metric for _, metric in gate.read(path).headlines] == ["lse_d", "av_offset", "lse_d_at_own", "ssim_full"]
    same = with_offsets(bench.write("same", {"ours": bench.cells(change=at_own)}), offsets)
    assert gate.decide(gate.read(path), gate.snapshot(same)).exit_code == 0
    moved = with_offsets(bench.write("moved", {"ours": bench.cells(change=at_own)}), {**offsets, "clip2": -2})
    told = {v.line.metric: v.reason for v in gate.decide(gate.read(path), gate.snapshot(moved)).verdicts}
    assert "own offset" in told["lse_d_at_own"]
    assert "own offset" not in told["lse_d"]


def test_where_a_clip_does_not_tell_its_offset_none_is_taken_off(bench):
    def some(number, values):
        values["lse_d_at_own"] = values["lse_d"] if number else "not_asked: nobody said"

    path = bench.folder / "own.json"
    gate.accept(bench.write("old", {"ours": bench.cells(change=some)}), path, "first numbers")
    assert ("ours", "lse_d_at_zero") in gate.read(path).headlines
    assert ("ours", "lse_d_at_own") not in gate.read(path).headlines
