"""The control rows: what bounds the metrics must be exactly what it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lipbench import media
from lipbench.baselines.controls import Dubbed, ShiftedAudio, StillMouth, Truth, delayed
from lipbench.baselines.spec import ShiftedParams
from lipbench.baselines.still_mouth import bridged, head_motion, neutral_frame, rigid
from lipbench.core.errors import NoFace, Refused, Unsupported
from lipbench.core.method import DubJob, Method
from lipbench.core.registry import load
from lipbench.faces.track import FaceTrack

Make = Callable[..., DubJob]


def shown(method: Method, job: DubJob) -> np.ndarray:
    made = method.synthesize(job)
    info = media.probe(made.files["video"])
    assert (info.width, info.height, float(info.fps)) == (job.clip.width, job.clip.height, job.clip.fps)
    assert job.dub is not None
    assert info.n_frames == job.dub.n_frames
    assert info.audio is not None
    assert info.audio.duration_s == pytest.approx(job.dub.n_frames / job.clip.fps, abs=0.1)
    return media.load_frames(made.files["video"])


def nearly(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal but for one more passage through 8-bit 4:2:0, which costs color at hard edges."""
    difference = np.abs(a.astype(int) - b)
    return bool(difference.mean() < 0.8 and np.percentile(difference, 99) < 12)


@pytest.mark.parametrize("name", ["dubbed", "truth", "still-mouth", "shifted-audio"])
def test_controls_are_registered_and_never_ranked(name: str) -> None:
    method = load("methods", name)
    assert method.spec.id == name
    assert method.spec.kind == "control"
    assert isinstance(method, Method)


def test_dubbed_is_the_reference_bit_by_bit(make_job: Make, clip_files: Path) -> None:
    job = make_job(Dubbed.spec.params())
    assert np.array_equal(shown(Dubbed(), job), media.load_frames(clip_files / "dub.mp4"))


def test_truth_is_the_truth_under_the_dub(make_job: Make, clip_files: Path) -> None:
    job = make_job(Truth.spec.params(), truth=True)
    assert np.array_equal(shown(Truth(), job), media.load_frames(clip_files / "truth.mp4"))


def test_no_truth_says_so(make_job: Make) -> None:
    with pytest.raises(Unsupported, match=r"no truth video of c1\.fr") as caught:
        Truth().synthesize(make_job(Truth.spec.params()))
    assert caught.value.reason == "unsupported"


@pytest.mark.parametrize("truth", [False, True])
@pytest.mark.parametrize("by", [0, 6, -3])
def test_shifted_moves_the_image_only(make_job: Make, clip_files: Path, by: int, truth: bool) -> None:
    job = make_job(ShiftedAudio.spec.params(frames=by), truth=truth)
    frames = shown(ShiftedAudio(), job)
    source = media.load_frames(clip_files / ("truth.mp4" if truth else "dub.mp4"))
    expected = source[np.clip(np.arange(20) - by, 0, 19)]
    assert nearly(frames, expected)
    assert not nearly(frames, np.roll(expected, 1, axis=0))
    made = media.read_audio(job.out / "video.mp4").astype(float)[:12800]
    dub = media.read_audio(clip_files / "dub.wav").astype(float)
    assert np.corrcoef(made, dub)[0, 1] > 0.99


@pytest.mark.parametrize("by", [0, 1, 3, 9, -1, -3, -9])
@pytest.mark.parametrize("n", [0, 1, 5])
def test_delayed_keeps_the_number_of_frames(by: int, n: int) -> None:
    expected = [min(max(t - by, 0), n - 1) for t in range(n)]
    assert list(delayed(iter(range(n)), by)) == expected  # type: ignore[arg-type]


def test_default_shift_is_six_frames() -> None:
    assert ShiftedParams().frames == 6


# -- still mouth --------------------------------------------------------------------------------------------------


def lips(frames: np.ndarray) -> np.ndarray:
    """(T, H, W) where the drawn lips (dark red) are."""
    red = (frames[..., 1] < 85) & (frames[..., 2] < 90)
    red[:, :, :25], red[:, :, 75:] = False, False
    return red


def test_still_mouth_stops_the_lips_and_keeps_the_rest(make_job: Make, clip_files: Path) -> None:
    frames = shown(StillMouth(), make_job(StillMouth.spec.params()))
    source = media.load_frames(clip_files / "dub.mp4")
    before, after = lips(source).sum((1, 2)), lips(frames).sum((1, 2))
    assert np.ptp(before) > 80
    assert np.ptp(after) < 25
    assert abs(after.mean() - np.median(before)) < 12
    difference = np.abs(frames.astype(int) - source)
    assert nearly(frames[:, :36], source[:, :36])  # eyes and above
    assert nearly(frames[:, :, :22], source[:, :, :22])
    assert difference[:, 44:68, 32:68].mean() > 2


def test_still_mouth_follows_the_head(make_job: Make) -> None:
    frames = shown(StillMouth(), make_job(StillMouth.spec.params()))
    columns = [np.argwhere(f)[:, 1].mean() for f in lips(frames)]
    assert columns[-1] - columns[0] == pytest.approx(0.4 * 19, abs=1.2)


def test_still_mouth_bridges_lost_frames(make_job: Make, clip_files: Path, tmp_path: Path) -> None:
    track = FaceTrack.load(clip_files / "faces.npz")
    for lost in (0, 7, 8):
        track.boxes[lost], track.landmarks[lost] = np.nan, np.nan  # type: ignore[index]
    track.score[[0, 7, 8]], track.n_faces[[0, 7, 8]] = 0, 0
    track.save(tmp_path / "gaps.npz")
    made = StillMouth().synthesize(make_job(StillMouth.spec.params(), faces=tmp_path / "gaps.npz"))
    assert made.info == {"mouth_of_frame": 11, "frames_without_face": 3, "motion": "picture"}
    frames = media.load_frames(made.files["video"])
    assert np.ptp(lips(frames).sum((1, 2))) < 25


def test_still_mouth_needs_a_face_with_landmarks(make_job: Make, clip_files: Path, tmp_path: Path) -> None:
    track = FaceTrack.load(clip_files / "faces.npz")
    FaceTrack("s3fd", 25, 96, 80, track.boxes, track.score, track.n_faces).save(tmp_path / "boxes.npz")
    params = StillMouth.spec.params()
    with pytest.raises(Unsupported, match="boxes, no landmarks"):
        StillMouth().synthesize(make_job(params, faces=tmp_path / "boxes.npz"))
    with pytest.raises(Refused, match="without a face track"):
        StillMouth().synthesize(make_job(params, faces=False))
    track.boxes[:] = np.nan
    track.save(tmp_path / "none.npz")
    with pytest.raises(NoFace, match="20 frames"):
        StillMouth().synthesize(make_job(params, faces=tmp_path / "none.npz"))


def test_the_neutral_mouth_is_the_usual_one(landmarks: np.ndarray) -> None:
    """Not the first one, wide open here, nor the most closed one; the head may come nearer, and faces may be lost."""
    points = np.repeat(landmarks[:1], 5, axis=0)
    for t, gap in enumerate((40.0, 6.0, 0.0, 7.0, 5.5)):
        for above, below in ((61, 67), (62, 66), (63, 65)):
            points[t, below] = points[t, above] + [0, gap, 0]
    assert neutral_frame(points) == 1  # openings 0, 5.5, 6, 7, 40
    points[3] *= 4  # as open as before, seen from nearer
    assert neutral_frame(points) == 1
    points[1] = np.nan
    assert neutral_frame(points[..., :2]) == 4  # 0, 5.5, 7, 40: the median is 6.25, between two; the nearer one


@pytest.mark.parametrize("dimensions", [2, 3])
def test_rigid_motion_is_found(dimensions: int) -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(0, 30, (13, dimensions))
    turn = np.linalg.qr(rng.normal(size=(dimensions, dimensions)))[0]
    turn[:, 0] *= np.sign(np.linalg.det(turn))
    shift = rng.normal(0, 9, dimensions)
    assert np.allclose(rigid(points, points @ (1.2 * turn).T + shift), np.column_stack([1.2 * turn, shift]))
    mirrored = points * np.where(np.arange(dimensions) == 0, -1, 1)
    assert np.linalg.det(rigid(points, mirrored)[:, :-1]) > 0  # a head is never turned inside out


def test_a_nod_foreshortens_the_mouth(landmarks: np.ndarray) -> None:
    points = np.zeros((2, 68, 3))
    points[0] = landmarks[0]
    angle = np.radians(25)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    points[1] = points[0] @ turn.T
    points[1, 48:] += 5  # what the lips do does not matter
    motion = head_motion(np.repeat(points, [9, 9], axis=0), 0)[-1]
    assert motion[0, 0] == pytest.approx(1, abs=1e-6)
    assert motion[1, 1] == pytest.approx(np.cos(angle), abs=1e-6)


def test_bridging() -> None:
    points = np.full((5, 1, 2), np.nan)
    points[1], points[3] = [[0, 4]], [[2, 0]]
    assert bridged(points)[:, 0].tolist() == [[0, 4], [0, 4], [1, 2], [2, 0], [2, 0]]
