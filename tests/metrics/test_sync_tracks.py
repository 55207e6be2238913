"""Shots, boxes, tracks and crops: the geometry of the published pipeline."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipbench.core.errors import NoFace
from lipbench.faces.shots import ShotDetector, thinning
from lipbench.faces.track import Box, FaceTrack
from lipbench.metrics.sync.face_boxes import FOREHEAD_68, boxes_of_track
from lipbench.metrics.sync.tracks import crop, crop_path, iou, track_faces

# -- shots --------------------------------------------------------------------------------------------------------


def shots_of(colors: list[tuple[int, int, int]], size: tuple[int, int] = (40, 60)) -> list[tuple[int, int]]:
    detector = ShotDetector()
    for color in colors:
        detector.push(np.full((*size, 3), color, np.uint8))
    return detector.shots()


RED, GRAY, WHITE = (200, 30, 30), (60, 60, 60), (250, 250, 250)


def test_a_cut_starts_a_shot() -> None:
    assert shots_of([RED] * 20 + [WHITE] * 20) == [(0, 20), (20, 40)]
    assert shots_of([RED] * 20) == [(0, 20)]
    assert shots_of([]) == []


def test_cuts_keep_their_distance_but_the_first_may_come_early() -> None:
    assert shots_of([RED] * 3 + [WHITE] * 5 + [RED] * 30) == [(0, 3), (3, 38)]
    assert shots_of([RED] * 3 + [WHITE] * 15 + [RED] * 30) == [(0, 3), (3, 18), (18, 48)]


def test_difference_is_the_mean_over_hue_saturation_value() -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.integers(0, 256, (30, 50, 3)).astype(np.uint8) for _ in range(2))
    detector = ShotDetector()
    assert detector.push(a) == 0
    hsv = [cv2.cvtColor(f, cv2.COLOR_RGB2HSV).astype(np.int64) for f in (a, b)]
    want = np.mean([np.abs(hsv[1][..., c] - hsv[0][..., c]).mean() for c in range(3)])
    assert detector.push(b) == pytest.approx(want, rel=1e-12)


def test_threshold_is_inclusive() -> None:
    # Gray to gray moves only the value channel: 90 / 3 = 30.
    assert shots_of([(100,) * 3] * 9 + [(190,) * 3] * 9) == [(0, 9), (9, 18)]
    assert shots_of([(100,) * 3] * 9 + [(189,) * 3] * 9) == [(0, 18)]


@pytest.mark.parametrize(
    ("width", "step"), [(399, 1), (400, 2), (640, 3), (900, 4), (1280, 5), (1920, 6), (2100, 8), (3840, 12)]
)
def test_thinning_by_width(width: int, step: int) -> None:
    assert thinning(width) == step


# -- tracks -------------------------------------------------------------------------------------------------------


def face(x: float = 100, size: float = 120, y: float = 50) -> Box:
    return Box(x, y, x + size, y + size, 0.99)


def one_shot(faces: list[list[Box]], **rules: float) -> tuple[int, int, int]:
    found = track_faces(faces, [(0, len(faces))], **rules)  # type: ignore[arg-type]
    return len(found.kept), len(found.short), len(found.small)


def test_a_track_needs_more_than_min_track_detections() -> None:
    assert one_shot([[face()]] * 100) == (0, 1, 0)
    assert one_shot([[face()]] * 101) == (1, 0, 0)
    assert one_shot([[face()]] * 6, min_track=5) == (1, 0, 0)


def test_detections_count_and_not_frames() -> None:
    faces = [[face()] if t % 2 == 0 else [] for t in range(201)]
    found = track_faces(faces, [(0, 201)])
    assert [(t.first, len(t.boxes), t.n_detections) for t in found.kept] == [(0, 201, 101)]
    assert one_shot(faces[:200]) == (0, 1, 0)


def test_a_face_must_be_larger_than_min_face_size() -> None:
    assert one_shot([[face(size=100)]] * 101) == (0, 0, 1)
    assert one_shot([[face(size=100.5)]] * 101) == (1, 0, 0)
    tall = [[Box(0, 0, 60, 101, 0.9)]] * 101
    assert one_shot(tall) == (1, 0, 0)  # the larger edge decides


def test_gaps_are_filled_linearly_up_to_25_frames() -> None:
    faces: list[list[Box]] = [[face(100)]] * 60 + [[]] * 24 + [[face(130)]] * 60
    found = track_faces(faces, [(0, len(faces))])
    (track,) = found.kept
    assert track.n_detections == 120
    assert track.boxes[59, 0] == 100
    assert track.boxes[84, 0] == 130
    assert np.allclose(np.diff(track.boxes[59:85, 0]), 1.2)
    longer = [*faces[:60], [], *faces[60:]]
    assert one_shot(longer) == (0, 2, 0)


def test_a_jump_starts_another_track() -> None:
    assert iou(face(100), face(140)) == pytest.approx(0.5)
    assert one_shot([[face(100)]] * 101 + [[face(140)]] * 101) == (2, 0, 0)  # 0.5 is not enough
    assert one_shot([[face(100)]] * 101 + [[face(139)]] * 101) == (1, 0, 0)


def test_two_people_give_two_tracks_in_the_detectors_order() -> None:
    faces = [[face(300), face(20)] if t % 2 else [face(20), face(300)] for t in range(110)]
    found = track_faces(faces, [(0, 110)])
    assert [round(float(t.boxes[0, 0])) for t in found.kept] == [20, 300]
    assert all(t.n_detections == 110 for t in found.kept)


def test_tracks_do_not_cross_cuts() -> None:
    found = track_faces([[face()]] * 230, [(0, 110), (110, 230)])
    assert [(t.first, t.end) for t in found.kept] == [(0, 110), (110, 230)]
    assert one_shot([[face()]] * 90) == (0, 1, 0)


def published_tracks(faces: list[list[Box]], min_track: int) -> list[list[int]]:
    """The published loop, which takes faces out of the lists that it walks over: frame numbers of each track."""
    left, tracks = [list(boxes) for boxes in faces], []
    while True:
        track: list[tuple[int, Box]] = []
        for t, boxes in enumerate(left):
            for box in boxes:
                if not track:
                    track.append((t, box))
                    boxes.remove(box)
                elif t - track[-1][0] <= 25:
                    if iou(box, track[-1][1]) > 0.5:
                        track.append((t, box))
                        boxes.remove(box)
                        continue
                else:
                    break
        if not track:
            return tracks
        if len(track) > min_track:
            tracks.append([t for t, _ in track])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_equals_the_published_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # The detector's suppression leaves no two faces of a frame that overlap.
    people = [np.cumsum(rng.normal(0, rng.choice([3, 25]), 90)).clip(-130, 130) + 400 * k for k in range(3)]
    faces = []
    for t in range(90):
        seen = [face(float(p[t])) for p in people if rng.random() < 0.7 and not 30 < t < 30 + 8 * rng.integers(0, 5)]
        faces.append([seen[i] for i in rng.permutation(len(seen))])
    found = track_faces(faces, [(0, 90)], min_track=5)
    want = published_tracks(faces, 5)
    assert [(t.first, t.end - 1, t.n_detections) for t in found.kept] == [(w[0], w[-1], len(w)) for w in want]


def test_no_face_no_track() -> None:
    assert one_shot([[] for _ in range(200)]) == (0, 0, 0)


def test_iou_of_boxes_apart_or_empty() -> None:
    assert iou(face(0), face(500)) == 0
    assert iou(Box(1, 1, 1, 1, 1), Box(1, 1, 1, 1, 1)) == 0
    assert iou(face(), face()) == 1


# -- boxes from a face track ----------------------------------------------------------------------------------------


def face_track(n: int, fps: float = 25, landmarks: np.ndarray | None = None, backend: str = "corpus") -> FaceTrack:
    boxes = np.tile(np.array([10, 20, 60, 90], np.float32), (n, 1)) + np.arange(n, dtype=np.float32)[:, None]
    return FaceTrack(backend, fps, 200, 100, boxes, np.ones(n, np.float32), np.ones(n, np.int16), landmarks)


def test_boxes_without_landmarks_are_the_detectors() -> None:
    found = boxes_of_track(face_track(5), 5, (200, 100), "reference")
    assert found.rule == "detector"
    assert found.n_found == 5
    assert (found.faces[2][0].x1, found.faces[2][0].y2) == (12, 92)


def test_boxes_of_another_image_size_are_scaled() -> None:
    (box,) = boxes_of_track(face_track(1), 1, (100, 200), "reference").faces[0]
    assert (box.x1, box.y1, box.x2, box.y2) == (5, 40, 30, 180)


def test_track_at_30_fps_is_read_like_the_video() -> None:
    found = boxes_of_track(face_track(12, fps=30), 12, (200, 100), "reference")
    assert [int(b[0].x1) - 10 for b in found.faces if b] == [0, 1, 2, 4, 5, 6, 7, 8, 10, 11]
    assert found.faces[10:] == [[], []]  # beyond the track's end nothing is guessed


def test_track_at_half_the_rate_is_repeated() -> None:
    found = boxes_of_track(face_track(4, fps=12.5), 8, (200, 100), "reference")
    assert [int(b[0].x1) - 10 for b in found.faces] == [0, 0, 1, 1, 2, 2, 3, 3]


def test_lost_frames_stay_without_a_face() -> None:
    track = face_track(4)
    track.boxes[2] = np.nan
    assert [len(b) for b in boxes_of_track(track, 4, (200, 100), "reference").faces] == [1, 1, 0, 1]


def test_landmarks_give_a_forehead_to_chin_box() -> None:
    mesh = np.zeros((2, 478, 3), np.float32)
    mesh[:, :468, 0], mesh[:, :468, 1] = np.linspace(40, 90, 468), np.linspace(10, 80, 468)
    mesh[:, 468:] = 500  # irises do not count
    mesh[1] = np.nan
    found = boxes_of_track(face_track(2, landmarks=mesh), 2, (200, 100), "reference")
    (box,) = found.faces[0]
    assert (found.rule, box.x1, box.y1, box.x2, box.y2) == ("mesh", 40, 10, 90, 80)
    assert found.faces[1] == []
    points = np.zeros((1, 68, 3), np.float32)
    points[0, :, 0], points[0, :, 1] = np.linspace(40, 90, 68), np.linspace(30, 80, 68)
    found = boxes_of_track(face_track(1, landmarks=points), 1, (200, 100), "reference")
    (box,) = found.faces[0]
    assert found.rule == "ibug68"
    assert box.y1 == pytest.approx(80 - 50 * FOREHEAD_68)
    assert box.y2 == 80


def test_s3fd_boxes_are_taken_as_they_are() -> None:
    landmarks = np.zeros((2, 68, 3), np.float32)
    assert boxes_of_track(face_track(2, landmarks=landmarks, backend="s3fd-syncnet"), 2, (200, 100), "x").rule == (
        "detector"
    )


# -- crops --------------------------------------------------------------------------------------------------------


def test_medfilt_biases_the_ends_as_published() -> None:
    """A face that moves right 10 px a frame and ends at 790 px is reported at 730 for the last six frames."""
    x = np.arange(200, 800, 10.0)
    boxes = np.stack([x - 60, np.full_like(x, 40), x + 60, np.full_like(x, 200)], axis=1)
    path = crop_path(boxes)
    assert path.x[-6:].tolist() == [730] * 6
    assert path.x[20] == x[20]
    assert np.all(path.s[6:-6] == 80)


@pytest.mark.parametrize("n", [1, 5, 6, 12, 13])
def test_short_tracks_keep_their_place(n: int) -> None:
    path = crop_path(np.tile([40.0, 50.0, 60.0, 90.0], (n, 1)))
    assert path.x.tolist() == [50.0] * n
    assert path.s.tolist() == [20.0] * n


def padded_crop(frame: np.ndarray, x: float, y: float, s: float, size: int) -> np.ndarray:
    """The published way: pad the whole frame, then slice."""
    pad = int(s * 1.8)
    whole = np.pad(frame, ((pad, pad), (pad, pad), (0, 0)), constant_values=110)
    cx, cy = x + pad, y + pad
    return cv2.resize(whole[int(cy - s) : int(cy + s * 1.8), int(cx - s * 1.4) : int(cx + s * 1.4)], (size, size))


@settings(max_examples=150, deadline=None)
@given(st.floats(0, 90), st.floats(0, 70), st.floats(2, 60))
def test_crop_equals_padding_the_whole_frame(x: float, y: float, s: float) -> None:
    frame = np.random.default_rng(3).integers(0, 256, (70, 90, 3)).astype(np.uint8)
    assert np.array_equal(crop(frame, x, y, s, 32), padded_crop(frame, x, y, s, 32))


def test_crop_is_a_square_below_the_box_center() -> None:
    frame = np.zeros((400, 400, 3), np.uint8)
    frame[:, :, 0] = np.arange(400) % 256
    frame[:, :, 1] = (np.arange(400) % 256)[:, None]
    got = crop(frame, 120, 100, 50, 140)  # 2.8 * 50 = 140: no resizing
    assert (got[0, 0, 0], got[0, 0, 1]) == (120 - 70, 100 - 50)
    assert (got[-1, -1, 0], got[-1, -1, 1]) == (189, 189)


def test_outside_is_gray() -> None:
    got = crop(np.zeros((100, 100, 3), np.uint8), 0, 0, 40, 112)
    assert (got[0, 0] == 110).all()
    assert (got[-1, -1] == 0).all()


def test_a_box_without_size_is_refused() -> None:
    with pytest.raises(NoFace, match="100 x 50"):
        crop(np.zeros((50, 100, 3), np.uint8), 10.5, 10.5, 0.1)
