"""Dubs are found where they are, and those that share nothing with the film are refused."""

from pathlib import Path

import numpy as np
import pytest

from lipbench.synthetic.film.mixes import cut, mix, played, remastered
from tests.datasets.film.film_sounds import SECONDS, aligned, mixed, music, speech

RNG = np.random.default_rng(0)


def test_offset_without_a_change_of_speed(tmp_path: Path) -> None:
    dub, _ = cut(mixed(2), [(0.0, SECONDS, 3.217)], 1.0, RNG)
    found = aligned(mixed(1), dub, tmp_path)
    assert found.verdict == "ok"
    assert found.rate == 1.0
    assert found.sharp
    assert len(found.pieces) == 1
    assert found.pieces[0].offset == pytest.approx(3.217, abs=1e-4)
    assert found.pieces[0].heard > 0.5
    assert found.chance < -20


def test_speed_with_pitch_and_polarity(tmp_path: Path) -> None:
    dub, _ = cut(mixed(2), [(2.0, SECONDS, 0.0)], 1.0, RNG)
    found = aligned(mixed(1), -played(dub, 24 / 25), tmp_path)
    assert found.rate == 24 / 25
    assert found.pitch == "moved"
    assert found.inverted
    assert found.pieces[0].offset == pytest.approx(-2.0 * 24 / 25, abs=1e-4)
    assert found.pieces[0].start == pytest.approx(2.0, abs=0.01)


def test_free_rate_to_a_part_in_a_million(tmp_path: Path) -> None:
    found = aligned(mixed(1), played(mixed(2), 1.0103), tmp_path)
    assert found.rate == pytest.approx(1.0103, rel=1e-6)
    assert abs(found.pieces[0].offset) < 2e-4


@pytest.mark.parametrize(("lost", "silence"), [(0.08, 0.0), (12.5, 0.0), (0.0, 1.3)])
def test_edit_lies_within_what_is_printed(tmp_path: Path, lost: float, silence: float) -> None:
    dub, truth = cut(mixed(2), [(0.0, 47.0, 0.5), (47.0 + lost, SECONDS, silence)], 1.0, RNG)
    found = aligned(mixed(1), dub, tmp_path)
    assert [p.offset for p in found.pieces] == pytest.approx([s.offset for s in truth], abs=1e-4)
    before, after = found.pieces
    assert abs(before.end - 47.0) <= before.end_unsure < 5
    assert abs(after.start - 47.0 - lost) <= after.start_unsure < 5


def test_edge_in_a_time_without_common_sound_is_as_unsure_as_that_time_is_long(tmp_path: Path) -> None:
    bed = music().copy()
    rate = 16000
    film, dub = bed.copy(), bed.copy()
    for own in (film, dub):  # 30 s in which each has noise of its own
        own[:, 35 * rate : 65 * rate] = 0.3 * RNG.standard_normal((2, 30 * rate))
    sound, _ = cut(mix(dub, speech(2), 5, "mono"), [(0.0, 50.0, 0.0), (53.0, SECONDS, 0.0)], 1.0, RNG)
    found = aligned(mix(film, speech(1), 5, "mono"), sound, tmp_path)
    before, after = found.pieces
    assert before.end - before.end_unsure <= 37.1
    assert after.start + after.start_unsure >= 63.0
    assert abs(before.end - 50.0) <= before.end_unsure


def test_another_mastering_and_mono_of_stereo(tmp_path: Path) -> None:
    dub, _ = cut(remastered(mixed(2, layout="mono")), [(0.0, SECONDS, 1.5)], 1.0, RNG)
    found = aligned(mixed(1, layout="stereo"), dub, tmp_path)
    assert found.pieces[0].offset == pytest.approx(1.5, abs=2e-4)


def test_surround_and_its_stereo(tmp_path: Path) -> None:
    found = aligned(mixed(1, 30, "5.1"), mixed(2, 30, "stereo"), tmp_path)
    assert found.verdict == "ok"
    assert abs(found.pieces[0].offset) < 2e-4


def test_another_bed_is_refused(tmp_path: Path) -> None:
    found = aligned(mixed(1), mixed(2, seed=2), tmp_path)
    assert found.verdict == "refused"
    assert found.pieces == ()
    assert "no music or effects in common" in found.why or "too little" in found.why


def test_one_jingle_in_common_is_refused(tmp_path: Path) -> None:
    ours, theirs = music(1).copy(), music(2).copy()
    theirs[:, : 12 * 16000] = ours[:, : 12 * 16000]
    found = aligned(mix(ours, speech(1), 5, "mono"), mix(theirs, speech(2), 10, "mono"), tmp_path)
    assert found.verdict == "refused"


def test_the_original_again_is_no_dub(tmp_path: Path) -> None:
    found = aligned(mixed(1), 0.5 * mixed(1), tmp_path)
    assert found.verdict == "refused"
    assert "same as the original" in found.why


def test_silence_is_refused(tmp_path: Path) -> None:
    still = 1e-4 * RNG.standard_normal((2, 1, round(SECONDS * 16000)))
    film = np.concatenate([mixed(1)[:, :1600], still[0]], axis=1).astype(np.float32)
    dub = np.concatenate([mixed(2)[:, :1600], still[1]], axis=1).astype(np.float32)
    assert aligned(film, dub, tmp_path).verdict == "refused"
