"""Clean plates: still and moving backgrounds, holes, and what they are put together with."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lipbench.core.errors import UsageError
from lipbench.faces.parsing import Label, Parsing, Plate, clean_plate, head_over_plate
from lipbench.faces.parsing.align import ImageMotion
from lipbench.faces.parsing.fill import smooth_fill


def scenery(height: int, width: int) -> np.ndarray:
    """A smooth image with corners to hold on to."""
    rng = np.random.default_rng(1)
    image = cv2.resize(rng.integers(40, 200, (height // 8, width // 8, 3), dtype=np.uint8), (width, height))
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 2))


def walker(n: int, pan: float = 0.0) -> tuple[np.ndarray, np.ndarray, Parsing]:
    """A head crosses a scenery, the camera pans by `pan` px a frame: n frames 96 x 128, backgrounds, labels."""
    wide = scenery(96, 256)
    frames, backs, labels = [], [], np.zeros((n, 96, 128), np.uint8)
    for t in range(n):
        x = round(pan * t)
        back = wide[:, x : x + 128]
        mask = np.zeros((96, 128), np.uint8)
        cv2.circle(mask, (20 + round(88 * t / (n - 1)), 48), 16, 1, -1)
        frame = back.copy()
        frame[mask == 1] = (250, 20, 30)
        labels[t][mask == 1] = Label.HEAD
        frames.append(frame)
        backs.append(back)
    return np.stack(frames), np.stack(backs), Parsing(labels, "truth")


def test_a_still_background_is_found_exactly() -> None:
    frames, backs, parsing = walker(24)
    plate = clean_plate(frames, parsing)
    assert plate.static
    assert plate.seen == 1.0
    assert plate.image is not None
    assert (plate.image == backs[0]).all()
    assert plate.frame(3) is plate.frame(7)


def test_what_no_frame_shows_is_filled_smoothly_and_counted() -> None:
    frames, backs, parsing = walker(24)
    stuck = Parsing(np.repeat(parsing.labels[12:13], 24, 0), "truth")
    plate = clean_plate(np.repeat(frames[12:13], 24, 0), stuck)
    assert plate.image is not None
    assert 0.7 < plate.seen < 0.95
    assert "filled in" in plate.notes[0]
    inside = stuck.head[0]
    assert not (plate.image[inside] == (250, 20, 30)).all(1).any()
    assert np.abs(plate.image[inside].astype(float) - backs[0][inside]).mean() < 35  # of a scenery with sigma 40


def test_a_panning_camera_gets_a_plate_for_each_frame() -> None:
    frames, backs, parsing = walker(40, pan=1.5)
    plate = clean_plate(frames, parsing)
    assert not plate.static
    assert plate.image is None
    t = 20
    hole = parsing.head[t]
    error = np.abs(plate.frame(t)[hole].astype(float) - backs[t][hole])
    assert error.mean() < 6  # donors are moved by parts of a pixel
    far = ~cv2.dilate(hole.astype(np.uint8), np.ones((15, 15), np.uint8)).astype(bool)
    assert (plate.frame(t)[far] == frames[t][far]).all()


def test_motion_is_measured_on_the_masked_part_only() -> None:
    frames, _, parsing = walker(40, pan=1.5)
    found = ImageMotion(frames, lambda t: parsing.background[t]).between(10, 16)
    np.testing.assert_allclose(found[:, :2], np.eye(2), atol=0.01)
    np.testing.assert_allclose(found[:, 2], [-9, 0], atol=0.5)
    flat = np.full((2, 64, 64, 3), 90, np.uint8)
    assert (ImageMotion(flat, lambda _: np.ones((64, 64), bool)).between(0, 1) == [[1, 0, 0], [0, 1, 0]]).all()


def test_the_fill_keeps_what_is_known_and_continues_slopes() -> None:
    ramp = np.tile(np.linspace(0, 100, 64, dtype=np.float32), (48, 1))[..., None].repeat(3, 2)
    known = np.ones((48, 64), bool)
    known[14:34, 20:44] = False
    filled = smooth_fill(np.where(known[..., None], ramp, -999).astype(np.float32), known)
    assert (filled[known] == ramp[known]).all()
    assert np.abs(filled - ramp)[~known].max() < 8
    assert smooth_fill(ramp[..., 0], known).shape == (48, 64)
    assert (smooth_fill(ramp, np.zeros((48, 64), bool)) == 0).all()


def test_head_over_plate() -> None:
    frames, _, parsing = walker(6)
    over = head_over_plate(frames, parsing, Plate.still(np.full((96, 128, 3), 7, np.uint8)))
    assert (over[parsing.head] == frames[parsing.head]).all()
    assert (over[~parsing.head] == 7).all()


def test_labels_of_another_clip_are_refused() -> None:
    frames, _, parsing = walker(6)
    with pytest.raises(UsageError, match="do not belong together"):
        clean_plate(frames[:4], parsing)


def test_of_equally_far_frames_the_first_gives_the_color(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.full((3, 40, 40), Label.BACKGROUND, np.uint8)
    labels[:, 15:25, 15:25] = Label.HEAD
    frames = np.stack([np.full((40, 40, 3), 100 + t, np.uint8) for t in range(3)])
    measured, calls = cv2.distanceTransform, iter(range(100))

    def rounded_otherwise(*args: object) -> np.ndarray:  # the last bit of what OpenCV answers is not always the same
        return measured(*args) * np.float32(1 + 1e-6 * next(calls))

    monkeypatch.setattr(cv2, "distanceTransform", rounded_otherwise)
    plate = clean_plate(frames, Parsing(labels, "test"), static=True)
    assert np.unique(plate.frame(0)[:5]).tolist() == [100]
