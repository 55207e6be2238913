"""A packaged clip at half its size: a quarter of the pixels to parse and to train on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from lipbench import media
from lipbench.datasets.annotations import Annotations
from lipbench.faces.track import FaceTrack


def half_size(folder: Path, language: str = "en") -> tuple[np.ndarray, FaceTrack]:
    """Frames (T, H / 2, W / 2, 3) of a clip and its exact track."""
    frames = media.load_frames(folder / f"{folder.name}.mp4")
    small = np.stack([cv2.resize(frame, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for frame in frames])
    track = Annotations.load(folder / f"annotations_{language}.npz").face_track()
    assert track.landmarks is not None
    height, width = small.shape[1:3]
    size = {"width": width, "height": height, "boxes": track.boxes / 2, "landmarks": track.landmarks / 2}
    return small, replace(track, **size)
