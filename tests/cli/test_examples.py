"""What people copy: examples, and the commands in documents. They parse, and what they call and name exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from lipbench.cli import group
from lipbench.engine.config import load_run_file

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    EXAMPLES / "README.md",
]


def load(name):
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def texts(value):
    """Every text in a YAML value."""
    if isinstance(value, dict):
        return [t for v in value.values() for t in texts(v)]
    if isinstance(value, list):
        return [t for v in value for t in texts(v)]
    return [value] if isinstance(value, str) else []


def calls(text):
    """Every `lipbench ...` command line, as words without comments."""
    parts = [part.strip() for line in re.sub(r"\\\n", " ", text).splitlines() for part in re.split(r"&&|;", line)]
    return [shlex.split(part, comments=True)[1:] for part in parts if re.match(r"lipbench [a-z-]", part)]


def written(path):
    """The command lines of a Markdown document: in indented blocks and between backticks."""
    text = path.read_text(encoding="utf-8")
    blocks = "\n".join(line for line in text.splitlines() if line.startswith("    "))
    return calls(blocks) + calls("\n".join(re.findall(r"`(lipbench [^`\n]+)`", text)))


def unknown(words):
    """The first word of a command line that lipbench does not have; None when it has them all."""
    command = group
    while isinstance(command, click.Group):
        if not words:
            return None  # a group alone, as a text names it
        if words[0].startswith("-"):
            return None if words[0] in {"--help", "--version", "-v", "-h"} else words[0]
        name = words.pop(0)
        command = command.get_command(click.Context(command), name)
        if command is None:
            return name
    options = {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
    return next((w for w in words if re.match(r"--?[a-z]", w) and w.split("=")[0] not in options), None)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_documents_call_what_exists(path):
    for words in written(path):
        assert unknown(list(words)) is None, words


@pytest.mark.parametrize("name", ["github.yml", "gitlab-ci.yml", "pre-commit-config.yaml"])
def test_ci_files_call_what_exists(name):
    found = [words for text in texts(load(f"examples/ci/{name}")) for words in calls(text)]
    assert found
    for words in found:
        assert unknown(list(words)) is None, words


def test_a_wrong_command_is_seen():
    assert unknown(["data", "chekc", "m.yaml"]) == "chekc"
    assert unknown(["run", "--dri-run"]) == "--dri-run"
    assert unknown(["run", "--dry-run"]) is None
    assert unknown(["weights"]) is None


@pytest.mark.parametrize("name", ["github.yml", "gitlab-ci.yml"])
def test_ci_files_install_what_can_be_installed(name):
    """lipbench is on no package index."""
    lines = [line for text in texts(load(f"examples/ci/{name}")) for line in text.splitlines() if "pip install" in line]
    assert len(lines) == 2
    assert all(line.endswith("pip install git+https://github.com/lipbench/lipbench") for line in lines)


def test_the_github_example_gives_the_action_inputs_that_it_has():
    steps = [step for job in load("examples/ci/github.yml")["jobs"].values() for step in job["steps"]]
    (gate,) = [step for step in steps if step.get("uses", "").startswith("lipbench/lipbench@")]
    assert set(gate["with"]) <= set(load("action.yml")["inputs"])
    pythons = {s["with"]["python-version"] for s in steps if s.get("uses", "").startswith("actions/setup-python")}
    assert pythons == {"3.12"}


def test_the_gitlab_example_is_consistent():
    ci = load("examples/ci/gitlab-ci.yml")
    stages, jobs = ci.pop("stages"), ci
    for job in jobs.values():
        assert job["stage"] in stages
        assert {need["job"] for need in job.get("needs", [])} <= set(jobs)
        assert job["image"] == "python:3.12"
    judged = {path for job in jobs.values() for path in job["artifacts"]["paths"]}
    assert {"runs/ci/run.json", "runs/ci/cells.jsonl"} <= judged


def test_the_real_example_names_what_is_there():
    run = load_run_file(EXAMPLES / "real.yaml")
    assert (EXAMPLES / run.manifest).is_file()
    assert all((EXAMPLES / entry.file).is_file() for entry in run.methods if entry.file)
    manifest = load(f"examples/{run.manifest}")
    assert set(run.languages) <= {dub["language"] for dub in manifest["dubs"]}
    supplied = {clip["video"] for clip in manifest["clips"]} | {dub["audio"] for dub in manifest["dubs"]}
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in readme for name in supplied)


def test_every_example_is_in_the_readme():
    files = {p.relative_to(EXAMPLES).as_posix() for p in EXAMPLES.rglob("*") if p.is_file() and "__" not in str(p)}
    named = re.findall(r"^\| `([^`]+)` \|", (EXAMPLES / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert files - {"README.md"} <= set(named)


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.y*ml")), ids=lambda path: path.name)
def test_files_that_an_example_mentions_exist(path):
    for name in re.findall(r"(?<!main/)\bexamples/[\w./-]+\w", path.read_text(encoding="utf-8")):  # main/: elsewhere
        assert (ROOT / name).exists(), name
