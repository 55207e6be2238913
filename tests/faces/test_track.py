"""Face tracks: the data, and following a face."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lipbench import faces
from lipbench.core import weights
from lipbench.core.errors import MediaError, NoFace, UnknownName, UsageError, WeightsMissing
from lipbench.faces import pipeline
from lipbench.faces.box_tracker import choose, follow
from lipbench.faces.files import from_landmarks
from lipbench.faces.landmarks import Roi
from lipbench.faces.mesh_tracker import MeshTracker
from lipbench.faces.track import MESH_TO_68, Box, FaceTrack

SIZE = (320, 240)


def blank(n: int) -> list[np.ndarray]:
    """Frames whose first pixel says which one it is: the fakes below look it up."""
    frames = [np.zeros((SIZE[1], SIZE[0], 3), np.uint8) for _ in range(n)]
    for t, frame in enumerate(frames):
        frame[0, 0, 0] = t
    return frames


def box(x: float, side: float = 60, y: float = 120, score: float = 0.9) -> Box:
    return Box(x - side / 2, y - side / 2, x + side / 2, y + side / 2, score)


class World:
    """Where faces are, frame by frame; a detector and a mesh that see it."""

    n_points = 478

    def __init__(self, people: list[list[Box]], seen_by_detector: list[list[Box]] | None = None) -> None:
        self.people, self.detections = people, people if seen_by_detector is None else seen_by_detector
        self.detected: list[int] = []
        self.measured: list[tuple[int, Roi]] = []

    def detect(self, frames: np.ndarray, *, threshold: float | None = None) -> list[list[Box]]:
        numbers = [int(frame[0, 0, 0]) for frame in frames]
        self.detected += numbers
        return [sorted(self.detections[t], key=lambda b: -b.score) for t in numbers]

    def __call__(self, images, rois):
        points, scores = np.zeros((len(images), 478, 3), np.float32), np.zeros(len(images), np.float32)
        rng = np.random.default_rng(1)
        shape = np.concatenate([[[0, 0], [1, 1]], rng.random((476, 2))])
        shape[33], shape[263] = (0.2, 0.4), (0.8, 0.4)
        for i, (image, roi) in enumerate(zip(images, rois, strict=True)):
            t = int(image[0, 0, 0])
            self.measured.append((t, roi))
            near = [p for p in self.people[t] if abs((p.x1 + p.x2) / 2 - roi.x) < roi.side / 3]
            if near:
                corner, extent = np.asarray([near[0].x1, near[0].y1]), near[0].x2 - near[0].x1
                points[i, :, :2], scores[i] = corner + shape * extent, 0.97
        return points, scores


def tracked(world: World, **more) -> list:
    tracker = MeshTracker(world, world, **more)
    return [tracker.step(frame) for frame in blank(len(world.people))]


# -- following ----------------------------------------------------------------------------------------------------


def test_detector_runs_only_to_count_and_to_find() -> None:
    world = World([[box(100 + 2 * t)] for t in range(12)])
    seen = tracked(world, count_every=5)
    assert all(s is not None and s.faces == 1 for s in seen)
    assert world.detected == [0, 5, 10]
    assert [t for t, _ in world.measured] == [0, 0, *range(1, 12)]  # the first frame is measured twice
    np.testing.assert_allclose(seen[7].box, (84, 90, 144, 150), atol=1e-3)


def test_each_square_comes_from_the_last_landmarks() -> None:
    world = World([[box(100 + 3 * t)] for t in range(4)])
    tracked(world, count_every=100)
    squares = dict(world.measured)
    assert squares[3].x == pytest.approx(106)  # where the face was in frame 2
    assert squares[3].side == pytest.approx(90)


def test_the_face_that_was_followed_stays_the_main_one() -> None:
    small = [[box(60, 40)] for _ in range(6)]
    both = [[box(60, 40), box(220, 110)] for _ in range(6)]
    seen = tracked(World(small + both), count_every=5)
    assert all(s.box[2] < 100 for s in seen)
    assert [s.faces for s in seen] == [1] * 10 + [2] * 2  # the count is renewed at frame 10


def test_the_largest_face_is_taken_first_and_continuity_counts_after_a_gap() -> None:
    both = [box(60, 60), box(220, 100)]
    seen = tracked(World([both, both, [], [], [box(65, 60), box(200, 100)], [box(65, 60), box(150, 60)]]))
    assert seen[0].box[0] == pytest.approx(170)
    assert seen[2] is None
    assert seen[3] is None
    assert seen[4].box[0] == pytest.approx(150)


def test_choose() -> None:
    past = np.asarray([30, 90, 90, 150])
    order = choose([box(220, 100), box(100, 60), box(62, 60), box(20, 30)], past)
    assert [(b.x1 + b.x2) / 2 for b in order] == pytest.approx([62, 100, 220, 20])  # overlaps 0.94, 0.2, 0, under 0.1
    order = choose([box(60, 30), box(200, 90), box(120, 60)], None)
    assert [b.x2 - b.x1 for b in order] == pytest.approx([90, 60, 30])


def test_lost_frames_are_none_and_the_detector_looks_every_time() -> None:
    world = World([[box(100)]] * 3 + [[]] * 4 + [[box(200)]] * 3)
    seen = tracked(world, count_every=100)
    assert [s is None for s in seen] == [False] * 3 + [True] * 4 + [False] * 3
    assert world.detected == [0, 3, 4, 5, 6, 7]


def test_a_hard_cut_within_one_frame() -> None:
    seen = tracked(World([[box(80)]] * 3 + [[box(250)]] * 3), count_every=100)
    assert [float(s.box[0]) for s in seen] == pytest.approx([50] * 3 + [220] * 3)


def test_a_detection_without_a_face_is_passed_over() -> None:
    world = World([[box(80)]] * 2, seen_by_detector=[[box(250, 100), box(80)]] * 2)
    seen = tracked(world)
    assert seen[0].box[0] == pytest.approx(50)


def test_a_face_that_leaves_the_image_is_lost() -> None:
    seen = tracked(World([[box(280 + 10 * t)] for t in range(9)]))
    assert [s is None for s in seen] == [False] * 5 + [True] * 4  # at 330 less than half of it is inside


def test_others_do_not_count_the_main_face_twice() -> None:
    shifted = [[box(104), box(250)]] * 2  # the detector's box of the main face differs a little
    seen = tracked(World([[box(100), box(250)]] * 2, seen_by_detector=shifted))
    assert [s.faces for s in seen] == [2, 2]
    unseen = tracked(World([[box(100)]] * 6, seen_by_detector=[[box(100)]] + [[]] * 5))
    assert [s.faces for s in unseen] == [1] * 6  # in frame 5 the detector misses it, the mesh does not


def test_boxes_are_followed() -> None:
    people = [[box(60, 60, score=0.8), box(220, 100, score=0.7)], [], [box(65, 120), box(222, 90)], [box(20, 30)]]
    main, counts, cuts = follow(World(people), blank(4))
    assert cuts == ()
    assert counts == [2, 0, 2, 1]
    assert [None if b is None else (b.x1 + b.x2) / 2 for b in main] == [220, None, 222, 20]


# -- track_faces --------------------------------------------------------------------------------------------------


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    made = World([[box(100 + t)] if t < 6 else [] for t in range(8)])
    monkeypatch.setattr(pipeline.weights, "path", lambda name: tmp_path)
    monkeypatch.setattr("lipbench.faces.detect.BlazeFacePair", lambda folder: made)
    monkeypatch.setattr("lipbench.faces.landmarks.FaceMesh", lambda folder: made)
    return made


def test_track_faces_of_frames(world: World) -> None:
    track = faces.track_faces(iter(blank(8)), fps=25)
    assert (track.backend, track.fps, track.width, track.height) == ("mediapipe-face", 25, *SIZE)
    assert track.lost_frames == [6, 7]
    assert track.boxes.shape == (8, 4)
    assert track.boxes.dtype == track.score.dtype == np.float32
    assert track.n_faces.dtype == np.int16
    assert track.n_faces.tolist() == [1] * 6 + [0, 0]
    assert track.score.tolist() == pytest.approx([0.97] * 6 + [0, 0])
    assert track.landmarks is not None
    assert track.landmarks.shape == (8, 478, 3)
    assert np.isnan(track.landmarks[6:]).all()
    assert np.isfinite(track.landmarks[:6]).all()


def test_nobody_in_the_video(world: World) -> None:
    world.people = world.detections = [[] for _ in range(8)]
    track = faces.track_faces(blank(3), fps=25)
    assert not track.found.any()
    assert len(track) == 3
    with pytest.raises(NoFace, match="no face was found"):
        faces.require_face(track, 0.0)


def test_threads_are_put_back(world: World) -> None:
    import torch

    torch.set_num_threads(2)
    try:
        faces.track_faces(blank(2), fps=25)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_track_faces_refuses(world: World) -> None:
    with pytest.raises(UsageError, match="how many there are per second"):
        faces.track_faces(blank(2))
    with pytest.raises(MediaError, match="no frames"):
        faces.track_faces([], fps=25)
    with pytest.raises(MediaError, match="changes its size"):
        faces.track_faces([*blank(1), np.zeros((100, 100, 3), np.uint8)], fps=25)
    with pytest.raises(UnknownName, match="mediapipe-face"):
        faces.track_faces(blank(1), fps=25, backend="mediapipe")
    with pytest.raises(UsageError, match="reads a file"):
        faces.track_faces(blank(1), fps=25, backend="file")


def test_missing_weights_are_said_before_the_video_is_opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LIPBENCH_WEIGHTS", str(tmp_path))
    for backend, name in (("mediapipe-face", "mediapipe-face"), ("s3fd-syncnet", "sfd_face"), ("s3fd-wav2lip", "s3fd")):
        with pytest.raises(WeightsMissing, match=f"lipbench weights get {name}"):
            faces.track_faces(tmp_path / "there is no such video.mp4", backend=backend)


@pytest.mark.parametrize("backend", ["s3fd-syncnet", "s3fd-wav2lip"])
def test_s3fd_backends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: str) -> None:
    made = World([[box(100, score=0.95), box(250, 30, score=0.99)], [], [box(104)]])
    variants = []

    class Fake:
        def __init__(self, variant: str) -> None:
            variants.append(variant)

        def load(self, path: Path) -> Fake:
            return self

        def to(self, device: str) -> Fake:
            return self

        def detect(self, frames: np.ndarray) -> list[list[Box]]:
            return made.detect(frames)

    monkeypatch.setattr(pipeline.weights, "path", lambda name: tmp_path)
    monkeypatch.setattr("lipbench.faces.detect.S3FD", Fake)
    track = faces.track_faces(blank(3), fps=25, backend=backend)
    assert variants == [backend.removeprefix("s3fd-")]
    assert track.backend == backend
    assert track.landmarks is None
    assert track.n_faces.tolist() == [2, 0, 1]
    assert track.lost_frames == [1]
    assert track.boxes[:, 0].tolist()[::2] == pytest.approx([70, 74])
    assert track.score.tolist() == pytest.approx([0.95, 0, 0.9])


# -- the track ----------------------------------------------------------------------------------------------------


def made_up(n: int = 5, k: int = 478) -> FaceTrack:
    rng = np.random.default_rng(0)
    points = rng.uniform(10, 200, (n, k, 3)).astype(np.float32)
    points[2] = np.nan
    return from_landmarks(points, fps=25, size=SIZE)


def test_save_and_load(tmp_path: Path) -> None:
    for track in (made_up(), replace(made_up(), landmarks=None)):
        again = FaceTrack.load(track.save(tmp_path / "track.npz"))
        for name in ("boxes", "score", "n_faces"):
            np.testing.assert_array_equal(getattr(again, name), getattr(track, name))
        assert (again.fps, again.width, again.height, again.backend) == (25, *SIZE, "file")
        assert (again.landmarks is None) == (track.landmarks is None)
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    with pytest.raises(MediaError, match="cannot read the face track"):
        FaceTrack.load(tmp_path / "bad.npz")


def test_take_and_points68() -> None:
    track = made_up()
    twice = track.take([4, 2, 2, 0])
    assert len(twice) == 4
    assert twice.lost_frames == [1, 2]
    points = track.points68()
    assert points is not None
    assert points.shape == (5, 68, 2)
    assert track.landmarks is not None
    np.testing.assert_array_equal(points[0, 48], track.landmarks[0, 61, :2])
    np.testing.assert_array_equal(points[0], track.landmarks[0, list(MESH_TO_68), :2])
    assert replace(track, landmarks=None).points68() is None


def test_require_face() -> None:
    track = made_up()  # 4 of 5 frames
    assert faces.require_face(track, 0.8) is track
    with pytest.raises(NoFace, match="4 of 5 frames"):
        faces.require_face(track, 0.9)


# -- real clips ---------------------------------------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("clip", ["katie.mp4", "office.mp4"])
def test_real_clips_are_tracked_throughout(clip: str, real_clips: Path) -> None:
    if not weights.available("mediapipe-face"):
        pytest.skip("the weights mediapipe-face are not here")
    from lipbench import media

    frames = [frame for t, frame in enumerate(media.read_frames(real_clips / clip)) if t < 60]
    track = faces.track_faces(frames, fps=25)
    assert track.found.all()
    assert (track.n_faces == 1).all()
    assert track.score.min() > 0.9
    assert track.landmarks is not None
    # the detector agrees about where the face is, on every tenth frame
    from lipbench.faces.boxes import overlaps
    from lipbench.faces.detect import BlazeFacePair

    pair = BlazeFacePair(weights.path("mediapipe-face"))
    for t in range(0, 60, 10):
        (found,) = pair.detect(frames[t][None])[0]
        assert overlaps(track.boxes[t], np.asarray([[found.x1, found.y1, found.x2, found.y2]]))[0] > 0.5
