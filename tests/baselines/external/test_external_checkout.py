"""External methods: exactly which code a checkout holds, what its shadow runs, and caches that are kept."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from lipbench.baselines.external import doctor, load_external, read, repository
from lipbench.core.errors import LipbenchError, Refused
from lipbench.core.method import DubJob


def git(folder: Path, *words: str) -> str:
    name = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always")
    done = subprocess.run(["git", *name, "-C", str(folder), *words], check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture
def clone(checkout: Path, tmp_path: Path) -> Path:
    """The checkout under git, with a submodule, ignored weights and an ignored folder."""
    part = tmp_path / "part"
    part.mkdir()
    (part / "kernel.py").write_text("SIZE = 1\n")
    for folder in (part, checkout):
        git(folder, "init", "-q")
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", "first")
    git(checkout, "submodule", "add", "-q", str(part), "third/part")
    (checkout / ".gitignore").write_text("*.pth\nignored/\n")
    git(checkout, "add", "-A")
    git(checkout, "commit", "-q", "-m", "second")
    return checkout


def test_everything_that_the_command_may_read_is_identity(fake: Any, clone: Path) -> None:
    fields: dict[str, Any] = {
        "repo": {"path": str(clone)},
        "weights": [{"path": "net.ckpt"}],
        "writable": ["results"],
        "caches": ["downloads"],
        "output": {"find": "newest-glob", "pattern": "*.mp4"},
    }
    (clone / "net.ckpt").write_bytes(b"w")

    def state() -> dict[str, Any]:
        return dict(load_external(fake("copy", **fields)).identity(None, "c", "fr")["repo"])

    first = state()
    assert first == {"commit": git(clone, "rev-parse", "HEAD").strip(), "changes": ""}
    # What is written beside the code, as the file says, or what git ignores.
    for name in ("results/x.py", "downloads/net.bin", "a.mp4", "old.pth", "ignored/x.py"):
        (clone / name).parent.mkdir(exist_ok=True)
        (clone / name).write_bytes(b"1")
    assert state() == first
    seen = {""}
    for change in (
        lambda: (clone / "helper.py").write_text("VALUE = 1"),
        lambda: (clone / "helper.py").write_text("VALUE = 2"),
        lambda: (clone / "pkg" / "new.bin").write_bytes(b"data"),
        lambda: (clone / "fake.py").write_text("edited"),
        lambda: (clone / "third" / "part" / "kernel.py").write_text("SIZE = 2\n"),
        lambda: (clone / "third" / "part" / "kernel.py").write_text("SIZE = 3\n"),
        lambda: (clone / "third" / "part" / "more.py").write_text("x"),
        lambda: git(clone / "third" / "part", "commit", "-q", "-a", "-m", "on its own"),
    ):
        change()
        assert state()["changes"] not in seen
        seen.add(state()["changes"])


def test_a_clone_within_the_clone_counts(fake: Any, clone: Path) -> None:
    def state() -> Any:
        return load_external(fake("copy", repo={"path": str(clone)})).identity(None, "c", "fr")["repo"]

    inner = clone / "pytorch3d"
    inner.mkdir()
    (inner / "a.py").write_text("1")
    git(inner, "init", "-q")
    git(inner, "add", "-A")
    git(inner, "commit", "-q", "-m", "x")
    before = state()
    (inner / "a.py").write_text("2")
    assert state() != before
    changed = state()
    git(inner, "commit", "-q", "-a", "-m", "y")
    assert state() not in (before, changed)


def test_git_answers_for_this_folder_alone(fake: Any, clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = fake("copy", repo={"path": str(clone)})
    before = load_external(file).identity(None, "c", "fr")
    monkeypatch.setenv("GIT_DIR", "/nowhere")  # as in a hook
    assert load_external(file).identity(None, "c", "fr") == before
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Refused, match="git cannot say") as caught:
        load_external(file).identity(None, "c", "fr")
    assert caught.value.reason == "repo_mismatch"


def test_a_broken_checkout_is_no_plain_folder(fake: Any, clone: Path) -> None:
    (clone / ".git" / "HEAD").write_text("garbage")
    with pytest.raises(Refused, match="git cannot say"):
        load_external(fake("copy", repo={"path": str(clone)})).identity(None, "c", "fr")


def test_doctor_names_empty_submodules(fake: Any, clone: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(clone), str(tmp_path / "second"))
    (found,) = (
        f for f in doctor(read(fake("copy", repo={"path": str(tmp_path / "second")}))) if f.what.startswith("submodule")
    )
    assert (found.what, found.ok) == ("submodule third/part", False)
    assert "submodule update --init --recursive" in found.message
    (found,) = (f for f in doctor(read(fake("copy", repo={"path": str(clone)}))) if f.what.startswith("submodule"))
    assert found.ok


def test_a_plain_folder_leaves_out_what_the_command_writes(fake: Any, checkout: Path) -> None:
    def state() -> Mapping[str, Any]:
        found = load_external(fake("copy", repo={"path": str(checkout)}, writable=["results"]))
        return found.identity(None, "c", "fr")

    before = state()
    (checkout / "results").mkdir()
    (checkout / "results" / "config.json").write_text("{}")
    assert state() == before
    (checkout / "pkg" / "config.json").write_text("{}")
    assert state() != before


# -- generated files win ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", ["main.py", "tools/run.py", "{repo}/tools/run.py"])
def test_files_replace_modules_of_the_checkout(job: DubJob, fake: Any, checkout: Path, script: str) -> None:
    code = (
        "import os, sys\n"
        "sys.path.append(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))\n"
        "import settings, pkg.deep\n"
        "assert (settings.FROM, pkg.deep.FROM) == ('generated', 'generated'), (settings.__file__, pkg.deep.__file__)\n"
        "import fake; fake.redraw('freeze', *sys.argv[1:])"
    )
    (checkout / "tools").mkdir()
    for folder in ("", "tools/"):
        (checkout / f"{folder}settings.py").write_text("FROM = 'checkout'\n")
    for place in ("main.py", "tools/run.py"):
        (checkout / place).write_text(code)
    (checkout / "pkg" / "deep.py").write_text("FROM = 'checkout'\n")
    top = "" if script == "main.py" else "tools/"
    file = fake(
        "",
        repo={"path": str(checkout)},
        argv=["{python}", script, "{video}", "{out}"],
        files={f"{top}settings.py": "FROM = 'generated'\n", "pkg/deep.py": "FROM = 'generated'\n"},
    )
    assert load_external(file).synthesize(job).info["n_frames"] == 20
    assert (checkout / "settings.py").read_text() == "FROM = 'checkout'\n"


# -- download caches ----------------------------------------------------------------------------------------------


def test_downloads_are_kept_where_they_were_declared(
    job: DubJob, fake: Any, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    code = (
        "import fake, os, sys\n"
        "for folder in ('gfpgan/weights', os.path.expanduser('~/.cache/torch')):\n"
        "    path = folder + '/net.pth'\n"
        "    print('there' if os.path.exists(path) else 'downloaded'); open(path, 'w').write('net')\n"
        "open('gfpgan/scratch', 'w'); fake.redraw('freeze', *sys.argv[1:])"
    )
    (checkout / "gfpgan").mkdir()
    (checkout / "gfpgan" / "__init__.py").touch()
    file = fake(
        "",
        repo={"path": str(checkout)},
        argv=["{python}", "-c", code, "{video}", "{out}"],
        caches=["gfpgan/weights", "~/.cache/torch"],
    )
    identity = load_external(file).identity(None, "c", "fr")
    for said in ("downloaded", "there"):
        load_external(file).synthesize(job)
        assert (job.out / "stdout.txt").read_text().split() == [said] * 2
        (job.out / "stdout.txt").unlink()
    assert (checkout / "gfpgan" / "weights" / "net.pth").read_text() == "net"
    assert not (checkout / "gfpgan" / "scratch").exists()
    assert load_external(file).identity(None, "c", "fr") == identity


def test_weights_may_lie_in_a_cache(fake: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    file = fake("copy", weights=[{"path": "~/.cache/torch/s3fd.pth"}])
    with pytest.raises(LipbenchError) as caught:
        load_external(file).identity(None, "c", "fr")
    assert caught.value.reason == "weights_missing"
    (tmp_path / ".cache" / "torch").mkdir(parents=True)
    (tmp_path / ".cache" / "torch" / "s3fd.pth").write_bytes(b"net")
    assert set(load_external(file).identity(None, "c", "fr")["weights"]) == {"~/.cache/torch/s3fd.pth"}


@pytest.mark.parametrize("cache", ["/abs", "../up", "~", "~/", ".", "~/../x", "~other/x"])
def test_caches_are_in_the_home_or_the_checkout(fake: Any, cache: str) -> None:
    with pytest.raises(LipbenchError, match="no cache folder"):
        read(fake("copy", caches=[cache]))


# -- once per plan ------------------------------------------------------------------------------------------------


def test_a_plan_looks_at_a_checkout_once(
    fake: Any, clone: Path, tmp_path: Path, clip_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lipbench.core import keys
    from lipbench.datasets.types import Clip, Dub, Licence, Manifest
    from lipbench.engine import api

    licence, video, sound = Licence("CC0-1.0"), clip_files / "clip.mp4", clip_files / "dub.wav"
    clips = tuple(Clip(f"c{i}", video, keys.sha256_file(video), "s", "en", licence, "none needed") for i in range(20))
    dubs = tuple(
        Dub(f"{c.id}/{tag}", c.id, tag, "synthetic", sound, keys.sha256_file(sound))
        for c in clips
        for tag in ("fr", "de")
    )
    manifest = Manifest("m", "1", licence, clips, dubs, tmp_path)
    looks: list[Path] = []
    look = repository.state
    monkeypatch.setattr(repository, "state", lambda located: (looks.append(located.repo), look(located))[1])
    file = fake("freeze", repo={"path": str(clone)})
    methods = [{"file": str(file)}, {"file": str(file), "label": "again"}, {"file": str(file), "label": "seeded"}]
    methods[2]["params"] = {"args": ["--seed", "3"]}
    request = {"manifest": "m", "metrics": ["image"], "methods": methods, "faces": "demo-face"}
    prepared = api.prepare(request, manifest=manifest, out=tmp_path / "run")
    assert len(prepared.plan.cells) == 120
    assert len(looks) == 3 * 2  # check and identity of each row, whatever the number of cells
    (clone / "helper.py").write_text("new")
    looks.clear()
    again = api.prepare(request, manifest=manifest, out=tmp_path / "run")
    assert len(looks) == 3 * 2  # the next plan looks again
    assert not again.plan.nodes.keys() ^ prepared.plan.nodes.keys()
    # One that is refused is asked once as well, and every cell says why.
    looks.clear()
    (clone / ".git" / "HEAD").write_text("garbage")
    refused = api.prepare(request, manifest=manifest, out=tmp_path / "run")
    assert len(looks) == 3
    assert sum(n.refusal is not None for n in refused.plan.nodes.values()) == 120


def test_the_file_says_what_it_hands_over(fake: Any) -> None:
    d = read(fake("copy", env={"pass": ["HF_TOKEN"]}, post=[{"crop": "right half"}])).definition
    assert d.env.pass_on == ("HF_TOKEN",)
    assert type(d).model_validate(json.loads(d.model_dump_json())) == d
    assert yaml.safe_load(d.model_dump_json())["env"]["pass"] == ["HF_TOKEN"]
    with pytest.raises(LipbenchError, match="env"):
        read(fake("copy", env={"pass": ["*_TOKEN"]}))
    assert os.environ.get("HF_TOKEN") is None
