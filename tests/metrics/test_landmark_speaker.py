"""Who of several faces says what is heard, by the sync model on landmarks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import lipbench
from lipbench import media
from lipbench.datasets.annotations import Annotations
from lipbench.datasets.film.shots_faces import ShotFace
from lipbench.datasets.film.shots_speaking import moving_mouths
from lipbench.faces.track import MESH_TO_68, FaceTrack
from lipbench.metrics.sync.landmark.shot_speaking import speaking_mouths
from lipbench.metrics.sync.landmark.speaker import CLEAR, similarity, speaker

CLIPS = Path(lipbench.__file__).parent / "datasets" / "demo" / "clips"


def talk(name: str, language: str) -> tuple[FaceTrack, np.ndarray]:
    """A packaged clip: true landmarks, and its sound."""
    track = Annotations.load(CLIPS / name / f"annotations_{language}.npz").face_track()
    return track, media.read_audio(CLIPS / name / f"{name}.mp4", 16000)


@pytest.fixture(scope="module")
def english() -> tuple[FaceTrack, np.ndarray]:
    return talk("demo-en", "en")


@pytest.fixture(scope="module")
def french() -> tuple[FaceTrack, np.ndarray]:
    return talk("demo-fr", "fr")


def test_who_is_heard_is_chosen(english, french):
    n = min(len(english[0]), len(french[0]))
    both = [english[0].take(range(n)), french[0].take(range(n))]
    assert speaker(both, english[1]) == 0
    assert speaker(both, french[1]) == 1
    assert speaker(both[::-1], english[1]) == 1
    assert speaker(both, np.concatenate([np.zeros(3200, np.int16), english[1]])) == 0  # a delay is forgiven
    assert speaker(both[:1], english[1]) == 0


def test_where_it_is_not_sure_nobody_is(english, french):
    track, audio = english
    assert speaker([track, track], audio) is None  # both fit alike
    assert similarity(track, french[1]) < CLEAR
    assert speaker([track], french[1]) is None  # somebody who is not seen
    assert speaker([], audio) is None
    assert speaker([replace(track, landmarks=None), track.take(range(20))], audio) is None  # cannot be measured
    assert speaker([replace(track, landmarks=None), track], audio) == 1


def shot(track: FaceTrack, rows: np.ndarray) -> ShotFace:
    """As `data shots` sees a face: every other frame, no depth."""
    points = track.landmarks if track.landmarks.shape[1] == 68 else track.landmarks[:, list(MESH_TO_68)]
    points = points[2 * rows, :, :2].astype(np.float32)
    return ShotFace(rows, points, np.concatenate([points.min(1), points.max(1)], 1))


def test_a_dialog_is_told_apart(english, french):
    """Two mouths that move all the time; in the first half one is heard, in the second the other."""
    n = min(len(english[0]), len(french[0])) // 4 * 2
    rows = np.arange(n)
    half = n // 2 * 2 * 640
    sound = np.concatenate([english[1][:half], french[1][half : n * 2 * 640]])
    faces = [shot(english[0], rows), shot(french[0], rows)]
    told = speaking_mouths(faces, n, 12.5, sound)
    alone = [moving_mouths([face], n, 12.5, sound)[0] for face in faces]
    assert all(0.2 < share < 0.6 for share in told)
    assert sum(told) < 0.75 * sum(alone)
    only = speaking_mouths(faces, n, 12.5, english[1][: n * 2 * 640])
    assert only[1] == 0
    assert only[0] > 0.5
    assert speaking_mouths(faces, n, 12.5, None) == [None, None]
    assert speaking_mouths([], n, 12.5, sound) == []


def test_a_face_that_leaves_and_a_short_shot_keep_the_rule_of_motion(english):
    track, sound = english
    for rows in (np.arange(12), np.arange(0, 90, 3)):
        n = int(rows[-1]) + 1
        faces = [shot(track, rows)]
        assert speaking_mouths(faces, n, 12.5, sound[: n * 1280]) == moving_mouths(faces, n, 12.5, sound[: n * 1280])
