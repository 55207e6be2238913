"""What the stage that scores hands to a metric family."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lipbench.engine.score_stage import pair_of
from lipbench.engine.tasks import ScoreTask
from lipbench.faces.track import FaceTrack


@pytest.mark.parametrize("index", [None, [0, 1, 2, 3]])
def test_a_dub_of_all_frames_in_order_has_the_clip_s_own_track(index, tmp_path):
    task, _ = of_track(tmp_path, index)
    pair = pair_of(task, _made(tmp_path / "out"), "cpu", 1)
    assert pair.faces == task.faces
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("index", [[0, 1, 2], [0, 1, 2, 3, 2], [1, 0, 2, 3]])
def test_another_dub_has_the_track_of_the_frames_that_it_shows(index, tmp_path):
    task, track = of_track(tmp_path, index)
    pair = pair_of(task, _made(tmp_path / "out"), "cpu", 1)
    assert pair.faces == tmp_path / "out/faces.npz"
    np.testing.assert_array_equal(FaceTrack.load(pair.faces).boxes, track.boxes[index])


def of_track(tmp_path, index):
    """A task of a clip of four frames, and its track."""
    boxes = np.arange(16, dtype=np.float32).reshape(4, 4)
    track = FaceTrack("file", 25.0, 64, 48, boxes, np.ones(4, np.float32), np.ones(4, np.int16))
    if index is not None:
        (tmp_path / "index.json").write_text(json.dumps(index))
    return ScoreTask(
        family="image",
        options={},
        fps=25.0,
        prediction=tmp_path / "video.mp4",
        faces=track.save(tmp_path / "faces.npz"),
        index=None if index is None else tmp_path / "index.json",
    ), track


def _made(folder):
    folder.mkdir()
    return folder
