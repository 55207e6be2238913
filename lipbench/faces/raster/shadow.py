"""A shadow map: depth of the mesh as the key light sees it (parallel rays)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.raster.kernel import kernel


@kernel
def fill_heights(points, triangles, wanted, out):  # type: ignore[no-untyped-def]
    """Largest z per cell of triangles in (x px, y px, z) coordinates; `out` is preset to a low value."""
    height, width = out.shape
    for k in range(triangles.shape[0]):
        if not wanted[k]:
            continue
        ia, ib, ic = triangles[k, 0], triangles[k, 1], triangles[k, 2]
        ax, ay, az = points[ia, 0], points[ia, 1], points[ia, 2]
        bx, by, bz = points[ib, 0], points[ib, 1], points[ib, 2]
        cx, cy, cz = points[ic, 0], points[ic, 1], points[ic, 2]
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if abs(area) < 1e-12:
            continue
        x0 = int(max(np.ceil(min(ax, min(bx, cx)) - 0.5), 0.0))
        x1 = int(min(np.floor(max(ax, max(bx, cx)) - 0.5), width - 1.0))
        y0 = int(max(np.ceil(min(ay, min(by, cy)) - 0.5), 0.0))
        y1 = int(min(np.floor(max(ay, max(by, cy)) - 0.5), height - 1.0))
        s = 1.0 / area
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                px, py = x + 0.5 - ax, y + 0.5 - ay
                l1 = (px * (cy - ay) - (cx - ax) * py) * s
                l2 = ((bx - ax) * py - px * (by - ay)) * s
                if l1 < 0.0 or l2 < 0.0 or l1 + l2 > 1.0:
                    continue
                z = az + l1 * (bz - az) + l2 * (cz - az)
                if z > out[y, x]:
                    out[y, x] = z


def light_axes(direction: NDArray[np.floating]) -> NDArray[np.float64]:
    """(3, 3) rotation whose rows are two axes across the light and the direction towards it."""
    d = np.asarray(direction, np.float64)
    d = d / np.linalg.norm(d)
    helper = np.array([0.0, 1.0, 0.0]) if abs(d[1]) < 0.9 else np.array([1.0, 0.0, 0.0])
    x = np.cross(helper, d)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(d, x), d])


def height_map(
    points: NDArray[np.floating],
    triangles: NDArray[np.int32],
    wanted: NDArray[np.bool_],
    direction: NDArray[np.floating],
    size: int,
    region: tuple[NDArray[np.floating], float],
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """Heights towards a light over a square region.

    Args:
        points: (N, 3).
        triangles: (M, 3).
        wanted: (M,) which of them cast.
        direction: towards the light.
        size: cells per side.
        region: center (3,) and half side.

    Returns:
        map (size, size) float32, axes (3, 3), and (scale, offset x, offset y) from light space to cells.
    """
    axes = light_axes(direction)
    center, half = region
    scale = size / (2 * half)
    middle = axes @ center
    # Whole cells: a grid that slid along with every move of the jaw would make the edges of all shadows flicker.
    offset = np.round(size / 2 - scale * middle[:2])
    local = points @ axes.T
    local[:, 0] = local[:, 0] * scale + offset[0]
    local[:, 1] = local[:, 1] * scale + offset[1]
    out = np.full((size, size), -1e3, np.float32)
    fill_heights(local, triangles, wanted, out)
    return out, axes, np.array([scale, offset[0], offset[1]])
