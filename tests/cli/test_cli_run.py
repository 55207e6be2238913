"""lipbench run."""

from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from lipbench import media
from lipbench.cli import main as entry
from lipbench.cli.run import main
from lipbench.core import keys
from lipbench.core.errors import ManifestError, UnknownName, UsageError


def call(*args):
    return CliRunner().invoke(main, [str(a) for a in args])


@pytest.fixture(scope="module")
def done(tiny, tmp_path_factory):
    """A finished run: its folder and what `--json` answered."""
    root = tmp_path_factory.mktemp("done") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIPBENCH_WEIGHTS", str(root.parent))
        result = call(tiny / "run.yaml", "--out", root, "--workers", 1, "--json")
    assert result.exit_code == 0, result.output
    return root, json.loads(result.stdout)


def test_json(done):
    root, answer = done
    assert (answer["run"], answer["complete"]) == (str(root), True)
    assert answer["stages"] == {"cached": 0, "run": 14, "refused": 0, "failed": 0, "blocked": 0, "skipped": 0}
    cells = {(c["method"], c["clip"]): c for c in answer["cells"]}
    assert set(cells) == {(m, c) for m in ("dubbed", "still-mouth") for c in ("one", "two")}
    assert cells["dubbed", "one"]["metrics"]["psnr_full"]["value"] == "inf"
    assert 0 < cells["still-mouth", "two"]["metrics"]["psnr_mouth"]["value"] < 100
    assert [json.loads(line) for line in (root / "cells.jsonl").read_text().splitlines()] == answer["cells"]


def test_a_second_run_is_cached_and_prints_the_table(done, tiny):
    root, first = done
    again = call(tiny / "run.yaml", "--out", root)
    assert again.exit_code == 0
    assert "100 % cached" in again.stderr
    assert "14 stages: 14 cached" in again.stderr
    rows = [line.split("|")[1].strip() for line in again.stdout.splitlines() if line.startswith("|")][2:]
    assert sorted(rows) == ["Dubbed", "Still mouth"]
    assert "PSNR ↑ [dB]" in again.stdout
    second = json.loads(call(tiny / "run.yaml", "--out", root, "--json").stdout)
    assert second["stages"]["cached"] == 14
    assert second["cells"] == first["cells"]


def test_limit_takes_the_first_clips(tiny, tmp_path):
    plan = json.loads(call(tiny / "run.yaml", "--out", tmp_path / "r", "--limit", 1, "--dry-run", "--json").stdout)
    assert (plan["cells"], plan["kinds"]["clip"]["all"]) == (2, 1)
    more = call(tiny / "run.yaml", "--out", tmp_path / "r", "--limit", 9, "--dry-run", "--json")
    assert json.loads(more.stdout)["cells"] == 4
    other = call(tiny / "run.yaml", "--out", tmp_path / "r", "--clip", "t*", "--limit", 1, "--dry-run", "--json")
    assert json.loads(other.stdout)["cells"] == 2
    assert call(tiny / "run.yaml", "--limit", 0).exit_code == 2


def test_a_tracker_that_is_missing_is_told_before_the_work(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    result = call(tiny / "run.yaml", "--out", tmp_path / "r", "--log", "wandb")
    assert isinstance(result.exception, UsageError)
    assert not (tmp_path / "r").exists()


def test_schema():
    from lipbench.engine.config import json_schema

    assert call("--schema").stdout == json_schema()


def test_a_misspelt_field_is_named_with_its_line(tiny, tmp_path):
    (tmp_path / "run.yaml").write_text((tiny / "run.yaml").read_text() + "sedes: [0]\n")
    error = call(tmp_path / "run.yaml", "--dry-run").exception
    assert isinstance(error, ManifestError)
    assert ": sedes: there is no such field\ndid you mean seeds?" in str(error)


def test_dry_run(tiny, tmp_path):
    result = call(tiny / "run.yaml", "--out", tmp_path / "run", "--dry-run")
    assert result.exit_code == 0
    assert result.stdout.startswith("4 cells = 2 clip, 2 dub, ")
    assert result.stdout.rstrip().endswith("0 % cached")
    plan = json.loads(call(tiny / "run.yaml", "--out", tmp_path / "run", "--dry-run", "--json").stdout)
    assert (plan["cells"], plan["stages"], plan["cached"], plan["refused"]) == (4, 14, 0, [])
    assert plan["kinds"]["score"] == {"all": 4, "cached": 0, "cannot_run": 0}
    assert not (tmp_path / "run").exists()


def test_dry_run_after_a_run(done, tiny):
    plan = json.loads(call(tiny / "run.yaml", "--out", done[0], "--dry-run", "--json", "--seed", "0").stdout)
    assert plan["cached"] == plan["stages"] == 14


def test_missing_weights_are_told_beforehand(tiny, tmp_path):
    result = call(tiny / "run.yaml", "--out", tmp_path / "run", "--dry-run", "--method", "wav2lip")
    assert "cannot make wav2lip: weights_missing: " in result.stdout
    assert "lipbench weights add wav2lip" in result.stdout


def test_what_cannot_run_is_not_cached(tiny, tmp_path):
    args = (tiny / "run.yaml", "--out", tmp_path / "run", "--method", "dubbed,wav2lip")
    assert "0 % cached, 6 cannot run" in call(*args, "--dry-run").stdout
    plan = json.loads(call(*args, "--dry-run", "--json").stdout)
    assert plan["kinds"]["synthesize"] == {"all": 4, "cached": 0, "cannot_run": 2}
    assert plan["kinds"]["score"] == {"all": 4, "cached": 0, "cannot_run": 2}  # of a video that is never made
    assert "none of them can run" not in call(*args, "--dry-run").stdout
    assert call(*args).exit_code == 0
    assert "100 % cached, 6 cannot run" in call(*args, "--dry-run").stdout


def test_filters(tiny, tmp_path):
    def cells(*args):
        return json.loads(call(tiny / "run.yaml", "--dry-run", "--json", *args).stdout)["cells"]

    assert cells("--method", "dubbed") == 2
    assert cells("--method", "dubbed,shifted-audio", "--clip", "t*") == 2
    assert cells("--clip", "one", "--seed", "0..2") == 6
    assert cells("--train-seconds", "1,full", "--lang", "fr") == 8


def test_the_call_without_a_shard_merges(tiny, tmp_path):
    args = (tiny / "run.yaml", "--out", tmp_path / "run", "--method", "still_mouth", "--json")
    shards = [call(*args, "--shard", f"{i}/5") for i in range(1, 6)]
    assert {shard.exit_code for shard in shards if not isinstance(shard.exception, UsageError)} == {0}
    whole = json.loads(call(*args).stdout)
    assert whole["stages"]["run"] == 0
    assert {cell["clip"] for cell in whole["cells"]} == {"one", "two"}
    assert json.loads((tmp_path / "run" / "run.json").read_text())["clips"] == ["one", "two"]


def test_shards_divide_the_clips(tiny):
    parts = []
    for i in (1, 2, 3):
        result = call(tiny / "run.yaml", "--dry-run", "--json", "--shard", f"{i}/3")
        if result.exit_code == 0:
            parts.append(json.loads(result.stdout)["cells"])
        else:
            assert isinstance(result.exception, UsageError)
            assert "nothing to run" in result.exception.what
    assert sum(parts) == 4
    for bad in ("0/2", "3/2", "1", "a/b"):
        result = call(tiny / "run.yaml", "--shard", bad)
        assert result.exit_code == 2
        assert "1 <= i <= n" in result.stderr


@pytest.mark.parametrize(
    ("args", "error", "text"),
    [
        (["--method", "dubed"], UnknownName, "did you mean dubbed"),
        (["--metric", "psnr_ful"], UnknownName, "psnr_full"),
        (["--clip", "three"], UsageError, "no clip matches 'three'"),
        (["--lang", "xx"], UsageError, "no dub in 'xx'"),
        (["--sync-model", "syncnet", "--metric", "lse_d"], UnknownName, "syncnet_v2"),
    ],
)
def test_mistakes_are_named(tiny, tmp_path, args, error, text):
    result = call(tiny / "run.yaml", "--out", tmp_path / "run", *args)
    assert isinstance(result.exception, error), result.output
    assert text in str(result.exception)
    assert not (tmp_path / "run").exists()


def test_a_run_file_that_is_not_there(tmp_path):
    assert isinstance(call(tmp_path / "none.yaml").exception, ManifestError)


def test_exit_code_2_with_three_lines(program, tiny, tmp_path):
    result = program("run", tiny / "run.yaml", "--out", tmp_path / "run", "--method", "dubed")
    assert (result.returncode, result.stdout) == (2, "")
    lines = result.stderr.splitlines()
    assert lines[0] == "error: there is no method called 'dubed'"
    assert lines[1].startswith("       known: ad-nerf, ")
    assert lines[2].startswith("       did you mean dubbed")
    assert len(lines) == 3


def test_exit_code_3_when_something_failed(program, tiny, fake, tmp_path):
    method = tmp_path / "crash.yaml"
    method.write_text(
        "name: fake-crash\nlicence: {code: Apache-2.0, weights: none, commercial: yes}\n"
        f"repo: {{path: {fake.parent}}}\n"
        'argv: ["{python}", fake.py, crash, --video, "{video}", --audio, "{audio}", --out, "{out}"]\n'
        "needs: {faces: false}\n"
    )
    run = tmp_path / "run.yaml"
    run.write_text(
        f"name: crash\nmanifest: {tiny / 'tiny.yaml'}\nclips: [one]\nmetrics: [mesh]\n"
        f"methods: [dubbed, {{file: {method}}}]\n"
    )
    result = program("run", run, "--out", tmp_path / "run", "--workers", 1, "--json")
    assert result.returncode == 3, result.stderr
    answer = json.loads(result.stdout)
    assert answer["complete"] is False
    status = {c["method"]: c["status"] for c in answer["cells"]}
    assert status["dubbed"] == "ok"
    assert status["fake-crash"] in ("error", "crashed")
    lines = result.stderr.splitlines()
    assert lines[0].startswith("error: the run is not complete: 1 stage failed")
    assert "synthesize fake-crash one/fr" in lines[1]
    assert len(lines) == 3


def test_unexpected_errors_are_one_line_and_code_5(monkeypatch, capsys, tiny):
    def broken(*args, **kwargs):
        raise ValueError("first line\nsecond line")

    monkeypatch.setattr("lipbench.engine.api.prepare", broken)

    def told(*args):
        with pytest.raises(SystemExit) as caught:
            entry([*args, "run", str(tiny / "run.yaml")])
        assert caught.value.code == 5
        return capsys.readouterr().err

    text = told()
    assert text.splitlines()[0] == "error: unexpected ValueError: first line"
    assert "LIPBENCH_TRACEBACK=1" in text
    assert "Traceback" not in text
    assert len(text.splitlines()) == 3
    text = told("-v")
    assert text.startswith("Traceback")
    assert "in broken" in text
    monkeypatch.setenv("LIPBENCH_TRACEBACK", "1")
    assert "in broken" in told()


def test_ctrl_c_is_code_130(monkeypatch, capsys, tiny):
    def stopped(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("lipbench.engine.api.prepare", stopped)
    with pytest.raises(SystemExit) as caught:
        entry(["run", str(tiny / "run.yaml")])
    assert caught.value.code == 130
    assert "finished is kept" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_named(program, tiny, tmp_path):
    (tmp_path / "file").write_text("")
    result = program("run", tiny / "run.yaml", "--out", tmp_path / "file")
    assert result.returncode == 5
    lines = [line for line in result.stderr.splitlines() if not line.startswith("4 cells")]
    assert lines[0] == f"error: cannot use {tmp_path / 'file'} as a run directory"
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("name", ["x-fake", "ours", "ours.yaml"])
def test_a_row_of_a_method_file_is_found_by_the_name_of_its_method_or_file(name, tmp_path):
    from lipbench.cli.run import _only

    (tmp_path / "ours.yaml").write_text(f'name: x-fake\nrepo: {{path: "{tmp_path}"}}\nargv: ["true", "{{out}}"]\n')
    rows = "methods: [dubbed, {file: ours.yaml}, {file: ours.yaml, label: other}]"
    (tmp_path / "run.yaml").write_text(f"manifest: m.yaml\n{rows}\n")
    (found,) = _only(tmp_path / "run.yaml", (name,))
    assert (found["file"], found["label"]) == ("ours.yaml", None)
    (found,) = _only(tmp_path / "run.yaml", ("other",))
    assert found["label"] == "other"
    with pytest.raises(UnknownName, match="x-fork"):
        _only(tmp_path / "run.yaml", ("x-fork",))


def test_what_a_stage_remarks_is_told_once(tiny, tmp_path):
    """A silent dub says so in the record of its stage alone."""
    here = shutil.copytree(tiny, tmp_path / "tiny")
    old = keys.sha256_file(here / "fr.wav")
    media.write_wav(here / "fr.wav", np.zeros(20 * 640, np.int16))
    manifest = (here / "tiny.yaml").read_text().replace(old, keys.sha256_file(here / "fr.wav"))
    (here / "tiny.yaml").write_text(manifest)
    result = call(here / "run.yaml", "--out", tmp_path / "run", "--workers", 1, "--method", "dubbed")
    (note,) = [line for line in result.stderr.splitlines() if line.startswith("note: ")]
    assert note.startswith("note: dub one/fr and 1 more: silent: ")
    answer = json.loads(call(here / "run.yaml", "--out", tmp_path / "run", "--method", "dubbed", "--json").stdout)
    assert [*answer["remarks"].values()] == [["dub one/fr", "dub two/fr"]]
