"""What witnesses prove, and pieces made of them."""

import numpy as np
import pytest

from lipbench.datasets.film import evidence
from lipbench.datasets.film.cells import Cell
from lipbench.datasets.film.path import Step, best_path, drift, runs
from lipbench.datasets.film.pieces import sharp_runs, slope_of
from lipbench.datasets.film.search import Candidate, Stretch


def cell(at: float, lag: float) -> Cell:
    return Cell(at, lag, 30.0, 0.5, 0.5, True, 1)


def test_chance_by_hand() -> None:
    # Two of two: the second agrees by chance once in a hundred, and either may be the first.
    assert evidence.log10_chance(2, 2, 0.01) == pytest.approx(np.log10(0.01 * 2))
    # Three of four: of three others two or three agree.
    p = 3 * 0.1**2 * 0.9 + 0.1**3
    assert evidence.log10_chance(3, 4, 0.1) == pytest.approx(np.log10(p * 4))
    assert evidence.log10_chance(1, 50, 0.01) == 0.0


def test_few_witnesses_prove_nothing_and_many_contradictions_neither() -> None:
    assert evidence.log10_chance(3, 3, evidence.SOUND_BY_CHANCE) > evidence.PIECE
    assert evidence.log10_chance(5, 5, evidence.SOUND_BY_CHANCE) < evidence.ACCEPTED
    assert evidence.log10_chance(5, 90, evidence.SOUND_BY_CHANCE) > evidence.PIECE


def test_places_are_parts_of_ten_seconds() -> None:
    assert evidence.places([0.0, 2.0, 9.9]) == 1
    assert evidence.places([9.9, 10.1, 35.0]) == 3


def test_pieces_of_two_offsets_and_a_stray_sound() -> None:
    cells = [cell(2.0 * k, 0.5) for k in range(10)] + [cell(20.0 + 2 * k, -1.5) for k in range(10)]
    cells[4] = cell(8.0, 0.52)
    found = sharp_runs(cells, 0.0)
    assert [run.offset for run in found] == pytest.approx([0.5, -1.5])
    assert [len(run.cells) for run in found] == [9, 10]
    assert found[0].of == 10


def test_drift_is_that_of_sounds_within_their_spans() -> None:
    rng = np.random.default_rng(1)
    lags = [(2.0 * k, 0.5 + 1e-4 * 2 * k + rng.normal(0, 1e-5)) for k in range(60)]
    lags += [(120 + 2.0 * k, -3.0 + 1e-4 * (120 + 2 * k) + rng.normal(0, 1e-5)) for k in range(60)]
    courses = [(np.array([10.0, 110.0]), np.array([0.5, 0.51])), (np.array([130.0, 230.0]), np.array([-2.99, -2.98]))]
    slope, error = slope_of([cell(*pair) for pair in lags], courses)
    assert slope == pytest.approx(1e-4, abs=3e-7)
    assert error < 2e-6
    assert [run.offset for run in sharp_runs([cell(*p) for p in lags], slope)] == pytest.approx([0.5, -3.0], abs=2e-5)


def test_sounds_beyond_an_edit_are_no_drift() -> None:
    # A course of 25 s reaches 10 s over either edit: most pairs that are far apart are of two pieces.
    cells = [cell(2.0 * k, 2.5) for k in range(12)] + [cell(24 + 2.0 * k, 5.1) for k in range(12)]
    cells += [cell(48 + 2.0 * k, -1.0) for k in range(12)]
    assert slope_of(cells, [(np.array([30.0, 40.0]), np.array([5.1, 5.1]))])[0] == 0.0


def test_no_points_far_enough_apart_say_nothing_of_drift() -> None:
    assert drift([(np.array([0.0, 2.0]), np.array([0.0, 1.0]))], 20.0, 1e-5) == (0.0, np.inf)


def test_course_keeps_to_one_offset_through_a_wrong_candidate() -> None:
    stretches = [Stretch(5.0 * k, (Candidate(1.0, 12.0), Candidate(40.0, 5.0))) for k in range(8)]
    stretches[3] = Stretch(15.0, (Candidate(40.0, 9.0), Candidate(1.0, 8.5)))
    stretches[5] = Stretch(25.0, (Candidate(-70.0, 4.0),))
    found = best_path(stretches)
    assert {step.offset for step in found} == {1.0}
    assert len(found) == 7


def test_course_follows_an_edit() -> None:
    stretches = [Stretch(5.0 * k, (Candidate(1.0 if k < 4 else -9.0, 12.0),)) for k in range(8)]
    found = runs(best_path(stretches))
    assert [run[0].offset for run in found] == [1.0, -9.0]


def test_runs_end_at_jumps_and_not_at_drift() -> None:
    steps = [Step(10.0 * k, 0.01 * k, 20.0) for k in range(5)] + [Step(60.0, 0.5, 20.0)]
    assert [len(run) for run in runs(steps)] == [5, 1]
