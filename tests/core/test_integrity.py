"""A stage's files against what is written of them: sizes and times first, content where these differ or on demand."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from lipbench.core import integrity
from lipbench.core.integrity import describe, fault, listing


@pytest.fixture
def stage(tmp_path: Path) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """Folder, outputs and rest of a stage with a video and two files beside it."""
    out = tmp_path / "stage" / "out"
    (out / "deep").mkdir(parents=True)
    (out / "video.mp4").write_bytes(b"video")
    (out / "facts.json").write_bytes(b"{}")
    (out / "deep" / "frame").write_bytes(b"abc")
    return (out.parent, *describe(out, {"video": out / "video.mp4"}))


def keep_time(path: Path, content: bytes) -> None:
    stat = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_what_is_written_down(stage) -> None:
    folder, outputs, rest = stage
    assert outputs["video"]["path"] == "out/video.mp4"
    assert outputs["video"]["bytes"] == 5
    assert {path: about[0] for path, about in rest.items()} == {"deep/frame": 3, "facts.json": 2}
    assert fault(*stage) is fault(*stage, content=True) is None
    assert sorted(listing(folder / "out")) == ["deep/frame", "facts.json", "video.mp4"]


def test_no_file_beside_the_outputs(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    assert describe(tmp_path, {"a": tmp_path / "a"})[1] == {}


def test_an_output_outside_its_folder(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to("/etc/passwd")
    with pytest.raises(ValueError, match="passwd"):
        describe(tmp_path / "out", {"a": tmp_path / "out" / "link"})


def test_missing_cut_and_exchanged(stage) -> None:
    video = stage[0] / "out" / "video.mp4"
    video.write_bytes(b"other")
    os.utime(video, ns=(1, 1))
    assert fault(*stage) == "out/video.mp4 has another content"
    video.write_bytes(b"vid")
    assert fault(*stage) == "out/video.mp4 has 3 bytes, 5 were written"
    video.unlink()
    assert fault(*stage) == "out/video.mp4 is missing"
    shutil.rmtree(stage[0])
    assert fault(*stage) == "out/video.mp4 is missing"


def test_an_exchange_that_keeps_size_and_time_is_found_by_reading(stage) -> None:
    keep_time(stage[0] / "out" / "video.mp4", b"other")
    assert fault(*stage) is None
    assert fault(*stage, content=True) == "out/video.mp4 has another content"


def test_files_beside_the_outputs(stage) -> None:
    facts = stage[0] / "out" / "facts.json"
    keep_time(facts, b"[]")
    assert fault(*stage) is None
    assert fault(*stage, content=True) == "out/facts.json has another content"
    assert fault(stage[0], stage[1], None, content=True) is None  # of a record that does not know of them
    os.utime(facts)
    assert fault(*stage) == "out/facts.json has another content"
    facts.unlink()
    assert fault(*stage) == "out/facts.json is missing"


def test_a_file_that_came_later_changes_nothing(stage) -> None:
    """Programs write beside what they read."""
    (stage[0] / "out" / "video.mp4.cache").write_text("x")
    assert fault(*stage, content=True) is None


def test_a_copied_folder_is_read_once(stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its times are new; where the content is right the old ones come back."""
    video, read = stage[0] / "out" / "video.mp4", []
    os.utime(video, ns=(10**18, 10**18))
    real = integrity.sha256_file
    monkeypatch.setattr(integrity, "sha256_file", lambda path: read.append(path) or real(path))
    assert fault(*stage) is None
    assert len(read) == 1
    assert fault(*stage) is None
    assert len(read) == 1
    assert video.stat().st_mtime_ns == stage[1]["video"]["mtime_ns"]


def test_a_stage_without_files() -> None:
    assert fault(Path("nowhere"), {}, None) is None
    assert fault(Path("nowhere"), {}, {}) is None
