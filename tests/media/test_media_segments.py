"""Parts of a video as one clip: frames, cuts, sound."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from lipbench import media
from lipbench.core.errors import TooShort
from lipbench.media.segments import fitted, join_segments, segment_frames

RATE = 16000


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """4 s at 25 fps whose frames and samples say when they are."""
    frames = np.repeat(np.arange(100, dtype=np.uint8), 32 * 32 * 3).reshape(100, 32, 32, 3) * 2 + 20
    sound = np.repeat(np.arange(100) * 200 - 10000, RATE // 25).astype(np.int16)
    return media.write_video(tmp_path / "film.mp4", frames, 25, sound, crf=None)


def test_segments_are_joined(film: Path, tmp_path: Path) -> None:
    made = join_segments(film, tmp_path / "clip.mp4", [(0.4, 0.8), (2.0, 2.4), (3.0, 4.0)])
    source, clip = media.load_frames(film), media.load_frames(tmp_path / "clip.mp4")
    np.testing.assert_array_equal(clip, source[[*range(10, 20), *range(50, 60), *range(75, 100)]])
    assert len(np.unique(source[:, 0, 0, 0])) > 90  # frames can be told apart
    assert made.cuts == (10, 20)
    assert made.clip.n_frames == 45
    assert made.sound is not None
    assert len(made.sound.samples) == 45 * RATE // 25
    # AAC in the source: levels are near, and each segment has its own.
    middle = [float(np.median(made.sound.samples[n * 640 + 100 : n * 640 + 540])) for n in (5, 15, 30)]
    np.testing.assert_allclose(middle, [15 * 200 - 10000, 55 * 200 - 10000, 85 * 200 - 10000], atol=400)


def test_other_rates_and_films_that_end_early(film: Path, tmp_path: Path) -> None:
    made = join_segments(film, tmp_path / "fast.mp4", [(0.0, 1.0), (2.0, 3.0)], fps=50)
    assert (made.clip.n_frames, made.cuts) == (100, (50,))
    with pytest.raises(TooShort, match="not there in full"):
        join_segments(film, tmp_path / "late.mp4", [(0.0, 1.0), (3.5, 5.0)])
    assert not (tmp_path / "late.mp4").exists()


def test_sound_is_as_long_as_its_frames() -> None:
    """Segments that are no whole number of frames do not let the sound run away from the picture."""
    segments = [(0.0, 1.013), (2.0, 3.009)] * 20
    ends = np.cumsum([0, *segment_frames(segments, 25)])
    total = sum(len(fitted(np.ones(99999, np.int16), int(a), int(b), 25)) for a, b in pairwise(ends))
    assert total == ends[-1] * RATE // 25
    assert fitted(np.ones(10, np.int16), 0, 1, 25).tolist() == [1] * 10 + [0] * 630


def test_a_film_without_sound(tmp_path: Path) -> None:
    media.write_video(tmp_path / "mute.mp4", np.zeros((50, 32, 32, 3), np.uint8), 25)
    made = join_segments(tmp_path / "mute.mp4", tmp_path / "clip.mp4", [(0, 1), (1.2, 1.8)])
    assert made.sound is None
    assert media.probe(tmp_path / "clip.mp4").audio is None
