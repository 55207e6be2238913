"""Wav2Lip end to end, small and with random weights: boxes, sound, stages, keys, refusals."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lipbench import media
from lipbench.baselines.wav2lip import SyncExpert, Wav2Lip, Wav2LipGenerator
from lipbench.baselines.wav2lip.checkpoint import load as load_checkpoint
from lipbench.baselines.wav2lip.checkpoint import read_info
from lipbench.core import weights
from lipbench.core.errors import NoFace, Refused, WeightsMismatch, WeightsMissing
from lipbench.core.method import DubJob, Method
from lipbench.core.registry import load
from lipbench.faces.track import FaceTrack

Make = Callable[..., DubJob]
BOX = (22, 12, 70, 76)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(5)
    net = Wav2LipGenerator(1 / 16)
    for weight in net.parameters():
        if weight.dim() == 4:  # torch's own start is so weak that neither image nor sound reaches the output
            torch.nn.init.kaiming_normal_(weight)
    file = tmp_path_factory.mktemp("weights") / "small.pth"
    torch.save({"state_dict": net.state_dict()}, file)
    return str(file)


def params(checkpoint: str, **fields: Any) -> Any:
    return Wav2Lip.spec.params(weights_file=checkpoint, **fields)


def run(job: DubJob) -> tuple[np.ndarray, dict[str, Any]]:
    made = Wav2Lip().synthesize(job)
    info = media.probe(made.files["video"])
    assert (info.n_frames, info.width, info.height, float(info.fps)) == (20, 96, 80, 25.0)
    assert info.audio is not None
    assert media.is_synthetic(made.files["video"])
    return media.load_frames(made.files["video"]), dict(made.info)


def test_a_given_box_is_redrawn_and_nothing_else(make_job: Make, checkpoint: str, clip_files: Path) -> None:
    frames, info = run(make_job(params(checkpoint, box=BOX)))
    source = media.load_frames(clip_files / "dub.mp4")
    x1, y1, x2, y2 = BOX
    difference = np.abs(frames.astype(int) - source)
    assert difference[:, y1 + 4 : y2 - 4, x1 + 4 : x2 - 4].mean() > 10
    outside = np.ones((80, 96), bool)
    outside[y1 - 2 : y2 + 2, x1 - 2 : x2 + 2] = False
    assert difference[:, outside].mean() < 2
    assert info == {"boxes": "given", "paste": "hard", "width": 1 / 16, "gated": False, "published_size": False}


def test_it_is_deterministic(make_job: Make, checkpoint: str, tmp_path: Path) -> None:
    videos = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        videos.append(Wav2Lip().synthesize(make_job(params(checkpoint, box=BOX), out=tmp_path / name)).files["video"])
    assert videos[0].read_bytes() == videos[1].read_bytes()


def test_the_sound_decides(make_job: Make, checkpoint: str, tmp_path: Path) -> None:
    loud, _ = run(make_job(params(checkpoint, box=BOX)))
    silence = media.write_wav(tmp_path / "silence.wav", np.zeros(20 * 640, np.int16))
    (tmp_path / "silent").mkdir()
    quiet, _ = run(make_job(params(checkpoint, box=BOX), dub={"audio": silence}, out=tmp_path / "silent"))
    assert not np.array_equal(loud, quiet)


def test_boxes_from_the_face_track(make_job: Make, checkpoint: str, clip_files: Path, tmp_path: Path) -> None:
    frames, info = run(make_job(params(checkpoint)))
    assert info["boxes"] == "file"
    assert info["frames_without_face"] == 0
    source = media.load_frames(clip_files / "dub.mp4")
    changed = np.abs(frames.astype(int) - source).mean((0, 3)) > 8
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    # The drawn landmarks: brows at 26, chin at 70, ears at 23 and 67 moving right by 7.6 px; the pads add 10 below.
    assert abs(rows[0] - (70 - 1.19 * 44)) <= 3
    assert rows[-1] >= 77
    assert abs(columns[0] - 23) <= 3
    assert abs(columns[-1] - 75) <= 3

    track = FaceTrack.load(clip_files / "faces.npz")
    track.boxes[4:7], track.landmarks[4:7] = np.nan, np.nan  # type: ignore[index]
    track.n_faces[:] = 2
    (tmp_path / "gaps").mkdir()
    job = make_job(params(checkpoint), faces=track.save(tmp_path / "gaps.npz"), out=tmp_path / "gaps")
    assert run(job)[1] | {"x": 0} == {**info, "frames_without_face": 3, "frames_with_other_faces": 20, "x": 0}


def test_boxes_follow_the_frames_that_the_dub_shows(make_job: Make, checkpoint: str, clip_files: Path) -> None:
    backwards = {"index": tuple(range(19, -1, -1)), "video": clip_files / "truth.mp4"}
    frames, _ = run(make_job(params(checkpoint, nosmooth=True), dub=backwards))
    source = media.load_frames(clip_files / "truth.mp4")
    changed = (np.abs(frames.astype(int) - source).mean(3) > 8).any(1)  # (T, W)
    left = [int(np.flatnonzero(row)[0]) for row in changed]
    assert left[0] - left[-1] == pytest.approx(0.4 * 19, abs=2.5)


def test_nobody_there(make_job: Make, checkpoint: str, clip_files: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="without a face track"):
        Wav2Lip().synthesize(make_job(params(checkpoint), faces=False))
    track = FaceTrack.load(clip_files / "faces.npz")
    track.boxes[:] = np.nan
    with pytest.raises(NoFace):
        Wav2Lip().synthesize(make_job(params(checkpoint), faces=track.save(tmp_path / "none.npz")))
    with pytest.raises(Refused, match="frame 0"):
        Wav2Lip().synthesize(make_job(params(checkpoint, box=(0, 0, 97, 80))))


def test_weights_are_never_replaced(
    make_job: Make, checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIPBENCH_WEIGHTS", str(tmp_path / "empty"))
    with pytest.raises(WeightsMissing, match=r"Wav2Lip-SD-NOGAN\.pt"):
        Wav2Lip().synthesize(make_job(Wav2Lip.spec.params(box=BOX)))
    with pytest.raises(WeightsMissing, match="no file"):
        Wav2Lip().synthesize(make_job(params("/nowhere.pth", box=BOX)))
    torch.save(SyncExpert(1 / 16).state_dict(), tmp_path / "expert.pth")
    with pytest.raises(WeightsMismatch, match="SyncExpert"):
        Wav2Lip().synthesize(make_job(params(str(tmp_path / "expert.pth"), box=BOX)))


def test_named_weights(make_job: Make, checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lipbench.core import weights

    monkeypatch.setenv("LIPBENCH_WEIGHTS", str(tmp_path / "weights"))
    weights.add("wav2lip_gan", checkpoint, any_size=True)
    assert run(make_job(Wav2Lip.spec.params(weights="wav2lip_gan", box=BOX)))[1]["width"] == 1 / 16


def test_the_packaged_weights_are_used_only_where_they_are_named() -> None:
    assert Wav2Lip().weights(Wav2Lip.spec.params()) == ("wav2lip",)
    assert Wav2Lip().weights(Wav2Lip.spec.params(weights="wav2lip-demo")) == ("wav2lip-demo",)
    net = load_checkpoint(weights.path("wav2lip-demo"))
    assert net.gated
    assert net.width < 1
    assert read_info(weights.path("wav2lip-demo"))["config"]["generator"]["width"] == net.width
    assert weights.path("wav2lip-demo").stat().st_size < 4 << 20


def test_what_the_params_need() -> None:
    method, make = Wav2Lip(), Wav2Lip.spec.params
    assert method.weights(make()) == ("wav2lip",)
    assert method.weights(make(weights="wav2lip_gan", detector="s3fd")) == ("wav2lip_gan", "s3fd")
    assert method.weights(make(detector="s3fd", box=BOX)) == ("wav2lip",)
    assert method.weights(make(weights_file="x.pth")) == ()
    assert isinstance(load("methods", "wav2lip"), Method)


def test_keys_see_code_and_checkpoint(checkpoint: str, tmp_path: Path) -> None:
    method = Wav2Lip()
    first = method.identity(params(checkpoint), "c", "fr")
    assert set(first) == {"weights_file"}
    torch.save(Wav2LipGenerator(1 / 16).state_dict(), tmp_path / "other.pth")
    assert method.identity(params(str(tmp_path / "other.pth")), "c", "fr")["weights_file"] != first["weights_file"]
    assert method.identity(Wav2Lip.spec.params(detector="s3fd"), "c", "fr")["detector"]["backend"] == "s3fd-wav2lip"
    with pytest.raises(WeightsMissing):
        method.identity(params("/nowhere.pth"), "c", "fr")


def test_the_published_detector_runs_in_prepare(
    make_job: Make, checkpoint: str, clip_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lipbench.faces

    asked: list[dict[str, Any]] = []
    track = FaceTrack.load(clip_files / "faces.npz")
    boxes = FaceTrack("s3fd-wav2lip", 25, 96, 80, track.boxes.copy(), track.score, track.n_faces)

    def detect(video: Path, **options: Any) -> FaceTrack:
        asked.append({"video": video, **options})
        return boxes

    monkeypatch.setattr(lipbench.faces, "track_faces", detect, raising=False)
    job = make_job(params(checkpoint, detector="s3fd"), faces=False)
    made = Wav2Lip().prepare(job)
    assert asked == [{"video": job.clip.video, "backend": "s3fd-wav2lip", "fps": 25.0, "device": "cpu"}]
    assert made.info == {"frames_without_face": 0}
    again = make_job(params(checkpoint, detector="s3fd"), faces=False, prepare_folder=job.out)
    assert run(again)[1]["boxes"] == "s3fd-wav2lip"
    boxes.boxes[:] = np.nan
    with pytest.raises(NoFace, match="published detector"):
        Wav2Lip().prepare(job)
    assert Wav2Lip().prepare(make_job(params(checkpoint))).files == {}


def test_listing_methods_needs_no_torch() -> None:
    code = (
        "import sys; from lipbench.core.registry import load\n"
        "for name in ('wav2lip', 'dubbed', 'precomputed', 'external', 'still-mouth'): load('methods', name)\n"
        "print([m for m in ('torch', 'librosa', 'pandas', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
