"""Where on their rays the pixels of a frame see the relief, and what lies behind the lips."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.raster import Camera
from lipbench.faces.raster.kernel import kernel
from lipbench.nerf.relief.kernels import EDGE, cell, head_point
from lipbench.nerf.relief.mesh import MeshView, canonical
from lipbench.nerf.relief.surface import Float32, Relief

SETTLING = 12  # steps towards where a ray meets the relief
SETTLED = 0.05  # dm beside it at which it has been met
THIN = 0.04  # dm, shortest interval of a ray
CAVITY, TEETH = 0.06, 0.1  # dm behind the relief's middle: where a mouth's inside begins, and where its teeth are


def settled(
    relief: Relief, view: MeshView, rotation: NDArray[np.float64], translation: NDArray[np.float64], camera: Camera
) -> MeshView:
    """The view with the depth at which its rays meet the relief's middle.

    Outside the silhouette the nearest pixel of the mesh may lie much farther away, and inside it an ear or a cheek
    that is turned away may: there the frames were put back onto the middle, too. Where a ray does not meet it, what it
    sees is moved onto it in depth. Between the lips what lies behind stays there.
    """
    depth, shift = view.depth.copy(), view.shift.copy()
    cx, cy = camera.center
    lens = (float(camera.focal), float(cx), float(cy))
    maps = relief.middle, np.asarray(relief.place), np.asarray(relief.lips)
    fill_settled(depth, shift[None], view.hit, rotation[None], translation[None], *lens, *maps)
    return view._replace(depth=depth, shift=shift)


@kernel
def fill_settled(depth, shift, hit, rotation, translation, focal, cx, cy, middle, place, lips):  # type: ignore[no-untyped-def]
    """See `settled`: `depth` (H, W) and `shift` are changed; other arguments as for `fill_bounds`."""
    h, w = middle.shape
    for y in range(depth.shape[0]):
        for x in range(depth.shape[1]):
            rx, ry = (x + 0.5 - cx) / focal, (cy - y - 0.5) / focal
            at, away = depth[y, x], 0.0
            share = 1.0
            if hit[y, x]:
                px, py, z = head_point(rx, ry, at, rotation, translation, shift, 0, y, x)
                u, v = (px - place[0]) / place[2] - lips[0], (place[1] - py) / place[3] - lips[1]
                inside = min(min(u, lips[2] - u) / lips[2], min(v, lips[3] - v) / lips[3])
                share = 1.0 - min(max(EDGE * inside, 0.0), 1.0)
            for _ in range(SETTLING):
                px, py, z = head_point(rx, ry, at, rotation, translation, shift, 0, y, x)
                iu, au = cell(min(max((px - place[0]) / place[2], 0.0), 1.0), w)
                iv, av = cell(min(max((place[1] - py) / place[3], 0.0), 1.0), h)
                above = (1 - au) * middle[iv, iu] + au * middle[iv, iu + 1]
                below = (1 - au) * middle[iv + 1, iu] + au * middle[iv + 1, iu + 1]
                away = z - (1 - av) * above - av * below
                at += 0.7 * away
            if not hit[y, x] or abs(away) < SETTLED:
                depth[y, x] += share * (at - depth[y, x])
            px, py, z = head_point(rx, ry, depth[y, x], rotation, translation, shift, 0, y, x)
            iu, au = cell(min(max((px - place[0]) / place[2], 0.0), 1.0), w)
            iv, av = cell(min(max((place[1] - py) / place[3], 0.0), 1.0), h)
            above = (1 - au) * middle[iv, iu] + au * middle[iv, iu + 1]
            below = (1 - au) * middle[iv + 1, iu] + au * middle[iv + 1, iu + 1]
            away = z - (1 - av) * above - av * below
            shift[0, y, x, 2] += max(away, 0.0) + share * min(away, 0.0)


def behind_lips(
    relief: Relief, view: MeshView, rotation: NDArray[np.float64], translation: NDArray[np.float64], camera: Camera
) -> tuple[NDArray[np.bool_], Float32]:
    """(H, W) where a view sees far behind the lips, and at which depths (H, W) rays meet the teeth, dm.

    These lie on a surface behind the relief's middle, whatever the mesh has there: teeth are curved as lips are.
    """
    x, y, z = np.moveaxis(canonical(view, rotation, translation, camera), -1, 0)
    (left, top, width, height), (h, w) = relief.place, relief.middle.shape
    column = ((x - left) / width * w).astype(int).clip(0, w - 1)
    row = ((top - y) / height * h).astype(int).clip(0, h - 1)
    deep = view.mouth & (z < relief.middle[row, column] - CAVITY)
    if not deep.any():
        return deep, view.depth
    still = view._replace(shift=np.zeros_like(view.shift), hit=np.zeros_like(view.hit))
    teeth = relief._replace(middle=relief.middle - np.float32(TEETH))
    return deep, settled(teeth, still, rotation, translation, camera).depth


def bounds(
    relief: Relief, view: MeshView, rotation: NDArray[np.float64], translation: NDArray[np.float64], camera: Camera
) -> tuple[Float32, Float32]:
    """(H, W) dm along the camera's axis each: where the rays of a frame enter the relief and where they leave it."""
    near, far = np.empty_like(view.depth), np.empty_like(view.depth)
    cx, cy = camera.center
    maps = (relief.inner, relief.middle, relief.outer, np.asarray(relief.place))
    lens = (float(camera.focal), float(cx), float(cy))
    fill_bounds(view.depth, view.shift[None], view.hit, rotation[None], translation[None], *lens, *maps, near, far)
    return near, far


@kernel
def fill_bounds(depth, shift, hit, rotation, translation, focal, cx, cy, inner, middle, outer, place, near, far):  # type: ignore[no-untyped-def]
    """See `bounds`: `near` and `far` (H, W) take the depths.

    Args:
        depth: (H, W) dm.
        shift: (1, H, W, 3) dm.
        hit: (H, W) bool.
        rotation: (1, 3, 3).
        translation: (1, 3) dm.
        focal: px.
        cx: px.
        cy: px.
        inner: (h, w) dm, and so `middle` and `outer`.
        middle: see there.
        outer: see there.
        place: see `Relief`.
        near: (H, W).
        far: (H, W).
    """
    h, w = middle.shape
    for y in range(depth.shape[0]):
        for x in range(depth.shape[1]):
            at = depth[y, x]
            rx, ry = (x + 0.5 - cx) / focal, (cy - y - 0.5) / focal
            px, py, z = head_point(rx, ry, at, rotation, translation, shift, 0, y, x)
            u = min(max(int((px - place[0]) / place[2] * w), 0), w - 1)
            v = min(max(int((place[1] - py) / place[3] * h), 0), h - 1)
            if hit[y, x]:  # on the mesh the layer hangs on it, beside it on the maps alone
                front = max(outer[v, u] - middle[v, u], 0.5 * THIN)
                back = max(middle[v, u] - inner[v, u], 0.5 * THIN)
            else:
                front, back = outer[v, u] - z, z - inner[v, u]
            near[y, x] = at - front
            far[y, x] = max(at + back, near[y, x] + THIN)
