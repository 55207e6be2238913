"""Ambient occlusion per vertex: the share of the surroundings that other parts of the mesh leave in view."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.raster.normals import vertex_normals
from lipbench.faces.raster.shadow import height_map


def sphere_directions(n: int) -> NDArray[np.float64]:
    """(n, 3) directions spread evenly over the sphere (golden-angle spiral)."""
    k = np.arange(n) + 0.5
    y = 1 - 2 * k / n
    angle = np.pi * (1 + np.sqrt(5)) * k
    r = np.sqrt(1 - y * y)
    return np.stack([r * np.cos(angle), y, r * np.sin(angle)], -1)


def ambient_occlusion(
    points: NDArray[np.floating],
    triangles: NDArray[np.integer],
    *,
    directions: int = 60,
    size: int = 256,
    bias: float = 0.02,
) -> NDArray[np.float32]:
    """(N,) cosine-weighted open share in [0, 1] of every vertex, by shadow maps from many directions.

    Args:
        bias: dm by which a vertex may lie behind the map before it counts as hidden.
    """
    tri = np.ascontiguousarray(triangles, np.int32)
    points = np.ascontiguousarray(points, np.float64)
    normals = vertex_normals(points, tri)
    low, high = points.min(0), points.max(0)
    region = ((low + high) / 2, float(np.linalg.norm(high - low)) / 2)
    wanted = np.ones(len(tri), np.bool_)
    open_, total = np.zeros(len(points)), np.full(len(points), 1e-9)
    for d in sphere_directions(directions):
        cosine = normals @ d
        facing = np.flatnonzero(cosine > 0.02)
        heights, axes, scale = height_map(points, tri, wanted, d, size, region)
        # Step off the surface along the normal, so that a slope does not hide itself.
        local = (points[facing] + normals[facing] * bias) @ axes.T
        ix = np.clip((local[:, 0] * scale[0] + scale[1]).astype(int), 0, size - 1)
        iy = np.clip((local[:, 1] * scale[0] + scale[2]).astype(int), 0, size - 1)
        seen = local[:, 2] + bias > heights[iy, ix]
        open_[facing] += cosine[facing] * seen
        total[facing] += cosine[facing]
    return (open_ / total).astype(np.float32)
