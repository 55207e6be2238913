"""lipbench table."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from lipbench.cli import main as entry
from lipbench.cli.table import main
from lipbench.core.errors import NothingComparable, UnknownName, UsageError


def write(folder, name="demo", sync_model="demo", label="a", value=1.0):
    """A run directory with one method, two clips."""
    root = folder / name
    root.mkdir()
    metrics = [
        {"id": "ssim", "title": "SSIM", "unit": "", "better": "higher", "decimals": 3, "headline": True},
        {"id": "lmd", "title": "LMD", "unit": "px", "better": "lower", "decimals": 2, "headline": False},
    ]
    method = {"label": label, "id": label, "title": "A", "kind": "method", "paper_results": {"ssim": 0.9}}
    about = {
        "schema": 1,
        "name": name,
        "sync_model": sync_model,
        "protocol": "cropped",
        "metrics": metrics,
        "methods": [method],
    }
    (root / "run.json").write_text(json.dumps(about))
    lines = []
    for clip in ("k", "o"):
        score = {"value": value, "reason": None, "n_valid": 5, "n_total": 5, "version": "1", "extra": {}}
        lines.append(
            json.dumps(
                {
                    "method": label,
                    "method_id": label,
                    "kind": "method",
                    "clip": clip,
                    "language": "fr",
                    "dub": clip,
                    "train_seconds": None,
                    "seed": 0,
                    "status": "ok",
                    "reason": None,
                    "metrics": {"ssim": score, "lmd": score},
                }
            )
        )
    (root / "cells.jsonl").write_text("\n".join(lines) + "\n")
    return root


def call(*args):
    return CliRunner().invoke(main, [str(a) for a in args])


def test_markdown_is_the_default(tmp_path):
    result = call(write(tmp_path))
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[:5] == [
        "**demo**: sync model: demo, protocol: cropped",
        "",
        "| method | clips | SSIM ↑ |",
        "| ------ | ----: | -----: |",
        "| A      |     2 |  1.000 |",
    ]


@pytest.mark.parametrize("args", [["--format", "json"], ["--json"]])
def test_json(tmp_path, args):
    data = json.loads(call(write(tmp_path), *args, "--metric", "l*").output)
    metrics = {"lmd": {"mean": 1.0, "n": 2, "total": 2, "reason": None}}
    rows, cells = [{"method": "a", "metrics": metrics}], {"finished": 2, "total": 2}
    assert data == {"run": "demo", "sync_model": "demo", "cells": cells, "rows": rows}


def test_options(tmp_path):
    root = write(tmp_path)
    assert "LMD" in call(root, "--all").output
    assert "A †" in call(root, "--paper").output
    assert call(root, "--definitions").exit_code == 0
    assert (
        call(root, "--by", "clip", "--by", "lang", "--format", "csv")
        .output.splitlines()[1]
        .startswith("demo,demo,a,method,k,fr,1,1.0,1,5,5")
    )


@pytest.mark.parametrize(
    ("name", "start"), [("t.tex", "% needs"), ("t.csv", "run,"), ("t.json", "{"), ("t.txt", "**demo**")]
)
def test_output_file_chooses_the_format(tmp_path, name, start):
    target = tmp_path / "tables" / name
    result = call(write(tmp_path), "-o", target)
    assert result.exit_code == 0, result.output
    assert result.output == ""
    assert target.read_text().startswith(start)


def test_several_runs(tmp_path):
    a, b = write(tmp_path, "one"), write(tmp_path, "two", value=2.0)
    out = call(a, b).output
    assert "**one + two**" in out
    assert "a (one)" in out
    assert "| a (two) |     2 |    **2.000** |" in out
    c = write(tmp_path, "three", sync_model="syncnet_v2")
    assert isinstance(call(a, c).exception, NothingComparable)


def test_errors(tmp_path):
    assert isinstance(call(tmp_path / "none").exception, UsageError)
    root = write(tmp_path)
    assert isinstance(call(root, "--metric", "nope").exception, UnknownName)
    assert isinstance(call(root, "--json", "--format", "md").exception, UsageError)
    assert call().exit_code == 2


def test_exit_code_of_the_program(tmp_path, capsys):
    a, b = write(tmp_path, "one"), write(tmp_path, "two", sync_model="other")
    with pytest.raises(SystemExit) as caught:
        entry(["table", str(a), str(b)])
    assert caught.value.code == 4
    assert "error: one and two do not belong in one table" in capsys.readouterr().err
