"""Smooth vertex normals: area-weighted sums of the triangle normals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.raster.kernel import kernel


@kernel
def fill_normals(points, triangles, out):  # type: ignore[no-untyped-def]
    """Unit normals of (N, 3) points into `out`."""
    out[:] = 0.0
    for k in range(triangles.shape[0]):
        ia, ib, ic = triangles[k, 0], triangles[k, 1], triangles[k, 2]
        ux, uy, uz = points[ib, 0] - points[ia, 0], points[ib, 1] - points[ia, 1], points[ib, 2] - points[ia, 2]
        vx, vy, vz = points[ic, 0] - points[ia, 0], points[ic, 1] - points[ia, 1], points[ic, 2] - points[ia, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for v in (ia, ib, ic):
            out[v, 0] += nx
            out[v, 1] += ny
            out[v, 2] += nz
    for v in range(out.shape[0]):
        length = np.sqrt(out[v, 0] ** 2 + out[v, 1] ** 2 + out[v, 2] ** 2)
        scale = 1.0 / length if length > 0.0 else 0.0
        out[v, 0] *= scale
        out[v, 1] *= scale
        out[v, 2] *= scale


def vertex_normals(points: NDArray[np.floating], triangles: NDArray[np.integer]) -> NDArray[np.float64]:
    """(N, 3) unit normals (zero for vertices without a triangle), outwards for counter-clockwise triangles."""
    out = np.empty((len(points), 3), np.float64)
    fill_normals(np.ascontiguousarray(points, np.float64), np.ascontiguousarray(triangles, np.int32), out)
    return out
