"""The files that people copy into their CI do what they say; tests/cli/test_examples.py has what they name."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lipbench.reports import gate

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "lipbench" / "datasets" / "demo" / "manifest.yaml"


def load(name):
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


@pytest.fixture
def hook():
    """Runs a hook of the pre-commit example with these files, as pre-commit would."""
    (repo,) = load("examples/ci/pre-commit-config.yaml")["repos"]
    entries = {hook["id"]: hook["entry"] for hook in repo["hooks"]}

    def run(name, *files):
        command = [sys.executable, "-m", *shlex.split(entries[name]), *map(str, files)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    return run


def test_the_manifest_hook_takes_several_files(hook, tmp_path):
    assert hook("lipbench-manifest", DEMO, DEMO).returncode == 0
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(DEMO.read_text().replace("name: ", "nome: ", 1))
    done = hook("lipbench-manifest", wrong, DEMO)
    assert done.returncode == 2
    assert f"error: {wrong}:" in done.stdout
    assert f"{DEMO}: ok" in done.stdout


def test_the_action_passes_every_input_on():
    action = load("action.yml")
    steps = action["runs"]["steps"]
    passed = {value for step in steps for value in step.get("env", {}).values()}
    conditions = " ".join(str(step.get("if", "")) for step in steps)
    for name in action["inputs"]:
        assert f"${{{{ inputs.{name} }}}}" in passed or f"inputs.{name} " in conditions, name
    assert not any("${{" in step.get("run", "") for step in steps)  # no text of a pull request inside a script


@pytest.fixture
def action(tmp_path):
    """Runs the action's script as a workflow would; returns the process and the step's outputs."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "lipbench").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lipbench "$@"\n')
    (bin_folder / "lipbench").chmod(0o755)
    action = load("action.yml")

    def run(step="gate", **inputs):
        values = {k: "" if "${{" in v["default"] else v["default"] for k, v in action["inputs"].items()} | inputs
        (chosen,) = [one for one in action["runs"]["steps"] if one.get("id") == step]
        env = {k: values[v[4:-3].removeprefix("inputs.").strip()] for k, v in chosen["env"].items()}
        env = {
            **os.environ,
            **env,
            "GITHUB_OUTPUT": str(tmp_path / "outputs"),
            "GITHUB_ACTIONS": "true",
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
            "PATH": f"{bin_folder}:{os.environ['PATH']}",
        }
        (tmp_path / "outputs").unlink(missing_ok=True)
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", chosen["run"]], env=env, cwd=tmp_path, capture_output=True, text=True
        )
        outputs = tmp_path / "outputs"
        lines = outputs.read_text().splitlines() if outputs.exists() else []
        return done, dict(line.split("=", 1) for line in lines)

    return run


def test_action(bench, action, tmp_path):
    path = tmp_path / "gate.json"
    gate.accept(bench.write("good", {"ours": bench.cells()}), path, "first")
    short = bench.write("short", {"ours": bench.cells(5)})
    done, outputs = action(run=str(short), baseline=str(path))
    assert done.returncode == 3, done.stderr
    assert outputs == {"exit-code": "3", "verdict": "incomplete"}
    assert "::error title=incomplete%3A ours lse_d::1 of 6 clips missing" in done.stdout
    assert (tmp_path / "summary.md").read_text().startswith("**gate: incomplete")
    assert (tmp_path / "lipbench-gate.xml").exists()
    done, outputs = action(run=str(short), baseline=str(path), allow="3 4")
    assert (done.returncode, outputs["exit-code"]) == (0, "3")


def test_action_with_a_usage_error(action):
    done, outputs = action(run="nowhere", baseline="nothing.json")
    assert (done.returncode, outputs) == (2, {"exit-code": "2", "verdict": ""})


def test_the_report_step_writes_the_page_with_the_verdict(runs, action, tmp_path):
    run = str(runs.example())
    done, _ = action(step="report", run=run)
    assert done.returncode == 0, done.stderr
    assert "(gate:" not in (tmp_path / "lipbench-report.html").read_text()
    verdict = {"schema": 1, "verdict": "regression", "exit_code": 1, "reason": "x", "headlines": [], "remarks": []}
    (tmp_path / "lipbench-gate.json").write_text(json.dumps(verdict))
    done, _ = action(step="report", run=run)
    assert done.returncode == 0, done.stderr
    assert "Worse than the stored baseline (gate: regression" in (tmp_path / "lipbench-report.html").read_text()


def test_the_action_installs_what_it_is_told_alone():
    """A name that begins with a dash is no option of pip's."""
    (step,) = [one for one in load("action.yml")["runs"]["steps"] if one.get("id") == "install"]
    assert step["if"] == "inputs.install != ''"
    assert step["run"] == 'python3 -m pip install -- "$INSTALL"'
