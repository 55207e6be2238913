"""Smooth vertex normals: area-weighted sums of the triangle normals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.raster.kernel import kernel


@kernel
def fill_normals(points, triangles, twins, out):  # type: ignore[no-untyped-def]
    """Normals of (N, 3) points into `out`; `twins` (K, 2) are vertices at one place (texture seams) that share them."""
    out[:] = 0.0
    for k in range(triangles.shape[0]):
        i, j, l = triangles[k, 0], triangles[k, 1], triangles[k, 2]
        ux, uy, uz = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1], points[j, 2] - points[i, 2]
        vx, vy, vz = points[l, 0] - points[i, 0], points[l, 1] - points[i, 1], points[l, 2] - points[i, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for v in (i, j, l):
            out[v, 0] += nx
            out[v, 1] += ny
            out[v, 2] += nz
    for k in range(twins.shape[0]):
        i, j = twins[k, 0], twins[k, 1]
        for c in range(3):
            total = out[i, c] + out[j, c]
            out[i, c] = total
            out[j, c] = total
    for v in range(out.shape[0]):
        length = np.sqrt(out[v, 0] ** 2 + out[v, 1] ** 2 + out[v, 2] ** 2)
        scale = 1.0 / length if length > 0.0 else 0.0
        out[v, 0] *= scale
        out[v, 1] *= scale
        out[v, 2] *= scale


NO_TWINS = np.zeros((0, 2), np.int32)


def vertex_normals(
    points: NDArray[np.floating], triangles: NDArray[np.integer], twins: NDArray[np.int32] = NO_TWINS
) -> NDArray[np.float64]:
    """(N, 3) unit normals (zero for vertices without a triangle), outwards for counter-clockwise triangles."""
    out = np.empty((len(points), 3), np.float64)
    fill_normals(
        np.ascontiguousarray(points, np.float64),
        np.ascontiguousarray(triangles, np.int32),
        np.ascontiguousarray(twins, np.int32), out,
    )  # fmt: skip
    return out
