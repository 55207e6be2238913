"""Where a dub's expression moves the head, and what is put in there."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lipbench.faces.morphable import load_model
from lipbench.faces.morphable.semantic import SEMANTIC, semantic_to_expression
from lipbench.faces.raster import Camera
from lipbench.lipnerf.composite.matte import straight
from lipbench.lipnerf.composite.moved import Moved, moved_region, over_source, solid
from lipbench.nerf.relief.mesh import HeadMesh

POSE = np.eye(3), np.array([0.0, 0.0, -8.0])
MODEL = load_model("procedural")
STILL = np.zeros(MODEL.n_expression)
MESH = HeadMesh(MODEL, np.zeros(MODEL.n_identity), STILL)


def jaw_down(share: float) -> np.ndarray:
    """The jaw opened by a share of what it can."""
    weights = np.zeros((1, len(SEMANTIC)))
    weights[0, SEMANTIC.index("jawOpen")] = share
    return np.asarray(semantic_to_expression(weights)[0] - semantic_to_expression(0 * weights)[0])


def moved(own: np.ndarray, dub: np.ndarray, size: int = 256) -> Moved:
    return moved_region(MESH, MESH.moved(own), MESH.moved(dub), *POSE, Camera(2.4 * size, size, size))


def region(own: np.ndarray, dub: np.ndarray, size: int = 256) -> np.ndarray:
    return moved(own, dub, size).share


def there(mask: np.ndarray, k: int, expression: np.ndarray = STILL) -> float:
    """The value of a region at a landmark."""
    size = len(mask)
    points = MESH.placed(MESH.moved(expression), *POSE)[MESH.mark_rows]
    x, y = Camera(2.4 * size, size, size).project(points)[k]
    return float(mask[int(y), int(x)])


def test_without_motion_only_the_lips_are_put_in() -> None:
    found = region(STILL, STILL)
    assert there(found, 57) > 0.9
    assert max(there(found, k) for k in (3, 8, 13, 19, 30, 37, 44)) == 0  # jaw, chin, brow, nose, eyes
    assert 0.005 < (found > 0).mean() < 0.05


def test_an_opening_jaw_takes_the_region_along_and_leaves_the_rest() -> None:
    dub = jaw_down(0.6)
    found = region(STILL, dub)
    assert min(there(found, 8), there(found, 57)) > 0.9
    assert there(found, 8, dub) > 0.9  # where the chin comes to
    np.testing.assert_allclose(region(dub, STILL), found, atol=0.4)  # and where it has gone from
    assert max(there(found, k) for k in (19, 27, 37, 44)) == 0
    assert found[:100].max() == 0
    assert found.min() >= 0
    assert found.max() <= 1


def test_less_motion_shows_less_of_the_rendered_head() -> None:
    areas = [float(region(STILL, jaw_down(size)).sum()) for size in (0.002, 0.05, 0.2, 0.6)]
    assert areas == sorted(areas)
    assert areas[0] == pytest.approx(region(STILL, STILL).sum(), rel=0.05)
    assert areas[-1] > 3 * areas[0]


def test_the_region_does_not_depend_on_the_size_of_the_image() -> None:
    dub = jaw_down(0.3)
    small, large = region(STILL, dub), region(STILL, dub, 512)
    assert abs(large[::2, ::2] - small).mean() < 0.01


def test_outside_of_the_region_the_frame_is_the_sources() -> None:
    rng = np.random.default_rng(0)
    source, image = rng.integers(0, 256, (2, 20, 20, 3), dtype=np.uint8)
    share, nothing = np.zeros((20, 20), np.float32), np.zeros((16, 20), np.float32)
    share[5:9], share[9] = 1, 0.5
    view = np.s_[2:18, 0:20]
    lips = Moved(share, view, np.full((16, 20, 2), 1.7, np.float32), nothing, nothing, nothing, 1.0)
    out = over_source(source, image, lips)
    np.testing.assert_array_equal(out[5:9], image[5:9])
    np.testing.assert_allclose(out[9], (source[9].astype(float) + image[9]) / 2, atol=0.51)
    skin = over_source(source, image, lips._replace(skin=nothing + 1))
    for each in (out, skin):
        each[5:10] = source[5:10]
        np.testing.assert_array_equal(each, source)


def whole(found: Moved, part: np.ndarray) -> np.ndarray:
    """A part of what was moved, 0 outside of its view."""
    out = np.zeros((*found.share.shape, *part.shape[2:]), np.float32)
    out[found.view] = part
    return out


def test_the_flow_leads_from_the_dubs_skin_to_the_sources() -> None:
    dub = jaw_down(0.4)
    found = moved(STILL, dub)
    here, there_ = (
        Camera(614.4, 256, 256).project(MESH.placed(MESH.moved(e), *POSE)[MESH.mark_rows]) for e in (STILL, dub)
    )
    x, y = there_[7].astype(int)  # jaw, beside the chin
    np.testing.assert_allclose(whole(found, found.flow)[y - 2, x], (here - there_)[7], atol=1.5)
    assert there(whole(found, found.skin), 57, dub) < 0.1  # lips
    assert there(whole(found, found.little), 8, dub) == 0  # the chin moves far


def test_skin_keeps_its_detail_and_takes_the_light_of_the_rendered_head() -> None:
    rng = np.random.default_rng(0)
    found = moved(STILL, jaw_down(0.4))
    grain = rng.integers(-20, 21, (256, 256, 1))
    source = (120 + grain + np.zeros(3)).astype(np.uint8)
    drawn = np.full_like(source, 140)
    out = over_source(source, drawn, found)
    skin, little = whole(found, found.skin), whole(found, found.little)
    fine = (skin > 0.95) & (little == 0) & (found.share > 0.9)
    assert fine.sum() > 200
    assert out[fine].astype(float).mean() == pytest.approx(140, abs=2)  # its light
    assert out[fine].std() > 0.6 * source[fine].std()  # its grain
    lips = (skin == 0) & (little == 0) & (found.share == 1)
    assert lips.sum() > 200
    np.testing.assert_array_equal(out[lips], drawn[lips])


def test_skin_that_is_half_rendered_shows_its_detail_once() -> None:
    found = moved(STILL, jaw_down(0.1), 512)
    lines = 120 + 40 * np.sin(np.arange(512) * np.pi / 2 + 0.6)  # one every 4 px
    source = np.repeat(np.broadcast_to(lines[:, None], (512, 512))[..., None], 3, 2).astype(np.uint8)
    out = over_source(source, np.full_like(source, 120), found)
    far = np.linalg.norm(whole(found, found.flow), axis=2) > 1
    half = (whole(found, found.skin) > 0.95) & far & (found.share > 0.3) & (found.share < 0.7)
    assert half.sum() > 200
    assert out[half].std() > 0.95 * source[half].std()  # two beside each other would be blurred


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_an_outline_that_moves_little_is_the_filmed_one_moved_by_its_share(share: float) -> None:
    y, x = np.mgrid[:256, :256].astype(np.float32)
    source = np.repeat((128 + 100 * np.sin(y / 2))[..., None], 3, 2).astype(np.uint8)  # up to 50 levels a pixel
    found = moved(STILL, jaw_down(0.06))
    found = found._replace(share=np.full_like(found.share, share))
    out = over_source(source, np.zeros_like(source), found)
    way, near = share * whole(found, found.flow), whole(found, found.little) == 1
    wanted = cv2.remap(source, x + way[..., 0], y + way[..., 1], cv2.INTER_CUBIC)
    assert near.sum() > 50
    assert abs(wanted[near] - source[near].astype(float)).max() > 8 * share
    np.testing.assert_allclose(out[near], wanted[near], atol=2)
    x, y = (
        Camera(614.4, 256, 256)
        .project(MESH.placed(MESH.moved(STILL), *POSE)[MESH.mark_rows[[57, 8]]])
        .mean(0)
        .astype(int)
    )
    assert whole(found, found.little)[y, x] < 0.1  # not within the face


def test_a_frayed_outline_is_closed_where_mesh_and_mask_agree() -> None:
    found = moved(STILL, jaw_down(0.4))
    bare = whole(found, found.bare)
    skin = bare > 0.99
    rng = np.random.default_rng(0)
    head = np.ones((256, 256), bool)
    alpha = np.where((bare > 0) & (rng.random(bare.shape) > 0.12), 1, 0).astype(np.float32)
    alpha[:, :100] = 0  # nothing is seen there far and wide
    holes = skin & (alpha == 0)
    holes[:, :106] = False
    color = np.array([0.6, 0.4, 0.2], np.float32)
    rgb, closed = solid(color * alpha[..., None], alpha, head, found)
    inner = holes & (cv2.blur(bare, (9, 9)) > 0.99)
    assert inner.sum() > 100
    assert closed[inner].min() > 0.99
    np.testing.assert_allclose(rgb[inner], np.broadcast_to(color, rgb[inner].shape), atol=0.01)
    assert closed[:, :95].max() == 0
    kept = (alpha == 1) | (bare == 0)
    np.testing.assert_array_equal(closed[kept], alpha[kept])
    np.testing.assert_array_equal(rgb[kept], (color * alpha[..., None])[kept])
    _, unknown = solid(color * alpha[..., None], alpha, ~head, found)  # the source frame shows no head there
    np.testing.assert_array_equal(unknown, alpha)


def test_a_hole_takes_the_colors_about_it() -> None:
    found = moved(STILL, jaw_down(0.4))
    rng = np.random.default_rng(0)
    alpha, head = (whole(found, found.bare) > 0).astype(np.float32), np.ones((256, 256), bool)
    rgb = cv2.GaussianBlur(rng.random((256, 256, 3)).astype(np.float32), (0, 0), 2) * alpha[..., None]
    solids = np.argwhere(cv2.blur(whole(found, found.bare), (15, 15)) > 0.99)
    y, x = solids[len(solids) // 2]
    alpha[y, x] = rgb[y, x] = 0
    closed, _ = solid(rgb, alpha, head, found)
    # What is looked at about a hole is all that matters to it.
    np.testing.assert_allclose(
        closed[y, x],
        found.bare[y - found.view[0].start, x - found.view[1].start] * straight(rgb, alpha)[y, x],
        atol=1e-6,
    )
    assert closed[y, x].min() > 0.1


def test_lips_are_left_as_they_are_drawn() -> None:
    dub = jaw_down(0.4)
    found = moved(STILL, dub)
    assert there(whole(found, found.bare), 57, dub) < 0.1
    assert there(whole(found, found.bare), 48, dub) < 0.1
