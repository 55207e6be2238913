"""A small clip with a dub, as the engine hands it to methods."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from lipbench import media
from lipbench.core.method import ClipInput, DubInput, DubJob
from lipbench.faces.track import FaceTrack

W, H, N, FPS = 96, 80, 20, 25


def face_points(n: int = N) -> np.ndarray:
    """(n, 68, 3) px: an oval face that drifts to the right, with lips that open and close."""
    t = np.arange(n)
    jaw = np.linspace(np.pi, 0, 17)
    points = np.zeros((n, 68, 3), np.float32)
    points[:, :17, 0], points[:, :17, 1] = 45 + 22 * np.cos(jaw), 40 + 30 * np.sin(jaw)
    points[:, 17:27, 0], points[:, 17:27, 1] = np.linspace(27, 63, 10), 26
    points[:, 27:31, 0], points[:, 27:31, 1] = 45, np.linspace(32, 46, 4)
    points[:, 31:36, 0], points[:, 31:36, 1] = np.linspace(41, 49, 5), 47
    for start, cx in ((36, 36), (42, 54)):
        angle = np.linspace(np.pi, -np.pi, 6, endpoint=False)
        points[:, start : start + 6, 0] = cx + 4 * np.cos(angle)
        points[:, start : start + 6, 1] = 33 + 2 * np.sin(angle)
    angle = np.linspace(np.pi, -np.pi, 20, endpoint=False)
    opening = 2 + 2 * (1 - np.cos(t))[:, None]
    points[:, 48:, 0] = 45 + 8 * np.cos(angle)
    points[:, 48:, 1] = 56 + opening * np.sin(angle)
    points[..., 0] += 0.4 * t[:, None]
    return points


@pytest.fixture
def landmarks() -> np.ndarray:
    """(20, 68, 3) px, depth 0: the landmarks of the clip."""
    return face_points()


@pytest.fixture(scope="session")
def clip_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with clip.mp4, dub.mp4, truth.mp4, dub.wav and faces.npz."""
    folder = tmp_path_factory.mktemp("clip")
    points, rng = face_points(), np.random.default_rng(0)
    yy, xx = np.mgrid[:H, :W]
    ground = np.stack([60 + xx, 40 + yy, 200 - xx], -1).astype(np.float32)
    texture = np.kron(rng.normal(0, 14, (H // 4, W // 4, 1)), np.ones((4, 4, 1)))
    frames = []
    for t in range(N):
        x = 45 + 0.4 * t
        frame = ground + texture
        face = ((xx - x) / 22) ** 2 + ((yy - 45) / 26) ** 2 < 1
        frame[face] = (200, 150, 130) + np.roll(texture, round(0.4 * t), 1)[face] / 3
        height = np.ptp(points[t, 48:, 1]) / 2 + 0.5
        frame[((xx - x) / 8) ** 2 + ((yy - 56) / height) ** 2 < 1] = (120, 20, 30)
        # Soft edges, as any camera gives: 4:2:0 would smear hard ones at every passage.
        frames.append(cv2.GaussianBlur(np.clip(frame, 0, 255), (0, 0), 0.9).astype(np.uint8))
    time = np.arange(N * 640) / 16000
    sound = (8000 * np.sin(2 * np.pi * 180 * time) * (1 + np.sin(2 * np.pi * 4 * time))).clip(-32768, 32767)
    media.write_wav(folder / "dub.wav", sound.astype(np.int16))
    for name in ("clip", "dub"):
        media.write_video(folder / f"{name}.mp4", frames, FPS, folder / "dub.wav", lossless=True, synthetic=False)
    media.write_video(folder / "truth.mp4", frames[::-1], FPS, folder / "dub.wav", lossless=True)
    boxes = np.stack([points[..., 0].min(1), points[..., 1].min(1), points[..., 0].max(1), points[..., 1].max(1)], 1)
    ones = np.ones(N)
    track = FaceTrack("file", FPS, W, H, boxes, ones.astype(np.float32), ones.astype(np.int16), points)
    track.save(folder / "faces.npz")
    return folder


@pytest.fixture
def make_job(clip_files: Path, tmp_path: Path) -> Callable[..., DubJob]:
    """Builds a synthesize job: make_job(params, truth=..., faces=..., dub={...}, clip={...}, **job fields)."""

    def build(
        params: Any,
        *,
        truth: bool = False,
        faces: bool | Path = True,
        dub: dict[str, Any] | None = None,
        clip: dict[str, Any] | None = None,
        **fields: Any,
    ) -> DubJob:
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        track = clip_files / "faces.npz" if faces is True else faces or None
        made = {
            "id": "c1",
            "video": clip_files / "clip.mp4",
            "audio": clip_files / "dub.wav",
            "fps": float(FPS),
            "n_frames": N,
            "width": W,
            "height": H,
            "language": "en",
            "faces": track,
            **(clip or {}),
        }
        laid = {
            "id": "c1.fr",
            "language": "fr",
            "video": clip_files / "dub.mp4",
            "audio": clip_files / "dub.wav",
            "index": tuple(range(N)),
            "n_frames": N,
            "truth": clip_files / "truth.mp4" if truth else None,
            **(dub or {}),
        }
        lines: list[str] = []
        return DubJob(
            **{"out": out, "clip": ClipInput(**made), "dub": DubInput(**laid), "params": params, "log": lines.append}
            | fields
        )

    return build
