"""lipbench doctor of external methods: what is wrong is found before anything runs, and the tail is measured."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lipbench.baselines.external import read
from lipbench.baselines.external.config import Definition
from lipbench.cli.doctor_external import external_needs, frame_count

SCRIPT = """
import argparse
parser = argparse.ArgumentParser()
for name in ("--face", "--audio", "--outfile", "--tmp"):
    parser.add_argument(name, required=True)
parser.add_argument("--seed", type=int)
parser.parse_args()
"""
ARGV = ["{python}", "run.py", "--face", "{video}", "--audio={audio}", "--outfile", "{out}", "--tmp", "-1"]


@pytest.fixture
def needs(tmp_path: Path) -> Any:
    """States and details of a method file's checks: needs(argv=..., weights={name: content}, ...)."""
    repo = tmp_path / "repo"
    repo.mkdir()
    (repo / "run.py").write_text(SCRIPT)

    def look(weights: dict[str, bytes] | None = None, **fields: Any) -> dict[str, tuple[str, str]]:
        listed = []
        for name, content in (weights or {}).items():
            (repo / name).write_bytes(content)
            listed.append({"path": name})
        content = {"name": "m", "repo": {"path": str(repo)}, "argv": ARGV, "weights": listed, **fields}
        (tmp_path / "m.yaml").write_text(yaml.safe_dump(content))
        return {c.what: (c.state, c.detail) for c in external_needs(read(tmp_path / "m.yaml"))}

    return look


def test_everything_is_there(needs: Any) -> None:
    version = ".".join(map(str, sys.version_info[:2]))
    found = needs(weights={"a.pth": b"PK\x03\x04..."}, env={"python": version, "imports": ["json", "numpy"]})
    assert {state for state, _ in found.values()} == {"ok"}
    assert found["python of none"][1].endswith("imports json, numpy")
    assert found["options of the command"][1] == "4 of the method file's are in its --help"
    assert "names neither size nor SHA-256" in found["weights a.pth"][1]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.pth", b"x", "1 bytes are no pth file"),
        ("a.bin", b"", "is empty"),
        ("a.bin", b"\n <!DOCTYPE html>", "web page"),
        ("a.pt", b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS"),
        ("a.safetensors", b"PK\x03\x04PK\x03\x04PK", "no safetensors file"),
        ("a.pth.tar", b"\x80\x02", ""),
        ("a.safetensors", b"\x10\0\0\0\0\0\0\0{}", ""),
        ("a.ckpt", b"\x80\x02}", ""),
    ],
)
def test_weights_that_are_none(needs: Any, name: str, content: bytes, said: str) -> None:
    state, detail = needs(weights={name: content})[f"weights {name}"]
    assert state == ("missing" if said else "ok")
    assert said in detail


@pytest.mark.parametrize("code", ["exit 1", "echo 'no such environment' >&2; exit 3"])
def test_a_conda_that_does_nothing(needs: Any, tmp_path: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    conda = tmp_path / "conda"
    conda.write_text(f"#!/bin/sh\n{code}\n")
    conda.chmod(0o755)
    monkeypatch.setenv("CONDA_EXE", str(conda))
    found = needs(env={"type": "conda", "name_or_path": "m"})
    assert found["environment conda m"][0] == "ok"  # the program is there
    state, detail = found["python of conda m"]
    assert state == "missing"
    assert detail in ("it ended with code 1", "no such environment")
    assert "options of the command" not in found


def test_a_conda_that_runs(needs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conda = tmp_path / "conda"
    # conda run --no-capture-output -n NAME python ...
    conda.write_text(f'#!/bin/sh\nshift 5\nexec "{sys.executable}" "$@"\n')
    conda.chmod(0o755)
    monkeypatch.setenv("CONDA_EXE", str(conda))
    found = needs(env={"type": "conda", "name_or_path": "m", "imports": ["json"]})
    assert {state for state, _ in found.values()} == {"ok"}


def test_modules_and_versions_of_the_environment(needs: Any) -> None:
    state, detail = needs(env={"imports": ["json", "mmcv_of_my_dreams"]})["python of none"]
    assert (state, "mmcv_of_my_dreams: ModuleNotFoundError" in detail) == ("missing", True)
    assert needs(env={"python": "2.7"})["python of none"][0] == "missing"
    assert needs(env={"python": "3.1"})["python of none"][0] == "missing"  # not 3.11


def test_options_that_the_script_does_not_have(needs: Any) -> None:
    found = needs(argv=[*ARGV, "--tmp_dir", "x", "--out"], caps={"seed_flag": "--seeds"})
    assert found["options of the command"] == ("fail", "the script has no --tmp_dir, --out, --seeds")
    assert needs(argv=["{python}", "-m", "run", "--face", "x"])["options of the command"][0] == "ok"
    assert needs(argv=["{python}", "-m", "run", "--fac", "x"])["options of the command"][0] == "fail"
    for argv in (["ffmpeg", "-i", "x"], ["{python}", "-c", "pass", "-x"], ["{python}", "run.py"]):
        assert needs(argv=argv)["options of the command"][0] == "skip"


def test_a_script_without_help_is_not_blamed(needs: Any, tmp_path: Path) -> None:
    (tmp_path / "repo" / "quiet.py").write_text("import sys; sys.exit('no config given')")
    state, detail = needs(argv=["{python}", "quiet.py", "--x"])["options of the command"]
    assert (state, "no config given" in detail) == ("skip", True)
    (tmp_path / "repo" / "writes.py").write_text("open('mess', 'w')")
    needs(argv=["{python}", "writes.py", "--x"])
    assert not (tmp_path / "repo" / "mess").exists()


def test_an_empty_submodule(needs: Any, tmp_path: Path) -> None:
    def git(folder: Path, *words: str) -> None:
        name = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always")
        subprocess.run(["git", *name, "-C", str(folder), *words], check=True, capture_output=True)

    repo, part = tmp_path / "repo", tmp_path / "part"
    part.mkdir()
    (part / "x.py").touch()
    for folder in (part, repo):
        git(folder, "init", "-q")
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", "x")
    git(repo, "submodule", "add", "-q", str(part), "third")
    git(repo, "commit", "-q", "-m", "y")
    assert needs()["submodule third"][0] == "ok"
    git(repo, "submodule", "deinit", "-f", "third")
    state, detail = needs()["submodule third"]
    assert state == "missing"
    assert "submodule update --init" in detail


@pytest.mark.parametrize(
    ("steps", "made", "have", "fix"),
    [
        ([], 50, 50, ""),
        ([{"pad_tail": 3}], 47, 50, ""),
        ([{"pad_tail": 3}], 46, 49, "`pad_tail: 4`"),
        ([], 51, 51, "`drop_tail: 1`"),
        ([{"drop_tail": 2}], 51, 49, "`drop_tail: 1`"),
        ([{"drop_tail": 1}], 50, 49, "neither"),
        ([{"fps": 25}, {"pad_tail": 7}], 107, 49, "`pad_tail: 8` (counted at the clip's rate)"),
    ],
)
def test_the_tail_is_measured(steps: list[dict[str, int]], made: int, have: int, fix: str) -> None:
    definition = Definition.model_validate({"name": "m", "argv": ["x"], "post": steps})
    check = frame_count(definition, {"frames_made": made, "fps_made": 25.0, "n_frames": have}, 50)
    assert check.state == ("fail" if fix else "ok")
    assert f"made {made} at 25 fps, {have} after `post`; the dub has 50" in check.detail
    assert fix in check.fix


@pytest.mark.slow
def test_doctor_measures_a_real_run(tmp_path: Path, fake: Path) -> None:
    from lipbench.cli.doctor_method import examine

    repo = tmp_path / "repo"
    repo.mkdir()
    (repo / "fake.py").write_bytes(fake.read_bytes())
    code = (
        "import sys; sys.path.insert(0, '.'); import fake; fps, frames = fake.frames_of(sys.argv[1]); "
        "fake.write(sys.argv[2], fps, [255 - f for f in frames[:-4]])"
    )
    for pad, state in ((3, "fail"), (4, "ok")):
        argv = ["{python}", "-c", code, "{video}", "{out}"]
        content = {"name": "m", "repo": {"path": str(repo)}, "argv": argv, "post": [{"pad_tail": pad}]}
        (tmp_path / "m.yaml").write_text(yaml.safe_dump(content))
        checks = {c.what: c for c in examine(str(tmp_path / "m.yaml"), {}, tmp_path / f"run{pad}", frames=12)}
        assert checks["frames of the command"].state == state, checks["frames of the command"]
        assert state == "ok" or "`pad_tail: 4`" in checks["frames of the command"].fix
    assert os.listdir(repo) == ["fake.py"]
