"""Writes lipbench/training/landmark_sync/tracker.npz: how MediaPipe's mesh sees the mouths of generated faces.

    python -m tools.fit_tracker_errors

Tracks the packaged demo clips and their truth videos (needs the weights mediapipe-face) and fits the measures of the
tracked mouths to the true ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipbench import media
from lipbench.datasets.annotations import Annotations
from lipbench.faces.pipeline import track_faces
from lipbench.faces.track import MESH_TO_68
from lipbench.metrics.sync.landmark.mouth import measures
from lipbench.training.landmark_sync import tracker

FRAMES = 120
CLIPS = Path(media.__file__).parents[1] / "datasets" / "demo" / "clips"


def pairs() -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """(T, 12) true and tracked measures of every packaged video, means away."""
    for folder in sorted(CLIPS.iterdir()):
        for truth in sorted(folder.glob("annotations_*.npz"))[:3]:
            language = truth.stem.rpartition("_")[2]
            own = folder / f"{folder.name}.mp4"
            video = own if folder.name.endswith(f"-{language}") else folder / f"truth_{language}.mp4"
            frames = list(islice(media.read_frames(video), FRAMES))
            track = track_faces(frames, fps=25.0)
            assert track.landmarks is not None
            true = Annotations.load(truth).face_track().landmarks
            assert true is not None
            seen = measures(track.landmarks[track.found][:, list(MESH_TO_68)])
            known = measures(true[: len(frames)][track.found])
            print(video, len(seen))
            yield known - known.mean(0), seen - seen.mean(0)


if __name__ == "__main__":
    tracker.fit(list(pairs())).save(tracker.PATH)
    print(tracker.PATH)
