"""A clip of several shots, from the manifest to the clip, its dubs and what a method is told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lipbench import media
from lipbench.core import keys
from lipbench.core.errors import ManifestError
from lipbench.core.job import ClipInput
from lipbench.datasets import load_manifest, save_manifest
from lipbench.datasets.check import check
from lipbench.datasets.types import Manifest
from lipbench.engine.stages import run_clip, run_dub
from lipbench.engine.tasks import ClipTask, DubTask, from_json

SEGMENTS = ((0.4, 1.2), (2.0, 3.0))


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    frames = np.repeat(np.arange(100, dtype=np.uint8), 32 * 32 * 3).reshape(100, 32, 32, 3)
    noise = (np.random.default_rng(0).normal(size=4 * 16000) * 3000).astype(np.int16)
    media.write_video(tmp_path / "film.mp4", frames, 25, noise)
    media.write_wav(tmp_path / "fr.wav", noise)
    video, audio = (keys.sha256_file(tmp_path / name) for name in ("film.mp4", "fr.wav"))
    path = tmp_path / "my.yaml"
    path.write_text(
        f"""\
schema: 1
name: my
version: "1"
licence: CC0-1.0
consent: written, on file
clips:
  - {{id: c, video: film.mp4, sha256: {video}, speaker: A, language: en, segments: [[0.4, 1.2], [2.0, 3.0]]}}
dubs:
  - {{clip: c, language: fr, audio: fr.wav, sha256: {audio}}}
"""
    )
    return path


def test_a_manifest_says_them(manifest: Path, tmp_path: Path) -> None:
    found = load_manifest(manifest)
    assert found.clips[0].segments == SEGMENTS
    assert found.clips[0].used_s(4.0) == pytest.approx(1.8)
    again = load_manifest(save_manifest(found, tmp_path / "again.yaml"))
    assert again == found
    whole = replace(found, clips=(replace(found.clips[0], segments=()),))
    assert whole.digest != found.digest
    report = check(manifest)
    assert report.ok
    assert report.clips["c"].used_s == pytest.approx(1.8)
    assert report.dubs["c@fr"].longer_s == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("segments: [[0.4", "start_s: 1, segments: [[0.4", "beside start_s"),
        ("[2.0, 3.0]", "[1.0, 3.0]", "within another"),
        ("[2.0, 3.0]", "[3.0, 2.0]", "ends before"),
        ("[2.0, 3.0]", "[2.0, 2.1]", "shorter"),
        ("segments: [[0.4", "landmarks: l.npz, segments: [[0.4", "landmarks"),
        ("audio: fr.wav", "end_s: 3, audio: fr.wav", "segments"),
    ],
)
def test_what_cannot_be(manifest: Path, old: str, new: str, said: str) -> None:
    manifest.write_text(manifest.read_text().replace(old, new))
    with pytest.raises(ManifestError, match=said):
        load_manifest(manifest)


def test_a_segment_after_the_film_is_found_by_check(manifest: Path) -> None:
    manifest.write_text(manifest.read_text().replace("[2.0, 3.0]", "[2.0, 5.0]"))
    report = check(manifest)
    assert [problem.field for problem in report.errors][:1] == ["clips[0].segments"]


def test_the_stages_join_clip_and_dub(manifest: Path, tmp_path: Path) -> None:
    loaded: Manifest = load_manifest(manifest)
    clip, dub = loaded.clips[0], loaded.dubs[0]
    for name in ("clip", "dub"):
        (tmp_path / name).mkdir()
    task = ClipTask(
        video=clip.video, sha256=clip.sha256, fps=25, start_s=0, end_s=None, language="en", segments=clip.segments
    )
    assert from_json("clip", json.loads(json.dumps(task.to_json()))) == task
    outputs, info, _ = run_clip(task, tmp_path / "clip")
    assert (info["n_frames"], info["cuts"]) == (45, [20])
    assert json.loads((tmp_path / "clip" / "clip.json").read_text())["cuts"] == [20]
    found, about, _ = run_dub(
        DubTask(
            clip_video=outputs["video"],
            clip_audio=outputs["audio"],
            audio=dub.audio,
            sha256=dub.sha256,
            offset_s=0,
            truth=None,
            fps=25,
            language="fr",
            segments=clip.segments,
        ),
        tmp_path / "dub",
    )
    assert about["n_frames"] == 45
    film, heard = media.read_audio(tmp_path / "fr.wav"), media.read_audio(found["audio"])
    expected = np.concatenate([film[6400 : 6400 + 20 * 640], film[32000 : 32000 + 25 * 640]])
    np.testing.assert_array_equal(heard, expected)


def test_a_method_is_told_the_shots() -> None:
    one = ClipInput("c", Path("v"), None, 25, 45, 32, 32, "en")
    assert one.shots == [(0, 45)]
    assert replace(one, cuts=(20, 30)).shots == [(0, 20), (20, 30), (30, 45)]
