"""`lipbench score` of a 10-second 720p video against its source: CPU seconds of each stage (in extra_info).

The stages are those before and around the metrics, which have benchmarks of their own: bringing both files to one rate,
thumbnails, decoding, conversion to RGB, and the passes of the families that compare frames. CPU seconds, because the
machine may be shared.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from lipbench import media
from lipbench.core.metric import Pair
from lipbench.engine.pairing import Pairing
from lipbench.engine.score import score_video
from lipbench.media.pixels import ToRgb
from lipbench.media.source import VideoSource
from lipbench.media.thumbnails import thumbnails
from lipbench.metrics.image import ImageFamily

SECONDS, FPS, WIDTH, HEIGHT = 10, 25, 1280, 720


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[Path, Path, Path]:
    """A video, its source, and the source at 30 fps: a soft picture that wanders, as x264 writes it by default."""
    folder = tmp_path_factory.mktemp("score")
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT + 120, WIDTH + 120, 3), dtype=np.uint8)
    wide = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 6), None, 0, 255, cv2.NORM_MINMAX)
    made = []
    for name, fps, crf in (("video.mp4", 25, "26"), ("source.mp4", 25, "20"), ("at30.mp4", 30, "20")):
        with av.open(str(folder / name), "w") as out:
            stream = out.add_stream("libx264", rate=fps, options={"crf": crf, "preset": "veryfast"})
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            for n in range(SECONDS * fps):
                x, y = (round(60 + 50 * turn(2 * np.pi * n / fps / 5)) for turn in (np.sin, np.cos))
                shown = np.ascontiguousarray(wide[y : y + HEIGHT, x : x + WIDTH])
                frame = av.VideoFrame.from_ndarray(shown, format="rgb24")
                frame.pts, frame.time_base = n, Fraction(1, fps)
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        made.append(folder / name)
    return made[0], made[1], made[2]


def cpu(function: Callable[[], Any]) -> float:
    start = time.process_time()
    function()
    return round(time.process_time() - start, 2)


def decode(path: Path) -> None:
    with VideoSource(path) as source:
        for _ in source.frames():
            pass


def convert(path: Path) -> None:
    with VideoSource(path) as source:
        to_rgb, frame = ToRgb(), source.first
        for _ in range(SECONDS * FPS):
            to_rgb(frame)


@pytest.mark.timeout(3600)
def test_bench_score_media_720p(benchmark, files, tmp_path):
    video, source, at30 = files
    pair = Pair(video, source, None, None, None, "", None, None, 25.0, tmp_path)
    stages = {
        "both to one rate: nothing to do": lambda: Pairing(video, 25, tmp_path).beside(source, "reference"),
        "both to one rate: source at 30 fps": lambda: Pairing(video, 25, tmp_path).beside(at30, "reference"),
        "a lossless copy of one": lambda: media.normalize_clip(video, tmp_path / "copy.mp4"),
        "decode one": lambda: decode(video),
        "decode its lossless copy": lambda: decode(tmp_path / "copy.mp4"),
        "convert one to RGB": lambda: convert(video),
        "thumbnails again": lambda: thumbnails(video),
        "psnr and ssim": lambda: ImageFamily().score(pair),
    }
    small = media.write_video(tmp_path / "small.mp4", np.zeros((2, 48, 64, 3), np.uint8), 25)
    ImageFamily().score(Pair(small, small, None, None, None, "", None, None, 25.0, tmp_path))  # numba compiles
    seconds = {name: cpu(function) for name, function in stages.items()}
    found: dict[str, Any] = {}

    def whole() -> None:
        found.update(score_video(video, reference=source, metrics=["image", "temporal", "landmarks"]))

    seconds["score: image, temporal, landmarks"] = cpu(lambda: benchmark.pedantic(whole, rounds=1, iterations=1))
    assert found["metrics"]["psnr_full"]["n_valid"] == SECONDS * FPS
    benchmark.extra_info.update({f"{name}, CPU s": value for name, value in seconds.items()})
    for name, value in seconds.items():
        print(f"{value:7.2f} CPU s  {name}")
