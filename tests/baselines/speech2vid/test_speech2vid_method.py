"""Speech2Vid end to end on a tiny clip, small and with random weights."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipbench import media
from lipbench.baselines.speech2vid import DeblurNet, Speech2Vid, Speech2VidNet
from lipbench.baselines.speech2vid.checkpoint import save
from lipbench.core import weights
from lipbench.core.errors import NoAudio, NoFace, Refused, WeightsError, WeightsMissing
from lipbench.core.method import DubJob, Method
from lipbench.core.registry import load
from lipbench.faces.track import FaceTrack

Make = Callable[..., DubJob]


@pytest.fixture
def checkpoint(small_net: Speech2VidNet, tmp_path: Path) -> str:
    return str(save(small_net, tmp_path / "small.npz", "psf", "box", {}))


def params(checkpoint: str, **fields: Any) -> Any:
    return Speech2Vid.spec.params(weights_file=checkpoint, **fields)


def run(job: DubJob) -> tuple[np.ndarray, dict[str, Any]]:
    made = Speech2Vid().synthesize(job)
    info = media.probe(made.files["video"])
    assert (info.n_frames, info.width, info.height, float(info.fps)) == (20, 96, 80, 25.0)
    assert info.audio is not None
    assert media.is_synthetic(made.files["video"])
    return media.load_frames(made.files["video"]), dict(made.info)


def other(tmp_path: Path, name: str) -> Path:
    (tmp_path / name).mkdir()
    return tmp_path / name


def test_the_face_is_redrawn_and_nothing_else(make_job: Make, checkpoint: str, clip_files: Path) -> None:
    frames, info = run(make_job(params(checkpoint)))
    difference = np.abs(frames.astype(int) - media.load_frames(clip_files / "dub.mp4"))
    assert difference[:, 30:60, 35:60].mean() > 10
    assert difference[:, :, :6].mean() < 2  # the square is 63 px about (45 .. 53, 44)
    assert difference[:, :, -8:].mean() < 2
    assert info == {
        "framing": "box",
        "paste": "face",
        "stills": "around",
        "sound": "psf",
        "width": 0.125,
        "deblurred": False,
        "offset_frames": 0.0,
        "frames_without_face": 0,
    }


def test_paste_change_adds_what_the_other_sound_changes(make_job: Make, checkpoint: str, clip_files: Path) -> None:
    shown = media.load_frames(clip_files / "dub.mp4").astype(int)
    frames, info = run(make_job(params(checkpoint, paste="change")))
    assert info["paste"] == "change"
    difference = np.abs(frames - shown)
    assert 0.1 < difference[:, 30:60, 35:60].mean() < 8  # random weights; the whole face would be another one
    assert difference[:, :, :6].mean() < 2


def test_the_sources_own_sound_changes_nothing(
    make_job: Make, checkpoint: str, clip_files: Path, tmp_path: Path
) -> None:
    job = make_job(params(checkpoint, paste="change"))
    assert job.dub is not None
    assert job.clip.audio is not None
    same = replace(job, dub=replace(job.dub, audio=job.clip.audio))
    frames, _ = run(same)
    assert np.abs(frames - media.load_frames(clip_files / "dub.mp4").astype(int)).mean() < 1.5  # the codec
    with pytest.raises(NoAudio, match="paste: change"):
        Speech2Vid().synthesize(replace(job, clip=replace(job.clip, audio=None), out=other(tmp_path, "mute")))


def test_it_is_deterministic(make_job: Make, checkpoint: str, tmp_path: Path) -> None:
    jobs = [make_job(params(checkpoint), out=other(tmp_path, name)) for name in ("a", "b")]
    first, second = (Speech2Vid().synthesize(job).files["video"].read_bytes() for job in jobs)
    assert first == second


def test_sound_offset_and_stills_decide(make_job: Make, checkpoint: str, tmp_path: Path) -> None:
    plain, _ = run(make_job(params(checkpoint)))
    silence = media.write_wav(tmp_path / "silence.wav", np.zeros(20 * 640, np.int16))
    quiet, _ = run(make_job(params(checkpoint), dub={"audio": silence}, out=other(tmp_path, "quiet")))
    later, info = run(make_job(params(checkpoint, offset_frames=4), out=other(tmp_path, "later")))
    assert info["offset_frames"] == 4
    same, info = run(make_job(params(checkpoint, stills="spread"), out=other(tmp_path, "spread")))
    assert info["stills"] == "spread"
    own, info = run(make_job(params(checkpoint, stills="own"), out=other(tmp_path, "own")))
    assert info["stills"] == "own"
    for changed in (quiet, later, same, own):
        assert not np.array_equal(plain, changed)


def test_published_weights_with_deblurring(
    make_job: Make,
    mat_file: Callable[..., Path],
    small_net: Speech2VidNet,
    small_deblur: DeblurNet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LIPBENCH_WEIGHTS", str(tmp_path / "weights"))
    with pytest.raises(WeightsMissing, match=r"v201\.mat"):
        Speech2Vid().synthesize(make_job(Speech2Vid.spec.params()))
    with pytest.raises(WeightsError, match="no MATLAB file"):
        weights.add("speech2vid", save(small_net, tmp_path / "our.npz", "psf", "box", {}), any_size=True)
    weights.add("speech2vid", mat_file(small_net, tmp_path / "any.mat"), any_size=True)
    with pytest.raises(WeightsMissing, match=r"v114\.mat"):
        Speech2Vid().synthesize(make_job(Speech2Vid.spec.params()))
    weights.add("speech2vid_deblur", mat_file(small_deblur, tmp_path / "other.mat"), any_size=True)
    sharp, info = run(make_job(Speech2Vid.spec.params()))
    assert (info["framing"], info["stills"], info["sound"]) == ("eyes-nose", "spread", "htk")
    assert info["deblurred"]
    plain, info = run(make_job(Speech2Vid.spec.params(deblur="off"), out=other(tmp_path, "off")))
    assert not info["deblurred"]
    assert not np.array_equal(sharp, plain)


def test_frames_without_a_face(make_job: Make, checkpoint: str, clip_files: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="without a face track"):
        Speech2Vid().synthesize(make_job(params(checkpoint), faces=False))
    track = FaceTrack.load(clip_files / "faces.npz")
    track.boxes[4:7], track.landmarks[4:7] = np.nan, np.nan  # type: ignore[index]
    assert run(make_job(params(checkpoint), faces=track.save(tmp_path / "gaps.npz")))[1]["frames_without_face"] == 3
    track.boxes[:] = np.nan
    with pytest.raises(NoFace):
        Speech2Vid().synthesize(make_job(params(checkpoint), faces=track.save(tmp_path / "none.npz")))


def test_what_it_needs(checkpoint: str) -> None:
    method, make = Speech2Vid(), Speech2Vid.spec.params
    assert isinstance(load("methods", "speech2vid"), Method)
    assert method.weights(make()) == ("speech2vid", "speech2vid_deblur")
    assert method.weights(make(deblur="off")) == ("speech2vid",)
    assert method.weights(make(weights="other")) == ("other",)
    assert method.weights(make(weights_file=checkpoint)) == ()
    assert method.weights(make(weights_file=checkpoint, deblur="on")) == ("speech2vid_deblur",)
    assert len(method.identity(params(checkpoint), "c1", "fr")["weights_file"]) == 64
    with pytest.raises(WeightsMissing, match=r"nowhere\.npz"):
        method.identity(params("/nowhere.npz"), "c1", "fr")


def test_importing_it_is_cheap() -> None:
    code = (
        "import sys; from lipbench.core.registry import load; load('methods', 'speech2vid'); "
        "sys.exit(bool({'torch', 'cv2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
