"""The real clips: what they hold, that nothing is lost, that sound and picture agree with other readers."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile
import soxr

from lipbench import media

pytestmark = pytest.mark.real


def test_probe(real_clips: Path) -> None:
    katie, office = media.probe(real_clips / "katie.mp4"), media.probe(real_clips / "office.mp4")
    assert (katie.width, katie.height, katie.fps, katie.n_frames, katie.duration_s) == (512, 512, 25, 200, 8.0)
    assert (office.width, office.height, office.fps, office.n_frames) == (700, 700, Fraction(30), 199)
    assert office.duration_s == pytest.approx(6.6333, abs=1e-3)
    for info in (katie, office):
        assert (info.rotation, info.vfr, info.pix_fmt) == (0, False, "yuv420p")
    assert katie.audio is not None
    assert (katie.audio.rate, katie.audio.channels, katie.audio.duration_s) == (16000, 2, 8.0)
    assert office.audio is not None
    assert (office.audio.rate, office.audio.channels) == (44100, 2)


def test_frames_are_those_of_opencv(real_clips: Path) -> None:
    """Frame by frame; OpenCV's faster conversion rounds down by about one level."""
    capture = cv2.VideoCapture(str(real_clips / "katie.mp4"))
    n = 0
    for frame in media.read_frames(real_clips / "katie.mp4"):
        ok, theirs = capture.read()
        assert ok
        if n % 20 == 0:
            error = frame.astype(int) - theirs[..., ::-1]
            assert np.abs(error).mean() < 2
            assert (error.mean((0, 1)) > 0.5).all()
            assert (error.mean((0, 1)) < 2).all()
        n += 1
    assert n == 200
    assert not capture.read()[0]


def test_normalized_katie_is_katie(real_clips: Path, tmp_path: Path) -> None:
    clip = media.normalize_clip(real_clips / "katie.mp4", tmp_path / "k.mp4")
    assert (clip.n_frames, clip.pix_fmt, clip.audio) == (200, "yuv420p", True)
    pairs = zip(media.read_frames(real_clips / "katie.mp4"), media.read_frames(tmp_path / "k.mp4"), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
    before, after = media.read_audio(real_clips / "katie.mp4"), media.read_audio(tmp_path / "k.mp4")
    n = min(len(before), len(after))
    assert n >= 128000
    assert np.corrcoef(before[:n], after[:n])[0, 1] > 0.99


def test_office_at_twenty_five(real_clips: Path, tmp_path: Path) -> None:
    clip = media.normalize_clip(real_clips / "office.mp4", tmp_path / "o.mp4", start_s=1, end_s=3)
    assert (clip.n_frames, clip.fps, clip.source_fps) == (50, 25, 30)
    # Of every six frames at 30 fps the fourth goes.
    source = media.load_frames(real_clips / "office.mp4", start_s=1, end_s=3)
    assert len(source) == 60
    kept = source[[k for k in range(60) if k % 6 != 3]]
    assert np.array_equal(media.load_frames(tmp_path / "o.mp4"), kept)
    assert sum(1 for _ in media.read_frames(real_clips / "office.mp4", fps=25)) == 166


def test_dub(real_clips: Path, tmp_path: Path) -> None:
    dub = media.read_audio(real_clips / "dub_de.wav")
    stereo, rate = soundfile.read(real_clips / "dub_de.wav")
    expected = soxr.resample(stereo.mean(1), rate, 16000) * 32768
    assert len(dub) == len(expected)
    assert np.abs(dub - np.clip(expected, -32768, 32767)).max() <= 2
    media.normalize_clip(real_clips / "katie.mp4", tmp_path / "k.mp4", end_s=2)
    over = media.retime_to_audio(tmp_path / "k.mp4", dub[:64000], tmp_path / "d.mp4", tmp_path / "d.wav")
    assert (over.n_frames, over.n_clip_frames) == (100, 50)
    assert over.policy == "dub 50 frames longer: clip played back and forth"
    clip = media.load_frames(tmp_path / "k.mp4")
    for k, frame in enumerate(media.read_frames(tmp_path / "d.mp4")):
        assert np.array_equal(frame, clip[over.index[k]])
