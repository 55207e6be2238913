"""Which part of a dub's file is its clip's: spans, offsets, rates, and where that is not clear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipbench import media
from lipbench.core.errors import ManifestError, TooShort
from lipbench.datasets.drift import speed_words
from lipbench.datasets.dub_sound import DubSound, shift

RATE = 16000
FILM = (np.random.default_rng(0).normal(size=20 * RATE) * 3000).astype(np.int16)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """20 s of sound."""
    return media.write_wav(tmp_path / "film.wav", FILM)


def part(start: float, end: float) -> list[int]:
    return FILM[round(start * RATE) : round(end * RATE)].tolist()


def read(film: Path, used: float | None = None, **how: object) -> list[int]:
    return DubSound(film, **how).read(used).samples.tolist()


def test_a_whole_dub_is_what_it_was(film: Path) -> None:
    assert read(film) == part(0, 20)
    assert read(film, offset_s=-1.5) == part(1.5, 20)
    assert read(film, offset_s=0.5) == [0] * 8000 + part(0, 20)
    assert len(shift(FILM, -30)) == 0


@pytest.mark.parametrize(
    ("offset", "expected"),
    [(0.0, part(8, 11)), (0.48, part(7.52, 10.52)), (-0.48, part(8.48, 11.48)), (9.0, [0] * RATE + part(0, 2))],
)
def test_the_span_of_the_clip_cuts_the_dub(film: Path, offset: float, expected: list[int]) -> None:
    """A scene of a film with a dub as long as the film: time runs on in both."""
    assert read(film, 3.0, clip_start_s=8.0, clip_end_s=11.0, offset_s=offset) == expected


def test_one_end_of_a_span_is_enough(film: Path) -> None:
    assert read(film, 12.0, clip_start_s=8.0) == part(8, 20)
    assert read(film, 3.0, clip_end_s=3.0) == part(0, 3)
    assert read(film, 30.0, clip_end_s=30.0) == part(0, 20)  # shorter than its clip: the clip is cut


def test_a_span_of_its_own(film: Path) -> None:
    assert read(film, 3.0, start_s=5.0, end_s=9.0) == part(5, 9)
    assert read(film, 3.0, start_s=5.0) == part(5, 20)
    scene = {"clip_start_s": 8.0, "clip_end_s": 11.0}
    assert read(film, 3.0, start_s=5.0, **scene) == part(5, 8)  # as long as the scene
    assert read(film, 3.0, start_s=5.0, end_s=6.0, **scene) == part(5, 6)
    assert read(film, 3.0, end_s=10.0, **scene) == part(8, 10)
    assert read(film, 3.0, start_s=5.0, offset_s=-0.5, **scene) == part(5.5, 8.5)
    assert read(film, 3.0, start_s=5.0, offset_s=0.5, **scene) == [0] * 8000 + part(5, 7.5)


def test_a_dub_that_is_cut_already_says_so(tmp_path: Path) -> None:
    cut = media.write_wav(tmp_path / "cut.wav", FILM[: 3 * RATE])
    for scene in ({"clip_start_s": 1.0, "clip_end_s": 4.0}, {"clip_start_s": 8.0, "clip_end_s": 11.0}):
        with pytest.raises(ManifestError, match=r"where does .*cut\.wav begin") as error:
            read(cut, 3.0, **scene)
        assert "start_s: 0" in error.value.fix
        assert f"start_s: {scene['clip_start_s']:g}" in error.value.fix
        assert read(cut, 3.0, start_s=0.0, **scene) == part(0, 3)
    assert read(cut, 3.0, start_s=1.0, clip_start_s=1.0, clip_end_s=4.0) == part(1, 3)


@pytest.mark.parametrize("rate", [25 / 24, 24000 / 1001 / 25])
def test_a_dub_at_another_speed(tmp_path: Path, rate: float) -> None:
    """A click at 12 s of the film lies at 12 / rate s of its dub, and comes to lie where it belongs."""
    samples = (np.random.default_rng(1).normal(size=round(20 * RATE / rate)) * 20).astype(np.int16)
    at = round(12 * RATE / rate)
    samples[at : at + 40] = 20000
    film = media.write_wav(tmp_path / "fast.wav", samples)
    whole = np.array(read(film, 20.0, rate=rate))
    assert len(whole) == pytest.approx(20 * RATE, abs=20)
    assert np.abs(whole).argmax() == pytest.approx(12 * RATE, abs=60)
    scene = np.array(read(film, 4.0, rate=rate, clip_start_s=10.0, clip_end_s=14.0))
    assert len(scene) == pytest.approx(4 * RATE, abs=20)
    assert np.abs(scene).argmax() == pytest.approx(2 * RATE, abs=60)
    late = np.array(read(film, 4.0, rate=rate, clip_start_s=10.0, clip_end_s=14.0, offset_s=0.5))
    assert np.abs(late).argmax() == pytest.approx(2.5 * RATE, abs=60)


def test_nothing_left(film: Path) -> None:
    with pytest.raises(TooShort, match="nothing of"):
        read(film, 3.0, start_s=5.0, clip_start_s=8.0, clip_end_s=11.0, offset_s=3.0)
    with pytest.raises(TooShort, match="no sound in 30 s"):
        read(film, start_s=30.0)


@pytest.mark.parametrize(
    ("clip", "dub", "ratio"),
    [
        (8.80, 8.80 * 23.976 / 25, "25/23.976"),
        (100.0, 96.0, "25/24"),
        (96.0, 100.0, "24/25"),
        (100.0, 100.0 * 23.976 / 24, "24/23.976"),
        (100.0, 97.0, ""),
        (100.0, 100.02, ""),
        (2.0, 1.9, ""),
    ],
)
def test_lengths_of_another_speed(clip: float, dub: float, ratio: str) -> None:
    words = speed_words(clip, dub)
    assert (f"`rate: {ratio}`" in words) if ratio else not words


def test_segments_of_the_clip_cut_the_dub_as_often(film: Path) -> None:
    segments = ((8.0, 9.0), (12.0, 12.5))
    assert read(film, segments=segments) == part(8, 9) + part(12, 12.5)
    assert read(film, segments=segments, offset_s=0.5) == part(7.5, 8.5) + part(11.5, 12)
    # `start_s` is the second of the file that belongs to the first segment's beginning.
    assert read(film, segments=segments, start_s=1.0) == part(1, 2) + part(5, 5.5)
    # With a rate of frames each is as long as its frames: 12.51 s ends with frame 12.
    assert len(read(film, segments=((8.0, 9.0), (12.0, 12.51)), fps=25)) == round(1.52 * RATE)


def test_segments_after_the_end_of_the_dub(film: Path) -> None:
    with pytest.raises(ManifestError, match="where does"):
        read(film, segments=((8.0, 9.0), (19.0, 21.0)))
