"""Frames as OpenCV gives them: what evaluation scripts measure."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lipbench import media
from lipbench.core.errors import MediaError
from lipbench.media.pixels import Color, ToRgb
from lipbench.media.recent import read_again
from lipbench.media.resize import copy_by_number
from lipbench.media.source import VideoSource

NOISE = cv2.resize(np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8), (64, 48))
FRAMES = np.stack([np.roll(NOISE, 5 * k, 1) for k in range(5)])


def by_opencv(path) -> np.ndarray:
    capture, found = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        found.append(read[1][..., ::-1])
    return np.stack(found)


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"pix_fmt": "yuv444p", "size": (61, 47)},
        {"pix_fmt": "yuv422p", "size": (62, 46)},
        {"color": (5, 2), "pix_fmt": "yuvj420p"},
        {"codec": "libx264rgb", "pix_fmt": "rgb24"},
        {"rotation": 90},
    ],
    ids=["plain", "odd", "422", "full range", "RGB", "turned"],
)
def test_videos_bit_by_bit(films, shape) -> None:
    width, height = shape.get("size", (64, 48))
    path = films.make("a.mp4", 5, 25, frames=np.ascontiguousarray(FRAMES[:, :height, :width]), **shape)
    seen = np.stack(list(media.read_frames(path, decoder="opencv")))
    np.testing.assert_array_equal(seen, by_opencv(path))
    assert np.array_equal(seen, media.load_frames(path)) == (shape.get("pix_fmt") in ("rgb24", "yuv444p"))


def test_every_file_is_taken_for_bt601_as_opencv_4_does(films) -> None:
    with VideoSource(films.make("709.mp4", 1, 25, frames=FRAMES, color=(1, 1))) as source:
        frame = source.first
        assert Color.of(frame).matrix == 1
        tagged, exact = ToRgb("opencv")(frame), ToRgb()(frame)
        frame.colorspace = 5
        np.testing.assert_array_equal(ToRgb("opencv")(frame), tagged)
        assert not np.array_equal(ToRgb()(frame), exact)


def test_pictures_bit_by_bit(tmp_path) -> None:
    for k, frame in enumerate(FRAMES):
        cv2.imwrite(str(tmp_path / f"{k}.jpg"), frame)
    seen = list(media.read_frames(tmp_path, decoder="opencv"))
    np.testing.assert_array_equal(seen, [cv2.imread(str(tmp_path / f"{k}.jpg"))[..., ::-1] for k in range(5)])
    assert not np.array_equal(seen, list(media.read_frames(tmp_path)))  # FFmpeg decodes JPEG otherwise
    (tmp_path / "5.jpg").write_bytes(b"no picture")
    with pytest.raises(MediaError, match=r"5\.jpg"):
        list(media.read_frames(tmp_path, decoder="opencv"))


def test_what_is_read_again_is_of_one_decoder(films) -> None:
    path = films.make("a.mp4", 2, 25, frames=FRAMES)
    first, other = (list(read_again(path, decoder=decoder)) for decoder in ("exact", "opencv"))
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(other, by_opencv(path))


def test_a_copy_by_number_keeps_the_pixels_and_drops_the_times(films) -> None:
    path = films.make("a.mp4", 5, 30, frames=FRAMES, pts=[0, 1, 4, 5, 9])
    assert media.probe(path).vfr
    copy_by_number(path, films.folder / "copy.mp4", 25, 4)
    assert media.on_grid(films.folder / "copy.mp4", 25)
    for decoder in ("exact", "opencv"):
        copied = list(media.read_frames(films.folder / "copy.mp4", decoder=decoder))
        np.testing.assert_array_equal(copied, by_opencv(path)[:4])
