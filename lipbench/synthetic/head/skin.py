"""The skin between the edge loops: points spread over head and neck, triangulated in the plane of (azimuth, arc).

The lattices are jittered with a fixed seed. Exact lattices hold groups of four points on one circle, and which
diagonal Qhull then takes would depend on the machine's last bits; the mesh must be the same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay, cKDTree

from lipbench.synthetic.head.relief import NASION_Y, SUBNASALE_Y
from lipbench.synthetic.head.shape import Array
from lipbench.synthetic.head.skull import skull

ROUND = 0.70  # dm per radian: makes the plane (ROUND * alpha, length * t) about isometric


def to_plane(alpha: Array, t: Array) -> Array:
    """(..., 2) coordinates in dm in which the mesh is triangulated; y grows upwards."""
    return np.stack([ROUND * alpha, -skull().length * t], -1)


def _lattice(spacing: float, seed: int) -> Array:
    """(n, 2) jittered hexagonal lattice over the whole plane."""
    rng = np.random.default_rng(seed)
    half, length = ROUND * np.pi, skull().length
    rows = np.arange(-length + spacing * 0.4, -spacing * 0.4, spacing * np.sqrt(0.75))
    cols = np.arange(-half, half, spacing)
    x, y = np.meshgrid(cols, rows)
    x = x + (np.arange(len(rows)) % 2)[:, None] * spacing / 2
    points = np.stack([x, y], -1).reshape(-1, 2)
    points = points + rng.normal(0, 0.05 * spacing, points.shape)
    return points[np.abs(points[:, 0]) < half - 0.5 * spacing]


def _inside(points: Array, polygon: Array) -> NDArray[np.bool_]:
    """(n,) whether points lie in a closed polygon (even-odd rule)."""
    a, b = polygon, np.roll(polygon, -1, axis=0)
    x, y = points[:, :1], points[:, 1:]
    crosses = (a[:, 1] > y) != (b[:, 1] > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = a[:, 0] + (y - a[:, 1]) * (b[:, 0] - a[:, 0]) / (b[:, 1] - a[:, 1])
    return (np.count_nonzero(crosses & (x < at), axis=1) % 2).astype(bool)


def _scatter(resolution: float, holes: Sequence[Array]) -> Array:
    """(n, 2) points of all lattices, finest first; a coarser point too near to a finer one is dropped."""
    # Spacing in dm, and where (front coordinates x, y and depth z of the base surface) each lattice applies.
    levels = (
        (0.017, lambda x, y, z: (np.abs(x) < 0.23) & (y > SUBNASALE_Y - 0.05) & (y < -0.08) & (z > 0)),
        (0.026, lambda x, y, z: (np.abs(x) < 0.20) & (y > -0.42) & (y < NASION_Y + 0.12) & (z > 0)),
        (0.037, lambda x, y, z: (np.abs(x) < 0.60) & (y > -1.02) & (y < 0.55) & (z > 0.10)),
        (0.062, lambda x, y, z: (z > -0.20) & (y < 0.95)),
        (0.100, lambda x, y, z: np.full(x.shape, True)),
    )
    kept = np.concatenate(holes)
    for level, (spacing, wanted) in enumerate(levels):
        spacing = spacing / resolution
        points = _lattice(spacing, seed=level)
        where = skull().surface(points[:, 0] / ROUND, -points[:, 1] / skull().length)
        points = points[wanted(*np.moveaxis(where, -1, 0))]
        for hole in holes:
            points = points[~_inside(points, hole)]
        points = points[cKDTree(kept).query(points)[0] > 0.72 * spacing]
        kept = np.concatenate([kept, points])
    return kept[sum(map(len, holes)) :]


def triangulate(holes: Sequence[Array], resolution: float) -> tuple[Array, NDArray[np.int64]]:
    """Cover the head outside some holes.

    Args:
        holes: closed rows of (K, 2) plane points, counter-clockwise.
        resolution: 1 gives about 6,500 new points.

    Returns:
        plane points (n, 2): first those of the holes, then the new ones, then the two columns of the seam at the back
        of the head (left, right: the same places in space); and triangles (m, 3), counter-clockwise.
    """
    length = skull().length
    inner = _scatter(resolution, holes)
    seam = np.linspace(0, -length, int(44 * resolution))
    left, right = np.full(len(seam), -ROUND * np.pi), np.full(len(seam), ROUND * np.pi)
    n_rim = int(36 * resolution)
    rng = np.random.default_rng(99)
    rim = np.linspace(-ROUND * np.pi, ROUND * np.pi, n_rim + 2)[1:-1] + rng.normal(0, 0.002, n_rim)
    borders = [
        np.stack([rim, np.zeros(n_rim)], -1),
        np.stack([rim, np.full(n_rim, -length)], -1),
        np.stack([left, seam], -1),
        np.stack([right, seam], -1),
    ]
    points = np.concatenate([*holes, inner, *borders])
    triangles = Delaunay(points).simplices.astype(np.int64)
    center = points[triangles].mean(1)
    for hole in holes:
        keep = ~_inside(center, hole)
        triangles, center = triangles[keep], center[keep]
    a, b, c = (points[triangles[:, k]] for k in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])
    triangles[area < 0] = triangles[area < 0][:, ::-1]
    triangles = triangles[np.abs(area) > 1e-9]
    # Start every triangle at its smallest index and sort: Qhull's order is of no meaning.
    first = triangles.argmin(1)
    triangles = np.take_along_axis(triangles, (first[:, None] + np.arange(3)) % 3, 1)
    return points, triangles[np.lexsort(triangles.T[::-1])]
