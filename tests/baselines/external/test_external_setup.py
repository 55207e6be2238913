"""lipbench method setup: checkout and environment by the file's recipe, recorded, and part of the key."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from lipbench.baselines.external import load_external, read
from lipbench.baselines.external.checkout import check, doctor
from lipbench.baselines.external.installation import record
from lipbench.baselines.external.installation.setup import UNFINISHED, setup, steps, uv
from lipbench.cli.method import main
from lipbench.core.errors import LipbenchError, ManifestError, Refused

VERSION = ".".join(map(str, sys.version_info[:2]))
Make = Callable[..., Path]


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always")
    done = subprocess.run(["git", *who, "-C", str(folder), *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def wheel(folder: Path, version: str) -> Path:
    """A package of one module, made by hand: nothing is fetched for it."""
    path = folder / f"tiny_lips-{version}-py3-none-any.whl"
    info = f"tiny_lips-{version}.dist-info"
    files = {
        "tiny_lips.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tiny-lips\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(text)}")
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr(f"{info}/RECORD", "\n".join([*lines, f"{info}/RECORD,,"]) + "\n")
    return path


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    """A repository with two commits; the first one has a wheel in it."""
    repo = tmp_path / "upstream"
    repo.mkdir()
    git(repo, "init", "-q")
    wheel(repo, "1.0")
    (repo / "run.py").write_text("import tiny_lips\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "first")
    (repo / "run.py").write_text("raise SystemExit('the second commit')\n")
    git(repo, "commit", "-qam", "second")
    return repo


@pytest.fixture
def file(tmp_path: Path, upstream: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A method file: file(env={...}, ...)."""
    monkeypatch.setenv("LIPBENCH_REPOS", str(tmp_path / "repos"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")

    def write(env: dict[str, Any] | None = None, **fields: Any) -> Path:
        recipe = {"packages": ["./tiny_lips-1.0-py3-none-any.whl"], "options": ["--no-index"]}
        repo = {
            "url": str(upstream),
            "commit": git(upstream, "rev-parse", "HEAD~1")[:7],
            "path": "${LIPBENCH_REPOS}/up",
        }
        content = {
            "name": "mine",
            "repo": repo,
            "env": env or {"type": "venv", "python": VERSION, "recipe": recipe},
            "argv": ["{python}", "run.py"],
            **fields,
        }
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    return write


needs_uv = pytest.mark.skipif(shutil.which(uv()) is None, reason="uv is not installed")


@needs_uv
def test_from_nothing_to_a_method_that_runs(file: Make, tmp_path: Path) -> None:
    located = read(file())
    assert located.definition.env.name_or_path == str(tmp_path / "repos" / ".envs" / "mine")
    with pytest.raises(Refused, match="git clone"):
        check(located)
    said: list[str] = []
    built = setup(located, say=said.append)
    assert built is not None
    assert [line.split(" ")[0] for line in said] == ["clone", "commit", "its", "put", "Python", "the", "made"]
    assert "tiny_lips-1.0" in built.installed
    assert any(name.startswith(f"python-{VERSION}") for name in built.installed)
    assert built.tool.startswith("uv ")
    assert built.commit == git(located.repo, "rev-parse", "HEAD")
    python = tmp_path / "repos" / ".envs" / "mine" / "bin" / "python"
    subprocess.run([python, located.repo / "run.py"], check=True)  # the first commit, with its package
    check(located)
    assert json.loads((tmp_path / "repos" / ".envs" / "mine.json").read_text())["installed"] == list(built.installed)
    assert steps(located) == []
    assert setup(located) == built
    # What is installed is part of the key; what came later is seen by doctor.
    before = load_external(located.file).identity(None, "c", "fr")["environment"]
    more = wheel(tmp_path, "2.0")
    subprocess.run(
        [uv(), "pip", "install", "-q", "--no-index", "--python", python, more], check=True, capture_output=True
    )
    assert load_external(located.file).identity(None, "c", "fr")["environment"] != before
    assert record.drift(located) == (["tiny_lips-2.0"], ["tiny_lips-1.0"])
    finding = next(f for f in doctor(located) if f.what == "packages as they were made")
    assert (finding.ok, "tiny_lips-2.0" in finding.message) == (False, True)


@needs_uv
def test_another_recipe_is_another_environment(file: Make) -> None:
    setup(read(file()), say=lambda line: None)
    recipe = {"packages": ["./tiny_lips-1.0-py3-none-any.whl"], "options": ["--no-index", "--no-deps"]}
    changed = read(file({"type": "venv", "python": VERSION, "recipe": recipe}))
    with pytest.raises(Refused) as caught:
        check(changed)
    assert caught.value.reason == "env_mismatch"
    assert caught.value.fix == f"make it again: lipbench method setup {changed.file} --again"
    with pytest.raises(Refused, match="another recipe"):
        setup(changed)
    assert setup(changed, again=True, say=lambda line: None) is not None
    check(changed)


@needs_uv
def test_a_setup_that_failed_goes_on(file: Make, tmp_path: Path) -> None:
    broken = read(file({"type": "venv", "python": VERSION, "recipe": {"packages": ["./no-such.whl"]}}))
    with pytest.raises(LipbenchError) as caught:
        setup(broken, say=lambda line: None)
    assert caught.value.reason == "setup_failed"
    assert "no-such.whl" in caught.value.why
    assert (tmp_path / "repos" / ".envs" / "mine" / UNFINISHED).exists()
    assert record.read_record(broken) is None
    assert setup(read(file()), say=lambda line: None) is not None  # no --again: it was never finished


def test_what_lipbench_did_not_make_is_left_alone(file: Make, tmp_path: Path, upstream: Path) -> None:
    place = tmp_path / "own"
    place.mkdir()
    recipe = {"packages": ["a==1"]}
    located = read(file({"type": "venv", "python": VERSION, "recipe": recipe, "name_or_path": str(place)}))
    with pytest.raises(Refused, match="lipbench did not make it"):
        steps(located)
    assert [step.argv[1] for step in steps(located, again=True)][:1] == ["clone"]
    assert place.exists()


def test_a_half_cloned_repository_is_none(file: Make, tmp_path: Path) -> None:
    located = read(file({"type": "none"}, repo={"url": str(tmp_path / "gone"), "path": str(tmp_path / "there")}))
    (tmp_path / "there.part").mkdir()
    with pytest.raises(LipbenchError, match="clone") as caught:
        setup(located, say=lambda line: None)
    assert caught.value.reason == "setup_failed"
    assert not (tmp_path / "there").exists()


def test_submodules_are_filled(file: Make, tmp_path: Path, upstream: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("COUNT", "1"), ("KEY_0", "protocol.file.allow"), ("VALUE_0", "always")):
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    git(outer, "submodule", "--quiet", "add", str(upstream), "part")
    git(outer, "commit", "-qm", "with a part")
    place = tmp_path / "clone"
    located = read(file({"type": "none"}, repo={"url": str(outer), "path": str(place)}))
    setup(located, say=lambda line: None)
    assert (place / "part" / "run.py").exists()
    git(place, "submodule", "--quiet", "deinit", "--force", "part")
    assert not (place / "part" / "run.py").exists()
    assert [step.what for step in steps(located)] == ["the submodules part"]
    setup(located, say=lambda line: None)
    assert (place / "part" / "run.py").exists()


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """fakes("docker", body) puts a program on the PATH that notes its words and does what `body` (shell) says."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CONDA_EXE", raising=False)
    record.forget_images()

    def put(name: str, body: str) -> Path:
        notes = tmp_path / f"{name}.txt"
        (folder / name).write_text(f'#!/bin/sh\necho "$@" >> {notes}\n{body}\n')
        (folder / name).chmod(0o755)
        return notes

    return put


def test_conda_as_it_is_called(file: Make, fakes: Callable[[str, str], Path], tmp_path: Path) -> None:
    place = tmp_path / "repos" / ".envs" / "mine"
    notes = fakes(
        "conda",
        f'case "$1" in create) mkdir -p {place}/conda-meta; touch {place}/conda-meta/ffmpeg-6.1-h0.json;;'
        " --version) echo conda 24.1;; esac",
    )
    recipe = {
        "conda": ["ffmpeg=6.1"],
        "channels": ["conda-forge"],
        "packages": ["torch==2.5.1"],
        "requirements": ["requirements.txt"],
        "options": ["--no-deps"],
        "commands": [["{python}", "setup.py", "--in", "{repo}"]],
    }
    located = read(file({"type": "conda", "python": "3.10", "recipe": recipe}))
    built = setup(located, say=lambda line: None)
    assert built is not None
    assert (built.installed, built.tool) == (("conda:ffmpeg-6.1-h0",), "conda 24.1")
    run = f"run --no-capture-output -p {place} python"
    assert notes.read_text().splitlines() == [
        f"create --yes --prefix {place} --channel conda-forge --override-channels python=3.10 ffmpeg=6.1",
        f"{run} -m pip install --no-deps torch==2.5.1",
        f"{run} -m pip install --no-deps -r requirements.txt",
        f"{run} setup.py --in {located.repo}",
        "--version",
    ]
    check(located)
    identity = load_external(located.file).identity(None, "c", "fr")["environment"]
    (place / "conda-meta" / "ffmpeg-7.0-h0.json").touch()
    assert load_external(located.file).identity(None, "c", "fr")["environment"] != identity


ONE, TWO = (f"sha256:{digit * 64}" for digit in "12")


def inspect(digest: str, image_id: str = "sha256:" + "a" * 64) -> str:
    seen = json.dumps({"Id": image_id, "RepoDigests": [f"lips@{digest}"]})
    return f"[ \"$1 $2\" = 'image inspect' ] && echo '{seen}'; exit 0"


def test_an_image_is_its_digest(file: Make, fakes: Callable[[str, str], Path]) -> None:
    notes = fakes("docker", inspect(ONE))
    env = {"type": "docker", "name_or_path": "lips:latest", "digest": ONE, "recipe": {}}
    located = read(file(env))
    assert [step.argv for step in steps(located) if step.argv[0] == "docker"] == [
        ("docker", "pull", f"lips@{ONE}"),
        ("docker", "tag", f"lips@{ONE}", "lips:latest"),
    ]
    assert setup(located, say=lambda line: None) is not None
    check(located)
    assert load_external(located.file).identity(None, "c", "fr")["environment"] == {"image": ONE}
    assert f"pull lips@{ONE}" in notes.read_text()
    # The name leads to another image now.
    fakes("docker", inspect(TWO))
    record.forget_images()
    with pytest.raises(Refused) as caught:
        check(located)
    assert (caught.value.reason, "wanted sha256:111" in caught.value.why) == ("env_mismatch", True)


def test_an_image_without_digest_counts_by_its_id(file: Make, fakes: Callable[[str, str], Path]) -> None:
    def image(image_id: str) -> Any:
        fakes("docker", inspect(ONE, image_id))
        record.forget_images()
        located = read(file({"type": "docker", "name_or_path": "lips:latest"}, repo={"path": "."}))
        return load_external(located.file).identity(None, "c", "fr")["environment"]

    assert image(ONE) == {"image": ONE}
    assert image(TWO) == {"image": TWO}


def test_an_image_that_is_not_here(file: Make, fakes: Callable[[str, str], Path]) -> None:
    fakes("docker", "exit 1")
    located = read(file({"type": "docker", "name_or_path": "lips:latest"}, repo={"path": "."}))
    with pytest.raises(Refused) as caught:
        check(located)
    assert (caught.value.reason, caught.value.what) == ("env_missing", "there is no docker image lips:latest")


def test_an_image_from_a_dockerfile(file: Make, fakes: Callable[[str, str], Path]) -> None:
    fakes("docker", inspect(ONE))
    located = read(file({"type": "docker", "recipe": {"dockerfile": "docker/Dockerfile"}}))
    words = ("docker", "build", "--tag", "lipbench/mine", "--file", "docker/Dockerfile", ".")
    assert steps(located)[-1].argv == words


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"type": "venv", "python": "3.10", "recipe": {"packages": ["torch"]}}, "write torch==VERSION"),
        ({"type": "venv", "python": "3.10", "recipe": {"packages": ["torch>=2"]}}, "write torch==VERSION"),
        ({"type": "venv", "python": "3.10", "recipe": {"packages": ["torch==2.*"]}}, "write torch==VERSION"),
        ({"type": "conda", "python": "3.10", "recipe": {"conda": ["ffmpeg"]}}, "write ffmpeg=VERSION"),
        ({"type": "venv", "recipe": {"packages": ["torch==2.5.1"]}}, "needs the version of Python"),
        ({"type": "venv", "python": "3.10", "recipe": {"conda": ["a=1"]}}, "venv does not use conda"),
        (
            {"type": "conda", "python": "3", "name_or_path": "lips", "recipe": {"conda": ["a=1"]}},
            "a folder, not a name",
        ),
        ({"type": "docker", "name_or_path": "a:latest", "recipe": {}}, "a pulled image needs its digest"),
        ({"type": "none", "recipe": {"packages": ["a==1"]}}, "is not built"),
        ({"type": "venv", "name_or_path": "x", "digest": ONE}, "only a docker image has a digest"),
        ({"type": "venv", "python": "3.9", "recipe": {"commands": [["a", "{video}"]]}}, "means nothing while"),
    ],
)
def test_what_a_recipe_may_not_say(file: Make, env: dict[str, Any], said: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read(file(env))
    assert said in str(caught.value)


def test_the_command_says_what_it_would_do(file: Make) -> None:
    path = str(file())
    answer = CliRunner().invoke(main, ["setup", path, "--dry-run"])
    assert answer.exit_code == 0
    assert "git clone --no-checkout" in answer.output
    assert "--no-index ./tiny_lips-1.0-py3-none-any.whl" in answer.output
    told = json.loads(CliRunner().invoke(main, ["setup", path, "--dry-run", "--json"]).output)
    assert told[0]["argv"][:2] == ["git", "clone"]


def test_a_method_of_lipbenchs_own_has_none() -> None:
    answer = CliRunner().invoke(main, ["setup", "dubbed"])
    assert isinstance(answer.exception, LipbenchError)
    assert "no environment of its own" in answer.exception.what
