"""Small videos to score, and a small SyncNet with seeded weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from lipbench import media
from lipbench.faces.track import FaceTrack
from lipbench.metrics.sync import SyncNet

SIZE = 48
W, H = 160, 120


def small_net() -> SyncNet:
    torch.manual_seed(5)
    return SyncNet(0.1, SIZE).eval()


def sound(n_frames: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 3000, int(n_frames * 640)).astype(np.int16)


def image(n: int, seed: int = 0) -> np.ndarray:
    """(n, H, W, 3) smooth moving colors: no cuts."""
    rng = np.random.default_rng(seed)
    base = cv2.resize(rng.integers(60, 190, (8, 10, 3)).astype(np.uint8), (W + 2 * n, H))
    return np.stack([base[:, 2 * t : 2 * t + W] for t in range(n)])


def clip(path: Path, n: int, *, fps: float = 25, audio: np.ndarray | None = None, frames: Any = None) -> Path:
    frames = image(n) if frames is None else frames
    media.write_video(path, frames, fps, audio=audio, lossless=True)
    return path


def face_track(n: int, *, fps: float = 25, box: tuple[float, ...] = (50, 30, 110, 95)) -> FaceTrack:
    boxes = np.tile(np.array(box, np.float32), (n, 1))
    boxes[:, [0, 2]] += np.sin(np.arange(n) / 9).astype(np.float32)[:, None] * 6
    return FaceTrack("corpus", fps, W, H, boxes, np.ones(n, np.float32), np.ones(n, np.int16))


RULES: dict[str, Any] = {"min_track": 20, "min_face_size": 40}
