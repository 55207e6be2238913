"""A drawn face with known landmarks, as frames, videos and a track."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from lipbench import media
from lipbench.core import weights
from lipbench.core.metric import Pair
from lipbench.faces.track import FaceTrack

WIDTH, HEIGHT = 192, 144


def make_points(x: float, y: float, size: float = 60.0, gap: float = 4.0) -> np.ndarray:
    """(68, 2) of a frontal face whose brow-to-chin height is `size`, centered on (x, y), inner lips `gap` px apart."""
    p = np.zeros((68, 2))
    turn = np.linspace(np.pi, 0, 17)
    p[:17] = np.c_[0.5 * np.cos(turn), -0.3 + 0.8 * np.sin(turn)]
    p[17:22] = np.c_[np.linspace(-0.4, -0.1, 5), np.full(5, -0.5)]
    p[22:27] = np.c_[np.linspace(0.1, 0.4, 5), np.full(5, -0.5)]
    p[27:31] = np.c_[np.zeros(4), np.linspace(-0.3, 0, 4)]
    p[31:36] = np.c_[np.linspace(-0.1, 0.1, 5), np.full(5, 0.05)]
    eye = np.array([[-0.08, 0], [-0.03, -0.03], [0.03, -0.03], [0.08, 0], [0.03, 0.03], [-0.03, 0.03]])
    p[36:42], p[42:48] = eye - (0.22, 0.3), eye - (-0.22, 0.3)
    outer = np.linspace(np.pi, -np.pi, 13)[:12]
    p[48:60] = np.c_[0.2 * np.cos(outer), 0.25 - 0.08 * np.sin(outer)]
    p[60:68] = np.c_[[-0.15, -0.07, 0, 0.07, 0.15, 0.07, 0, -0.07], np.full(8, 0.25)]
    p = p * size + [x, y]
    p[[61, 62, 63], 1] -= gap / 2
    p[[65, 66, 67], 1] += gap / 2
    return p


@dataclass
class Scene:
    """T frames of a drawn face that moves right, its track, and a writer of videos."""

    folder: Path
    frames: np.ndarray
    track: FaceTrack

    def video(self, name: str, frames: np.ndarray | None = None) -> Path:
        chosen = self.frames if frames is None else frames
        return media.write_video(self.folder / f"{name}.mp4", chosen, 25, lossless=True)

    def faces(self, track: FaceTrack | None = None, name: str = "faces") -> Path:
        return (track or self.track).save(self.folder / f"{name}.npz")

    def pair(self, **fields: Any) -> Pair:
        empty = dict.fromkeys(
            ("reference", "truth", "audio", "faces", "prediction_faces", "truth_annotations", "prediction")
        )
        return Pair(**{**empty, "faces_reason": "", "fps": 25.0, "work": self.folder, **fields})  # type: ignore[arg-type]


def make_track(points: np.ndarray, width: int = WIDTH, height: int = HEIGHT) -> FaceTrack:
    """A track of (T, 68, 2) points; frames with NaN are lost."""
    lost = ~np.isfinite(points).all(axis=(1, 2))
    boxes = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1).astype(np.float32)
    boxes[lost] = np.nan
    z = np.zeros((*points.shape[:2], 1))
    landmarks = np.concatenate([points, z], axis=2).astype(np.float32)
    landmarks[lost] = np.nan
    n = (~lost).astype(np.int16)
    return FaceTrack("drawn", 25.0, width, height, boxes, n.astype(np.float32), n, landmarks)


def draw(points: np.ndarray, seed: int = 0) -> np.ndarray:
    """A textured background with a face on it."""
    rng = np.random.default_rng(seed)
    frame = cv2.resize(rng.integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8), (WIDTH, HEIGHT))
    cv2.fillPoly(frame, [np.r_[points[:17], points[26:16:-1]].astype(np.int32)], (210, 170, 150))
    cv2.fillPoly(frame, [points[48:60].astype(np.int32)], (180, 60, 70))
    cv2.fillPoly(frame, [points[60:68].astype(np.int32)], (30, 10, 10))
    return frame


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    points = np.stack([make_points(80 + 2 * t, 70, gap=4 + 3 * (t % 3)) for t in range(8)])
    return Scene(tmp_path, np.stack([draw(p) for p in points]), make_track(points))


@pytest.fixture(scope="session")
def points68() -> Callable[..., np.ndarray]:
    return make_points


@pytest.fixture(scope="session")
def face_track() -> Callable[..., FaceTrack]:
    return make_track


@pytest.fixture(scope="session")
def lose() -> Callable[[FaceTrack, list[int]], FaceTrack]:
    def make(track: FaceTrack, frames: list[int]) -> FaceTrack:
        boxes, marks = track.boxes.copy(), None if track.landmarks is None else track.landmarks.copy()
        boxes[frames] = np.nan
        if marks is not None:
            marks[frames] = np.nan
        n_faces = track.n_faces.copy()
        n_faces[frames] = 0
        return replace(track, boxes=boxes, landmarks=marks, n_faces=n_faces)

    return make


#: AlexNet's convolutions: index in torchvision's `features` -> (out, in, side of the kernel).
CONVOLUTIONS = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}


@pytest.fixture(scope="session")
def trunk() -> dict[str, torch.Tensor]:
    """Random weights under torchvision's keys, with a piece of the classifier that must be ignored."""
    g = torch.Generator().manual_seed(0)
    state = {"classifier.6.bias": torch.zeros(1000)}
    for i, (out, into, k) in CONVOLUTIONS.items():
        state[f"features.{i}.weight"] = torch.randn(out, into, k, k, generator=g) * math.sqrt(2 / (into * k * k))
        state[f"features.{i}.bias"] = 0.1 * torch.randn(out, generator=g)
    return state


@pytest.fixture(scope="session")
def trunk_file(trunk, tmp_path_factory):
    """They in a file, 10 MB."""
    file = tmp_path_factory.mktemp("trunk") / "alexnet.pth"
    torch.save(trunk, file)
    return file


@pytest.fixture
def installed(trunk_file, monkeypatch):
    """The random trunk, as if it were the pinned one."""
    monkeypatch.setattr(weights, "path", lambda name: {"alexnet": trunk_file}[name])
    monkeypatch.setattr(weights, "sha256", lambda name: {"alexnet": "ab" * 32}[name])
