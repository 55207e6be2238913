"""Folders of finished videos: what is taken, what is refused, and what the keys see."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from lipbench import media
from lipbench.baselines.precomputed import Precomputed
from lipbench.core.errors import Refused
from lipbench.core.keys import sha256_file
from lipbench.core.method import DubJob, Method
from lipbench.core.registry import load

Make = Callable[..., DubJob]


@pytest.fixture
def folder(tmp_path: Path, clip_files: Path) -> Path:
    made = tmp_path / "made"
    made.mkdir()
    shutil.copyfile(clip_files / "truth.mp4", made / "c1.fr.mp4")
    return made


def test_a_fitting_video_is_taken_bit_by_bit(make_job: Make, folder: Path, clip_files: Path) -> None:
    method = load("methods", "precomputed")
    assert isinstance(method, Method)
    made = method.synthesize(make_job(Precomputed.spec.params(folder=str(folder))))
    assert np.array_equal(media.load_frames(made.files["video"]), media.load_frames(clip_files / "truth.mp4"))
    assert made.info == {"file": "c1.fr.mp4", "source_fps": 25.0, "resampled": False}
    sound, dub = media.read_audio(made.files["video"]), media.read_audio(clip_files / "dub.wav")
    assert np.corrcoef(sound[:12000], dub[:12000])[0, 1] > 0.99


def test_missing_videos_are_named(make_job: Make, folder: Path) -> None:
    (folder / "c1.fr.mp4").unlink()
    params = Precomputed.spec.params(folder=str(folder))
    for ask in (lambda: Precomputed().synthesize(make_job(params)), lambda: Precomputed().identity(params, "c1", "fr")):
        with pytest.raises(Refused) as caught:
            ask()
        assert caught.value.reason == "missing_video"
        assert str(folder / "c1.fr.mp4") in caught.value.what
    assert Precomputed().identity(params, "c1", "") == {}


def test_patterns(make_job: Make, folder: Path) -> None:
    (folder / "run 1").mkdir()
    shutil.move(folder / "c1.fr.mp4", folder / "run 1" / "c1-fr-s3-12.5.mp4")
    params = Precomputed.spec.params(folder=str(folder), pattern="run 1/{clip}-{language}-s{seed}-{seconds}.mp4")
    job = make_job(params, seed=3, train_seconds=12.5)
    assert Precomputed().synthesize(job).info["file"] == "c1-fr-s3-12.5.mp4"
    digest = sha256_file(folder / "run 1" / "c1-fr-s3-12.5.mp4")
    assert Precomputed().identity(params, "c1", "fr") == {"files": {"run 1/c1-fr-s3-12.5.mp4": digest}}
    with pytest.raises(Refused, match="s0-full"):
        Precomputed().synthesize(make_job(params))
    by_dub = Precomputed.spec.params(folder=str(folder), pattern="{dub}.mp4")
    with pytest.raises(Refused, match=r"c1\.fr\.mp4"):
        Precomputed().synthesize(make_job(by_dub))
    with pytest.raises(ValidationError, match="known: clip, language, dub, seed, seconds"):
        Precomputed.spec.params(folder="x", pattern="{video}.mp4")
    with pytest.raises(ValidationError, match="no pattern"):
        Precomputed.spec.params(folder="x", pattern="{clip.mp4")


def test_several_patterns(make_job: Make, folder: Path) -> None:
    params = Precomputed.spec.params(folder=str(folder), pattern=["{clip}_{language}.mp4", "{clip}.{language}.mp4"])
    assert Precomputed().synthesize(make_job(params)).info["file"] == "c1.fr.mp4"
    shutil.copyfile(folder / "c1.fr.mp4", folder / "c1_fr.mp4")
    assert set(Precomputed().identity(params, "c1", "fr")["files"]) == {"c1.fr.mp4", "c1_fr.mp4"}
    with pytest.raises(Refused) as caught:
        Precomputed().synthesize(make_job(params))
    assert (caught.value.reason, "c1_fr.mp4" in caught.value.why) == ("several_videos", True)
    for name in ("c1.fr.mp4", "c1_fr.mp4"):
        (folder / name).unlink()
    with pytest.raises(Refused, match=r"c1_fr\.mp4 or .*c1\.fr\.mp4"):
        Precomputed().identity(params, "c1", "fr")
    with pytest.raises(ValidationError, match="no placeholder"):
        Precomputed.spec.params(folder="x", pattern=["{clip}.mp4", "{name}.mp4"])


def test_an_edited_file_gets_another_key(folder: Path, clip_files: Path) -> None:
    params = Precomputed.spec.params(folder=str(folder))
    before = Precomputed().identity(params, "c1", "fr")
    shutil.copyfile(clip_files / "dub.mp4", folder / "c1.fr.mp4")
    assert Precomputed().identity(params, "c1", "fr") != before


def test_clip_ids_are_not_patterns(folder: Path) -> None:
    (folder / "a[1].fr.mp4").write_bytes(b"x")
    found = Precomputed().identity(Precomputed.spec.params(folder=str(folder)), "a[1]", "fr")
    assert list(found["files"]) == ["a[1].fr.mp4"]


def test_other_rates_are_resampled_and_recorded(make_job: Make, folder: Path, clip_files: Path) -> None:
    frames = media.load_frames(clip_files / "truth.mp4")
    media.write_video(folder / "c1.fr.mp4", np.repeat(frames, 2, axis=0), 50, lossless=True)
    made = Precomputed().synthesize(make_job(Precomputed.spec.params(folder=str(folder))))
    assert made.info["resampled"]
    assert made.info["source_fps"] == 50.0
    got = media.load_frames(made.files["video"])
    assert got.shape == frames.shape
    assert np.abs(got.astype(int) - frames).mean() < 1.5


@pytest.mark.parametrize(("n", "fits"), [(19, True), (21, True), (18, False), (22, False)])
def test_lengths(make_job: Make, folder: Path, clip_files: Path, n: int, fits: bool) -> None:
    frames = media.load_frames(clip_files / "truth.mp4")
    media.write_video(folder / "c1.fr.mp4", frames[np.minimum(np.arange(n), 19)], 25)
    job = make_job(Precomputed.spec.params(folder=str(folder)))
    if fits:
        assert media.probe(Precomputed().synthesize(job).files["video"]).n_frames == n
        return
    with pytest.raises(Refused, match=f"{n} frames at 25 fps, dub c1.fr has 20") as caught:
        Precomputed().synthesize(job)
    assert caught.value.reason == "length_mismatch"


def test_sizes(make_job: Make, folder: Path, clip_files: Path) -> None:
    frames = media.load_frames(clip_files / "truth.mp4")
    small = [cv2.resize(frame, (48, 40), interpolation=cv2.INTER_AREA) for frame in frames]
    media.write_video(folder / "c1.fr.mp4", small, 25)
    with pytest.raises(Refused, match="48 x 40, the clip is 96 x 80") as caught:
        Precomputed().synthesize(make_job(Precomputed.spec.params(folder=str(folder))))
    assert caught.value.reason == "wrong_size"
    made = Precomputed().synthesize(make_job(Precomputed.spec.params(folder=str(folder), resize=True)))
    assert made.info["resized_from"] == [48, 40]
    assert np.abs(media.load_frames(made.files["video"]).astype(int) - frames).mean() < 8
