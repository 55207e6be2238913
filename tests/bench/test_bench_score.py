"""`lipbench score` of a 720p video against its source: CPU seconds of each step (they go to extra_info).

Two seconds of the packaged demo, enlarged; `LIPBENCH_BENCH_VIDEO` names another video, which is then taken whole.
CPU seconds of one thread, because the machine may be shared. LPIPS is among the steps where its weights are.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from lipbench import media
from lipbench.datasets.manifest import resolve
from lipbench.engine.score import score_video
from lipbench.engine.score_progress import ScoreProgress

SECONDS = 2


class StepClock(ScoreProgress):
    """CPU seconds of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.cpu_s: dict[str, float] = {}

    @contextmanager
    def running(self, *steps: str) -> Iterator[None]:
        start = time.process_time()
        with super().running(*steps):
            yield
        self.cpu_s[", ".join(steps)] = round(time.process_time() - start, 2)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A source in 720p, and the same with its middle blurred."""
    folder = tmp_path_factory.mktemp("score")
    chosen = os.environ.get("LIPBENCH_BENCH_VIDEO")
    clip = Path(chosen) if chosen else resolve("demo").clips[0].video
    sound = media.read_audio(clip)[: None if chosen else SECONDS * 16000]
    frames = [
        cv2.resize(frame, (1280, 720)) for frame in media.read_frames(clip, fps=25, end_s=None if chosen else SECONDS)
    ]
    changed = [frame.copy() for frame in frames]
    for frame in changed:
        frame[360:660, 440:840] = cv2.GaussianBlur(frame[360:660, 440:840], (0, 0), 3)
    made = [media.write_video(folder / "source.mp4", np.stack(frames), 25, audio=sound, synthetic=False)]
    made.append(media.write_video(folder / "changed.mp4", np.stack(changed), 25, audio=sound, synthetic=False))
    return made[0], made[1]


def test_bench_score_720p(benchmark, videos):
    source, changed = videos
    clock = StepClock()

    def score() -> dict:
        return score_video(
            changed,
            reference=source,
            sync_model="demo",
            faces="demo-face",
            options={"sync": {"min_track": 20}},
            progress=clock,
        )

    found = benchmark.pedantic(score, rounds=1, iterations=1)
    assert found["metrics"]["psnr_full"]["value"] > 20
    assert clock.share == pytest.approx(1)
    benchmark.extra_info.update(clock.cpu_s, total=round(sum(clock.cpu_s.values()), 2))
