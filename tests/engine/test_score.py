"""Scoring one video outside any run."""

from __future__ import annotations

import numpy as np
import pytest

from lipbench import media
from lipbench.core.errors import MediaError, UnknownName
from lipbench.core.keys import sha256_file
from lipbench.core.registry import load
from lipbench.engine import score_pass, stages
from lipbench.engine.score import score_video
from lipbench.engine.score_progress import ScoreProgress
from lipbench.engine.short_clips import shortened

pytestmark = pytest.mark.usefixtures("tiny_sync_model")

N = 30
FULL = ("psnr_full", "ssim_full")


def gray(n: int = N, first: int = 40, step: int = 3) -> np.ndarray:
    return np.stack([np.full((48, 64, 3), first + step * i, np.uint8) for i in range(n)])


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 3000, round(16000 * seconds)).astype(np.int16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("videos")
    write = {"synthetic": False, "lossless": True}
    media.write_video(root / "source.mp4", gray(), fps=25, audio=noise(N / 25), **write)
    media.write_video(root / "brighter.mp4", gray(first=50), fps=25, audio=noise(N / 25), **write)
    media.write_video(root / "mute.mp4", gray(), fps=25, **write)
    media.write_video(root / "short.mp4", gray(20), fps=25, **write)
    media.write_video(root / "at30.mp4", gray(36), fps=30, **write)
    media.write_video(root / "large.mp4", np.repeat(gray(), 2, axis=2), fps=25, **write)
    media.write_wav(root / "dub.wav", noise(N / 25))
    return root


def test_against_itself(folder):
    found = score_video(folder / "source.mp4", reference=folder / "source.mp4", metrics=FULL)
    assert set(found["metrics"]) == set(FULL)
    assert found["metrics"]["psnr_full"]["value"] == "inf"
    assert found["metrics"]["ssim_full"]["value"] == 1
    assert found["metrics"]["ssim_full"]["n_valid"] == N
    assert (found["sha256"], found["remarks"]) == (sha256_file(folder / "source.mp4"), [])


def test_a_known_difference(folder):
    found = score_video(folder / "brighter.mp4", reference=folder / "source.mp4", metrics=FULL)
    # 10 gray levels everywhere, as far as limited-range YUV keeps them.
    assert found["metrics"]["psnr_full"]["value"] == pytest.approx(20 * np.log10(255 / 10), abs=0.5)


def test_without_reference_or_audio(folder):
    found = score_video(folder / "mute.mp4", metrics=["image", "sync"], sync_model="tiny", protocol="cropped")
    assert found["metrics"]["psnr_full"]["reason"].startswith("no_reference: ")
    assert found["metrics"]["psnr_full_truth"]["reason"].startswith("no_truth: ")
    assert found["metrics"]["lse_d"]["value"] is None
    assert found["metrics"]["lse_d"]["reason"].startswith("no_audio: ")
    (remark,) = found["remarks"]
    assert "mute.mp4" in remark or "prediction" in remark
    assert all(score["value"] is None and score["reason"] for score in found["metrics"].values())


def test_sound_of_the_video_or_beside_it(folder):
    def lse(video, audio=None):
        found = score_video(folder / video, audio=audio, metrics=["lse_d"], sync_model="tiny", protocol="cropped")
        assert list(found["metrics"]) == ["lse_d"]
        assert found["remarks"] == []
        return found["metrics"]["lse_d"]["value"]

    given = lse("mute.mp4", folder / "dub.wav")
    assert given > 0
    # The same sound, muxed: it went through AAC once.
    assert lse("source.mp4") == pytest.approx(given, rel=0.1)
    assert lse("source.mp4", folder / "dub.wav") == pytest.approx(given, rel=1e-6)


def test_lengths_and_rates_that_differ(folder):
    found = score_video(folder / "source.mp4", reference=folder / "short.mp4", metrics=FULL)
    (remark,) = found["remarks"]
    assert remark == "reference: 10 frames shorter than the video: the reference is played back and forth"
    assert found["metrics"]["psnr_full"]["n_valid"] == N
    assert found["metrics"]["psnr_full"]["extra"]["exact_frames"] == 20
    found = score_video(folder / "at30.mp4", metrics=FULL, reference=folder / "at30.mp4")
    assert found["metrics"]["ssim_full"]["n_valid"] == N  # 36 frames at 30 fps


def test_another_size_is_a_reason(folder):
    found = score_video(
        folder / "large.mp4", reference=folder / "source.mp4", truth=folder / "large.mp4", metrics=["image"]
    )
    assert found["metrics"]["psnr_full"]["reason"].startswith("size_mismatch: ")
    assert found["metrics"]["psnr_full_truth"]["value"] == "inf"


def test_missing_weights_are_a_reason(folder):
    found = score_video(
        folder / "source.mp4", reference=folder / "source.mp4", metrics=["image", "lse_d", "lpips_full"]
    )
    for metric in ("psnr_mouth", "lse_d", "lpips_full"):
        assert found["metrics"][metric]["reason"].startswith("weights_missing: "), metric
        assert "lipbench weights get" in found["metrics"][metric]["reason"]
    assert found["metrics"]["ssim_full"]["value"] == 1


def test_what_cannot_be_read_is_refused(folder, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video" * 100)
    for given in (
        {"video": broken},
        {"video": folder / "source.mp4", "reference": broken},
        {"video": folder / "source.mp4", "truth": tmp_path / "gone.mp4"},
    ):
        with pytest.raises(MediaError) as caught:
            score_video(metrics=FULL, **given)
        assert caught.value.what
        assert caught.value.why
        assert caught.value.fix
        assert caught.value.exit_code == 2
    with pytest.raises(UnknownName, match="ssim_full"):
        score_video(folder / "source.mp4", metrics=["ssim_ful"])


def test_an_audio_file_that_cannot_be_read_is_refused(folder, tmp_path):
    with pytest.raises(MediaError, match=r"gone\.wav"):
        score_video(folder / "source.mp4", audio=tmp_path / "gone.wav", metrics=FULL)


def test_a_picture_is_searched_for_faces_once(folder, monkeypatch):
    searched = []
    run_faces = stages.run_faces
    monkeypatch.setattr(stages, "run_faces", lambda task, out: searched.append(task.video.name) or run_faces(task, out))

    def searches(**more):
        searched.clear()
        score_video(folder / "source.mp4", metrics=["landmarks"], faces="demo-face", **more)
        return list(searched)

    assert searches() == ["source.mp4"]
    assert searches(reference=folder / "mute.mp4") == ["mute.mp4"]  # the same frames under no sound
    assert searches(reference=folder / "brighter.mp4") == ["brighter.mp4", "source.mp4"]


def test_what_a_step_freed_is_given_back_before_the_next(folder, monkeypatch):
    order = []

    class Heard(ScoreProgress):
        def show(self, *, starts=False):
            if starts:
                order.append(self.step)

    monkeypatch.setattr(score_pass, "give_back_freed_memory", lambda: order.append("given back"))
    score_video(
        folder / "source.mp4", metrics=["image", "landmarks"], faces="demo-face", reference=folder / "mute.mp4",
        progress=Heard(),
    )  # fmt: skip
    steps = order[::2]
    assert len(steps) == 5
    assert "given back" not in steps
    assert order[1::2] == ["given back"] * 5


def test_a_clip_too_short_for_the_published_rule_gets_a_number_and_a_word(folder):
    def families(options, seconds, given=()):
        return shortened([(load("metrics", "sync"), options)], given, seconds)

    (_, changed), words = families({"sync_model": "tiny"}, 2.0)[0][0], families({"sync_model": "tiny"}, 2.0)[1]
    assert changed["min_track"] == 25
    assert "50 frames" in words
    assert "--min-track" in words
    for same in (families({}, 4.04), families({}, 2.0, {"min_track"}), families({"protocol": "cropped"}, 2.0)):
        assert "min_track" not in same[0][0][1]
        assert same[1] == ""
    # No word where there is no number.
    found = score_video(folder / "mute.mp4", metrics=["lse_d"], sync_model="tiny", faces="demo-face")
    assert not any("min_track" in remark for remark in found["remarks"])
