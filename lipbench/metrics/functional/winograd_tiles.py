"""The tiles of `winograd` in and out: compiled loops, which take a quarter of the time of products of matrices.

With B and A filled up as n = 1, m = 1 (a kernel of one pixel) both ways leave the numbers alone:

    >>> one, pixels = np.array([[1, 0, 0, 0]], np.float32), np.arange(6, dtype=np.float32).reshape(1, 2, 3, 1)
    >>> tiles, out = np.empty((1, 1, 6, 1), np.float32), np.empty_like(pixels)
    >>> evaluate(pixels, (one, one), (1, 1), 0, 2, tiles)
    >>> interpolate(tiles, (one, one), np.float32([-2]), 0, 2, out)
    >>> out[0, ..., 0].tolist()
    [[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]]
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lipbench.faces.raster.kernel import inlined, kernel

#: Tiles that are interpolated together: what is read of them m times, and made on the way, then stays in the cache.
SOME = 4


@inlined
def _sum_into(out, x, start, step, weights, terms):  # type: ignore[no-untyped-def]
    """out (L,) = sum over k < terms of weights[k] x[start + k step : ... + L]; weights past them are 0.

    Four terms at a time: with more the compiler gives up on vector code.
    """
    n, last = len(out), terms - 1
    for k in range(0, len(weights), 4):
        a, b, c, d = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        # Slices, not indices: those might be negative, and such loops are no vector code.
        at = start + k * step
        p = x[at : at + n]
        at = start + min(k + 1, last) * step
        q = x[at : at + n]
        at = start + min(k + 2, last) * step
        r = x[at : at + n]
        at = start + min(k + 3, last) * step
        s = x[at : at + n]
        if k == 0:
            for i in range(n):
                out[i] = (a * p[i] + b * q[i]) + (c * r[i] + d * s[i])
        else:
            for i in range(n):
                out[i] += (a * p[i] + b * q[i]) + (c * r[i] + d * s[i])


@kernel
def evaluate(x: Any, b: Any, m: Any, first: int, rows: int, out: Any) -> None:
    """Tiles at the points: B d B'^T for every channel.

    Args:
        x: (N, H, W, C) float32, padded: whole tiles.
        b: B and B', down and across: (n, n or more) float32 each, its rows filled up with zeros to a multiple of four.
        m: from one tile to the next, px, down and across.
        first: which rows of tiles of all pictures, one picture after the other: the first, and how many.
        rows: see there.
        out: (n, n', tiles or more, C) float32; is written where tiles are.
    """
    n_down, n, tiles, _ = out.shape
    _, height, width, channels = x.shape
    down, across = (height - n_down) // m[0] + 1, (width - n) // m[1] + 1
    pixels, found = x.reshape(-1), out.reshape(-1)
    line = np.empty(width * channels, np.float32)
    for row in range(rows):
        picture, top = (first + row) // down, (first + row) % down * m[0]
        start = (picture * height + top) * len(line)
        for i in range(n_down):
            _sum_into(line, pixels, start, len(line), b[0][i], n_down)
            for j in range(n):
                at = ((i * n + j) * tiles + row * across) * channels
                for tile in range(across):
                    one = found[at + tile * channels : at + (tile + 1) * channels]
                    _sum_into(one, line, tile * m[1] * channels, channels, b[1][j], n)


@kernel
def interpolate(products: Any, a: Any, bias: Any, first: int, rows: int, out: Any) -> None:
    """The outputs of tiles, and the ReLU: max(A p A'^T + bias, 0).

    Args:
        products: (n, n', tiles or more, K) float32.
        a: A and A', down and across: (m, n or more) float32 each, filled up as B.
        bias: (K,) float32.
        first: as in `evaluate`.
        rows: as in `evaluate`.
        out: (N, H, W, K) float32; is written where the tiles are.
    """
    m_down, m = len(a[0]), len(a[1])
    n_down, n, tiles, channels = products.shape
    _, height, width, _ = out.shape
    down, across = -(-height // m_down), -(-width // m)
    given, made = products.reshape(-1), out.reshape(-1)
    some = min(SOME, across)
    columns, line = np.empty(m_down * n * some * channels, np.float32), np.empty(some * channels, np.float32)
    for part in range(rows * -(-across // some)):
        row, left = part // -(-across // some), part % -(-across // some) * some
        picture, top = (first + row) // down, (first + row) % down * m_down
        together = min(some, across - left)
        length, lines = together * channels, min(m_down, height - top)
        for j in range(n):
            for i in range(lines):
                column = columns[(i * n + j) * length : (i * n + j + 1) * length]
                start = (j * tiles + row * across + left) * channels
                _sum_into(column, given, start, n * tiles * channels, a[0][i], n_down)
        for i in range(lines):
            for k in range(m):
                _sum_into(line[:length], columns, i * n * length, length, a[1][k], n)
                start = ((picture * height + top + i) * width + left * m + k) * channels
                for tile in range(min(together, (width - k + m - 1) // m - left)):
                    at = start + tile * m * channels
                    one, sums = made[at : at + channels], line[tile * channels : (tile + 1) * channels]
                    for c in range(channels):
                        one[c] = max(sums[c] + bias[c], np.float32(0))
