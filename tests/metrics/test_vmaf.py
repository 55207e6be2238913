"""VMAF: what an ffmpeg is given, by one that measures something simpler, and the real one where there is one."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from lipbench import media
from lipbench.core import registry
from lipbench.core.errors import Unsupported
from lipbench.metrics import vmaf_per_frame
from lipbench.metrics.functional import vmaf

#: An ffmpeg that takes what libvmaf would be given and writes 100 less the mean difference of the lumas.
FAKE = """#!{python}
import json, re, sys
words = sys.argv[1:]
if "-version" in words:
    print("ffmpeg version 7.7-fake Copyright (c) nobody")
elif "-filters" in words:
    print(" ... {filter}           VV->V      Calculate something.")
else:
    width, height = map(int, words[words.index("-s") + 1].split("x"))
    assert words[words.index("-pix_fmt") + 1] == "yuv420p"
    area, found = width * height, []
    graph = words[words.index("-lavfi") + 1]
    crops = re.findall(r"crop=(\\d+):(\\d+):(\\d+):(\\d+)", graph)
    assert crops == [(str(width), str(height // 2), "0", "0"), (str(width), str(height // 2), "0", str(height // 2))]
    while frame := sys.stdin.buffer.read(area * 3 // 2):
        if "{fails}":
            sys.exit("libvmaf: {fails}")
        a, b = frame[: area // 2], frame[area // 2 : area]
        mean = sum(abs(x - y) for x, y in zip(a, b)) / len(a)
        found.append({{"metrics": {{"vmaf": 100 - mean}}}})
    with open(re.search(r"log_path=([^:]+)", graph)[1], "w") as log:
        json.dump({{"frames": found}}, log)
"""


@pytest.fixture
def fake(tmp_path):
    """Writes such an ffmpeg."""
    if sys.platform == "win32":
        pytest.skip("a script is no program there")

    def make(name="ffmpeg", has="libvmaf", fails=""):
        path = tmp_path / name
        path.write_text(FAKE.format(python=sys.executable, filter=has, fails=fails))
        path.chmod(0o755)
        return str(path)

    return make


@pytest.fixture
def pair(scene):
    darker = (scene.frames * 0.9).astype(np.uint8)
    return scene.pair(prediction=scene.video("p", darker), reference=scene.video("r"))


def luma(frames):
    import av

    planes = [av.VideoFrame.from_ndarray(f, "rgb24").reformat(format="yuv420p").to_ndarray() for f in frames]
    return np.stack(planes)[:, : frames.shape[1]].astype(float)


def test_frames_stand_beside_each_other_in_the_pipe(pair, fake):
    family = registry.load("metrics", "vmaf")
    assert family.on_request
    options = {"ffmpeg": fake()}
    scores = family.score(replace(pair, options=options))
    seen = [luma(media.load_frames(video)) for video in (pair.prediction, pair.reference)]
    want = 100 - np.abs(seen[0] - seen[1]).mean(axis=(1, 2))
    assert scores["vmaf_full"].per_frame == pytest.approx(want, abs=1e-9)
    assert scores["vmaf_full"].value == pytest.approx(want.mean(), abs=1e-9)
    assert scores["vmaf_full_truth"].reason.startswith("no_truth: ")
    assert family.identity(options) == {"ffmpeg": "7.7-fake"}
    assert family.obstacles(options) == {}


def test_the_first_ffmpeg_that_can_is_taken(fake, monkeypatch, tmp_path):
    able, unable = fake("able"), fake("unable", has="vmafmotion")
    monkeypatch.setattr(vmaf, "candidates", lambda chosen="": [str(tmp_path / "none"), unable, able])
    assert vmaf.find() == (able, "7.7-fake")
    monkeypatch.setattr(vmaf, "candidates", lambda chosen="": [unable])
    with pytest.raises(Unsupported, match="built without libvmaf"):
        vmaf.find()
    family = registry.load("metrics", "vmaf")
    assert set(family.obstacles({})) == {"an ffmpeg with libvmaf"}
    assert family.identity({}) == {"ffmpeg": ""}


def test_what_cannot_be_measured_has_a_reason(pair, scene, fake, monkeypatch):
    family = registry.load("metrics", "vmaf")
    failing = replace(pair, options={"ffmpeg": fake("failing", fails="no memory")})
    assert "libvmaf: no memory" in family.score(failing)["vmaf_full"].reason
    given = replace(pair, options={"ffmpeg": fake()})
    small = scene.frames[:, :62]
    tiny = replace(given, prediction=scene.video("a", small), reference=scene.video("b", small))
    assert family.score(tiny)["vmaf_full"].reason.startswith("unsupported: ")
    short = replace(given, reference=scene.video("s", scene.frames[:4]))
    assert family.score(short)["vmaf_full"].reason.startswith("length_mismatch: ")
    monkeypatch.setattr(vmaf, "candidates", lambda chosen="": [])
    assert "no ffmpeg on this machine" in family.score(pair)["vmaf_full"].reason


def test_it_is_what_ffmpeg_says_of_the_same_frames(scene, tmp_path):
    try:
        ffmpeg, _ = vmaf.find()
    except Unsupported as error:
        pytest.skip(error.one_line())
    frames = scene.frames
    blurred = np.stack([cv2.GaussianBlur(frame, (0, 0), 1.2) for frame in frames])
    found = vmaf_per_frame(blurred, frames)
    files = [scene.video("b", blurred), scene.video("f", frames)]
    log = tmp_path / "log.json"
    graph = f"libvmaf=log_fmt=json:log_path={log}"
    given = [word for file in files for word in ("-i", str(file))]
    subprocess.run([ffmpeg, "-loglevel", "error", *given, "-lavfi", graph, "-f", "null", "-"], check=True)
    want = [frame["metrics"]["vmaf"] for frame in json.loads(log.read_text())["frames"]]
    assert found == pytest.approx(want, abs=0.5)  # the files went through 4:2:0 once more
    assert vmaf_per_frame(frames, frames).mean() > found.mean() + 5
