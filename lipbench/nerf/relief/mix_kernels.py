"""The loops of what frames mix on the CPU: appearances of the whole head, looks of its parts.

Their twins in torch are `dense.mix` and `looks.added`.
"""

from __future__ import annotations

import numpy as np

from lipbench.faces.raster.kernel import inlined, kernel
from lipbench.nerf.relief.kernels import EDGE, NONE, ONE, cell, layer


@kernel
def mix(grid, window, points, starts, mixes, out):  # type: ignore[no-untyped-def]
    """Images that frames mix, at the points of each frame: sums of K images, each times one number of the frame.

    Args:
        grid: (n, m, K * 4), the images.
        window: (n, m) factor of all of them.
        points: (M, 3), one frame's after the other's.
        starts: (G + 1,) number of each frame's first point.
        mixes: (G, K).
        out: (M, 4) takes the sums.
    """
    n, m = window.shape
    for g in range(mixes.shape[0]):
        for i in range(starts[g], starts[g + 1]):
            iu, au = cell(points[i, 0], m)
            iv, av = cell(points[i, 1], n)
            r, s, t, d = NONE, NONE, NONE, NONE
            for corner in range(4):
                dv, du = corner >> 1, corner & 1
                v, u = iv + np.uint64(dv), iu + np.uint64(du)
                share = (av if dv else ONE - av) * (au if du else ONE - au) * window[v, u]
                if share == NONE:
                    continue
                texel = grid[v, u]
                for k in range(mixes.shape[1]):
                    x = share * mixes[g, k]
                    r += x * texel[4 * k]
                    s += x * texel[4 * k + 1]
                    t += x * texel[4 * k + 2]
                    d += x * texel[4 * k + 3]
            out[i, 0], out[i, 1], out[i, 2], out[i, 3] = r, s, t, d


@kernel
def mix_backward(grid, window, points, starts, mixes, given, gradient, touched, to_mixes):  # type: ignore[no-untyped-def]
    """Backward of `mix`: adds to `gradient` (n, m, K * 4) and `to_mixes` (G, K), marks texels in `touched` (n, m)."""
    n, m = window.shape
    for g in range(mixes.shape[0]):
        for i in range(starts[g], starts[g + 1]):
            iu, au = cell(points[i, 0], m)
            iv, av = cell(points[i, 1], n)
            r, s, t, d = given[i, 0], given[i, 1], given[i, 2], given[i, 3]
            for corner in range(4):
                dv, du = corner >> 1, corner & 1
                v, u = iv + np.uint64(dv), iu + np.uint64(du)
                share = (av if dv else ONE - av) * (au if du else ONE - au) * window[v, u]
                if share == NONE:
                    continue
                texel, to_texel = grid[v, u], gradient[v, u]
                for k in range(mixes.shape[1]):
                    x = share * mixes[g, k]
                    seen = texel[4 * k] * r + texel[4 * k + 1] * s + texel[4 * k + 2] * t + texel[4 * k + 3] * d
                    to_texel[4 * k] += x * r
                    to_texel[4 * k + 1] += x * s
                    to_texel[4 * k + 2] += x * t
                    to_texel[4 * k + 3] += x * d
                    to_mixes[g, k] += share * seen
                touched[v, u] = 1


@inlined
def within(x, y, box):  # type: ignore[no-untyped-def]
    """u and v of a place in a box, and the share that looks have there: 0 outside."""
    u, v = (x - box[0]) / box[2], (y - box[1]) / box[3]
    return u, v, min(EDGE * min(min(u, ONE - u), min(v, ONE - v)), ONE)


@kernel
def add(grid, box, part, parts, flat, points, starts, mixes, out):  # type: ignore[no-untyped-def]
    """Add what frames mix of the looks in one box, the `part`-th of `parts`, to (M, 4); see `add_looks`."""
    layers, n, m, channels = grid.shape
    count = np.uint64(mixes.shape[1])
    numbers = np.uint64(channels) // count
    for g in range(mixes.shape[0]):
        for i in range(np.uint64(starts[g]), np.uint64(starts[g + 1])):
            x, y, edge = within(points[i, 0], points[i, 1], box)
            if not edge > NONE:
                continue
            iu, au = cell(x, m)
            iv, av = cell((y + part) / parts, n)
            il, al = layer(NONE if flat else points[i, 2], layers)
            for corner in range(8):
                dl, dv, du = corner >> 2, (corner >> 1) & 1, corner & 1
                share = edge * (al if dl else ONE - al) * (av if dv else ONE - av) * (au if du else ONE - au)
                if share == NONE:
                    continue
                k, v, u = il + np.uint64(dl), iv + np.uint64(dv), iu + np.uint64(du)
                for j in range(count):
                    some = share * mixes[g, j]
                    for c in range(numbers):
                        out[i, c] += some * grid[k, v, u, j * numbers + c]


@kernel
def add_backward(grid, box, part, parts, flat, points, starts, mixes, given, gradient, touched, to_mixes):  # type: ignore[no-untyped-def]
    """Backward of `add`: adds to `gradient` (L, n, m, K * C) and `to_mixes` (G, K), marks texels in `touched`."""
    layers, n, m, channels = grid.shape
    count = np.uint64(mixes.shape[1])
    numbers = np.uint64(channels) // count
    for g in range(mixes.shape[0]):
        for i in range(np.uint64(starts[g]), np.uint64(starts[g + 1])):
            x, y, edge = within(points[i, 0], points[i, 1], box)
            if not edge > NONE:
                continue
            iu, au = cell(x, m)
            iv, av = cell((y + part) / parts, n)
            il, al = layer(NONE if flat else points[i, 2], layers)
            for corner in range(8):
                dl, dv, du = corner >> 2, (corner >> 1) & 1, corner & 1
                share = edge * (al if dl else ONE - al) * (av if dv else ONE - av) * (au if du else ONE - au)
                if share == NONE:
                    continue
                k, v, u = il + np.uint64(dl), iv + np.uint64(dv), iu + np.uint64(du)
                for j in range(count):
                    some, seen = share * mixes[g, j], NONE
                    for c in range(numbers):
                        gradient[k, v, u, j * numbers + c] += some * given[i, c]
                        seen += given[i, c] * grid[k, v, u, j * numbers + c]
                    to_mixes[g, j] += share * seen
                touched[k, v, u] = 1
