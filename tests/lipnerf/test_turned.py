"""Which frames turn a head further than reliefs can follow, and what is said of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lipbench.faces.raster import euler_to_matrix
from lipbench.lipnerf.fit_stage import _on_turns
from lipbench.lipnerf.turned import remarks_on_turns, turned_away


def test_angles_are_those_between_face_and_camera() -> None:
    angles = np.radians([[0.0, 0.0, 0.0], [0.0, 70.0, 0.0], [0.0, -35.0, 0.0], [20.0, 0.0, 0.0], [0.0, 0.0, 40.0]])
    found = turned_away(euler_to_matrix(angles), np.tile([0.0, 0.0, -8.0], (5, 1)))
    np.testing.assert_allclose(found, [0, 70, 35, 20, 0], atol=1e-6)  # a roll turns nothing away


def test_of_several_fronts_the_nearest_counts() -> None:
    """A head that turns to the image's right is seen from its own left: from below 0 degrees."""
    angles = np.radians([[0.0, 70.0, 0.0], [0.0, -70.0, 0.0], [65.0, 0.0, 0.0], [0.0, 25.0, 0.0]])
    found = turned_away(euler_to_matrix(angles), np.tile([0.0, 0.0, -8.0], (4, 1)), (-60.0, 0.0))
    np.testing.assert_allclose(found, [10, 70, 65, 25], atol=1e-6)


def test_beside_the_camera_a_head_that_looks_ahead_is_turned() -> None:
    aside = turned_away(np.eye(3)[None], np.array([[8.0, 0.0, -8.0]]))
    assert aside[0] == pytest.approx(45)


def test_a_remark_says_how_many_frames_how_far_and_what_to_do() -> None:
    assert remarks_on_turns([np.array([0.0, 59.0])]) == []
    (text,) = remarks_on_turns([np.array([0.0, 61.0, 30.0, 82.4])])
    assert text.startswith(
        "2 of 4 frames turn the head by more than 60 degrees from where it is modeled from (0 degrees), up to 82, "
        "the first is frame 1"
    )
    assert "field: mlp" in text


def test_further_shots_are_counted_each_for_itself() -> None:
    clip, first, second = np.array([0.0, 70.0]), np.array([0.0, 10.0, 20.0]), np.array([10.0, 10.0, 65.0])
    one, other = remarks_on_turns([clip, first, second], (-60.0, 0.0))
    assert one.startswith("1 of 2 frames turn")
    assert other.startswith("1 of 3 frames of the further shot 2 turn")
    assert "(-60 and 0 degrees), up to 65, the first is frame 2" in other


def _seen(yaw: list[float]) -> Any:
    """What is asked of a scene whose head turns by so many degrees to the image's right."""
    rotation = euler_to_matrix(np.radians([[0.0, turn, 0.0] for turn in yaw]))
    translation = np.tile([0.0, 0.0, -8.0], (len(yaw), 1))
    camera = -np.einsum("tji,tj->ti", rotation, translation)
    c2w = np.concatenate([np.swapaxes(rotation, 1, 2), camera[..., None]], 2)
    return SimpleNamespace(rotation=rotation, translation=translation, scene=SimpleNamespace(c2w=c2w))


def test_frames_that_a_side_is_modeled_from_are_not_remarked() -> None:
    front, side = [0.0] * 30, [75.0] * 30 + [140.0]
    clip = _seen(front)
    (text,) = _on_turns(clip, [clip, _seen(side)], _seen(front + side))
    assert text.startswith("1 of 31 frames of the further shot 1 turn the head by more than 60 degrees")
    assert "(-60 and 0 degrees), up to 80, the first is frame 30" in text
    few = [75.0] * 20  # too few for a side
    (text,) = _on_turns(clip, [clip, _seen(few)], _seen(front + few))
    assert text.startswith("20 of 20 frames of the further shot 1")
    assert "(0 degrees), up to 75" in text
    assert _on_turns(clip, [clip], clip) == []
    (text,) = _on_turns(_seen(front + [90.0] * 2), [clip], clip)  # a dub shows what is not trained on, too
    assert text.startswith("2 of 32 frames turn the head")
    # Of a long clip those frames decide that are trained on: of 31 every second, too few.
    (text,) = _on_turns(clip, [clip, _seen(side)], _seen(front[::2] + side[::2]))
    assert text.startswith("31 of 31 frames of the further shot 1")
