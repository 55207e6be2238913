"""Further shots of one actor: fitted as one person, trained together, the clip's own frames first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lipbench import media
from lipbench.core import registry
from lipbench.core.errors import Unsupported, UsageError
from lipbench.core.method import ClipInput, FitJob, PrepareJob
from lipbench.faces.track import FaceTrack
from lipbench.lipnerf import method as module
from lipbench.lipnerf import shots
from lipbench.lipnerf.fitting import FitOptions
from lipbench.lipnerf.fitting.options import PRESETS
from lipbench.lipnerf.params import LipNerfParams
from lipbench.nerf.training.trained import TrainedField
from tests.lipnerf.half_size import half_size

DEMO = Path(module.__file__).parents[1] / "datasets" / "demo" / "clips" / "demo-en"
QUICK = {"photometric": False, "focal": 350.0, "identity_frames": 10, "iterations": 6}


@pytest.fixture(scope="module")
def two() -> list[shots.Shot]:
    """Two parts of a generated clip at half its size, with two seconds between them."""
    frames, track = half_size(DEMO)
    return [shots.Shot(frames[rows], track.take(rows)) for rows in (np.arange(26), np.arange(80, 100))]


def test_join_puts_a_lost_frame_between_shots(two: list[shots.Shot]) -> None:
    joined = shots.join([shot.track for shot in two])
    assert joined.lost_frames == [26]
    assert joined.landmarks is not None
    assert two[1].track.landmarks is not None
    np.testing.assert_array_equal(joined.landmarks[27:], two[1].track.landmarks)
    with pytest.raises(Unsupported, match="together"):
        shots.join([two[0].track, replace(two[1].track, width=10)])


def test_shots_are_one_person_with_their_own_poses(two: list[shots.Shot]) -> None:
    first, second = shots.prepare_shots(two, FitOptions(**QUICK), "color", lambda _: None)
    np.testing.assert_array_equal(first.fit.identity, second.fit.identity)
    assert first.fit.focal == second.fit.focal
    assert first.crop == second.crop
    assert (len(first.fit), len(second.fit)) == (26, 20)
    assert np.nanmean(second.fit.landmark_error_px) < 1.5
    # The cut is no movement: each end's pose is as it is when its shot is fitted alone.
    alone = shots.prepare_shots(two[:1], FitOptions(**QUICK), "color", lambda _: None)[0]
    assert np.abs(alone.fit.translation[-1] - first.fit.translation[-1]).max() < 0.2


def test_a_shots_lost_frames_are_filled_from_itself(two: list[shots.Shot]) -> None:
    track = two[1].track
    marks, boxes = np.array(track.landmarks), track.boxes.copy()
    marks[:4], boxes[:4] = np.nan, np.nan
    broken = shots.Shot(two[1].frames, replace(track, landmarks=marks, boxes=boxes))
    fit = shots.prepare_shots([two[0], broken], FitOptions(**QUICK), "color", lambda _: None)[1].fit
    assert not fit.found[:4].any()
    np.testing.assert_allclose(fit.translation[:4], np.repeat(fit.translation[4:5], 4, 0))


def test_the_method_trains_on_them(two: list[shots.Shot], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "landmarks", QUICK)
    clip, shot = tmp_path / "clip.mp4", tmp_path / "shot.mp4"
    media.write_video(clip, two[0].frames, 25)
    media.write_video(shot, two[1].frames, 25)
    two[0].track.save(tmp_path / "faces.npz")
    h, w = two[0].frames.shape[1:3]
    params = LipNerfParams(
        shots=(str(shot),),
        faces="demo-face",
        fit="landmarks",
        parser="color",
        field="triplane",
        steps=3,
        size=32,
        settings={"rays": 64, "frames": 2},
    )
    given = ClipInput("c", clip, None, 25, 26, w, h, "en", tmp_path / "faces.npz")
    first, second = tmp_path / "prepare", tmp_path / "fit"
    first.mkdir()
    second.mkdir()
    method: module.LipNerf = registry.load("methods", "lipnerf")
    assert "demo-face" in method.weights(params)
    job = PrepareJob(out=first, clip=given, params=params, log=lambda _: None)
    assert method.prepare(job).info["shots"] == 2
    fit = FitJob(out=second, clip=given, params=params, prepare_folder=first, log=lambda _: None)
    facts = method.fit(fit).info
    assert (facts["frames"], facts["shots"]) == (46, 2)
    assert TrainedField.load(tmp_path / "fit" / "field.pt").latents.shape[0] == 46
    with pytest.raises(Unsupported, match="whole clip"):
        method.fit(replace(fit, train_seconds=1.0))


def test_a_shot_is_known_by_its_content(tmp_path: Path) -> None:
    method: module.LipNerf = registry.load("methods", "lipnerf")
    (tmp_path / "a.mp4").write_bytes(b"a")
    (tmp_path / "b.mp4").write_bytes(b"a")
    one, same = (LipNerfParams(shots=(str(tmp_path / name),)) for name in ("a.mp4", "b.mp4"))
    for stage in ("prepare", "fit", "synthesize"):
        assert method.stage_inputs(stage, one) == method.stage_inputs(stage, same)
        assert method.stage_inputs(stage, one) != method.stage_inputs(stage, LipNerfParams())
    with pytest.raises(UsageError, match="there is no shot"):
        method.identity(LipNerfParams(shots=("nowhere.mp4",)), "c", "")


def test_another_size_is_refused(two: list[shots.Shot], tmp_path: Path) -> None:
    media.write_video(tmp_path / "small.mp4", two[1].frames[:, :64, :64], 25)
    with pytest.raises(Unsupported, match="one camera"):
        shots.read_shot(tmp_path / "small.mp4", two[0], "demo-face", tmp_path / "kept")


def test_tracks_without_landmarks_join() -> None:
    boxes = FaceTrack("x", 25, 8, 8, np.ones((3, 4), np.float32), np.ones(3, np.float32), np.ones(3, np.int16))
    assert shots.join([boxes, boxes]).lost_frames == [3]


def test_a_long_clip_is_trained_on_in_part() -> None:
    np.testing.assert_array_equal(shots.spread([(0, 60), (60, 100)], 100), np.arange(100))
    rows = shots.spread([(0, 600), (600, 605), (605, 1500)], 300)
    assert {0, 599, 600, 604, 605, 1499} <= set(rows.tolist())  # nothing between is of two shots
    assert 290 <= len(rows) <= 303
    assert (np.diff(rows) > 0).all()
    assert np.diff(rows).max() <= 6
    assert len(shots.spread([(0, 1500)], 500)) == 500
