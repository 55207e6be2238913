"""Where a dub's expression moves the head, and what is put in there."""

from __future__ import annotations

import numpy as np
import pytest

from lipbench.faces.morphable import load_model
from lipbench.faces.morphable.semantic import SEMANTIC, semantic_to_expression
from lipbench.faces.raster import Camera
from lipbench.lipnerf.composite.moved import moved_region, put_in
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


def region(own: np.ndarray, dub: np.ndarray, size: int = 256) -> np.ndarray:
    return moved_region(MESH, own, dub, *POSE, Camera(2.4 * size, size, size))


def there(mask: np.ndarray, k: int, expression: np.ndarray = STILL) -> float:
    """The value of a region at a landmark."""
    size = len(mask)
    points = MESH.vertices(expression)[MESH.mark_rows] @ POSE[0].T + POSE[1]
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
    np.testing.assert_allclose(region(dub, STILL), found, atol=0.15)  # and where it has gone from
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
    share = np.zeros((20, 20), np.float32)
    share[5:9], share[9] = 1, 0.5
    out = put_in(source, image, share)
    np.testing.assert_array_equal(out[5:9], image[5:9])
    np.testing.assert_allclose(out[9], (source[9].astype(float) + image[9]) / 2, atol=0.51)
    out[5:10] = source[5:10]
    np.testing.assert_array_equal(out, source)
