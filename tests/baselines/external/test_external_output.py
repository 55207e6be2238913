"""External methods: which file counts as the command's own, and that nothing is written through links."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipbench import media
from lipbench.baselines.external import load_external, output, shadow
from lipbench.baselines.external.config import Output
from lipbench.core.errors import LipbenchError
from lipbench.core.method import DubJob, Outputs

NOTHING = ["{python}", "-c", "pass"]


def run(file: Path, job: DubJob) -> Outputs:
    return load_external(file).synthesize(job)


def why(file: Path, job: DubJob) -> str:
    with pytest.raises(LipbenchError) as caught:
        run(file, job)
    assert caught.value.reason == "bad_output"
    return str(caught.value)


@pytest.fixture
def stale(checkout: Path, clip_files: Path) -> Path:
    """A checkout with results of earlier days at all the places where a command may leave its own."""
    for name in ("result.mp4", "results/a.mp4", "results/deep/a.mp4"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_bytes((clip_files / "truth.mp4").read_bytes())
    (checkout / "frames").mkdir()
    (checkout / "frames" / "0.png").write_bytes(b"old")
    return checkout


@pytest.mark.parametrize("cwd", ["private", "repo"])
@pytest.mark.parametrize("writable", [[], ["results", "frames"]])
@pytest.mark.parametrize(
    "where",
    [
        {"find": "exact", "pattern": "result.mp4"},
        {"find": "exact", "pattern": "results/a.mp4"},
        {"find": "newest-glob", "pattern": "results/*.mp4"},
        {"find": "newest-glob", "pattern": "results/**/*.mp4"},
        {"find": "newest-glob", "pattern": "*.mp4"},
        {"find": "dir-of-frames", "pattern": "frames"},
    ],
)
def test_what_was_there_before_is_not_the_commands(
    job: DubJob, fake: Any, stale: Path, where: dict[str, str], writable: list[str], cwd: str
) -> None:
    for file in stale.rglob("*"):  # no date tells it from a new one
        if file.is_file():
            os.utime(file, (4e9, 4e9))
    before = {p: p.read_bytes() for p in stale.rglob("*") if p.is_file()}
    file = fake("", repo={"path": str(stale)}, argv=NOTHING, output=where, writable=writable, cwd=cwd)
    said = why(file, job)
    assert "made no" in said
    assert ("was there before it started" in said) == (cwd == "repo")
    assert {p: p.read_bytes() for p in stale.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("writable", [[], ["results"]])
@pytest.mark.parametrize(
    ("find", "pattern", "target"),
    [
        ("exact", "results/a.mp4", "results/a.mp4"),
        ("newest-glob", "results/*.mp4", "results/a.mp4"),
        ("newest-glob", "results/**/*.mp4", "results/deep/a.mp4"),
    ],
)
def test_writing_the_result_does_not_reach_the_checkout(
    job: DubJob, fake: Any, stale: Path, find: str, pattern: str, target: str, writable: list[str]
) -> None:
    before = {p: p.read_bytes() for p in stale.rglob("*") if p.is_file()}
    code = f"import fake, sys; fake.redraw('freeze', sys.argv[1], {target!r})"
    file = fake(
        "",
        repo={"path": str(stale)},
        argv=["{python}", "-c", code, "{video}"],
        output={"find": find, "pattern": pattern},
        writable=writable,
    )
    frames = media.load_frames(run(file, job).files["video"])
    assert np.abs(frames[0].astype(int) - frames[19]).mean() < 1.5
    assert {p: p.read_bytes() for p in stale.rglob("*") if p.is_file()} == before


def test_files_of_writable_folders_are_copies(job: DubJob, fake: Any, stale: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(shadow, "COPIED", 100)
    (stale / "results" / "deep" / "log.txt").write_text("of training")
    (stale / "results" / "weights.bin").write_bytes(bytes(101))
    code = (
        "import fake, os, sys; open('results/deep/log.txt', 'a').write('more'); "
        "assert os.path.islink('results/weights.bin'); fake.redraw('freeze', *sys.argv[1:])"
    )
    argv = ["{python}", "-c", code, "{video}", "{out}"]
    run(fake("", repo={"path": str(stale)}, argv=argv, writable=["results"]), job)
    assert (stale / "results" / "deep" / "log.txt").read_text() == "of training"


def test_in_the_checkout_itself_only_what_was_written_again_counts(job: DubJob, fake: Any, stale: Path) -> None:
    code = "import fake, sys; fake.redraw('freeze', sys.argv[1], 'results/b.mp4')"
    fields: dict[str, Any] = {"repo": {"path": str(stale)}, "cwd": "repo"}
    where = {"find": "newest-glob", "pattern": "results/*.mp4"}
    file = fake("", argv=["{python}", "-c", code, "{video}"], output=where, **fields)
    assert run(file, job).info["n_frames"] == 20
    code = (
        "import fake, os, sys; fake.images(sys.argv[1], 'new')\n"
        "for name in os.listdir('new'): os.rename('new/' + name, 'frames/' + name)"
    )
    argv = ["{python}", "-c", code, "{video}"]
    (stale / "frames" / "77.png").write_bytes(b"old")  # no picture of this dub
    file = fake("", argv=argv, output={"find": "dir-of-frames", "pattern": "frames"}, **fields)
    assert run(file, job).info["frames_made"] == 20


def test_several_new_files_are_no_answer(job: DubJob, fake: Any) -> None:
    code = (
        "import fake, sys, os; os.makedirs('results/x')\n"
        "for name in ('x/ngp_ep0010.mp4', 'ngp_ep0010_depth.mp4'):\n"
        "    fake.redraw('freeze', sys.argv[1], 'results/' + name)"
    )
    argv = ["{python}", "-c", code, "{video}"]
    where = {"find": "newest-glob", "pattern": "results/**/*.mp4"}
    said = why(fake("", argv=argv, output=where, writable=["results"]), job)
    assert "made 2 videos and nothing says which one is the result" in said
    assert "matches ngp_ep0010_depth.mp4, x/ngp_ep0010.mp4" in said
    assert "narrow `output.pattern`" in said
    where["pattern"] = "results/x/ngp_ep[0-9][0-9][0-9][0-9].mp4"
    assert run(fake("", argv=argv, output=where, writable=["results"]), job).info["n_frames"] == 20


def test_links_are_followed_within_the_private_folder_alone(job: DubJob, fake: Any, stale: Path) -> None:
    def linking(target: str) -> Path:
        code = (
            "import fake, os, sys; fake.redraw('freeze', sys.argv[1], sys.argv[3] + '/mine.mp4')\n"
            f"os.symlink({target}, sys.argv[2])"
        )
        argv = ["{python}", "-c", code, "{video}", "{out}", "{work}"]
        return fake("", repo={"path": str(stale)}, argv=argv)

    assert run(linking("sys.argv[3] + '/mine.mp4'"), job).info["n_frames"] == 20
    for target in (repr(str(stale / "result.mp4")), "'result.mp4'", "os.path.abspath('result.mp4')"):
        said = why(linking(target), job)
        assert "is a link that leads out of the private folder" in said or "leads nowhere" in said


def test_the_inputs_are_no_result(job: DubJob, fake: Any) -> None:
    # The pattern matches {video}, which lies there when the command starts.
    where = {"find": "newest-glob", "pattern": "{work}/**/*.mp4"}
    assert "was there before it started" in why(fake("", argv=NOTHING, output=where), job)
    argv = ["{python}", "fake.py", "freeze", "--video", "{video}", "--audio", "{audio}", "--out", "{out}"]
    assert run(fake("", argv=argv, output=where), job).info["n_frames"] == 20


def test_empty_places(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").touch()
    where = Output(find="exact", pattern="out.mp4")
    with pytest.raises(LipbenchError, match="is empty"):
        output.find(where, tmp_path / "out.mp4", {}, tmp_path)
    (tmp_path / "dangling.mp4").symlink_to("nowhere")
    with pytest.raises(LipbenchError, match="leads nowhere"):
        output.find(where, tmp_path / "dangling.mp4", {}, tmp_path)


@pytest.mark.parametrize(
    ("pattern", "fixed"),
    [
        ("results/*.mp4", "results"),
        ("results/**/*.mp4", "results"),
        ("*.mp4", "."),
        ("a/b/c.mp4", "a/b"),
        ("a/[xy]/c.mp4", "a"),
    ],
)
def test_the_part_of_a_pattern_without_wildcards(pattern: str, fixed: str) -> None:
    assert output.fixed_part(pattern) == Path(fixed)
