"""Frames whose fit is wrong are put in their place; what they have beside their mean is mixed by their codes."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from lipbench.core.errors import WeightsError
from lipbench.nerf.relief.appearance import appearances
from lipbench.nerf.relief.config import relief_preset
from lipbench.nerf.relief.grid import FLOOR
from lipbench.nerf.relief.intervals import settled
from lipbench.nerf.relief.mesh import canonical
from lipbench.nerf.relief.registration import Canvas, away_from_lips, registered
from lipbench.nerf.relief.trained import TrainedRelief
from lipbench.nerf.relief.training import ReliefTraining

SMALL = {"condition": 4, "latent": 6, "directions": 3, "rays": 64, "frames": 4, "channels": 4, "width": 16, "looks": 2}
SMALL["appearances"] = 4
OFF = 0.05  # dm, by which poses are wrong: two pixels


def training_of(scene, **changes) -> ReliefTraining:
    return ReliefTraining(scene, relief_preset("demo", {**SMALL, **changes}))


@pytest.fixture(scope="module")
def striped(ball_scene):
    """The ball of 112 px with stripes that stick to it."""
    scene = ball_scene(112)
    plain = training_of(scene, registration=False)
    filmed = scene.filmed.copy()
    for t in range(len(scene)):
        view = plain.mesh.view(scene.condition[t], scene.rotation[t], scene.translation[t], scene.camera)
        x, y, _ = np.moveaxis(canonical(view, scene.rotation[t], scene.translation[t], scene.camera), -1, 0)
        level = 128 + 50 * np.sin(9 * x + 2) * np.sin(8 * y) + 40 * np.sin(5 * x - 4 * y)
        filmed[t][view.hit] = level[view.hit, None]
    return replace(scene, filmed=filmed, scene=replace(scene.scene, frames=filmed))


@pytest.fixture(scope="module")
def wrong(striped):
    """The same with poses that are wrong."""
    c2w = striped.scene.c2w.copy()
    c2w[:, :2, 3] += OFF / 10 * np.random.default_rng(1).choice([-1, 1], (len(c2w), 2))
    return replace(striped, scene=replace(striped.scene, c2w=c2w))


@pytest.fixture(scope="module")
def put(wrong):
    """They are put in their place."""
    return training_of(wrong, appearances=0)


def spread(training: ReliefTraining, warps) -> float:
    """How far frames are from their mean on the head at rest, levels."""
    canvas = Canvas(training.shown, training.mesh, training.relief, training._texels(1.0))
    shown, masks = zip(*(canvas.head(t, warps[t]) for t in range(len(warps))), strict=True)
    mask = np.stack(masks) * away_from_lips(training.mesh, training.relief.place, canvas.size)
    rows = np.stack(shown)[..., 0].astype(float)
    mean = (rows * mask).sum(0) / np.maximum(mask.sum(0), 1)
    return float(np.sqrt((np.square(rows - mean) * mask).sum() / mask.sum()))


def test_frames_are_put_in_their_place(striped, wrong, put):
    none = np.zeros_like(put.warps)
    assert spread(put, none) > 1.8 * spread(put, put.warps)
    x, y = (put.warps[:, 32, 32, k] - put.warps[:, 32, 32, k].mean() for k in (0, 1))
    origin = wrong.scene.c2w[:, :2, 3] - striped.scene.c2w[:, :2, 3]
    off = -10 * (origin - origin.mean(0))  # a camera that is said to be further right has the head further left
    assert np.corrcoef(x, -off[:, 0])[0, 1] > 0.9
    assert np.corrcoef(y, -off[:, 1])[0, 1] > 0.9
    still = training_of(striped, appearances=0).warps
    assert np.abs(still).mean() < 0.25 * np.abs(put.warps).mean()  # right poses stay


def test_it_is_the_same_every_time(wrong, put):
    assert np.array_equal(put.warps, training_of(wrong, appearances=0).warps)
    assert np.array_equal(put.warps, put.warps.astype(np.float16))  # as a file holds them


def test_pictures_are_better_for_it(wrong, put):
    error = {}
    for on, training in ((False, training_of(wrong, registration=False, appearances=0)), (True, put)):
        found = [np.square(training._image(t) - wrong.filmed[t] / 255)[wrong.scene.head[t]].mean() for t in range(8)]
        error[on] = np.mean(found)
    assert error[True] < 0.6 * error[False]


def test_a_displacement_goes_along_the_relief(striped):
    training = training_of(striped, registration=False)
    t, relief = 2, training.relief
    pose = striped.rotation[t], striped.translation[t], striped.camera
    view = settled(relief, training.mesh.view(striped.condition[t], *pose), *pose)
    warp = np.full((5, 4, 2), [0.06, -0.04], np.float32)
    before, after = canonical(view, *pose), canonical(registered(view, warp, relief, *pose), *pose)
    assert np.allclose((before - after)[..., :2], [0.06, -0.04], atol=1e-5)
    left, top, width, height = relief.place
    h, w = relief.middle.shape

    def above(points):
        column = (points[..., 0] - left) / width * w - 0.5
        row = (top - points[..., 1]) / height * h - 0.5
        middle = cv2.remap(relief.middle, column.astype(np.float32), row.astype(np.float32), cv2.INTER_LINEAR)
        return points[..., 2] - middle

    inner = cv2.erode(view.hit.astype(np.uint8), np.ones((25, 25), np.uint8)) > 0
    assert np.abs(above(before) - above(after))[inner].max() < 5e-3
    unmoved = registered(view, np.zeros((5, 4, 2), np.float32), relief, *pose)
    assert unmoved is view


def test_beside_the_mesh_rays_meet_the_relief(striped):
    training = training_of(striped, registration=False)
    t, relief = 1, training.relief
    pose = striped.rotation[t], striped.translation[t], striped.camera
    view = training.mesh.view(striped.condition[t], *pose)
    near = cv2.dilate(view.hit.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool) & ~view.hit

    def off(found) -> float:
        x, y, z = canonical(found, *pose)[near].T
        left, top, width, height = relief.place
        h, w = relief.middle.shape
        row, column = ((top - y) / height * h).astype(int), ((x - left) / width * w).astype(int)
        return float(np.abs(z - relief.middle[row.clip(0, h - 1), column.clip(0, w - 1)]).mean())

    there = settled(relief, view, *pose)
    assert off(there) < 0.3 * off(view)
    assert off(there) < 0.01  # what did not meet it is moved onto it
    inner = cv2.erode(view.hit.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert np.abs(there.depth - view.depth)[inner].max() < 0.02  # there the mesh is the middle


def test_a_mouth_keeps_its_depth(striped):
    """What lies behind the middle stays there between the lips, and nowhere else; what lies before it nowhere."""
    training = training_of(striped, registration=False)
    t, pose = 1, (striped.rotation[1], striped.translation[1], striped.camera)
    view = training.mesh.view(striped.condition[t], *pose)
    inner = cv2.erode(view.hit.astype(np.uint8), np.ones((25, 25), np.uint8)) > 0

    def away(relief) -> np.ndarray:
        x, y, z = np.moveaxis(canonical(settled(relief, view, *pose), *pose), -1, 0)
        left, top, width, height = relief.place
        h, w = relief.middle.shape
        column, row = (x - left) / width * w - 0.5, (top - y) / height * h - 0.5
        middle = cv2.remap(relief.middle, column.astype(np.float32), row.astype(np.float32), cv2.INTER_LINEAR)
        return (z - middle)[inner]

    whole, none = (-1.0, -1.0, 3.0, 6.0), (2.0, 2.0, 1.0, 1.0)
    relief = training.relief
    before = relief._replace(middle=relief.middle + 0.1)  # the mesh lies .1 dm behind it
    assert away(before._replace(mouth=whole)).mean() == pytest.approx(-0.1, abs=0.01)
    assert np.abs(away(before._replace(mouth=none))).max() < 5e-3
    chin = (-1.0, -3.0, 3.0, 4.5)  # whose lower third lies over the relief
    assert np.abs(away(before._replace(mouth=chin))).max() < 5e-3
    behind = relief._replace(middle=relief.middle - 0.1)
    assert np.abs(away(behind._replace(mouth=whole))).max() < 5e-3


def test_appearances_are_what_frames_have_beside_their_mean(striped):
    scene = striped
    bright = scene.filmed.astype(float)
    light = np.array([-40, -25, -10, 0, 5, 15, 25, 30])
    lit = np.clip(bright + light[:, None, None, None] * scene.scene.head[..., None], 0, 255).astype(np.uint8)
    scene = replace(scene, filmed=lit, scene=replace(scene.scene, frames=lit))
    training = training_of(scene)
    found = training.found
    assert found.codes.shape == (8, 4)
    assert np.std(found.codes[:, 0]) == pytest.approx(1.0, rel=0.05)
    assert abs(np.corrcoef(found.codes[:, 0], light)[0, 1]) > 0.95
    canvas = Canvas(scene, training.mesh, training.relief, found.images.shape[:2])
    every = appearances(canvas, training.warps, 99)
    assert every.codes.shape[1] == 7  # of eight frames
    one, two = (np.log(x.clip(5.1, 249.9) / (255 - x.clip(5.1, 249.9))) for x in (lit[0] * 1.0, lit[7] * 1.0))
    shown = [np.einsum("nmkc,k->nmc", every.images, every.codes[t]) for t in (0, 7)]
    inside = canvas.head(0, training.warps[0])[1] * canvas.head(7, training.warps[7])[1] > 0
    wanted = float((two - one)[scene.scene.head[0] & scene.scene.head[7]].mean())
    assert float((shown[1] - shown[0])[inside, :3].mean()) == pytest.approx(wanted, rel=0.15)
    assert torch.equal(training.latents[:, 6:10].detach(), torch.from_numpy(found.codes))


def test_codes_change_nothing_at_the_lips(ball_scene):
    training = training_of(ball_scene())
    training.field.window.zero_()
    training.field.window[:, : training.field.window.shape[1] // 2] = 1.0
    frames = torch.zeros(1, dtype=torch.long)
    x, y = torch.tensor([[14.0, 42.0]]) + 0.5, torch.tensor([[20.0, 20.0]]) + 0.5
    code = training.codes(frames, training.told, training.latents[frames]).detach()
    other = code.clone()
    other[:, -4:] += 3.0
    with torch.no_grad():
        one, two = (training.field.render(training.views, frames, x, y, c)[0] for c in (code, other))
    away = (one - two).abs().sum(1)
    assert away[0] > 1e-3
    assert away[1] < 1e-6


def test_a_file_holds_them_and_old_files_are_refused(tmp_path, wrong):
    training = training_of(wrong)
    model = training.trained({})
    again = TrainedRelief.load(model.save(tmp_path / "field.pt"))
    assert np.array_equal(again.warp([3]), training.warps[3:4])
    assert torch.equal(again.field.appearances.values, model.field.appearances.values)
    assert torch.equal(again.field.window, model.field.window)
    held = torch.load(tmp_path / "field.pt", weights_only=True)
    torch.save({**held, "relief_schema": 1}, tmp_path / "old.pt")
    with pytest.raises(WeightsError, match="its schema is 1"):
        TrainedRelief.load(tmp_path / "old.pt")


def test_without_them_nothing_is_displaced_or_held_back(wrong, put):
    training = training_of(wrong, registration=False, appearances=0, behind=0, mouth_looks=False)
    assert training.warps.shape == (8, 1, 1, 2)
    assert training.field.appearances is None
    view = training.mesh.view(wrong.condition[0], wrong.rotation[0], wrong.translation[0], wrong.camera)
    assert np.array_equal(training.views.shift[0].numpy(), view.shift)
    assert all((grid.floor == FLOOR).all() for grid in training.grids)
    assert float(put.grids[0].floor.min()) > 1000 * FLOOR
    assert not np.array_equal(put.views.shift[0].numpy(), view.shift)
