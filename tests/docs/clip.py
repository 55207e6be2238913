"""Stand-ins for a user's clip: the first frames of the packaged demo under its French dub, and its face track."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

import lipbench
from lipbench import faces, media
from lipbench.datasets.annotations import Annotations

DEMO = Path(lipbench.__file__).parent / "datasets" / "demo" / "clips" / "demo-en"
N_FRAMES = 8
FPS = 25

#: (T, H, W, 3) uint8 RGB.
FRAMES = media.load_frames(DEMO / "demo-en.mp4")[:N_FRAMES]
TRUTH = Annotations.load(DEMO / "annotations_en.npz")
TRACK = faces.FaceTrack.load(DEMO / "faces.npz").take(np.arange(N_FRAMES))
SOUND = media.read_audio(DEMO / "fr.flac")[: N_FRAMES * 16000 // FPS]


def write(name: str) -> None:
    media.write_video(name, FRAMES, FPS, SOUND)


def find_faces_offline() -> None:
    """`track_faces` by the packaged network for generated faces: the default one's weights come from a network."""
    faces.track_faces = functools.partial(faces.track_faces, backend="demo-face")
