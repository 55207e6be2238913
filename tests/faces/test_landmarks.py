"""The attention mesh: the square it looks at, the crop, the way its answers are put together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipbench.core import weights
from lipbench.faces import landmarks
from lipbench.faces.landmarks import SIDE, FaceMesh, Roi, crop, roi_from_box, roi_from_points
from lipbench.faces.tflite import Graph, Op
from lipbench.faces.track import MESH_TO_68, Box


def test_roi_of_a_detection_is_level_with_the_eyes() -> None:
    keypoints = np.zeros((6, 2), np.float32)
    keypoints[0], keypoints[1] = (100, 100), (140, 140)
    roi = roi_from_box(Box(80, 60, 180, 140, 0.9, keypoints))
    assert (roi.x, roi.y) == (130, 100)
    assert roi.side == pytest.approx(150)
    assert roi.angle == pytest.approx(np.pi / 4)
    assert roi_from_box(Box(80, 60, 180, 140, 0.9)).angle == 0


def test_roi_of_landmarks_encloses_them_half_as_large_again() -> None:
    points = np.zeros((478, 3), np.float32)
    points[:, 0], points[:, 1] = np.linspace(50, 250, 478), np.linspace(300, 340, 478)
    points[33, :2], points[263, :2] = (100, 310), (200, 310)
    roi = roi_from_points(points)
    assert (roi.x, roi.y) == pytest.approx((150, 320))
    assert roi.side == pytest.approx(300)
    assert roi.angle == 0


def test_roi_maps_the_crop_into_the_frame() -> None:
    roi = Roi(x=300, y=200, side=2 * SIDE, angle=np.pi / 2)
    to_frame = roi.to_frame()
    np.testing.assert_allclose(to_frame @ [SIDE / 2, SIDE / 2, 1], (300, 200))
    np.testing.assert_allclose(to_frame @ [SIDE, SIDE / 2, 1], (300, 200 + SIDE))  # right in the crop is down
    np.testing.assert_allclose(to_frame @ [0, 0, 1], (300 + SIDE, 200 - SIDE))


def test_crop_and_map_agree() -> None:
    """A blob cut out by a rotated square lies where the inverse of `to_frame` says."""
    y, x = np.mgrid[:400, :600] + 0.5
    blob = np.exp(-((x - 330.0) ** 2 + (y - 170.0) ** 2) / (2 * 12**2))
    frame = np.repeat((blob * 255).astype(np.uint8)[..., None], 3, 2)
    roi = Roi(300, 200, 250, 0.4)
    seen = crop(frame, roi)[..., 0]
    v, u = np.mgrid[:SIDE, :SIDE] + 0.5
    center = np.asarray([(seen * u).sum(), (seen * v).sum()]) / seen.sum()
    np.testing.assert_allclose(roi.to_frame() @ [*center, 1], (330, 170), atol=0.15)


def test_crop_repeats_the_edge_and_is_in_unit_range() -> None:
    frame = np.full((50, 50, 3), 255, np.uint8)
    seen = crop(frame, Roi(0, 0, 100, 0.3))
    assert seen.shape == (SIDE, SIDE, 3)
    assert seen.dtype == np.float32
    assert (seen == 1).all()


class FakeNet:
    """The mesh says point k lies at (k % 100, k % 90, -k); lips and eyes answer 10, 20, 30; irises 40, 50."""

    def __init__(self, flag: float) -> None:
        sizes = (
            ("conv_faceflag", 1),
            ("output_mesh_identity", 1404),
            ("output_lips", 4),
            ("output_left_eye", 40),
            ("output_right_eye", 40),
            ("output_left_iris", 10),
            ("output_right_iris", 10),
        )
        regions = ([61, 291], list(range(20)), list(range(100, 120)))
        ops = tuple(
            Op("CUSTOM:Landmarks2TransformMatrix@2", (0,), (90 + i,), {"subset_idxs": region})
            for i, region in enumerate(regions)
        )
        self.graph = Graph(ops, (0,), tuple(range(1, 8)), {}, {i + 1: name for i, (name, _) in enumerate(sizes)}, {})
        self.sizes, self.flag = sizes, flag

    def __call__(self, x: np.ndarray) -> list[np.ndarray]:
        k = np.arange(468, dtype=np.float32)
        mesh = np.stack([k % 100, k % 90, -k], 1).reshape(1, 1, 1, -1)
        level = dict(zip([name for name, _ in self.sizes[2:]], (10.0, 20.0, 30.0, 40.0, 50.0), strict=True))
        level["conv_faceflag"] = self.flag
        answers = [
            mesh if n == "output_mesh_identity" else np.full((1, 1, 1, size), level[n], np.float32)
            for n, size in self.sizes
        ]
        return [answer.repeat(len(x), 0) for answer in answers]


def mesh_with(monkeypatch: pytest.MonkeyPatch, flag: float = 2.0) -> FaceMesh:
    monkeypatch.setattr(landmarks.GraphProgram, "load", classmethod(lambda cls, path: FakeNet(flag)))
    return FaceMesh("unused")


def test_answers_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    roi = Roi(SIDE / 2, SIDE / 2, SIDE, 0.0)  # the crop is the frame's upper left
    (points,), (score,) = mesh_with(monkeypatch)([np.zeros((300, 300, 3), np.uint8)], [roi])
    assert points.shape == (478, 3)
    assert score == pytest.approx(1 / (1 + np.exp(-2)))
    np.testing.assert_allclose(points[200], (0, 20, -200), atol=1e-4)  # mesh alone
    np.testing.assert_allclose(
        points[61], (10, 10, -61), atol=1e-4
    )  # lips: x and y of the better answer, z of the mesh
    np.testing.assert_allclose(points[5], (20, 20, -5), atol=1e-4)
    np.testing.assert_allclose(points[110], (30, 30, -110), atol=1e-4)
    np.testing.assert_allclose(points[468:473], [(40, 40, -np.arange(16).mean())] * 5, atol=1e-4)
    np.testing.assert_allclose(points[473:478], [(50, 50, -np.arange(100, 116).mean())] * 5, atol=1e-4)


def test_points_and_depth_are_in_frame_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    roi = Roi(400, 300, 3 * SIDE, 0.5)
    (points,), _ = mesh_with(monkeypatch)([np.zeros((600, 800, 3), np.uint8)], [roi])
    np.testing.assert_allclose(points[200, :2], roi.to_frame() @ [0, 20, 1], atol=1e-3)
    assert points[200, 2] == pytest.approx(-600)


def test_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, rois = [np.zeros((60, 60, 3), np.uint8)] * 3, [Roi(10 * k, 20, 50, 0.1 * k) for k in range(3)]
    mesh = mesh_with(monkeypatch)
    together, scores = mesh(frames, rois)
    assert together.shape == (3, 478, 3)
    assert scores.shape == (3,)
    for k in range(3):
        np.testing.assert_array_equal(together[k], mesh(frames[:1], rois[k : k + 1])[0][0])


def test_table_to_68_points() -> None:
    assert len(MESH_TO_68) == len(set(MESH_TO_68)) == 68
    # the lips' upper and lower inner points face each other
    assert [MESH_TO_68[k] for k in (62, 66)] == [13, 14]


# -- with the real net --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mesh() -> FaceMesh:
    if not weights.available("mediapipe-face"):
        pytest.skip("the weights mediapipe-face are not here")
    return FaceMesh(weights.path("mediapipe-face"))


@pytest.fixture(scope="module")
def katie(real_clips: Path) -> np.ndarray:
    import cv2

    ok, frame = cv2.VideoCapture(str(real_clips / "katie.mp4")).read()
    assert ok
    return np.ascontiguousarray(frame[..., ::-1])


@pytest.mark.real
def test_landmarks_sit_where_a_person_sees_them(mesh: FaceMesh, katie: np.ndarray) -> None:
    (points,), (score,) = mesh([katie], [Roi(257, 300, 450, -0.1)])
    assert score > 0.99
    # read off the enlarged image by eye, before anything was drawn on it; the face is 260 px wide
    seen = {
        468: (200, 246),
        473: (310, 235),
        33: (169, 251),
        133: (230, 252),
        362: (280, 243),
        263: (336, 233),
        61: (220, 376),
        291: (316, 368),
        0: (268, 362),
        13: (268, 370),
        14: (270, 383),
        17: (267, 406),
        2: (265, 336),
        152: (268, 468),
    }
    errors = {number: float(np.hypot(*(points[number, :2] - place))) for number, place in seen.items()}
    assert max(errors.values()) < 9, errors
    assert np.mean(list(errors.values())) < 4, errors
    assert points[1, 2] < points[234, 2]  # the nose is nearer to the camera than the ear


@pytest.mark.real
def test_no_face_no_belief(mesh: FaceMesh) -> None:
    rng = np.random.default_rng(0)
    blank, noise = np.full((300, 300, 3), 90, np.uint8), rng.integers(0, 256, (300, 300, 3), dtype=np.uint8)
    _, scores = mesh([blank, noise], [Roi(150, 150, 200, 0.0)] * 2)
    assert scores.max() < 0.5


@pytest.mark.real
def test_a_mirrored_face_has_mirrored_landmarks(mesh: FaceMesh, katie: np.ndarray) -> None:
    """Edges are counted, not pixel centers: what is cut out mirrored must come back mirrored about the middle."""
    roi, width = Roi(257, 300, 450, 0.0), katie.shape[1]
    twin = Roi(width - 257, 300, 450, 0.0)
    (a, b), _ = mesh([katie, np.ascontiguousarray(katie[:, ::-1])], [roi, twin])
    middle = [0, 1, 4, 13, 14, 17, 152, 168]
    assert np.abs(a[middle, 0] + b[middle, 0] - width).mean() < 2.5
