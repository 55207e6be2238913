"""Numbered pictures as a video."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from lipbench import media
from lipbench.core.errors import MediaError, NoAudio, TooShort

FRAMES = np.random.default_rng(0).integers(0, 256, (12, 36, 50, 3)).astype(np.uint8)


def write(folder: Path, names: list[str], frames: np.ndarray = FRAMES) -> Path:
    folder.mkdir(exist_ok=True)
    for name, frame in zip(names, frames, strict=False):
        cv2.imwrite(str(folder / name), frame[..., ::-1])
    return folder


def names(n: int = 12, first: int = 0, form: str = "f{:04d}.png") -> list[str]:
    return [form.format(first + i) for i in range(n)]


@pytest.mark.parametrize("path", ["seq", "seq/f%04d.png", "seq/f%d.png", "seq/*.png", "seq/f*.png"])
def test_read_bit_by_bit(tmp_path: Path, path: str) -> None:
    write(tmp_path / "seq", names())
    (tmp_path / "seq" / "notes.txt").write_text("not a picture")
    assert np.array_equal(media.load_frames(tmp_path / path), FRAMES)
    info = media.probe(tmp_path / path, picture_fps=30)
    assert (info.width, info.height, info.n_frames, float(info.fps), info.vfr) == (50, 36, 12, 30, False)
    assert (info.duration_s, info.audio, info.codec, info.rotation) == (0.4, None, "png", 0)
    assert float(media.probe(tmp_path / path).fps) == 25


def test_the_order_is_that_of_the_numbers(tmp_path: Path) -> None:
    folder = write(tmp_path / "seq", names(12, 0, "take2_{}.png"))
    assert np.array_equal(media.load_frames(folder), FRAMES)
    folder = write(tmp_path / "late", names(12, 95, "x{}-final.png"))
    assert np.array_equal(media.load_frames(folder), FRAMES)


def test_parts_and_rates(tmp_path: Path) -> None:
    folder = write(tmp_path / "seq", names())
    assert np.array_equal(media.load_frames(folder, start_s=0.08, end_s=0.2), FRAMES[2:5])
    assert np.array_equal(media.load_frames(folder, fps=50), FRAMES)  # pictures are at the rate that is asked for
    assert np.array_equal(media.load_frames(folder, fps=50, picture_fps=25), FRAMES.repeat(2, axis=0))
    with pytest.raises(TooShort, match="12 pictures end at"):
        media.load_frames(folder, start_s=1)


def test_a_normal_clip_is_made_of_them(tmp_path: Path) -> None:
    smooth = np.linspace(40, 200, 12)[:, None, None, None] + np.zeros((12, 36, 50, 3))
    folder = write(tmp_path / "seq", names(), smooth.astype(np.uint8))
    made = media.normalize_clip(folder, tmp_path / "clip.mp4", fps=25)
    assert (made.n_frames, made.width, made.height, made.audio) == (12, 50, 36, False)
    assert np.abs(media.load_frames(tmp_path / "clip.mp4").astype(int) - smooth).max() <= 2
    made = media.normalize_clip(folder, tmp_path / "clip.mp4", fps=25, picture_fps=50)
    assert made.n_frames == 6


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["f1.png", "f2.png", "f4.png"], "number 3 is missing between f1.png and f4.png"),
        (["f1.png", "f01.png"], "f01.png and f1.png have one number"),
        (["a.png", "b.png"], "a.png has no number"),
        (["a1.png", "a2.png", "b1.png"], "2 series of pictures"),
        (["f1.png", "f1.jpg"], "2 series of pictures"),
    ],
)
def test_nothing_is_guessed(tmp_path: Path, files: list[str], message: str) -> None:
    folder = write(tmp_path / "seq", files)
    with pytest.raises(MediaError, match=message):
        media.load_frames(folder)


def test_one_of_several_series(tmp_path: Path) -> None:
    folder = write(tmp_path / "seq", [*names(6, form="a{}.png"), *names(6, form="b{}.png")])
    assert np.array_equal(media.load_frames(folder / "b%d.png"), FRAMES[6:])
    assert np.array_equal(media.load_frames(folder / "a*.png"), FRAMES[:6])


def test_a_file_wins_over_a_pattern(tmp_path: Path) -> None:
    folder = write(tmp_path / "seq", ["f%d.png", "f1.png"])
    assert len(media.load_frames(folder / "f%d.png")) == 1


def test_mistakes(tmp_path: Path) -> None:
    write(tmp_path / "seq", names(3))
    (tmp_path / "empty").mkdir()
    for path, message in (
        ("seq/g%04d.png", "no picture fits"),
        ("none/f%04d.png", "no picture fits"),
        ("empty", "without pictures"),
        ("seq/f0007.png", "no such file"),
    ):
        with pytest.raises(MediaError, match=message):
            media.load_frames(tmp_path / path)
    with pytest.raises(NoAudio, match="series of pictures"):
        media.read_audio(tmp_path / "seq")
    write(tmp_path / "seq", ["f0003.png"], np.zeros((1, 20, 20, 3), np.uint8))
    with pytest.raises(MediaError, match="changes from 50x36 to 20x20"):
        media.load_frames(tmp_path / "seq")


def test_one_digest_for_all(tmp_path: Path) -> None:
    """That of the text which `sha256sum *.png` prints."""
    folder = write(tmp_path / "seq", names(3))
    text = "".join(f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.name}\n" for f in sorted(folder.iterdir()))
    assert media.digest(folder) == media.digest(folder / "f%04d.png") == hashlib.sha256(text.encode()).hexdigest()
    film = tmp_path / "a.mp4"
    film.write_bytes(b"x")
    assert media.digest(film) == hashlib.sha256(b"x").hexdigest()
    assert media.present(film)
    assert media.present(folder)
    assert not media.present(tmp_path / "none.mp4")
