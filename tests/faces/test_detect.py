"""BlazeFace: anchors, decoding, averaging, the way to the frame and back; the pair of builds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lipbench.core import weights
from lipbench.core.errors import UsageError
from lipbench.faces import Box
from lipbench.faces.detect import BlazeFace, BlazeFacePair, Detector, blazeface
from lipbench.faces.detect.blazeface import BUILDS, anchors, letterbox


class FakeNet:
    """Answers with what the test planted: {anchor number: (16 values, logit)}."""

    def __init__(self, count: int, planted: dict[int, tuple[list[float], float]]) -> None:
        self.count, self.planted = count, planted
        self.seen: list[np.ndarray] = []

    def __call__(self, x: np.ndarray) -> list[np.ndarray]:
        self.seen.append(x)
        values, logits = (
            np.zeros((len(x), self.count, 16), np.float32),
            np.full((len(x), self.count, 1), -200, np.float32),
        )
        for number, (found, logit) in self.planted.items():
            values[:, number] = found
            logits[:, number] = logit
        return [values, logits]


def detector(monkeypatch: pytest.MonkeyPatch, planted: dict, reach: str = "short") -> tuple[BlazeFace, FakeNet]:
    net = FakeNet(len(anchors(BUILDS[reach])), planted)
    monkeypatch.setattr(blazeface.GraphProgram, "load", classmethod(lambda cls, path: net))
    return BlazeFace("unused", reach), net  # type: ignore[arg-type]


def test_anchors_of_the_short_range_build() -> None:
    found = anchors(BUILDS["short"])
    assert found.shape == (896, 2)  # 16 x 16 cells with two, 8 x 8 with six
    assert found[:4].tolist() == [[4, 4], [4, 4], [12, 4], [12, 4]]
    assert found[32].tolist() == [4, 12]  # next row
    assert found[512:519].tolist() == [[8, 8]] * 6 + [[24, 8]]
    assert found[-1].tolist() == [120, 120]


def test_anchors_of_the_full_range_build() -> None:
    found = anchors(BUILDS["full"])
    assert found.shape == (2304, 2)
    assert found[:2].tolist() == [[2, 2], [6, 2]]
    assert found[48].tolist() == [2, 6]


def face(dx: float, dy: float, w: float, h: float) -> list[float]:
    return [dx, dy, w, h, *(float(v) for k in range(6) for v in (dx + k, dy - k))]


def test_decoding_reaches_the_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    # anchor 2 * (16 * 5 + 8) = 176 has its center at (68, 44); the frame is 640 x 480, so 5 px per input pixel
    found, _ = detector(monkeypatch, {176: (face(2, 3, 30, 40), 4.0)})
    (box,) = found.detect(np.zeros((1, 480, 640, 3), np.uint8))[0]
    cx, cy = 320 + (70 - 64) * 5, 240 + (47 - 64) * 5
    assert (box.x1, box.y1, box.x2, box.y2) == pytest.approx((cx - 75, cy - 100, cx + 75, cy + 100))
    assert box.score == pytest.approx(1 / (1 + np.exp(-4)))
    assert box.keypoints is not None
    assert box.keypoints.shape == (6, 2)
    np.testing.assert_allclose(box.keypoints[3], (cx + 15, cy - 15))


def test_overlapping_answers_are_averaged_by_score(monkeypatch: pytest.MonkeyPatch) -> None:
    planted = {176: (face(0, 0, 30, 30), 2.0), 177: (face(3, 0, 30, 30), 0.5), 600: (face(0, 0, 20, 20), 1.0)}
    found, _ = detector(monkeypatch, planted)
    boxes = found.detect(np.zeros((1, 128, 128, 3), np.uint8))[0]
    assert len(boxes) == 2
    a, b = 1 / (1 + np.exp(-2.0)), 1 / (1 + np.exp(-0.5))
    assert boxes[0].score == pytest.approx(a)
    assert (boxes[0].x1 + boxes[0].x2) / 2 == pytest.approx(68 + 3 * b / (a + b), abs=1e-4)


def test_threshold_and_extreme_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = detector(monkeypatch, {10: (face(0, 0, 9, 9), 0.4), 800: (face(0, 0, 9, 9), 1e9)})
    frames = np.zeros((1, 128, 128, 3), np.uint8)
    assert [len(found.detect(frames, threshold=t)[0]) for t in (0.5, 0.7, 0.9)] == [2, 1, 1]
    assert found.detect(frames)[0][0].score == 1.0
    found, _ = detector(monkeypatch, {})
    assert found.detect(frames) == [[]]


def test_is_a_detector_and_checks_its_input(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = detector(monkeypatch, {})
    assert isinstance(found, Detector)
    with pytest.raises(UsageError, match="uint8"):
        found.detect(np.zeros((8, 8, 3), np.uint8))


def test_letterbox_is_centered_and_black_outside() -> None:
    out = letterbox(np.full((100, 200, 3), 255, np.uint8), 128)
    assert out.shape == (128, 128, 3)
    assert out.dtype == np.float32
    assert (out[34:94, 2:-2] == 1).all()
    assert (out[:31] == -1).all()
    assert (out[97:] == -1).all()
    np.testing.assert_array_equal(out, out[::-1, ::-1])  # half pixels are shared out evenly


def test_letterbox_maps_edges_to_edges() -> None:
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[:, 32:] = 200
    out = letterbox(frame, 128)[:, :, 0]
    left, right = out[64, 60:64].mean(), out[64, 64:68].mean()
    assert left < -0.7  # the step lies between pixels 63 and 64, as between 31 and 32 before
    assert right > 0.3


def boxes_at(*where: tuple[float, float, float, float]) -> list[Box]:
    return [Box(x - w / 2, 0, x + w / 2, w, s, np.full((6, 2), n, np.float32)) for x, w, s, n in where]


def test_pair_keeps_the_better_answer_about_each_face(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        "short": boxes_at((50, 40, 0.6, 1), (200, 40, 0.9, 2)),
        "full": boxes_at((52, 36, 0.8, 3), (300, 9, 0.7, 4)),
    }

    class Fake:
        def __init__(self, folder: str, reach: str) -> None:
            self.reach = reach

        def detect(self, frames: np.ndarray, *, threshold: float | None = None) -> list[list[Box]]:
            return [answers[self.reach] for _ in frames]

    monkeypatch.setattr(blazeface, "BlazeFace", Fake)
    (found,) = BlazeFacePair("unused").detect(np.zeros((1, 10, 10, 3), np.uint8))
    assert [box.keypoints[0, 0] for box in found if box.keypoints is not None] == [2, 3, 4]


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, lipbench.faces, lipbench.faces.detect; print('torch' in sys.modules, 'cv2' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "False"]


# -- with the real nets -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder() -> Path:
    if not weights.available("mediapipe-face"):
        pytest.skip("the weights mediapipe-face are not here")
    return weights.path("mediapipe-face")


@pytest.fixture(scope="module")
def katie(real_clips: Path) -> np.ndarray:
    import cv2

    ok, frame = cv2.VideoCapture(str(real_clips / "katie.mp4")).read()
    assert ok
    return np.ascontiguousarray(frame[..., ::-1])


@pytest.mark.real
def test_eyes_nose_and_mouth_are_in_their_places(folder: Path, katie: np.ndarray) -> None:
    (box,) = BlazeFacePair(folder).detect(katie[None])[0]
    assert box.score > 0.8
    assert box.keypoints is not None
    right_eye, left_eye, nose, mouth, right_ear, left_ear = box.keypoints
    # read off the image by eye; the face is 260 px wide
    for found, place in zip(
        (right_eye, left_eye, nose, mouth), ((200, 246), (310, 235), (267, 314), (268, 376)), strict=True
    ):
        assert np.hypot(*(found - place)) < 15, (found, place)
    assert right_ear[0] < right_eye[0] < left_eye[0] < left_ear[0]


@pytest.mark.real
def test_small_and_large_faces(folder: Path, katie: np.ndarray) -> None:
    import cv2

    pair = BlazeFacePair(folder)
    small = np.full((720, 1280, 3), 128, np.uint8)
    small[300:428, 600:728] = cv2.resize(katie, (128, 128), interpolation=cv2.INTER_AREA)
    (box,) = pair.detect(small[None])[0]
    assert 55 < box.x2 - box.x1 < 90
    close = katie[170:450, 120:400]
    assert len(pair.detect(np.ascontiguousarray(close)[None])[0]) == 1
    assert pair.detect(np.full((1, 360, 640, 3), 90, np.uint8)) == [[]]
