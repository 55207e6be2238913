"""Bad files and bad disks: each gives its error, in three lines that say what to do, and leaves nothing behind."""

from __future__ import annotations

import errno
import os
import pickle
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lipbench import media
from lipbench.core import atomic
from lipbench.core.errors import DiskFull, LipbenchError, MediaError, NoAudio, NoVideo, TooShort, Truncated, UsageError

TONE = (8000 * np.sin(np.arange(16000) / 5)).astype(np.int16)
NOISE = np.random.default_rng(0).integers(0, 256, (60, 48, 64, 3), dtype=np.uint8)


def check(error: LipbenchError, name: str) -> None:
    assert name in error.what
    assert "\n" not in error.what + error.why + error.fix
    assert error.fix
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def bad(folder: Path, kind: str) -> Path:
    path = folder / "bad.mp4"
    if kind == "empty":
        path.touch()
    elif kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("this is no video\n" * 50)
    elif kind == "one byte":
        path.write_bytes(b"\0")
    elif kind == "zeros":
        path.write_bytes(bytes(100_000))
    elif kind == "noise":
        path.write_bytes(NOISE.tobytes())
    elif kind == "html":
        path.write_text("<!DOCTYPE html><html><body>404 Not Found</body></html>")
    elif kind == "playlist":
        path.write_text("#EXTM3U\n#EXTINF:10,\nhttp://localhost:1/a.ts\n#EXT-X-ENDLIST\n")
    return path


@pytest.mark.parametrize(
    "kind", ["missing", "empty", "folder", "text", "one byte", "zeros", "noise", "html", "playlist"]
)
def test_files_that_are_no_media(tmp_path: Path, kind: str) -> None:
    path = bad(tmp_path, kind)
    for use in (
        media.probe,
        media.load_frames,
        media.read_audio,
        media.is_synthetic,
        media.read_wav,
        lambda p: media.normalize_clip(p, tmp_path / "out.mp4"),
        lambda p: media.remux(p, TONE, tmp_path / "out.mp4"),
        lambda p: media.retime_to_audio(p, TONE, tmp_path / "out.mp4", tmp_path / "out.wav"),
    ):
        with pytest.raises(MediaError) as caught:
            use(path)
        check(caught.value, "bad.mp4")
    assert sorted(p.name for p in tmp_path.iterdir()) == ([] if kind == "missing" else ["bad.mp4"])


def test_missing_files_are_told_before_the_first_frame(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no such file"):
        media.read_frames(tmp_path / "none.mp4")


def test_no_index(films) -> None:
    path = films.make("a.mp4", 60, 30, frames=NOISE)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(MediaError, match="no moov atom") as caught:
        media.probe(path)
    check(caught.value, "a.mp4")


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def test_cut_in_the_middle_of_the_frames(films) -> None:
    whole = films.make(
        "a.mp4", 60, 30, frames=NOISE, container={"movflags": "+faststart"}, options={"qp": "0", "g": "5"}
    )
    reference = media.load_frames(whole)
    path = cut(whole, 0.6)
    for use in (
        media.probe,
        media.load_frames,
        lambda p: media.load_frames(p, fps=25),
        lambda p: media.load_frames(p, start_s=0.5),
        lambda p: media.normalize_clip(p, films.folder / "out.mp4"),
        lambda p: media.remux(p, TONE, films.folder / "out.mp4"),
    ):
        with pytest.raises(Truncated, match=r"only 3[45] of 60 frames") as caught:
            use(path)
        check(caught.value, "a.mp4")
    assert not (films.folder / "out.mp4").exists()
    # What comes before the cut is there, and can be used.
    got = []
    with pytest.raises(Truncated):  # noqa: PT012
        for frame in media.read_frames(path):
            got.append(frame)
    assert len(got) in (34, 35)
    assert np.array_equal(got, reference[: len(got)])
    assert np.array_equal(media.load_frames(path, start_s=0.4, end_s=0.8), reference[12:24])
    assert media.normalize_clip(path, films.folder / "out.mp4", end_s=1).n_frames == 25


@pytest.mark.parametrize(
    ("name", "how"), [("a.mkv", {}), ("a.avi", {"codec": "mpeg4", "options": {"qscale": "1", "b": "8000000"}})]
)
def test_other_containers_cut(films, name: str, how: dict) -> None:
    path = cut(films.make(name, 60, 30, frames=NOISE, **how), 0.6)
    with pytest.raises(Truncated) as caught:
        media.load_frames(path)
    check(caught.value, name)
    with pytest.raises(Truncated):
        media.probe(path)
    assert len(media.load_frames(path, end_s=0.5)) == 15


def test_a_damaged_frame_is_named(films) -> None:
    path = films.make("a.mp4", 60, 30, frames=NOISE, container={"movflags": "+faststart"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20_000] = bytes(20_000)
    path.write_bytes(data)
    with pytest.raises(MediaError, match=r"the frame at [01]\.\d+ s are damaged") as caught:
        media.load_frames(path)
    check(caught.value, "a.mp4")


def test_a_change_of_size_is_told(films) -> None:
    """Two transport streams in one file, as recorders make them."""
    a, b = (
        films.make("a.ts", 10, 25),
        films.make("b.ts", 10, 25, size=(80, 60), pts=[k + 10 for k in range(10)], time_base=Fraction(1, 25)),
    )
    both = films.folder / "both.ts"
    both.write_bytes(a.read_bytes() + b.read_bytes())
    for use in (media.load_frames, lambda p: media.normalize_clip(p, films.folder / "out.mp4")):
        with pytest.raises(MediaError, match="from 64x48 to 80x60") as caught:
            use(both)
        check(caught.value, "both.ts")
    assert len(media.load_frames(both, end_s=0.3)) in (7, 8)


def test_streams_that_are_not_there(films) -> None:
    silent = films.make("silent.mp4", 5, 25)
    with pytest.raises(NoAudio) as caught:
        media.read_audio(silent)
    check(caught.value, "silent.mp4")
    media.write_wav(films.folder / "a.wav", TONE)
    for use in (media.probe, media.load_frames, lambda p: media.normalize_clip(p, films.folder / "out.mp4")):
        with pytest.raises(NoVideo) as caught_video:
            use(films.folder / "a.wav")
        check(caught_video.value, "a.wav")


def test_ranges_beyond_the_end(films) -> None:
    path = films.make("a.mp4", 25, 25, audio=TONE)
    for use in (
        lambda: media.load_frames(path, start_s=1.5),
        lambda: media.load_frames(path, start_s=1.5, fps=25),
        lambda: media.load_frames(path, start_s=0.99),  # within the last frame: it began before
        lambda: media.read_audio(path, start_s=2),
        lambda: media.read_audio(path, start_s=60),
        lambda: media.normalize_clip(path, films.folder / "out.mp4", start_s=9),
    ):
        with pytest.raises(TooShort) as caught:
            use()
        check(caught.value, "a.mp4")
    with pytest.raises(UsageError):
        media.load_frames(path, start_s=1, end_s=0.5)
    assert sorted(p.name for p in films.folder.iterdir()) == ["a.mp4"]


def test_cut_sound(tmp_path: Path) -> None:
    path = media.write_wav(tmp_path / "a.wav", TONE)
    cut(path, 0.5)
    for use in (media.read_audio, media.read_wav):
        with pytest.raises(Truncated) as caught:
            use(path)
        check(caught.value, "a.wav")
    soundfile.write(tmp_path / "b.flac", TONE, 16000)
    assert np.array_equal(media.read_audio(tmp_path / "b.flac"), TONE)


def draft_of(path: Path) -> Path:
    """The draft's path when its random part is 0."""
    return path.with_name(f".{path.name}.0.tmp")


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the temporary file of out.mp4 or out.wav lies on /dev/full."""
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    monkeypatch.setattr(atomic.secrets, "token_hex", lambda n: "0")
    for name in ("out.mp4", "out.wav"):
        draft_of(tmp_path / name).symlink_to("/dev/full")
    return tmp_path


def test_full_disk(full: Path) -> None:
    for write in (
        lambda: media.write_video(full / "out.mp4", NOISE, 25, TONE),
        lambda: media.write_video(full / "out.mp4", NOISE[:1] * 0, 25),  # so small that only closing writes it
        lambda: media.write_wav(full / "out.wav", TONE),
    ):
        with pytest.raises(DiskFull) as caught:
            write()
        check(caught.value, "out.")
        assert not (full / "out.mp4").exists()
        assert not (full / "out.wav").exists()
        for name in ("out.mp4", "out.wav"):
            link = draft_of(full / name)
            if not link.is_symlink():
                link.symlink_to("/dev/full")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounting needs root")
def test_really_full_disk(films) -> None:
    clip = films.make("clip.mp4", 60, 25, frames=NOISE, audio=TONE)
    small = films.folder / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", small], capture_output=True).returncode:
        pytest.skip("mounting is not allowed")
    try:
        for write in (
            lambda: media.write_video(small / "v.mp4", NOISE, 25, TONE),
            lambda: media.normalize_clip(clip, small / "v.mp4"),
            lambda: media.remux(clip, TONE, small / "v.mp4"),
            lambda: media.retime_to_audio(clip, TONE, small / "v.mp4", small / "v.wav"),
            lambda: media.write_wav(small / "v.wav", np.zeros(60_000, np.int16)),
        ):
            with pytest.raises(DiskFull) as caught:
                write()
            check(caught.value, "v.")
            assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)


def test_other_failures_to_write(tmp_path: Path) -> None:
    for write in (lambda path: media.write_video(path, NOISE[:2], 25), lambda path: media.write_wav(path, TONE)):
        with pytest.raises(MediaError, match="no folder"):
            write(tmp_path / "none" / "a.x")
        (tmp_path / "taken").mkdir(exist_ok=True)
        with pytest.raises(MediaError, match="directory"):
            write(tmp_path / "taken")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


def test_only_errors_about_the_file_are_taken_for_such(tmp_path: Path) -> None:
    """A caller's own OSError inside the block comes out as it is, even ENOSPC about another disk."""
    for code in (errno.ENOENT, errno.ENOSPC):
        writer = media.VideoWriter(tmp_path / "a.mp4", fps=25, width=64, height=48)
        with pytest.raises(OSError) as caught, writer as video:  # noqa: PT012
            video.write(NOISE[0])
            raise OSError(code, "something else")
        assert caught.value.errno == code
        assert not isinstance(caught.value, LipbenchError)
    assert list(tmp_path.iterdir()) == []
