"""Which frames turn a head further than a relief can follow, and what is said of them."""

from __future__ import annotations

import numpy as np
import pytest

from lipbench.faces.raster import euler_to_matrix
from lipbench.lipnerf.turned import remarks_on_turns, turned_away


def test_angles_are_those_between_face_and_camera() -> None:
    angles = np.radians([[0.0, 0.0, 0.0], [0.0, 70.0, 0.0], [0.0, -35.0, 0.0], [20.0, 0.0, 0.0], [0.0, 0.0, 40.0]])
    found = turned_away(euler_to_matrix(angles), np.tile([0.0, 0.0, -8.0], (5, 1)))
    np.testing.assert_allclose(found, [0, 70, 35, 20, 0], atol=1e-6)  # a roll turns nothing away


def test_beside_the_camera_a_head_that_looks_ahead_is_turned() -> None:
    aside = turned_away(np.eye(3)[None], np.array([[8.0, 0.0, -8.0]]))
    assert aside[0] == pytest.approx(45)


def test_a_remark_says_how_many_frames_how_far_and_what_to_do() -> None:
    assert remarks_on_turns(np.array([0.0, 59.0])) == []
    (text,) = remarks_on_turns(np.array([0.0, 61.0, 30.0, 82.4]))
    assert text.startswith("2 of 4 frames turn the head by more than 60 degrees, up to 82, the first is frame 1")
    assert "field: mlp" in text
