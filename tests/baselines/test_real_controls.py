"""The still mouth on real footage: the lips stop, the head does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lipbench import media
from lipbench.baselines.still_mouth import StillMouth
from lipbench.core import weights
from lipbench.core.method import DubJob
from lipbench.faces import track_faces

N = 50


@pytest.mark.real
@pytest.mark.slow
def test_lips_stop_and_the_head_moves(real_clips: Path, make_job: Callable[..., DubJob], tmp_path: Path) -> None:
    if not weights.available("mediapipe-face"):
        pytest.skip("`lipbench weights get mediapipe-face` first")
    clip = media.write_video(
        tmp_path / "clip.mp4", media.read_frames(real_clips / "katie.mp4", end_s=N / 25), 25, lossless=True
    )
    track = track_faces(clip)
    job = make_job(
        StillMouth.spec.params(),
        faces=track.save(tmp_path / "faces.npz"),
        clip={"width": 512, "height": 512, "n_frames": N},
        dub={"video": clip, "index": tuple(range(N)), "n_frames": N},
    )
    made = StillMouth().synthesize(job)
    assert made.info["motion"] == "space"
    after = track_faces(made.files["video"])
    before_points, after_points = track.points68(), after.points68()
    assert before_points is not None
    assert after_points is not None

    def gap(points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points[:, 62] - points[:, 66], axis=1)  # inner lips

    assert np.std(gap(after_points)) < 0.4 * np.std(gap(before_points))
    eyes = np.linalg.norm(after_points[:, 36:48] - before_points[:, 36:48], axis=2)
    assert np.median(eyes) < 1.5
    assert np.ptp(after_points[:, 30, 1]) > 8
