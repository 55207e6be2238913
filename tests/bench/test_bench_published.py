"""LSE, PSNR, SSIM and LPIPS of a 720p video the published way and ours, CPU seconds of one thread, in one run.

The published way: every frame of both videos as a JPEG file and back, S3FD on every frame of the scored one at a
quarter of its size, SyncNet's loop, scikit-image's PSNR and SSIM, the package `lpips` pair by pair. Ours: the families
`image`, `lpips` and `sync` (boxes from a given track, as in a run, where the source is searched once for all methods),
on one method and on the next one on the same dub, which finds the features of the reference and of the sound; and the
first one again with LPIPS of every fifth frame. Everything is compiled before. Networks have random weights, which take
the same time. Seconds of each part go to extra_info.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lipbench import media
from lipbench.core import registry
from lipbench.core.memory import keep_freed_memory
from lipbench.core.metric import Pair
from lipbench.datasets.manifest import resolve
from lipbench.faces.detect import S3FD
from lipbench.faces.track import FaceTrack
from lipbench.media import recent
from lipbench.metrics.functional import lpips as ours
from lipbench.metrics.measurement import measure_all
from lipbench.metrics.shelf import Shelf
from lipbench.metrics.sync import SyncNet, evaluate
from lipbench.metrics.sync.folded import FoldedSyncNet, mfcc
from tests.bench.test_bench_sync import published_audio, published_video

T = 15  # frames


class Clock:
    """CPU seconds of parts."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        start = time.process_time()
        yield
        self.parts[name] = round(self.parts.get(name, 0.0) + time.process_time() - start, 3)

    @property
    def total(self) -> float:
        return sum(self.parts.values())


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    clip = resolve("demo").clips[0]
    sound = media.read_audio(clip.video)[: T * 640]
    frames = np.stack([cv2.resize(f, (1280, 720)) for f in media.read_frames(clip.video, end_s=T / 25)])
    made = {"reference": media.write_video(tmp_path / "reference.mp4", frames, 25, audio=sound, synthetic=False)}
    for name, strength in (("prediction", 1.5), ("next", 2.0)):
        blurred = np.stack([cv2.GaussianBlur(frame, (0, 0), strength) for frame in frames])
        made[name] = media.write_video(tmp_path / f"{name}.mp4", blurred, 25, audio=sound, synthetic=False)
    made.pop("next")
    boxes = np.tile(np.float32([440, 160, 840, 640]), (T, 1))
    points = np.random.default_rng(0).uniform(500, 600, (T, 68, 3)).astype(np.float32)
    track = FaceTrack("drawn", 25.0, 1280, 720, boxes, np.ones(T, np.float32), np.ones(T, np.int16), points)
    none = dict.fromkeys(("truth", "prediction_faces", "truth_annotations"))
    return Pair(
        **made, **none, audio=media.write_wav(tmp_path / "a.wav", sound), faces=track.save(tmp_path / "f.npz"),
        faces_reason="", fps=25.0, work=tmp_path,
    )  # fmt: skip


@pytest.fixture
def networks(rule: ModuleType, monkeypatch: pytest.MonkeyPatch) -> tuple[SyncNet, Any, Any]:
    """SyncNet, the package's LPIPS with random weights, S3FD; lipbench's LPIPS has random weights too."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    keep_freed_memory()  # as `lipbench score` and the workers of a run do; the published way has it here too
    lpips = pytest.importorskip("lpips")
    net = SyncNet()
    rule.fill(net.state_dict())
    own = ours.Lpips()
    for weights in own.linear:
        weights.data.fill_(1)
    own._count()
    monkeypatch.setattr(ours, "load", lambda *_: own.eval().requires_grad_(False))
    return net.eval(), lpips.LPIPS(net="alex", pnet_rand=True, pretrained=False, verbose=False).eval(), S3FD("syncnet")


@pytest.mark.timeout(3600)
def test_bench_against_the_published_way(benchmark, pair, networks):
    net, lpips, detector = networks
    image, perceptual = (registry.load("metrics", name) for name in ("image", "lpips"))

    def nothing_kept() -> FoldedSyncNet:
        recent._kept.clear()
        ours.load().shelf = Shelf(ours.KEPT)
        return net.folded()

    def score(clock: Clock, pair: Pair, folded: FoldedSyncNet, every: int = 1) -> None:
        with clock.part("image, lpips"):
            measure_all([(image, pair), (perceptual, replace(pair, options={"every": every}))])
        with clock.part("sync"):
            evaluate(pair.prediction, pair.audio, sync_model=folded, faces=pair.faces, min_track=5, min_face_size=20)

    score(Clock(), pair, nothing_kept())  # compiles
    folded = nothing_kept()
    mine, later, fifth = Clock(), Clock(), Clock()
    benchmark.pedantic(score, args=(mine, pair, folded), rounds=1, iterations=1)
    score(later, replace(pair, prediction=pair.work / "next.mp4"), folded)
    score(fifth, pair, nothing_kept(), every=5)
    theirs = Clock()
    videos: dict[str, list[np.ndarray]] = {}
    for name in ("prediction", "reference"):
        with theirs.part("frames to disk and back"):
            for t, frame in enumerate(media.read_frames(getattr(pair, name))):
                cv2.imwrite(str(pair.work / f"{name}-{t:06d}.jpg"), frame[..., ::-1])
            videos[name] = [cv2.imread(str(p))[..., ::-1] for p in sorted(pair.work.glob(f"{name}-*.jpg"))]
    for a, b in zip(videos["prediction"], videos["reference"], strict=True):
        with theirs.part("S3FD"):
            detector.detect(np.ascontiguousarray(a)[None], scale=0.25, threshold=0.9)
        with theirs.part("scikit-image"):
            peak_signal_noise_ratio(b, a)
            structural_similarity(
                b, a, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, channel_axis=-1
            )
        with theirs.part("lpips"), torch.no_grad():
            x, y = (
                torch.from_numpy(np.ascontiguousarray(f)).permute(2, 0, 1)[None].float() / 127.5 - 1 for f in (a, b)
            )
            lpips(x, y)
    with theirs.part("SyncNet"):
        crops = np.stack([cv2.resize(f[160:640, 440:840], (224, 224)) for f in videos["prediction"]])
        published_video(net, crops)
        published_audio(net, mfcc(media.read_audio(pair.audio)).astype(np.float64), T - 5)
    benchmark.extra_info.update(
        ours=mine.parts,
        next_method=later.parts,
        every_fifth=fifth.parts,
        published=theirs.parts,
        frames=T,
        times=round(theirs.total / mine.total, 2),
        times_next=round(theirs.total / later.total, 2),
        times_every_fifth=round(theirs.total / fifth.total, 2),
    )
    assert set(theirs.parts) == {"frames to disk and back", "S3FD", "scikit-image", "lpips", "SyncNet"}
