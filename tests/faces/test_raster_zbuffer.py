"""The z-buffer against analytic geometry and a brute-force rasterizer; camera and rotation conventions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipbench.faces.raster import (
    Camera,
    barycentrics,
    euler_to_matrix,
    interpolate,
    matrix_to_euler,
    vertex_normals,
    visibility,
)

TRIANGLE = np.array([[0, 1, 2]])


def sphere(n: int = 24, radius: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """A closed sphere of n x 2n quads, counter-clockwise from outside, moved to z = -5."""
    polar, azimuth = np.meshgrid(np.linspace(0, np.pi, n + 1), np.linspace(0, 2 * np.pi, 2 * n + 1), indexing="ij")
    points = radius * np.stack([np.sin(polar) * np.sin(azimuth), np.cos(polar), np.sin(polar) * np.cos(azimuth)], -1)
    index = np.arange(polar.size).reshape(polar.shape)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    triangles = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    return points.reshape(-1, 3) + np.array([0, 0, -5]), triangles


def test_projection_is_adnerfs() -> None:
    camera = Camera(100, 64, 48)
    # x' = -f X / Z + cx, y' = f Y / Z + cy: right is right, up is up (v grows downwards).
    np.testing.assert_allclose(camera.project(np.array([1.0, 2.0, -10.0])), [42.0, 4.0])
    assert Camera(100, 64, 48, cx=30, cy=20).center == (30, 20)
    np.testing.assert_allclose(camera.scaled(2).project(np.array([1.0, 2.0, -10.0])), [84.0, 8.0])


def test_euler_angles_are_adnerfs() -> None:
    a, b, c = 0.3, -0.5, 0.2
    rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    rz = np.array([[np.cos(-c), -np.sin(-c), 0], [np.sin(-c), np.cos(-c), 0], [0, 0, 1]])
    np.testing.assert_allclose(euler_to_matrix([a, b, c]), rx @ ry @ rz, atol=1e-12)
    nose = euler_to_matrix([0, 0.3, 0]) @ [0, 0, 1]
    assert nose[0] > 0  # positive phi looks to the image's right
    assert (euler_to_matrix([0.3, 0, 0]) @ [0, 0, 1])[1] < 0  # positive theta looks down
    assert (euler_to_matrix([0, 0, 0.3]) @ [0, 1, 0])[0] > 0  # positive psi rolls clockwise as seen


@settings(max_examples=30, deadline=None)
@given(st.tuples(st.floats(-1.5, 1.5), st.floats(-1.5, 1.5), st.floats(-3, 3)))
def test_euler_angles_come_back(angles: tuple[float, float, float]) -> None:
    np.testing.assert_allclose(matrix_to_euler(euler_to_matrix(angles)), angles, atol=1e-9)


def test_pixels_of_one_triangle_and_its_depth() -> None:
    camera = Camera(10, 20, 20)
    points = np.array([[-0.5, -0.5, -1.0], [0.5, -0.5, -1.0], [-0.5, 0.5, -1.0]])  # px (5,15), (15,15), (5,5)
    seen = visibility(points, TRIANGLE, camera)
    ys, xs = np.nonzero(seen.triangle == 0)
    expected = [(y, x) for y in range(5, 15) for x in range(5, 15) if (x + 0.5 - 5) + (15 - y - 0.5) <= 10]
    assert set(zip(ys.tolist(), xs.tolist(), strict=True)) == set(expected)
    np.testing.assert_allclose(seen.inverse_depth[ys, xs], 1.0, rtol=1e-6)
    assert (seen.inverse_depth[seen.triangle < 0] == 0).all()


def test_interpolation_is_perspective_correct() -> None:
    camera = Camera(80, 64, 64)
    points = np.array([[-1.5, -1.2, -3.0], [2.5, -1.0, -9.0], [0.2, 2.0, -5.0]])
    seen = visibility(points, TRIANGLE, camera)
    weights = barycentrics(points, TRIANGLE, seen.triangle, camera)
    position = interpolate(points, TRIANGLE, seen.triangle, weights)
    covered = seen.triangle >= 0
    assert covered.sum() > 300
    # Interpolated positions must project back onto their own pixel centers ...
    ys, xs = np.nonzero(covered)
    inside = weights[covered].min(1) > 1e-3
    back = camera.project(position[covered])
    np.testing.assert_allclose(back[inside], np.stack([xs + 0.5, ys + 0.5], -1)[inside], atol=1e-3)
    # ... and their depths equal those of the buffer.
    np.testing.assert_allclose(-1 / position[covered][:, 2], seen.inverse_depth[covered], rtol=1e-3)


def _brute_force(points: np.ndarray, triangles: np.ndarray, camera: Camera) -> np.ndarray:
    """Nearest triangle per pixel by intersecting every ray with every triangle."""
    cx, cy = camera.center
    best = np.full((camera.height, camera.width), -1)
    for y in range(camera.height):
        for x in range(camera.width):
            ray = np.array([(x + 0.5 - cx) / camera.focal, (cy - y - 0.5) / camera.focal, -1.0])
            nearest = np.inf
            for k, (a, b, c) in enumerate(points[triangles]):
                m = np.stack([b - a, c - a, -ray], 1)
                if abs(np.linalg.det(m)) < 1e-12:
                    continue
                u, v, t = np.linalg.solve(m, -a)
                if u >= 0 and v >= 0 and u + v <= 1 and 0.05 < t < nearest:
                    nearest, best[y, x] = t, k
    return best


def test_random_scenes_against_brute_force() -> None:
    rng = np.random.default_rng(7)
    camera = Camera(12, 20, 16, cx=9.3, cy=8.9)
    for _ in range(4):
        points = rng.uniform([-3, -3, -9], [3, 3, 1.5], (24, 3))  # some reach behind the camera
        triangles = np.arange(24).reshape(8, 3)
        seen = visibility(points, triangles, camera).triangle
        expected = _brute_force(points, triangles, camera)
        assert (seen != expected).mean() < 0.01  # ties on edges may fall either way


def test_near_triangles_are_kept_and_those_behind_are_not() -> None:
    camera = Camera(20, 40, 40)
    floor = np.array([[-5.0, -1.0, -20.0], [5.0, -1.0, -20.0], [0.0, -1.0, 5.0]])  # passes under the camera
    seen = visibility(floor, TRIANGLE, camera).triangle
    assert (seen[-1] >= 0).any()
    assert (seen[: camera.height // 2] < 0).all()
    behind = np.array([[-5.0, -1.0, 2.0], [5.0, -1.0, 2.0], [0.0, 1.0, 5.0]])
    assert (visibility(behind, TRIANGLE, camera).triangle < 0).all()


def test_far_off_vertices_do_not_overflow() -> None:
    camera = Camera(500, 32, 32)
    points = np.array([[-1e7, -1e7, -1.0], [1e7, -1e7, -1.0], [0.0, 1e7, -1.0]])
    assert (visibility(points, TRIANGLE, camera).triangle == 0).all()


def test_back_faces_are_culled_on_request() -> None:
    camera = Camera(10, 20, 20)
    front = np.array([[-0.5, -0.5, -1.0], [0.5, -0.5, -1.0], [-0.5, 0.5, -1.0]])
    assert (visibility(front, TRIANGLE, camera, True).triangle >= 0).any()
    assert (visibility(front, TRIANGLE[:, ::-1], camera, True).triangle < 0).all()
    assert (visibility(front, TRIANGLE[:, ::-1], camera, False).triangle >= 0).any()


def test_a_closed_surface_has_no_pinholes_and_hides_its_back() -> None:
    points, triangles = sphere(60)
    camera = Camera(97, 101, 101)
    seen = visibility(points, triangles, camera, False)
    ys, xs = np.mgrid[:101, :101] + 0.5
    radius = np.hypot((xs - 50.5) / 97, (ys - 50.5) / 97)
    silhouette = np.tan(np.arcsin(1 / 5))
    assert (seen.triangle[radius < silhouette - 0.004] >= 0).all()
    assert (seen.triangle[radius > silhouette + 0.001] < 0).all()
    center = points[triangles].mean(1)
    depth = center[seen.triangle[seen.triangle >= 0], 2]
    assert (depth > -4.9).all()


def test_smooth_normals_of_a_sphere_point_outwards() -> None:
    points, triangles = sphere(40)
    normals = vertex_normals(points, triangles)
    inner = np.abs(points[:, 1]) < 0.95
    outward = points - [0, 0, -5]
    # The sphere's seam is not joined, hence the tolerance.
    assert (np.einsum("ij,ij->i", normals, outward)[inner] > 0.995).all()


@pytest.mark.parametrize("integer", [np.int32, np.int64])
def test_index_types(integer: type) -> None:
    camera = Camera(10, 20, 20)
    points = np.array([[-0.5, -0.5, -1.0], [0.5, -0.5, -1.0], [-0.5, 0.5, -1.0]], np.float32)
    assert (visibility(points, TRIANGLE.astype(integer), camera).triangle >= 0).sum() > 40
