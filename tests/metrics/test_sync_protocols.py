"""Whole videos through both protocols and through the metric family: small sync model with seeded weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from lipbench import media
from lipbench.core import weights
from lipbench.core.errors import UnknownName, UsageError, WeightsMissing
from lipbench.core.metric import MetricFamily, Pair
from lipbench.core.registry import load
from lipbench.engine.score_json import score_json
from lipbench.faces.track import Box, FaceTrack
from lipbench.metrics.sync import SyncFamily, SyncNet, SyncOptions, evaluate, measure, models
from lipbench.metrics.sync.models import SyncModel
from lipbench.metrics.sync.result import METRIC_IDS
from lipbench.metrics.sync.tracks import crop, crop_path

SIZE = 48
W, H = 160, 120


def small_net() -> SyncNet:
    torch.manual_seed(5)
    return SyncNet(0.1, SIZE).eval()


def sound(n_frames: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 3000, int(n_frames * 640)).astype(np.int16)


def image(n: int, seed: int = 0) -> np.ndarray:
    """(n, H, W, 3) smooth moving colors: no cuts."""
    rng = np.random.default_rng(seed)
    base = cv2.resize(rng.integers(60, 190, (8, 10, 3)).astype(np.uint8), (W + 2 * n, H))
    return np.stack([base[:, 2 * t : 2 * t + W] for t in range(n)])


def clip(path: Path, n: int, *, fps: float = 25, audio: np.ndarray | None = None, frames: Any = None) -> Path:
    frames = image(n) if frames is None else frames
    media.write_video(path, frames, fps, audio=audio, lossless=True)
    return path


def face_track(n: int, *, fps: float = 25, box: tuple[float, ...] = (50, 30, 110, 95)) -> FaceTrack:
    boxes = np.tile(np.array(box, np.float32), (n, 1))
    boxes[:, [0, 2]] += np.sin(np.arange(n) / 9).astype(np.float32)[:, None] * 6
    return FaceTrack("corpus", fps, W, H, boxes, np.ones(n, np.float32), np.ones(n, np.int16))


@pytest.fixture(scope="module")
def net() -> SyncNet:
    return small_net()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """70 frames at 25 fps with sound."""
    return clip(tmp_path_factory.mktemp("sync") / "clip.mp4", 70, audio=sound(70))


RULES: dict[str, Any] = {"min_track": 20, "min_face_size": 40}


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


@pytest.mark.parametrize(("rule", "index"), [("longest", 1), ("best", None), ("weighted", None)])
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
        assert got.value("lse_d") == pytest.approx((one.lse_d * 65 + two.lse_d * 35) / 100)
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
        evaluate(video, sync_model=net, aggregate="mean")
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


# -- the family -----------------------------------------------------------------------------------------------------


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, net: SyncNet) -> Iterator[None]:
    """A sync model called "small" whose weights exist."""
    file = net.save(tmp_path / "small.npz", half=False)
    monkeypatch.setattr(models, "BUILTIN", (*models.BUILTIN, SyncModel("small", "small_w", 0.1, SIZE, False, "test")))
    models.sync_models.cache_clear()
    path, sha256 = weights.path, weights.sha256
    monkeypatch.setattr(weights, "path", lambda name: file if name == "small_w" else path(name))
    monkeypatch.setattr(weights, "sha256", lambda name: "ab" * 32 if name == "small_w" else sha256(name))
    yield
    models.sync_models.cache_clear()


def pair(video: Path, tmp_path: Path, **options: Any) -> Pair:
    media.write_wav(tmp_path / "dub.wav", sound(70))
    faces = face_track(70).save(tmp_path / "faces.npz")
    return Pair(
        video,
        None,
        None,
        tmp_path / "dub.wav",
        faces,
        "",
        None,
        None,
        25.0,
        tmp_path,
        {"sync_model": "small", **RULES, **options},
    )


@pytest.mark.usefixtures("scored")
def test_family_answers_every_metric(video: Path, tmp_path: Path, net: SyncNet) -> None:
    family = load("metrics", "sync")
    assert isinstance(family, SyncFamily)
    assert isinstance(family, MetricFamily)
    scores = family.score(pair(video, tmp_path))
    want = evaluate(video, sound(70), sync_model=net, faces=face_track(70), **RULES)
    assert set(scores) == {spec.id for spec in family.metrics} == set(METRIC_IDS)
    for name, score in scores.items():
        assert score.value == pytest.approx(want.value(name), rel=1e-6)
        assert (score.n_valid, score.n_total) == (65, 65)
        assert score.extra["sync_model"] == "small"
        assert score.extra["sync_model_published"] is False
        assert score.extra["published_protocol"] is False
        json.dumps(score_json(score, "1"), allow_nan=False)
    assert "audio" in scores["av_offset"].extra["words"]
    (row,) = scores["lse_d"].extra["tracks"]
    assert len(row["distances"]) == 31
    assert row["n_windows"] == 65
    assert scores["lse_d"].per_frame is not None
    assert scores["av_offset"].per_frame is None


@pytest.mark.usefixtures("scored")
def test_family_gives_reasons(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    family = SyncFamily()
    asked = pair(video, tmp_path)
    for changed, start in (
        (replace(asked, faces=None, faces_reason="no_face: none in the source"), "no_face: none in the source"),
        (replace(asked, faces=None), "no_face: "),
        (replace(asked, options={**asked.options, "min_track": 100}), "too_short: "),
        (replace(asked, prediction=tmp_path / "absent.mp4"), "bad_media: "),
    ):
        scores = family.score(changed)
        assert all(s.value is None and str(s.reason).startswith(start) for s in scores.values()), start
        assert all(s.extra["sync_model"] == "small" for s in scores.values())
    monkeypatch.setenv("LIPBENCH_WEIGHTS", str(tmp_path / "none"))
    missing = family.score(replace(asked, options={"sync_model": "syncnet_v2"}))
    assert set(missing) == set(METRIC_IDS)
    assert all("lipbench weights get syncnet_v2" in str(s.reason) for s in missing.values())
    no_detector = family.score(replace(asked, options={**asked.options, "boxes_from": "prediction"}))
    assert all("lipbench weights get sfd_face" in str(s.reason) for s in no_detector.values())
    with pytest.raises(UsageError):
        family.score(replace(asked, options={"sync_model": "small", "protocol": "best"}))


@pytest.mark.usefixtures("scored")
def test_few_windows_have_no_valid_variant(video: Path, tmp_path: Path) -> None:
    asked = pair(video, tmp_path, min_track=5)
    media.write_wav(tmp_path / "dub.wav", sound(16))
    scores = SyncFamily().score(asked)
    assert scores["lse_c"].value is not None
    assert "only 11 windows" in str(scores["lse_c"].reason)
    assert scores["lse_c_valid"].value is None
    assert str(scores["lse_c_valid"].reason).startswith("too_short")


@pytest.mark.usefixtures("scored")
def test_identity_names_the_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    family = SyncFamily()
    assert family.identity({"sync_model": "small"})["sync_model_sha256"] == "ab" * 32
    monkeypatch.setenv("LIPBENCH_WEIGHTS", str(tmp_path / "none"))
    assert family.identity({})["sync_model_sha256"] is None
    assert family.identity({}) != family.identity({"min_track": 50})
    assert "boxes" not in family.identity({})
    boxes = family.identity({"boxes_from": "prediction"})["boxes"]
    assert (boxes["detector"], boxes["weights"]) == ("s3fd-syncnet", None)
    with pytest.raises(UnknownName):
        family.identity({"sync_model": "smal"})


def test_what_counts_as_the_published_protocol() -> None:
    assert SyncOptions(boxes_from="prediction").published_protocol
    assert SyncOptions(protocol="cropped").published_protocol
    for other in (
        SyncOptions(),
        SyncOptions(boxes_from="prediction", detector="mediapipe-face"),
        SyncOptions(boxes_from="prediction", min_track=50),
        SyncOptions(protocol="cropped", precision="bfloat16"),
    ):
        assert not other.published_protocol
        assert len(other.deviations) == 2


def test_directions_and_conventions() -> None:
    better = {spec.id: spec.better for spec in SyncFamily.metrics}
    assert better == {
        "lse_d": "lower",
        "lse_c": "higher",
        "av_offset": "zero",
        "lse_d_at_zero": "lower",
        "lse_c_valid": "higher",
    }
    offset = next(spec for spec in SyncFamily.metrics if spec.id == "av_offset")
    assert "positive: the audio leads" in offset.convention
    assert offset.unit == "frames"


def test_importing_the_family_loads_no_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from lipbench.metrics.sync import SyncFamily; SyncFamily().metrics; print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


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
