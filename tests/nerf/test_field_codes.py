"""Blinks out of the codes: where codes begin, what conditions keep to themselves, which rays teach what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lipbench.lipnerf.face_boxes import eye_boxes, eye_opening
from lipbench.nerf.scene import Scene, pool
from lipbench.nerf.training.codes import eye_codes, lid_direction, without
from lipbench.nerf.training.presets import preset
from lipbench.nerf.training.trained import TrainedField, render_frames
from lipbench.nerf.training.trainer import FieldTraining, train

SMALL = {
    "condition": 6,
    "latent": 4,
    "rays": 192,
    "frames": 4,
    "size": 0,
    "warmup": 5,
    "steps": 50,
    "mouth_share": 0.25,
    "resolutions": (8, 16),
    "channels": 4,
    "blended": 16,
    "blend": 4,
    "width": 32,
    "fine": 6,
}
SHUT = np.array([0, 1, 0, 0, 1, 0, 1, 0], bool)


def blinking(ball: Scene, told: bool = False) -> Scene:
    """The ball with two dark spots that only some frames have; told: its conditions say which."""
    frames = ball.frames.copy()
    eyes = np.array([[22, 16, 31, 24], [33, 16, 42, 24]])
    for x0, y0, x1, y1 in eyes:
        frames[SHUT, y0:y1, x0:x1] = 20
    condition = 0.1 * ball.condition  # too little to tell the frames apart by
    if told:
        condition[:, 0] = 3.0 * ~SHUT
    boxes = np.tile(eyes, (len(ball), 1, 1))
    return replace(ball, frames=frames, condition=condition, eyes=boxes, lids=np.float32(~SHUT))


def small(**changes):
    return preset("demo", "triplane", {**SMALL, **changes})


def spots(model, scene, codes_of) -> np.ndarray:
    """Mean brightness of the spots in two views without them, under their own condition and the codes of others."""
    shown = render_frames(model, scene, scene.condition[2:4], model.latent(codes_of), [2, 3])
    return np.array([f.rgb[18:22, 24:40].mean() for f in shown])


def test_codes_carry_what_the_condition_does_not_tell(tmp_path, ball_scene):
    scene = blinking(ball_scene(), told=True)
    model = train(scene, small(), tmp_path, previews=0)
    again = TrainedField.load(tmp_path / "field.pt")
    np.testing.assert_array_equal(again.removed_direction, model.removed_direction)
    assert (spots(model, scene, [2, 3]) - spots(model, scene, [1, 4]) > 0.15).all()
    # A condition that says "shut" shuts nothing.
    said = scene.condition.copy()
    said[:, 0] = 0.0
    assert abs(float(model.removed_direction[0])) > 0.95
    assert np.abs(spots(model, scene.with_condition(said), [2, 3]) - spots(model, scene, [2, 3])).max() < 0.03


def test_lids_are_taken_out_where_the_condition_tells_them():
    rng = np.random.default_rng(0)
    lids = (rng.random(200) > 0.9).astype(float)
    other = rng.normal(size=(200, 10))
    way = rng.normal(size=10)
    way /= np.linalg.norm(way)
    told = 0.5 * other - 4 * lids[:, None] * way
    found = lid_direction(told, 1 - lids)
    assert abs(float(found @ way)) > 0.95
    rest = without(told, found)
    assert np.abs((rest - rest.mean(0)).T @ (lids - lids.mean())).max() < 1e-3
    np.testing.assert_allclose(without(rest, found), rest, atol=1e-6)
    assert lid_direction(other, lids) is None
    assert lid_direction(np.zeros((200, 4)), lids) is None
    assert lid_direction(other, np.ones(200)) is None
    np.testing.assert_array_equal(without(other, None), np.float32(other))


def test_codes_begin_with_the_eyes(ball_scene):
    scene = blinking(ball_scene())
    codes = eye_codes(scene, 6)
    assert codes.shape == (8, 6)
    first = np.abs(codes[:, 0] - codes[~SHUT, 0].mean())
    assert first[SHUT].min() > 3 * first[~SHUT].max()
    np.testing.assert_allclose(codes[:, 0].std(), 1.0, rtol=1e-3)
    assert eye_codes(scene, 0).shape == (8, 0)
    assert not eye_codes(ball_scene(), 4).any()
    assert eye_codes(scene, 12)[:, 8:].max() == 0
    assert FieldTraining(scene, small()).latents[1, 0].abs() > 1
    assert FieldTraining(scene, small(code_start="random")).latents.abs().max() < 0.1


def test_the_mouth_teaches_no_code(ball_scene):
    scene = blinking(ball_scene())
    for codes, taught in (("other", False), ("own", True)):
        settings = small(mouth_share=1.0, eye_share=0.0, mouth_codes=codes, latent_penalty=0.0)
        training = FieldTraining(scene, settings)
        batch = training.drawer.draw(training.field)
        assert batch.mouth == (0 if taught else 4)
        training._backward(batch)
        gradient = training.latents.grad
        assert (gradient is not None and bool(gradient.any())) is taught
        assert training.field.fine.inp_code.weight.grad.any()


def test_blinks_are_drawn_more_often(ball_scene):
    scene = blinking(ball_scene())
    drawer = FieldTraining(scene, small(rare_share=0.5)).drawer
    assert drawer.odds.sum() == pytest.approx(1.0)
    assert drawer.odds[torch.from_numpy(SHUT)].min() > 1.5 * drawer.odds[torch.from_numpy(~SHUT)].max()
    for same in (small(rare_share=0.0), small(rare_share=0.5, latent=0)):
        assert FieldTraining(scene, same).drawer.odds.tolist() == pytest.approx([1 / 8] * 8)
    assert FieldTraining(ball_scene(), small(rare_share=0.5)).drawer.odds.tolist() == pytest.approx([1 / 8] * 8)


def pixels(training, batch):
    local = batch.rays.direction @ training.drawer.c2w[batch.frames][:, :, :3]
    scene = training.scene
    column, row = local[..., 0] * scene.focal + scene.center[0], -local[..., 1] * scene.focal + scene.center[1]
    return column.round(), row.round()


def within(column, row, box):
    return (column >= box[0]) & (column < box[2]) & (row >= box[1]) & (row < box[3])


def test_rays_on_eyes_and_mouth(ball_scene):
    """A quarter of the frames for the mouth alone; half of all rays, two thirds of the others', on the eyes."""
    scene = blinking(ball_scene())
    training = FieldTraining(scene, small(mouth_share=0.25, eye_share=0.5, rays=400))
    batch = training.drawer.draw(training.field)
    column, row = pixels(training, batch)
    mouth = within(column, row, scene.mouth[0])
    assert batch.mouth == 1
    assert mouth[0].all()
    left, right = (within(column[1:, :67], row[1:, :67], box) for box in scene.eyes[0])
    assert (left | right).all()
    assert 0.2 < left.float().mean() < 0.8
    mixed = FieldTraining(scene, small(mouth_share=0.25, eye_share=0.5, rays=400, mouth_codes="own"))
    column, row = pixels(mixed, mixed.drawer.draw(mixed.field))
    assert within(column[:, :25], row[:, :25], scene.mouth[0]).all()
    left, right = (within(column[:, 25:75], row[:, 25:75], box) for box in scene.eyes[0])
    assert (left | right).all()


def test_boxes_of_the_eyes_hang_on_their_corners():
    points = np.full((3, 68, 2), np.nan)
    points[0] = np.random.default_rng(0).normal(50, 5, (68, 2))
    eye = np.array([[0, 0], [4, -3], [8, -3], [12, 0], [8, 3], [4, 3]], float)
    points[0, 36:42], points[0, 42:48] = eye + np.array([40, 60]), eye + np.array([70, 60])
    points[1] = points[0]
    points[1, [37, 38, 40, 41, 43, 44, 46, 47], 1] = 60.0  # shut
    boxes, opening = eye_boxes(points), eye_opening(points)
    np.testing.assert_array_equal(boxes[0], boxes[1])
    np.testing.assert_array_equal(boxes[2], boxes[1])  # the frame without landmarks
    np.testing.assert_array_equal(boxes[0, 0], [36, 52, 56, 68])
    np.testing.assert_allclose(opening, [0.5, 0.0, 0.0], atol=1e-6)


def test_scenes_keep_eyes_and_lids(tmp_path, ball_scene):
    scene = blinking(ball_scene())
    again = Scene.load(scene.save(tmp_path / "scene.npz"))
    np.testing.assert_array_equal(again.eyes, scene.eyes)
    assert pool([scene, scene]).lids.tolist() == [*scene.lids, *scene.lids]
    np.testing.assert_array_equal(scene.resized(0.5).eyes[0], [[11, 8, 16, 13], [16, 8, 22, 13]])
    assert scene.take([1, 2, 3, 4, 5]).lids.tolist() == [0, 1, 1, 0, 1]
    plain = ball_scene()
    assert plain.eyes.shape == (8, 0, 4)
    assert not plain.lids.any()
    assert torch.equal(FieldTraining(plain, small()).drawer.eyes, torch.zeros(8, 0, 4, dtype=torch.int64))
