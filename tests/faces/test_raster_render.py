"""The renderer: image, labels and depth on small meshes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from lipbench.core.errors import UsageError
from lipbench.faces.raster import Camera, Light, Material, Renderer, Surface, SurfaceLabel, sh9

CAMERA = Camera(60, 64, 64)
FLAT = Light(sh=np.zeros((9, 3)) + np.eye(9)[0][:, None] * 2, color=np.zeros(3), shadows=False)


def plate(z: float = -5.0, half: float = 1.0, n: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """A square that faces the camera."""
    side = np.linspace(-half, half, n + 1)
    x, y = np.meshgrid(side, side)
    points = np.stack([x, y, np.full_like(x, z)], -1).reshape(-1, 3)
    i = np.arange(x.size).reshape(x.shape)
    a, b, c, d = i[:-1, :-1], i[:-1, 1:], i[1:, 1:], i[1:, :-1]
    return points, np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])


def test_background_stays_untouched_and_depth_is_metric() -> None:
    points, triangles = plate()
    background = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    before = background.copy()
    out = Renderer(Surface.plain(len(points), triangles)).render(points, CAMERA, FLAT, background=background)
    outside = out.labels == SurfaceLabel.BACKGROUND
    assert outside.any()
    np.testing.assert_array_equal(out.image[outside], before[outside])
    np.testing.assert_array_equal(background, before)
    inside = out.labels == SurfaceLabel.SKIN
    np.testing.assert_allclose(out.depth[inside], 5.0, rtol=1e-5)
    assert np.isinf(out.depth[outside]).all()
    # The square of 2 dm at 5 dm covers 24 x 24 px at f = 60.
    assert inside.sum() == 24 * 24


def test_supersampling_blends_edges_only() -> None:
    points, triangles = plate(half=1.013)
    renderer = Renderer(Surface.plain(len(points), triangles))
    black = np.zeros((64, 64, 3), np.uint8)
    fine = renderer.render(points, CAMERA, FLAT, supersample=4, background=black).image[..., 0].astype(int)
    coarse = renderer.render(points, CAMERA, FLAT, supersample=1, background=black).image[..., 0].astype(int)
    assert set(np.unique(coarse)) == {0, coarse.max()}
    assert len(np.unique(fine)) > 2
    assert (fine[24:40, 24:40] == fine.max()).all()


def test_display_bytes_survive_a_mixed_pixel_of_background_only() -> None:
    """Developing the background and back loses nothing visible: half-covered pixels fade to it."""
    from lipbench.faces.raster.resolve import CURVE_TOP, TONE_CURVE, UNDEVELOPED

    back = TONE_CURVE[(UNDEVELOPED * (len(TONE_CURVE) - 1) / CURVE_TOP).astype(int)]
    assert np.abs(back.astype(int) - np.arange(256)).max() <= 1


def test_light_from_one_side_and_its_shadow() -> None:
    points, triangles = plate(half=1.5, n=24)
    wall, wall_triangles = plate(z=-4.6, half=0.25, n=4)
    both = np.concatenate([points, wall])
    joined = np.concatenate([triangles, wall_triangles + len(points)])
    surface = replace(Surface.plain(len(both), joined), material=np.full(len(joined), Material.SKIN, np.uint8))
    light = Light(sh=np.zeros((9, 3)), direction=np.array([1.0, 0.0, 1.0]), color=np.ones(3), shadows=True)
    image = Renderer(surface).render(both, CAMERA, light).image[..., 0].astype(int)
    unshadowed = Renderer(surface).render(both, CAMERA, replace(light, shadows=False)).image[..., 0].astype(int)
    darker = unshadowed - image > 15
    ys, xs = np.nonzero(darker)
    assert len(xs) > 20
    # The wall floats 0.4 dm before the plate, lit from the right: its shadow falls 0.4 dm to the left.
    assert abs(xs.mean() - (32 - 0.4 / 5 * 60)) < 2
    assert abs(ys.mean() - 32) < 1


def test_spherical_harmonics_are_orthonormal() -> None:
    rng = np.random.default_rng(0)
    n = rng.normal(size=(200_000, 3))
    n /= np.linalg.norm(n, axis=1, keepdims=True)
    gram = 4 * np.pi * sh9(n).T @ sh9(n) / len(n)
    np.testing.assert_allclose(gram, np.eye(9), atol=0.03)


def test_ambient_bands_reach_the_right_normals() -> None:
    points, triangles = plate()
    renderer = Renderer(Surface.plain(len(points), triangles))

    def brightness(band: int) -> float:
        sh = np.zeros((9, 3))
        sh[0], sh[band] = 1.0, 0.4
        light = Light(sh=sh, color=np.zeros(3), shadows=False)
        return float(renderer.render(points, CAMERA, light).image[32, 32, 0])

    base = brightness(0)  # the plate's normal is +z: band 2 brightens, bands 1 and 3 do nothing
    assert brightness(2) > base
    assert brightness(1) == brightness(3) < brightness(2)


def test_wrong_shapes_are_errors() -> None:
    points, triangles = plate()
    renderer = Renderer(Surface.plain(len(points), triangles))
    with pytest.raises(UsageError, match="25 vertices"):
        renderer.render(points[:-1], CAMERA)
    with pytest.raises(UsageError, match="background"):
        renderer.render(points, CAMERA, background=np.zeros((10, 10, 3), np.uint8))


def test_same_input_same_bytes() -> None:
    points, triangles = plate()
    renderer = Renderer(Surface.plain(len(points), triangles, np.random.default_rng(0).random((len(points), 3))))
    a, b = (renderer.render(points, CAMERA, Light.sample(np.random.default_rng(3), 0.5)) for _ in range(2))
    np.testing.assert_array_equal(a.image, b.image)
    np.testing.assert_array_equal(a.labels, b.labels)


def test_import_compiles_nothing_and_needs_no_torch() -> None:
    code = (
        "import sys, lipbench.faces.raster.render as r, lipbench.faces.raster.zbuffer as z;"
        "assert not z.fill_zbuffer.signatures and not r.resolve.signatures;"
        "assert 'torch' not in sys.modules, 'torch'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
