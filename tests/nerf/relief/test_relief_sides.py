"""A head that turns far gets a relief for each side: which ones, who draws which frame, and what that is worth."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lipbench.core.errors import UsageError, WeightsError
from lipbench.nerf.relief import sides, training
from lipbench.nerf.relief.config import relief_preset
from lipbench.nerf.relief.sides import TrainedSides, azimuths, fronts_of, load, shares
from lipbench.nerf.relief.sides_training import train
from lipbench.nerf.relief.trained import TrainedRelief

SMALL = {"condition": 4, "latent": 3, "directions": 3, "rays": 512, "frames": 4, "channels": 4, "width": 16}
PRESET = relief_preset("demo", {**SMALL, "steps": 6, "appearances": 3})
FAR = (
    0.0,
    -5.0,
    5.0,
    -10.0,
    10.0,
    31.0,
    66.0,
    68.0,
    70.0,
    75.0,
    80.0,
)  # degrees that the head turns to the image's right


def errors(model, scene, frames):
    """(N,) dB over the plate, in the head's pixels of each frame."""
    found = []
    for t, shown in zip(frames, model.render(scene, scene.condition[frames], frames), strict=True):
        over = shown.rgb + (1 - shown.alpha[..., None]) * scene.scene.plates[0] / 255
        found.append(-10 * np.log10(((over - scene.filmed[t] / 255)[scene.scene.head[t]] ** 2).mean()))
    return np.array(found)


@pytest.fixture(scope="module", name="far")
def _far(tmp_path_factory, ball_scene):
    """A scene of a ball that turns to one side, and what was trained on it; two fronts have three frames and more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sides, "LEAST", 3)
        said, scene, folder = [], ball_scene(yaw=FAR), tmp_path_factory.mktemp("sides")
        return scene, train(scene, PRESET, folder, previews=0, log=said.append), folder, said


def test_a_turned_scene_shows_the_same_and_its_front_is_another(ball_scene):
    scene = ball_scene(yaw=FAR)
    turned = scene.turned(-60)
    np.testing.assert_allclose(azimuths(turned), azimuths(scene) + 60, atol=1e-3)
    for t in (0, 9):
        one, other = (
            each.model.vertices(each.identity, each.condition[t]) @ each.rotation[t].T + each.translation[t]
            for each in (scene, turned)
        )
        np.testing.assert_allclose(one, other, atol=1e-5)
    low, high = scene.scene.bounds
    corner = np.array([low[0], low[1], high[2]]) @ np.array(
        [[0.5, 0, -np.sqrt(0.75)], [0, 1, 0], [np.sqrt(0.75), 0, 0.5]]
    )
    inside = (turned.scene.bounds[0] - 1e-5 <= corner) & (corner <= turned.scene.bounds[1] + 1e-5)
    assert inside.all()


def test_a_side_is_asked_for_by_frames_that_the_front_cannot_follow(monkeypatch):
    monkeypatch.setattr(sides, "LEAST", 3)
    assert fronts_of(np.array([0.0, 59.0, 59.0, 59.0, -59.9])) == (0.0,)
    assert fronts_of(np.array([0.0, 1.0, 2.0, 35.0, 40.0, 61.0])) == (0.0, 60.0)
    assert fronts_of(np.array([0.0, 1.0, 2.0, -35.0, -40.0, -80.0])) == (-60.0, 0.0)
    assert fronts_of(np.array([70.0, -70.0, 70, -70, 70, -70])) == (-60.0, 60.0)
    assert fronts_of(np.array([70.0, 70.0, 0.0, 70.0, 170.0])) == (60.0,)
    assert fronts_of(np.array([0.0, 0.0, 70.0, 70.0])) == (0.0,)  # too few of any side: the face's


def test_between_two_fronts_both_draw_and_nothing_jumps():
    azimuth = np.arange(-180.0, 180.0, 0.5)
    share = shares(azimuth, sides.FRONTS)
    np.testing.assert_allclose(share.sum(1), 1)
    np.testing.assert_array_equal(
        shares(np.array([-70.0, -37.0, 0.0, 23.0, 85.0]), sides.FRONTS).argmax(1), [0, 0, 1, 1, 2]
    )
    np.testing.assert_allclose(shares(np.array([30.0, -30.0]), sides.FRONTS), [[0, 0.5, 0.5], [0.5, 0.5, 0]])
    assert np.abs(np.diff(share, axis=0)).max() < 0.05
    np.testing.assert_allclose(share[0], [0.5, 0, 0.5])  # behind the head, too
    alone = np.abs(np.abs(azimuth) - 30) >= sides.SHARED
    assert (share[alone & (np.abs(azimuth) < 170)].max(1) == 1).all()
    assert (shares(azimuth, (60.0,)) == 1).all()


def test_each_side_is_trained_on_its_frames_and_the_far_ones_are_drawn_better(far, tmp_path):
    scene, model, folder, said = far
    assert isinstance(model, TrainedSides)
    assert model.fronts == (-60.0, 0.0)
    share = shares(azimuths(scene), model.fronts)
    for relief, mine in zip(model.reliefs, share.T, strict=True):
        np.testing.assert_array_equal(relief.frames, np.flatnonzero(mine))
    np.testing.assert_array_equal(model.frames, np.arange(11))
    assert len(model.reliefs[0].frames) + len(model.reliefs[1].frames) == 12  # one frame is in between
    assert {each.name for each in folder.iterdir()} == {"front-60", "front+0"}
    assert "the head from -60 degrees: 6 of 11 frames" in said
    assert model.facts["fronts"] == "-60, 0"
    assert model.facts["preset"]["steps"] == 6
    one = training.train(scene, PRESET, tmp_path, previews=0)
    frames = np.arange(6, 11)
    assert errors(model, scene, frames).mean() > errors(one, scene, frames).mean() + 3
    assert errors(model, scene, frames).min() > 24


def test_a_frame_in_between_is_drawn_by_both(far):
    scene, model, *_ = far
    share = shares(azimuths(scene), model.fronts)[5]
    assert share.min() > 0.05
    drawn = [
        next(relief.render(scene.turned(front), scene.condition[5:6], [5]))
        for front, relief in zip(model.fronts, model.reliefs, strict=True)
    ]
    found = list(model.render(scene, scene.condition[[9, 5, 0]], [9, 5, 0]))
    np.testing.assert_allclose(found[1].rgb, share[0] * drawn[0].rgb + share[1] * drawn[1].rgb, atol=1e-6)
    np.testing.assert_allclose(found[1].alpha, share[0] * drawn[0].alpha + share[1] * drawn[1].alpha, atol=1e-6)
    outside = found[1].alpha.copy()
    x0, y0, x1, y1 = found[1].box
    outside[y0:y1, x0:x1] = 0
    assert not outside.any()
    side = next(model.reliefs[0].render(scene.turned(-60), scene.condition[9:10], [9]))
    np.testing.assert_array_equal(found[0].rgb, side.rgb)


def test_only_what_is_wanted_of_each_frame_is_drawn(far):
    scene, model, *_ = far
    rows, wanted = [9, 5, 0], np.zeros((3, *scene.scene.size), bool)
    for k in range(3):
        wanted[k, 20 : 24 + 6 * k, 24:32] = True
    asked = list(model.render(scene, scene.condition[rows], rows, lambda k: wanted[k]))
    whole = list(model.render(scene, scene.condition[rows], rows))
    for k in range(3):
        np.testing.assert_allclose(asked[k].alpha[wanted[k]], whole[k].alpha[wanted[k]], atol=0.05)
        assert not asked[k].alpha[~wanted[k]].any()
    with pytest.raises(UsageError, match="frame 99"):
        next(model.render(scene, scene.condition[:1], [99]))
    with pytest.raises(UsageError, match="one row per output frame"):
        next(model.render(scene, scene.condition[:2], [0]))


def test_a_file_holds_all_sides_or_one_relief(far, ball_scene, tmp_path):
    scene, model, *_ = far
    again = load(model.save(tmp_path / "field.pt"))
    assert again.fronts == model.fronts
    one, other = (next(each.render(scene, scene.condition[5:6], [5])) for each in (model, again))
    np.testing.assert_array_equal(one.rgb, other.rgb)
    with pytest.raises(WeightsError):
        TrainedRelief.load(tmp_path / "field.pt")
    plain = train(ball_scene(), PRESET, tmp_path / "front", previews=0)
    assert isinstance(plain, TrainedRelief)
    assert isinstance(load(tmp_path / "front" / "field.pt"), TrainedRelief)
    held = torch.load(tmp_path / "field.pt", weights_only=True)
    held["sides"][1]["relief"]["relief_schema"] = 1
    torch.save(held, tmp_path / "old.pt")
    with pytest.raises(WeightsError, match="its schema is 1"):
        load(tmp_path / "old.pt")


def test_an_interrupted_training_goes_on_and_time_is_shared(far, monkeypatch):
    scene, model, folder, _ = far
    monkeypatch.setattr(sides, "LEAST", 3)
    asked = []
    real = training.train
    monkeypatch.setattr(training, "train", lambda *a, **k: asked.append(k.get("seconds")) or real(*a, **k))
    again = train(scene, PRESET, folder, previews=0, seconds=100.0)
    assert asked == [50.0, 50.0]
    for one, other in zip(model.reliefs, again.reliefs, strict=True):
        assert torch.equal(one.latents, other.latents)
