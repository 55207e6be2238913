"""The z-buffer: which triangle is seen at every sample, and its perspective-correct barycentrics.

Triangles are rasterized in homogeneous form (Olano and Greer, "Triangle scan conversion using 2D homogeneous
coordinates", 1997): with camera-space vertices a, b, c and the ray r through a sample, the edge values
e = (r . b x c, r . c x a, r . a x b) are linear in the image, all of the triangle's orientation inside it, and their
normalized values are the perspective-correct barycentrics. No division per vertex, so triangles that cross the camera
plane need no clipping.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.raster.camera import Camera
from lipbench.faces.raster.kernel import inlined, kernel

NEAR = 0.05  # dm; nothing nearer to the camera is drawn
EDGE = 1e-4  # px by which neighboring triangles overlap


class Visibility(NamedTuple):
    """What a z-buffer saw.

    Attributes:
        triangle: (H, W) int32, -1 = none.
        inverse_depth: (H, W) float32 1/dm, 0 = none.
    """

    triangle: NDArray[np.int32]
    inverse_depth: NDArray[np.float32]


@kernel
def fill_zbuffer(points, triangles, culled, focal, cx, cy, tri_out, w_out):  # type: ignore[no-untyped-def]
    """Rasterize into `tri_out`, `w_out` (preset to -1 and 0).

    Args:
        points: (N, 3) camera space.
        culled: (M,) bool, triangles to draw only when they face the camera.
    """
    height, width = tri_out.shape
    for k in range(triangles.shape[0]):
        ia, ib, ic = triangles[k, 0], triangles[k, 1], triangles[k, 2]
        ax, ay, az = points[ia, 0], points[ia, 1], -points[ia, 2]
        bx, by, bz = points[ib, 0], points[ib, 1], -points[ib, 2]
        dx, dy, dz = points[ic, 0], points[ic, 1], -points[ic, 2]
        # n0 = b x c, n1 = c x a, n2 = a x b in (X, Y, depth)
        n0x, n0y, n0z = by * dz - bz * dy, bz * dx - bx * dz, bx * dy - by * dx
        det = ax * n0x + ay * n0y + az * n0z
        # In these left-handed coordinates counter-clockwise (front) triangles have a positive determinant.
        if det == 0.0 or (culled[k] and det < 0.0):
            continue
        if az < NEAR and bz < NEAR and dz < NEAR:
            continue
        limit = 1.0 / NEAR
        if az < NEAR or bz < NEAR or dz < NEAR:
            x0, x1, y0, y1 = 0, width - 1, 0, height - 1
        else:
            if abs(det) < 1e-13 * az * bz * dz:
                continue  # no area beyond rounding
            # Rounding must not lift a sliver out of its own range of depths.
            limit = 1.001 / min(az, min(bz, dz))
            ua, ub, uc = focal * ax / az + cx, focal * bx / bz + cx, focal * dx / dz + cx
            va, vb, vc = cy - focal * ay / az, cy - focal * by / bz, cy - focal * dy / dz
            left, right = min(ua, min(ub, uc)), max(ua, max(ub, uc))
            top, bottom = min(va, min(vb, vc)), max(va, max(vb, vc))
            if right < 0.0 or left > width or bottom < 0.0 or top > height:
                continue
            # Guard band: clamp before the conversion to int, which is undefined for far-off values.
            x0, x1 = int(max(left - 0.5, 0.0)), int(min(right + 0.5, width - 1.0))
            y0, y1 = int(max(top - 0.5, 0.0)), int(min(bottom + 0.5, height - 1.0))
        n1x, n1y, n1z = dy * az - dz * ay, dz * ax - dx * az, dx * ay - dy * ax
        n2x, n2y, n2z = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        s = 1.0 / det
        # e(px, py) = A px + B py + C with the ray ((px - cx) / f, (cy - py) / f, 1)
        g = s / focal
        a0, b0 = n0x * g, -n0y * g
        a1, b1 = n1x * g, -n1y * g
        a2, b2 = n2x * g, -n2y * g
        c0, c1, c2 = n0z * s - a0 * cx - b0 * cy, n1z * s - a1 * cx - b1 * cy, n2z * s - a2 * cx - b2 * cy
        aw, bw, cw = a0 + a1 + a2, b0 + b1 + b2, c0 + c1 + c2
        # Triangles reach a hair over their edges, or rounding would leave pinholes where an edge hits pixel centers.
        c0, c1, c2 = c0 + EDGE * (abs(a0) + abs(b0)), c1 + EDGE * (abs(a1) + abs(b1)), c2 + EDGE * (abs(a2) + abs(b2))
        i0 = -1.0 / a0 if a0 != 0.0 else 0.0
        i1 = -1.0 / a1 if a1 != 0.0 else 0.0
        i2 = -1.0 / a2 if a2 != 0.0 else 0.0
        for y in range(y0, y1 + 1):
            py = y + 0.5
            e0, e1, e2 = b0 * py + c0, b1 * py + c1, b2 * py + c2
            lo, hi = x0 + 0.5, x1 + 0.5
            if a0 > 0.0:
                lo = max(lo, e0 * i0)
            elif a0 < 0.0:
                hi = min(hi, e0 * i0)
            elif e0 < 0.0:
                continue
            if a1 > 0.0:
                lo = max(lo, e1 * i1)
            elif a1 < 0.0:
                hi = min(hi, e1 * i1)
            elif e1 < 0.0:
                continue
            if a2 > 0.0:
                lo = max(lo, e2 * i2)
            elif a2 < 0.0:
                hi = min(hi, e2 * i2)
            elif e2 < 0.0:
                continue
            if lo > hi:
                continue
            first, last = int(np.ceil(lo - 0.5)), int(np.floor(hi - 0.5))
            w = aw * (first + 0.5) + bw * py + cw
            for x in range(first, last + 1):
                if w > w_out[y, x] and w < limit:
                    w_out[y, x] = w
                    tri_out[y, x] = k
                w += aw


@inlined
def edge_values(points, ia, ib, ic, rx, ry):  # type: ignore[no-untyped-def]
    """Barycentrics (sum 1, clamped at 0) of triangle (ia, ib, ic) along the ray (rx, ry, 1) in (X, Y, depth)."""
    ax, ay, az = points[ia, 0], points[ia, 1], -points[ia, 2]
    bx, by, bz = points[ib, 0], points[ib, 1], -points[ib, 2]
    dx, dy, dz = points[ic, 0], points[ic, 1], -points[ic, 2]
    e0 = rx * (by * dz - bz * dy) + ry * (bz * dx - bx * dz) + (bx * dy - by * dx)
    e1 = rx * (dy * az - dz * ay) + ry * (dz * ax - dx * az) + (dx * ay - dy * ax)
    e2 = rx * (ay * bz - az * by) + ry * (az * bx - ax * bz) + (ax * by - ay * bx)
    s = e0 + e1 + e2
    if s == 0.0:
        return 1.0 / 3, 1.0 / 3, 1.0 / 3
    e0, e1, e2 = max(e0 / s, 0.0), max(e1 / s, 0.0), max(e2 / s, 0.0)
    s = 1.0 / (e0 + e1 + e2)
    return e0 * s, e1 * s, e2 * s


@kernel
def fill_barycentrics(points, triangles, tri, focal, cx, cy, out):  # type: ignore[no-untyped-def]
    """Barycentrics of every covered pixel into `out` (H, W, 3), zeros elsewhere."""
    height, width = tri.shape
    for y in range(height):
        for x in range(width):
            k = tri[y, x]
            if k < 0:
                out[y, x, 0] = out[y, x, 1] = out[y, x, 2] = 0.0
                continue
            b = edge_values(
                points,
                triangles[k, 0],
                triangles[k, 1],
                triangles[k, 2],
                (x + 0.5 - cx) / focal,
                (cy - y - 0.5) / focal,
            )
            out[y, x, 0], out[y, x, 1], out[y, x, 2] = b


def visibility(
    points: NDArray[np.floating],
    triangles: NDArray[np.integer],
    camera: Camera,
    culled: NDArray[np.bool_] | bool = False,
) -> Visibility:
    """Which triangle every pixel of `camera` sees.

    Args:
        points: (N, 3) camera-space vertices in dm.
        triangles: (M, 3) vertex indices; counter-clockwise seen from outside.
        culled: per triangle or for all: leave out those that face away.
    """
    flags = np.full(len(triangles), culled, np.bool_) if isinstance(culled, bool) else np.ascontiguousarray(culled)
    tri = np.full((camera.height, camera.width), -1, np.int32)
    inverse_depth = np.zeros((camera.height, camera.width), np.float32)
    cx, cy = camera.center
    fill_zbuffer(
        np.ascontiguousarray(points, np.float64),
        np.ascontiguousarray(triangles, np.int32),
        flags,
        float(camera.focal),
        float(cx),
        float(cy),
        tri,
        inverse_depth,
    )
    return Visibility(tri, inverse_depth)


def barycentrics(
    points: NDArray[np.floating], triangles: NDArray[np.integer], tri: NDArray[np.int32], camera: Camera
) -> NDArray[np.float32]:
    """(H, W, 3) perspective-correct barycentrics for the triangle ids of `visibility`, zeros where nothing is seen."""
    out = np.empty((*tri.shape, 3), np.float32)
    cx, cy = camera.center
    fill_barycentrics(
        np.ascontiguousarray(points, np.float64),
        np.ascontiguousarray(triangles, np.int32),
        tri,
        float(camera.focal),
        float(cx),
        float(cy),
        out,
    )
    return out


def interpolate(
    attributes: NDArray[np.floating], triangles: NDArray[np.integer], tri: NDArray[np.int32], bary: NDArray[np.floating]
) -> NDArray[np.float32]:
    """(N, C) per-vertex attributes -> (H, W, C) per pixel, zeros where nothing is seen."""
    corners = np.asarray(attributes, np.float32)[np.asarray(triangles)[np.maximum(tri, 0)]]  # (H, W, 3, C)
    return np.where((tri >= 0)[..., None], np.einsum("hwkc,hwk->hwc", corners, bary), 0).astype(np.float32)
