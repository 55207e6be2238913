"""The own offset of a manifest's clips: measured once, written, told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from lipbench import media
from lipbench.cli.data_offsets import main
from lipbench.core.errors import UnknownName, UsageError, WeightsMissing
from lipbench.datasets import load_manifest, resolve, save_manifest
from lipbench.engine import own_offsets
from lipbench.metrics.sync.landmark import OwnOffset


@pytest.fixture(scope="module")
def late(tmp_path_factory) -> Path:
    """A manifest: the packaged English clip with its sound 4 frames late, a second of it, and one without sound."""
    folder = tmp_path_factory.mktemp("late")
    clip = resolve("demo").clips[0]
    frames = list(media.read_frames(clip.video))
    sound = np.concatenate([np.zeros(4 * 640, np.int16), media.read_audio(clip.video, 16000)])[: 640 * len(frames)]
    media.write_video(folder / "late.mp4", frames, 25.0, media.write_wav(folder / "late.wav", sound))
    media.write_video(folder / "mute.mp4", frames[:30], 25.0)
    about = {"licence": clip.licence, "annotations": None, "landmarks": None, "truth": {}, "truth_annotations": {}}
    clips = []
    for name, file, end_s in (("late", "late", None), ("short", "late", 1.0), ("mute", "mute", None)):
        video = folder / f"{file}.mp4"
        clips.append(
            replace(clip, id=name, video=video, sha256=media.digest(video), end_s=end_s, truth_sha256={}, **about)
        )
    manifest = replace(resolve("demo"), clips=tuple(clips), dubs=(), splits={}, root=folder)
    return save_manifest(manifest, folder / "late.yaml")


def test_an_offset_is_measured_or_it_is_said_why_not(late):
    clips = load_manifest(late).clips
    found = {clip.id: own_offsets.clip_offset(clip, faces="demo-face").found for clip in clips}
    assert found["late"].frames == -4
    assert found["late"].confidence > 0.9
    assert "lags" in found["late"].why
    assert found["short"].frames is None
    assert "25 frames" in found["short"].why
    assert found["mute"].frames is None
    assert "no sound" in found["mute"].why


def test_what_fits_no_clip_ends_it(late):
    with pytest.raises(WeightsMissing):
        own_offsets.clip_offset(load_manifest(late).clips[0], faces="s3fd-syncnet")
    with pytest.raises(UnknownName):
        own_offsets.clip_offset(load_manifest(late).clips[0], faces="nobody's")


TEXT = """\
schema: 1 # the first
name: two
version: "1"
licence: CC0-1.0
consent: none needed
clips:
  - {id: one, video: one.mp4, sha256: HASH, speaker: a, language: en}
  - id: two   # b
    video: two.mp4
    sha256: HASH
    speaker: b
    language: en

# the end
""".replace("HASH", "a" * 64)


def test_offsets_are_written_and_the_rest_stays(tmp_path):
    path = tmp_path / "m.yaml"
    path.write_text(TEXT)
    own_offsets.write_offsets(path, {"one": 2, "two": -3})
    assert [clip.av_offset for clip in load_manifest(path).clips] == [2, -3]
    assert path.read_text() == TEXT.replace("language: en}", "language: en, av_offset: 2}").replace(
        "    language: en\n", "    language: en\n    av_offset: -3\n"
    )


def test_a_layout_that_cannot_be_edited_is_left_alone(tmp_path):
    path = tmp_path / "m.yaml"
    text = TEXT.replace("  - id: two   # b\n", "  - &x\n    id: two\n") + "\n"
    text = text.replace("clips:\n", "clips: &all\n", 1)
    path.write_text(text)
    shared = text.replace("  - {id: one, video: one.mp4, sha256: " + "a" * 64 + ", speaker: a, language: en}\n", "")
    shared = shared.replace("# the end\n", "  - {<<: *x, id: three}\n")
    path.write_text(shared)
    with pytest.raises(UsageError, match="cannot write into"):
        own_offsets.write_offsets(path, {"two": 1})  # three would have it, too
    assert path.read_text() == shared


def test_the_command(tmp_path, monkeypatch):
    path = tmp_path / "m.yaml"
    path.write_text(TEXT)
    found = {
        "one": OwnOffset(-2, 0.98, "audio lags video by 2 frames (80 ms)"),
        "two": OwnOffset(None, 0.3, "30 frames do not tell the offset"),
    }
    monkeypatch.setattr(
        own_offsets, "clip_offset", lambda clip, **_: own_offsets.ClipOffset(clip.id, found[clip.id], clip.av_offset)
    )

    def call(*args):
        return CliRunner().invoke(main, [str(path), *args], catch_exceptions=False)

    assert call().output.splitlines() == [
        "one: -2, confidence 0.98: audio lags video by 2 frames (80 ms)",
        "two: unknown, confidence 0.30: 30 frames do not tell the offset",
        "--write puts av_offset of 1 clip there",
    ]
    assert path.read_text() == TEXT
    assert json.loads(call("--write", "--json").stdout)["written"] == ["one"]
    assert [clip.av_offset for clip in load_manifest(path).clips] == [-2, None]
    found["one"] = OwnOffset(0, 0.99, "audio and video are aligned")
    again = call("--write", "--clip", "one").output
    assert again == "one: 0, confidence 0.99: audio and video are aligned; the manifest says -2\n"
    assert load_manifest(path).clips[0].av_offset == -2  # what is written stays
    with pytest.raises(UsageError, match="no clip 'three'"):
        call("--clip", "three")
