"""External methods that work: what reaches the command, what comes back, what is done to it."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lipbench import media
from lipbench.baselines.external import External, load_external
from lipbench.core import registry
from lipbench.core.method import DubJob, Method, Outputs

EXAMPLE = Path(__file__).parents[3] / "examples" / "external_fake"
Make = Callable[..., DubJob]


def run(file: Path, job: DubJob) -> Outputs:
    return load_external(file).synthesize(job)


def test_the_example_runs(job: DubJob, clip_files: Path) -> None:
    method = load_external(EXAMPLE / "method.yaml")
    assert isinstance(method, Method)
    assert (method.spec.id, method.spec.licence) == ("fake-freeze", "code: Apache-2.0; weights: none")
    made = method.synthesize(job)
    info = media.probe(made.files["video"])
    assert (info.n_frames, info.width, info.height, float(info.fps)) == (20, 96, 80, 25.0)
    frames = media.load_frames(made.files["video"])
    assert np.abs(frames[0].astype(int) - frames[19]).mean() < 1.5
    sound, dub = media.read_audio(made.files["video"]), media.read_audio(clip_files / "dub.wav")
    assert np.corrcoef(sound[:12000], dub[:12000])[0, 1] > 0.99
    assert media.is_synthetic(made.files["video"])
    assert made.info["rc"] == 0
    assert made.info["peak_rss_bytes"] > 4 << 20
    assert not (job.out / "work").exists()
    assert {p.name for p in job.out.iterdir()} == {"video.mp4", "stdout.txt", "stderr.txt"}


def test_the_registered_method_takes_a_file(make_job: Make) -> None:
    method = registry.load("methods", "external")
    assert isinstance(method, External)
    params = method.spec.params(file=str(EXAMPLE / "method.yaml"))
    assert media.probe(method.synthesize(make_job(params)).files["video"]).n_frames == 20
    own = load_external(EXAMPLE / "method.yaml")
    read, _ = own.stage_inputs("synthesize", own.spec.params())
    assert method.identity(params, "c1", "fr") == {**own.identity(params, "c1", "fr"), **read}


def test_paths_that_upstream_scripts_cannot_stand(job: DubJob, make_job: Make, tmp_path: Path, fake: Any) -> None:
    out = tmp_path / "a run. with 'dots' & spaces"
    out.mkdir()
    made = run(fake("freeze"), make_job(job.params, out=out))
    assert media.probe(made.files["video"]).n_frames == 20
    words = (out / "video.mp4").exists() and sorted(p.name for p in out.iterdir())
    assert words == ["stderr.txt", "stdout.txt", "video.mp4"]


def test_commands_see_tame_paths(make_job: Make, job: DubJob, tmp_path: Path, fake: Any) -> None:
    out = tmp_path / "x. y"
    out.mkdir()
    code = "import sys, shutil; print(sys.argv[1:]); shutil.copyfile(sys.argv[1], sys.argv[3])"
    argv = ["{python}", "-c", code, "{video}", "{audio}", "{out}", "{work}", "{fps}", "{name}", "[{gpu}]", "{{video}}"]
    run(fake("", argv=argv, caps={"pass_through": True}), make_job(job.params, out=out))
    words = ast.literal_eval((out / "stdout.txt").read_text())
    assert all(
        set(word) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_/.-") for word in words[:4]
    )
    assert [Path(word).name for word in words[:3]] == ["video.mp4", "audio.wav", "out.mp4"]
    assert all("." not in str(Path(word).parent) for word in words[:3])
    assert words[4:] == ["25", "fake", "[]", "{video}"]


def test_args_and_seed_reach_the_command(job: DubJob, make_job: Make, fake: Any) -> None:
    file = fake(
        "",
        argv=["{python}", "fake.py", "--video", "{video}", "--audio", "{audio}", "--out", "{out}"],
        caps={"seed_flag": "--seed"},
    )
    method = load_external(file)
    assert method.spec.uses_seed
    method.synthesize(make_job(method.spec.params(args=("freeze",)), seed=7))
    assert not load_external(fake("freeze")).spec.uses_seed


def test_post_steps_bring_it_to_the_clip(job: DubJob, clip_files: Path, fake: Any) -> None:
    made = run(
        fake(
            "quarter",
            post=[{"drop_head": 1}, {"pad_tail": 1}, {"resize": "clip"}, {"mux": "{audio}"}],
            caps={"pass_through": True},
        ),
        job,
    )
    frames, source = media.load_frames(made.files["video"]), media.load_frames(clip_files / "dub.mp4")
    assert np.abs(frames[:18].astype(int) - source[:18]).mean() < 6


def test_paste_puts_a_crop_back(job: DubJob, clip_files: Path, fake: Any) -> None:
    code = (
        "import json, sys; sys.path.insert(0, '.'); import fake\n"
        "fps, frames = fake.frames_of(sys.argv[1])\n"
        "fake.write(sys.argv[2], fps, [255 - f[40:72, 24:72] for f in frames])\n"
        "json.dump([[1, 0, 24], [0, 1, 40]], open(sys.argv[3], 'w'))"
    )
    argv = ["{python}", "-c", code, "{video}", "{out}", "{work}/affine.json"]
    source = media.load_frames(clip_files / "dub.mp4").astype(int)
    for blend in ("none", "feather"):
        made = run(fake("", argv=argv, post=[{"paste": "{work}/affine.json", "blend": blend}]), job)
        frames = media.load_frames(made.files["video"]).astype(int)
        assert np.abs(frames[:, :36] - source[:, :36]).mean() < 1
        assert np.abs(frames[:, 50:62, 36:60] - (255 - source[:, 50:62, 36:60])).mean() < 6
        edge = np.abs(frames[:, 41, 30:66] - source[:, 41, 30:66]).mean()
        assert edge > 20 if blend == "none" else edge < 20


def test_folders_of_frames_and_newest_files(job: DubJob, clip_files: Path, fake: Any) -> None:
    made = run(fake("frames", output={"find": "dir-of-frames", "pattern": "{out}"}), job)
    frames, source = media.load_frames(made.files["video"]), media.load_frames(clip_files / "dub.mp4")
    assert np.abs(frames.astype(int) - source[::-1]).mean() < 2

    argv = ["{python}", "fake.py", "freeze", "--video", "{video}", "--audio", "{audio}", "--out", "results/2024 x.mp4"]
    file = fake("", argv=argv, writable=["results"], output={"find": "newest-glob", "pattern": "results/*.mp4"})
    assert run(file, job).info["n_frames"] == 20
    assert not (EXAMPLE / "results").exists()


def test_other_rates_and_images(job: DubJob, make_job: Make, fake: Any) -> None:
    argv = ["{python}", "fake.py", "shift", "--video", "{video}", "--audio", "{audio}", "--out", "{out}"]
    made = run(
        fake("", argv=argv, inputs={"fps": 50, "size": [48, 40], "audio_rate": 8000}, post=[{"resize": [96, 80]}]), job
    )
    assert media.probe(made.files["video"]).n_frames == 20

    code = (
        "import sys; sys.path.insert(0, '.'); import fake; assert sys.argv[1].endswith('.png')\n"
        "fps, frames = fake.frames_of(sys.argv[1]); fake.write(sys.argv[2], 25, frames * 20)"
    )
    made = run(fake("", argv=["{python}", "-c", code, "{video}", "{out}"], inputs={"kind": "image"}), job)
    assert made.info["n_frames"] == 20
