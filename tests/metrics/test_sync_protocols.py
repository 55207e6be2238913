"""Whole videos through both protocols: small sync model with seeded weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from lipbench import media
from lipbench.core import weights
from lipbench.core.errors import UnknownName, UsageError, WeightsMissing
from lipbench.faces.track import Box, FaceTrack
from lipbench.metrics.sync import SyncNet, evaluate, measure
from lipbench.metrics.sync.tracks import crop, crop_path
from tests.metrics.sync_videos import RULES, SIZE, clip, face_track, image, small_net, sound


@pytest.fixture(scope="module")
def net() -> SyncNet:
    return small_net()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """70 frames at 25 fps with sound."""
    return clip(tmp_path_factory.mktemp("sync") / "clip.mp4", 70, audio=sound(70))


# -- realvideo ----------------------------------------------------------------------------------------------------


def test_realvideo_scores_the_published_crop(net: SyncNet, video: Path) -> None:
    track = face_track(70)
    got = evaluate(video, sound(70), sync_model=net, faces=track, **RULES)
    path = crop_path(track.boxes)
    crops = [crop(f, path.x[t], path.y[t], path.s[t], SIZE)[..., ::-1] for t, f in enumerate(media.load_frames(video))]
    want = net.score(np.stack(crops), sound(70))
    assert got.value("lse_d") == pytest.approx(want.lse_d, rel=1e-6)
    assert got.value("lse_c") == pytest.approx(want.lse_c, rel=1e-5)
    assert (got.n_windows, got.n_frames, len(got.tracks)) == (65, 70, 1)
    assert got.facts["boxes_from"] == "reference"
    assert got.facts["detector"] == "corpus"
    assert got.facts["constants"]["vshift"] == 15
    assert got.facts["options"]["min_track"] == 20
    assert any("handed in" in line for line in got.facts["deviations"])
    assert "audio l" in got.lines()[1] or "aligned" in got.lines()[1]


def test_own_sound_is_used_when_none_is_given(net: SyncNet, video: Path) -> None:
    other = evaluate(video, sync_model=net, faces=face_track(70), **RULES)
    assert other.reason is None
    assert other.facts["audio_s"] == pytest.approx(70 / 25, abs=0.1)


def test_sound_of_a_track_starts_with_the_track(net: SyncNet, video: Path) -> None:
    track = face_track(70)
    track.boxes[:30] = np.nan
    got = evaluate(video, sound(70), sync_model=net, faces=track, **RULES)
    (row,) = got.tracks
    assert (row.first, row.n_frames, row.n_detections) == (30, 40, 40)
    path = crop_path(track.boxes[30:])
    crops = [
        crop(f, path.x[t], path.y[t], path.s[t], SIZE)[..., ::-1] for t, f in enumerate(media.load_frames(video)[30:])
    ]
    want = net.score(np.stack(crops), sound(70)[30 * 640 :])
    assert got.value("lse_d") == pytest.approx(want.lse_d, rel=1e-6)
    frames = got.per_frame("lse_d")
    assert frames is not None
    assert np.flatnonzero(np.isfinite(frames)).tolist() == list(range(32, 32 + 35))
    assert np.nanmean(frames) == pytest.approx(want.lse_d, rel=1e-5)


def test_a_cut_splits_the_track(net: SyncNet, tmp_path: Path) -> None:
    frames = image(80)
    frames[45:] = 255 - image(35, seed=3) // 4
    video = clip(tmp_path / "cut.mp4", 80, frames=frames)
    got = evaluate(video, sound(80), sync_model=net, faces=face_track(80), **RULES)
    assert got.facts["shots"] == [[0, 45], [45, 80]]
    assert [(t.first, t.n_frames) for t in got.tracks] == [(0, 45), (45, 35)]


def test_thirty_fps_is_converted_and_recorded(net: SyncNet, tmp_path: Path) -> None:
    video = clip(tmp_path / "thirty.mp4", 60, fps=30)
    got = evaluate(video, sound(50), sync_model=net, faces=face_track(60, fps=30), **RULES)
    assert got.n_frames == 50
    assert got.n_windows == 45
    assert got.facts["source_fps"] == 30
    assert got.facts["resampled"] is True
    same = evaluate(clip(tmp_path / "same.mp4", 30), sound(30), sync_model=net, faces=face_track(30), **RULES)
    assert same.facts["resampled"] is False


@pytest.mark.parametrize(("rule", "index"), [("longest", 1), ("best", None), ("weighted", None), ("mean", None)])
def test_several_people(
    net: SyncNet, video: Path, monkeypatch: pytest.MonkeyPatch, rule: str, index: int | None
) -> None:
    def detect(frames: np.ndarray) -> list[list[Box]]:
        start, seen["n"] = seen["n"], seen["n"] + len(frames)
        both = [[Box(10, 20, 60, 80, 0.99), Box(90, 20, 150, 90, 0.95)] for _ in frames]
        return [b if 10 <= start + i < 50 else b[1:] for i, b in enumerate(both)]

    seen = {"n": 0}
    monkeypatch.setattr(measure, "resolve_detector", lambda name: "s3fd-syncnet")
    monkeypatch.setattr(measure, "frame_detector", lambda name, device: detect)
    got = evaluate(video, sound(70), sync_model=net, aggregate=rule, **RULES)
    assert seen["n"] == 70
    assert got.facts["detector"] == "s3fd-syncnet"
    assert got.facts["boxes_from"] == "prediction"
    # Right before left: from frame 0 on, the right face is the only one.
    assert [(t.first, t.n_frames) for t in got.tracks] == [(0, 70), (10, 40)]
    one, two = (t.score for t in got.tracks)
    assert one is not None
    assert two is not None
    if rule == "longest":
        assert got.value("lse_d") == one.lse_d
        assert got.n_windows == 65
    elif rule == "best":
        assert got.value("lse_d") == max((one, two), key=lambda s: s.lse_c).lse_d
    else:
        weights = (65, 35) if rule == "weighted" else (50, 50)
        assert got.value("lse_d") == pytest.approx((one.lse_d * weights[0] + two.lse_d * weights[1]) / 100)
        assert got.n_windows == 100
        assert got.chosen is None
    assert "2 tracks" in (got.remark or "")


def test_reasons_instead_of_silence(net: SyncNet, video: Path, tmp_path: Path) -> None:
    lost = face_track(70)
    lost.boxes[:] = np.nan
    assert _reason(evaluate(video, sound(70), sync_model=net, faces=lost, **RULES)).startswith("no_face: ")
    short = _reason(evaluate(video, sound(70), sync_model=net, faces=face_track(70)))
    assert short.startswith("too_short: the longest face track has 70 frames, more than 100")
    tiny = evaluate(video, sound(70), sync_model=net, faces=face_track(70), min_track=20)
    assert _reason(tiny).startswith("face_too_small: the largest face is 65 px, more than 100 px")
    mute = clip(tmp_path / "mute.mp4", 30)
    assert _reason(evaluate(mute, sync_model=net, faces=face_track(30), **RULES)).startswith("no_audio: ")
    five = evaluate(clip(tmp_path / "five.mp4", 5), sound(5), sync_model=net, faces=face_track(5), min_track=0, **TINY)
    assert _reason(five).startswith("too_short: the track is too short")
    little = evaluate(video, sound(5), sync_model=net, faces=face_track(70), **RULES)
    assert _reason(little).startswith("too_short: ")
    for result in (tiny, five):
        assert result.value("lse_d") is None
        assert "no sync score" in result.lines()[0]


TINY: dict[str, Any] = {"min_face_size": 10}


def _reason(result: Any) -> str:
    assert result.value("lse_c") is None
    return str(result.reason)


def test_shorter_sound_is_used_as_far_as_it_goes(net: SyncNet, video: Path) -> None:
    got = evaluate(video, sound(40.5), sync_model=net, faces=face_track(70), **RULES)
    assert got.n_windows == 35
    assert got.facts["audio_s"] == pytest.approx(40.5 / 25, abs=1e-3)
    assert got.facts["video_s"] == pytest.approx(70 / 25, abs=1e-3)


# -- cropped --------------------------------------------------------------------------------------------------------


def test_cropped_squeezes_the_whole_frame(net: SyncNet, video: Path) -> None:
    got = evaluate(video, sound(70), sync_model=net, protocol="cropped")
    frames = np.stack([cv2.resize(f, (SIZE, SIZE))[..., ::-1] for f in media.load_frames(video)])
    want = net.score(frames, sound(70))
    assert got.value("lse_d") == pytest.approx(want.lse_d, rel=1e-6)
    assert got.tracks[0].face_size is None
    assert got.facts["options"]["protocol"] == "cropped"
    five = evaluate(video, sound(5), sync_model=net, protocol="cropped")
    assert _reason(five).startswith("too_short: ")


def test_wrong_requests_are_named(net: SyncNet, video: Path) -> None:
    with pytest.raises(UsageError, match="aggregate"):
        evaluate(video, sync_model=net, aggregate="median")
    with pytest.raises(UsageError, match="min_trak"):
        evaluate(video, sync_model=net, min_trak=3)
    with pytest.raises(UnknownName, match="face backend"):
        evaluate(video, sync_model=net, detector="s3fd")
    with pytest.raises(UsageError, match="reads a file"):
        evaluate(video, sync_model=net, detector="corpus")
    with pytest.raises(UnknownName, match="syncnet_v2"):
        evaluate(video, sync_model="syncnet_v3")


def test_missing_weights_name_the_command(video: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LIPBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsMissing, match="lipbench weights get syncnet_v2"):
        evaluate(video)
    with pytest.raises(WeightsMissing, match="lipbench weights get sfd_face"):
        evaluate(video, sound(70), sync_model=small_net())


@pytest.mark.real
def test_faces_are_detected_in_the_video_itself(net: SyncNet, real_clips: Path) -> None:
    if not weights.available("mediapipe-face"):
        pytest.skip("needs the weights mediapipe-face")
    got = evaluate(real_clips / "office.mp4", sync_model=net, detector="mediapipe-face")
    assert got.reason is None
    assert (got.facts["boxes_from"], got.facts["detector"]) == ("prediction", "mediapipe-face")
    assert got.facts["frames_with_face"] == got.n_frames == len(got.per_frame("lse_d"))  # type: ignore[arg-type]


@pytest.mark.real
@pytest.mark.parametrize(("name", "box"), [("katie.mp4", (140, 110, 395, 470)), ("office.mp4", (230, 120, 470, 420))])
def test_real_footage_is_read_at_25_fps(net: SyncNet, real_clips: Path, name: str, box: tuple[int, ...]) -> None:
    info = media.probe(real_clips / name)
    n = info.n_frames
    track = FaceTrack(
        "file",
        float(info.fps),
        info.width,
        info.height,
        np.tile(np.array(box, np.float32), (n, 1)),
        np.ones(n, np.float32),
        np.ones(n, np.int16),
    )
    got = evaluate(real_clips / name, sync_model=net, faces=track)
    assert got.reason is None
    assert got.n_frames == round(info.duration_s * 25)
    assert abs(got.facts["audio_s"] - info.duration_s) < 0.2
    assert got.n_windows >= min(got.n_frames, int(got.facts["audio_s"] * 25)) - 5
    assert got.facts["resampled"] is (name == "office.mp4")
