from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lipbench.core.errors import MediaError
from lipbench.faces.track import MOUTH_68
from lipbench.metrics.regions import NO_FACE, from_file, from_track

SIZE = (192, 144)


def moving(points68, t=12, dx=3.0, **kw):
    return np.stack([points68(60 + dx * i, 70, **kw) for i in range(t)])


def test_boxes_have_one_size_and_follow_the_face(points68, face_track):
    points = moving(points68)
    regions = from_track(face_track(points))
    for name, chosen in (("face", slice(0, 68)), ("mouth", MOUTH_68)):
        box = regions.boxes[name]
        sizes = box.corners[:, 2:] - box.corners[:, :2]
        assert (sizes == sizes[0]).all()
        assert box.valid.all()
        assert (np.diff(box.corners[2:-2, 0]) == 3).all()  # 3 px per frame, away from the ends of the smoothing
        p = points[2:-2, chosen]
        c = box.corners[2:-2]
        assert (p.min(axis=1) >= c[:, :2]).all()
        assert (p.max(axis=1) <= c[:, 2:]).all()


def test_the_stated_proportions(points68, face_track):
    points = np.stack([points68(96.0, 72.0, size=60.0)] * 6)
    boxes = from_track(face_track(points)).boxes
    low, high = points[0].min(axis=0), points[0].max(axis=0)
    w, h = high - low
    assert boxes["face"].size == (round(1.2 * w), round(1.4 * h))
    assert np.allclose(
        boxes["face"].corners[0], [low[0] - 0.1 * w, low[1] - 0.3 * h, high[0] + 0.1 * w, high[1] + 0.1 * h], atol=1
    )
    lips = points[0, MOUTH_68]
    side = 1.6 * np.ptp(lips, axis=0).max()
    assert boxes["mouth"].size == (round(side), round(side))
    middle = (lips.min(axis=0) + lips.max(axis=0)) / 2
    assert np.allclose(boxes["mouth"].corners[0], [*(middle - side / 2), *(middle + side / 2)], atol=1)


def test_one_wide_open_mouth_does_not_widen_the_box(points68, face_track):
    calm = moving(points68, dx=0)
    shout = calm.copy()
    shout[5] = points68(60, 70, gap=30)
    assert from_track(face_track(shout)).boxes["mouth"].size == from_track(face_track(calm)).boxes["mouth"].size


def test_lost_frames_have_no_box_and_do_not_move_others(points68, face_track, lose):
    track = face_track(moving(points68, dx=0))
    whole, holes = from_track(track), from_track(lose(track, [3, 4, 5, 6, 7, 11]))
    frame = np.zeros((144, 192, 3), np.uint8)
    assert holes.cut(frame, "mouth", 4) is None
    assert holes.cut(frame, "face", 4) is None
    assert holes.cut(frame, "full", 4) is frame
    assert holes.boxes["face"].valid.sum() == 6
    assert (holes.boxes["face"].corners[2] == whole.boxes["face"].corners[2]).all()
    assert holes.cut(frame, "mouth", 99) is None


def test_noise_of_the_tracker_is_smoothed(points68, face_track):
    rng = np.random.default_rng(0)
    points = moving(points68, t=60, dx=0) + rng.normal(0, 1.5, (60, 1, 2))
    corners = from_track(face_track(points)).boxes["mouth"].corners
    raw = points[:, MOUTH_68].mean(axis=1)
    assert np.abs(np.diff(corners[:, :2], axis=0)).mean() < 0.5 * np.abs(np.diff(raw, axis=0)).mean()


@pytest.mark.parametrize(("x", "y"), [(20, 70), (180, 70), (90, 20), (90, 135)])
def test_at_the_border_the_box_moves_in_and_keeps_its_size(points68, face_track, x, y):
    free = from_track(face_track(np.stack([points68(96, 72)] * 3)))
    edge = from_track(face_track(np.stack([points68(x, y)] * 3)))
    box = edge.boxes["face"]
    assert box.size == free.boxes["face"].size
    assert (box.corners >= 0).all()
    assert (box.corners[:, 2] <= 192).all()
    assert (box.corners[:, 3] <= 144).all()


def test_a_face_larger_than_the_frame(points68, face_track):
    regions = from_track(face_track(np.stack([points68(96, 72, size=300)] * 3)))
    assert regions.boxes["face"].size == (192, 144)


def test_a_face_outside_the_frame_is_not_measured(points68, face_track):
    points = np.stack([points68(96, 72)] * 3 + [points68(260, 72)] * 3)
    assert from_track(face_track(points)).boxes["mouth"].valid.tolist() == [True] * 3 + [False] * 3


def test_without_landmarks_there_is_a_face_but_no_mouth(points68, face_track):
    track = replace(face_track(moving(points68, dx=0)), landmarks=None, backend="s3fd")
    regions = from_track(track)
    x1, y1, x2, y2 = track.boxes[0]
    assert regions.boxes["face"].size == (round(x2 - x1), round(y2 - y1))
    assert "mouth" not in regions.boxes
    assert "s3fd" in regions.refusal("mouth", 12, SIZE)
    assert regions.refusal("face", 12, SIZE) is None


def test_reasons(points68, face_track, lose, tmp_path):
    assert from_file(None, "no_face: nobody there").refusal("face", 5, SIZE) == "no_face: nobody there"
    assert from_file(None).refusal("full", 5, SIZE) is None
    track = face_track(moving(points68))
    nobody = from_track(lose(track, list(range(12))))
    assert nobody.refusal("mouth", 12, SIZE) == NO_FACE
    assert from_track(track).refusal("face", 13, SIZE) is None
    assert from_track(track).refusal("face", 15, SIZE) == "length_mismatch: the face track has 12 frames, the videos 15"
    (tmp_path / "bad.npz").write_bytes(b"no")
    with pytest.raises(MediaError):
        from_file(tmp_path / "bad.npz")


def test_mesh_points_give_the_same_boxes_as_their_68(points68, face_track):
    from lipbench.faces.track import MESH_TO_68

    track = face_track(moving(points68))
    mesh = np.full((12, 478, 3), 5000, np.float32)
    mesh[:, list(MESH_TO_68)] = track.landmarks
    a, b = from_track(track), from_track(replace(track, landmarks=mesh))
    assert (a.boxes["mouth"].corners == b.boxes["mouth"].corners).all()
