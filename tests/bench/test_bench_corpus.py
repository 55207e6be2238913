"""Cost of generated clips: CPU-milliseconds a frame all in, speech against real time, four processes against one.

Times are CPU seconds where one process is measured, because the machine may be shared; wall times mean something
on a calm machine only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import pytest

from lipbench import media
from lipbench.synthetic.corpus import scene
from lipbench.synthetic.corpus.render import RenderedShot
from lipbench.synthetic.corpus.spec import ClipSpec
from lipbench.synthetic.speech.formant import synthesize
from lipbench.synthetic.speech.timelines import sentences
from lipbench.synthetic.speech.voices import VOICES

CLIP = ClipSpec("bench", 1, 1, "en", (), seconds=4.0)
SIZES = {"256": (256, 256, 2), "450": (450, 450, 2), "720p": (1280, 720, 1), "720p-2x": (1280, 720, 2)}


@pytest.mark.parametrize("size", list(SIZES))
def test_bench_frame(benchmark: Any, size: str, tmp_path: Path) -> None:
    """Pose, annotate, render and encode one frame; the clip's planning and its sound are shared out over its frames."""
    cv2.setNumThreads(1)
    width, height, supersample = SIZES[size]
    spec = replace(CLIP, width=width, height=height, supersample=supersample, seconds=4.0 if width <= 450 else 1.2)
    next(iter(RenderedShot(scene.plan(spec), "en")))  # compile, build the head

    def one_clip() -> None:
        planned = scene.plan(spec)
        shot = RenderedShot(planned, "en")
        sound = planned.takes["en"][0].audio
        with media.VideoWriter(tmp_path / "clip.mp4", fps=25, width=width, height=height, audio=sound, crf=16) as video:
            for frame in shot:
                video.write(frame)
        shot.annotations().save(tmp_path / "truth.npz")

    started = time.process_time()
    benchmark.pedantic(one_clip, rounds=1, iterations=1)
    benchmark.extra_info["cpu_ms_per_frame"] = 1e3 * (time.process_time() - started) / spec.n_frames


def test_bench_formant_speech(benchmark: Any) -> None:
    timeline = sentences()["s14"]["it"]
    seconds = timeline.duration_s + 0.2
    synthesize(timeline.phonemes(0.1), seconds, VOICES["arno"])
    started = time.process_time()
    benchmark.pedantic(
        lambda: synthesize(timeline.phonemes(0.1), seconds, VOICES["arno"], seed=1), rounds=10, iterations=1
    )
    benchmark.extra_info["times_real_time"] = 10 * seconds / (time.process_time() - started)


SCRIPT = """
import json, sys, time
from dataclasses import replace
from lipbench.synthetic.corpus import scene
from lipbench.synthetic.corpus.parallel import over_clips
from lipbench.synthetic.corpus.render import Shot
from lipbench.synthetic.corpus.spec import CorpusSpec

def cpu_seconds(spec, engine):
    started = time.process_time()
    for _ in Shot(scene.plan(spec, engine), spec.source):
        pass
    return time.process_time() - started

if __name__ == "__main__":
    base = CorpusSpec(identities=8, languages=("en",))
    specs = replace(base, clip=replace(base.clip, seconds=6.0)).clips()
    started = time.perf_counter()
    cpu = sum(over_clips(cpu_seconds, specs, workers=int(sys.argv[1])))
    print(json.dumps([time.perf_counter() - started, cpu]))
"""


@pytest.mark.slow
def test_bench_processes(benchmark: Any, tmp_path: Path) -> None:
    """The same clips with one process and with four: eight people, 150 frames each.

    `efficiency_4` is wall time, start of the workers (about five seconds) included; `cpu_ratio_4` is CPU time with one
    process over CPU time with four, which other people's load hardly touches: what sharing caches and memory costs.
    """
    script = tmp_path / "processes.py"
    script.write_text(SCRIPT)
    took = {}
    for workers in (1, 4):
        command = [sys.executable, str(script), str(workers)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        )
        took[workers] = json.loads(done.stdout)
    benchmark.pedantic(lambda: None, rounds=1, iterations=1)
    (wall_1, cpu_1), (wall_4, cpu_4) = took[1], took[4]
    benchmark.extra_info.update(
        wall_1=wall_1,
        wall_4=wall_4,
        efficiency_4=wall_1 / wall_4 / 4,
        cpu_ratio_4=cpu_1 / cpu_4,
        frames_per_s_4=1200 / wall_4,
        load_after=os.getloadavg()[0],
    )
