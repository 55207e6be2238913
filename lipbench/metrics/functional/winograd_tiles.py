"""The tiles of `winograd` in and out: compiled loops, which take a quarter of the time of products of matrices.

With B and A filled up as n = 1, m = 1 (a kernel of one pixel) both ways leave the numbers alone:

    >>> one, pixels = np.array([[1, 0, 0, 0]], np.float32), np.arange(6, dtype=np.float32).reshape(1, 2, 3, 1)
    >>> tiles, out = np.empty((1, 6, 1), np.float32), np.empty_like(pixels)
    >>> evaluate(pixels, one, 1, 0, 2, tiles)
    >>> interpolate(tiles, one, np.float32([-2]), 0, 2, out)
    >>> out[0, ..., 0].tolist()
    [[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]]
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lipbench.faces.raster.kernel import inlined, kernel


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
def evaluate(x: Any, b: Any, m: int, first: int, rows: int, out: Any) -> None:
    """Tiles at the points: B d B^T for every channel.

    Args:
        x: (N, H, W, C) float32, padded: whole tiles.
        b: (n, n or more) float32, B, its rows filled up with zeros to a multiple of four.
        m: from one tile to the next, px.
        first: which rows of tiles of all pictures, one picture after the other: the first, and how many.
        rows: see there.
        out: (n n, tiles or more, C) float32; is written where tiles are.
    """
    n = len(b)
    _, height, width, channels = x.shape
    across, down = (width - n) // m + 1, (height - n) // m + 1
    pixels, found, tiles = x.reshape(-1), out.reshape(-1), out.shape[1]
    line = np.empty(width * channels, np.float32)
    for row in range(rows):
        picture, top = (first + row) // down, (first + row) % down * m
        start = (picture * height + top) * len(line)
        for i in range(n):
            _sum_into(line, pixels, start, len(line), b[i], n)
            for j in range(n):
                at = ((i * n + j) * tiles + row * across) * channels
                for tile in range(across):
                    one = found[at + tile * channels : at + (tile + 1) * channels]
                    _sum_into(one, line, tile * m * channels, channels, b[j], n)


@kernel
def interpolate(products: Any, a: Any, bias: Any, first: int, rows: int, out: Any) -> None:
    """The outputs of tiles, and the ReLU: max(A p A^T + bias, 0).

    Args:
        products: (n n, tiles or more, K) float32.
        a: (m, n or more) float32, A, filled up as B.
        bias: (K,) float32.
        first: as in `evaluate`.
        rows: as in `evaluate`.
        out: (N, H, W, K) float32; is written where the tiles are.
    """
    m = len(a)
    points, tiles, channels = products.shape
    n = int(np.sqrt(points))
    _, height, width, _ = out.shape
    across, down = -(-width // m), -(-height // m)
    given, made = products.reshape(-1), out.reshape(-1)
    length = across * channels
    columns, line = np.empty(n * length, np.float32), np.empty(length, np.float32)
    for row in range(rows):
        picture, top = (first + row) // down, (first + row) % down * m
        for i in range(min(m, height - top)):
            for j in range(n):
                column = columns[j * length : (j + 1) * length]
                _sum_into(column, given, (j * tiles + row * across) * channels, n * tiles * channels, a[i], n)
            for k in range(m):
                _sum_into(line, columns, 0, length, a[k], n)
                start = ((picture * height + top + i) * width + k) * channels
                for tile in range((width - k + m - 1) // m):
                    at = start + tile * m * channels
                    one, sums = made[at : at + channels], line[tile * channels : (tile + 1) * channels]
                    for c in range(channels):
                        one[c] = max(sums[c] + bias[c], np.float32(0))
