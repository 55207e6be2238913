"""Scenes: cameras, bounds, pooling, shrinking, files."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lipbench.core.errors import MediaError, TooShort, UsageError
from lipbench.faces.raster import Camera, euler_to_matrix
from lipbench.nerf import scene_from_fit
from lipbench.nerf.rays import box_interval, directions
from lipbench.nerf.scene import Scene, pool
from lipbench.nerf.scene_from_fit import make_scene

T, H, W, F = 8, 48, 64, 120.0


@pytest.mark.parametrize("q", [0.2, 3.0, 50.0, 99.8, 100.0])
def test_percentiles_of_counted_numbers_are_numpys(q):
    rng = np.random.default_rng(0)
    for _ in range(50):
        numbers = rng.integers(0, rng.integers(1, 60), rng.integers(16, 400))
        assert scene_from_fit._percentile(np.bincount(numbers, minlength=70), q) == np.percentile(numbers, q)


def test_rays_meet_what_the_camera_sees():
    """A head-space point projected by the package's camera lies on the ray of its pixel."""
    rotation = euler_to_matrix(np.array([[0.2, -0.3, 0.1]] * 5))
    translation = np.array([[0.1, -0.2, -7.0]] * 5)
    camera = Camera(F, W, H)
    head = np.ones((5, H, W), bool)
    scene = make_scene(
        np.zeros((5, H, W, 3), np.uint8),
        head,
        np.zeros((H, W, 3), np.uint8),
        rotation,
        translation,
        camera.focal,
        camera.center,
        np.zeros((5, 2)),
        np.tile([0, 0, 4, 4], (5, 1)),
    )
    point = np.array([0.3, 0.4, 0.5])  # dm
    u, v = camera.project(rotation[0] @ point + translation[0])
    c2w = torch.from_numpy(scene.c2w[:1])
    # AD-NeRF counts pixel corners: the center of pixel (i, j) lies at (j, i).
    row, column = (torch.tensor([[x - 0.5]], dtype=torch.float32) for x in (v, u))
    d = directions(c2w, row, column, scene.focal, scene.center)[0, 0].numpy()
    away = point / 10 - scene.c2w[0, :, 3]
    assert np.linalg.norm(np.cross(away, d)) / np.linalg.norm(d) < 1e-6
    depth = -(rotation[0] @ point + translation[0])[2] / 10
    np.testing.assert_allclose(scene.c2w[0, :, 3] + depth * d, point / 10, atol=1e-6)
    np.testing.assert_allclose(scene.near_far[0], [0.5, 1.1], atol=1e-6)


def test_frames_lie_over_the_plate(ball_scene):
    scene = ball_scene()
    assert (scene.frames[~scene.head] == 40).all()
    assert (scene.frames[scene.head] != 40).any()
    assert scene.plates.shape == (1, H, W, 3)
    moving = ball_scene(moving=True)
    assert moving.plates.shape == (T, H, W, 3)
    assert moving.shot.tolist() == list(range(T))


def test_a_scene_that_is_only_rendered_needs_no_plate():
    given = (np.full((5, H, W, 3), 7, np.uint8), np.ones((5, H, W), bool))
    poses = euler_to_matrix(np.zeros((5, 3))), np.array([[0.0, 0, -7]] * 5), F, (W / 2, H / 2), np.zeros((5, 2))
    scene = make_scene(*given, None, *poses, np.tile([0, 0, 4, 4], (5, 1)))
    over = make_scene(*given, given[0][0], *poses, np.tile([0, 0, 4, 4], (5, 1)))
    assert scene.frames is given[0]
    assert scene.plates.shape == (0, H, W, 3)
    assert scene.resized(0.5).plates.shape == (0, H // 2, W // 2, 3)
    for name in ("c2w", "near_far", "bounds", "mouth", "center", "focal"):
        np.testing.assert_array_equal(getattr(scene, name), getattr(over, name))


def test_bounds_hold_the_ball_closely(ball_scene):
    lo, hi = ball_scene().bounds
    assert (lo[:2] < -0.1).all()
    assert (hi[:2] > 0.1).all()
    assert (lo[:2] > -0.14).all()
    assert (hi[:2] < 0.14).all()
    assert hi[2] > 0.1


def test_shrinking_keeps_the_geometry(ball_scene):
    scene = ball_scene(96, 128)
    small = scene.resized(0.5)
    assert small.size == (48, 64)
    # The middle of a small pixel is the middle of the four pixels it was made of.
    c2w = torch.from_numpy(scene.c2w[:1])
    fine = directions(c2w, torch.tensor([[20.5]]), torch.tensor([[30.5]]), scene.focal, scene.center)
    coarse = directions(c2w, torch.tensor([[10.0]]), torch.tensor([[15.0]]), small.focal, small.center)
    torch.testing.assert_close(fine, coarse)
    assert small.head.sum() == pytest.approx(scene.head.sum() / 4, rel=0.05)
    assert scene.resized(1.0) is scene


def test_pooling_shots(ball_scene):
    one, other = ball_scene(), ball_scene(plate_value=90)
    both = pool([one, other])
    assert len(both) == 2 * T
    assert both.shot.tolist() == [0] * T + [1] * T
    assert both.plates[both.shot[-1], 0, 0, 0] == 90
    with pytest.raises(UsageError, match="shot 1"):
        pool([one, ball_scene(96, 128)])
    with pytest.raises(UsageError):
        pool([])


def test_taking_frames(ball_scene):
    scene = ball_scene()
    assert len(scene.take(np.arange(6))) == 6
    np.testing.assert_array_equal(scene.take(np.arange(T)[::-1]).c2w[0], scene.c2w[-1])
    with pytest.raises(TooShort):
        scene.take([0, 1, 2])


def test_files(tmp_path, ball_scene):
    scene = ball_scene()
    again = Scene.load(scene.save(tmp_path / "scene.npz"))
    for name in ("frames", "head", "c2w", "condition", "bounds", "shot"):
        np.testing.assert_array_equal(getattr(again, name), getattr(scene, name))
    assert again.center == scene.center
    (tmp_path / "bad.npz").write_bytes(b"no")
    with pytest.raises(MediaError):
        Scene.load(tmp_path / "bad.npz")


def test_refusals(ball_scene):
    scene = ball_scene()
    with pytest.raises(UsageError, match="condition"):
        scene.with_condition(np.zeros((3, 6)))
    empty = np.zeros((5, H, W), bool)
    poses = np.tile(np.eye(3), (5, 1, 1)), np.tile([0.0, 0.0, -7.0], (5, 1))
    boxes = np.tile([0, 0, 4, 4], (5, 1))
    black = np.zeros((5, H, W, 3), np.uint8)
    with pytest.raises(UsageError, match="no head"):
        make_scene(black, empty, black[0], *poses, F, (W / 2, H / 2), np.zeros((5, 2)), boxes)
    with pytest.raises(TooShort):
        make_scene(black[:2], ~empty[:2], black[0], *(p[:2] for p in poses), F, (1, 1), np.zeros((2, 2)), boxes[:2])


def test_box_interval():
    bounds = torch.tensor([[-1.0, -1, -1], [1, 1, 1]])
    d = torch.tensor([[[0.0, 0, -1], [0.5, 0, -1], [0, 0.2, -1]]])
    near, far = box_interval(torch.tensor([[0.0, 0, 4]]), d, bounds)
    torch.testing.assert_close(near[0], torch.tensor([3.0, 3.0, 3.0]))
    torch.testing.assert_close(far[0], torch.tensor([5.0, 2.0, 5.0]))  # the second misses: far before near
