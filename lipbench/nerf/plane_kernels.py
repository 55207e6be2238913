"""Features of planes on the CPU: what `TriPlaneField` reads at its points, and the way back.

Coordinates of points are in [-1, 1]; a plane's outer texels lie on its border, beyond which they go on. Indices are
unsigned: for others numba asks at every access whether they count from the end, and nothing is vectorized.
"""

from __future__ import annotations

import numpy as np

from lipbench.faces.raster.kernel import inlined, kernel

ONE, HALF, NONE = np.float32(1), np.float32(0.5), np.float32(0)
NEXT, FOUR = np.uint64(1), np.uint64(4)


@inlined
def texel(value, n):  # type: ignore[no-untyped-def]
    """[-1, 1] -> the lower one of the two texels about it, of n, and the share of the upper one."""
    at = min(max((value + ONE) * HALF * np.float32(n - 1), NONE), np.float32(n - 1))
    low = min(np.int32(at), np.int32(n - 2))
    return np.uint64(low), at - np.float32(low)


@kernel
def read(planes, axes, points, out, offset):  # type: ignore[no-untyped-def]
    """Bilinear values of planes, side by side into columns offset ... of `out`.

    Args:
        planes: (P, H, W, C).
        axes: (P, 2) which coordinate of a point runs along W, and which along H.
        points: (N, 3).
        out: (N, ...).
        offset: first column.
    """
    count, h, w, channels = planes.shape
    for i in range(np.uint64(points.shape[0])):
        for p in range(np.uint64(count)):
            x, a = texel(points[i, axes[p, 0]], w)
            y, b = texel(points[i, axes[p, 1]], h)
            w00, w01, w10, w11 = (ONE - a) * (ONE - b), a * (ONE - b), (ONE - a) * b, a * b
            right, below = x + NEXT, y + NEXT
            at = np.uint64(offset) + p * np.uint64(channels)
            for c in range(np.uint64(channels)):
                out[i, at + c] = (
                    w00 * planes[p, y, x, c]
                    + w01 * planes[p, y, right, c]
                    + w10 * planes[p, below, x, c]
                    + w11 * planes[p, below, right, c]
                )


@kernel
def copy(points, out, offset):  # type: ignore[no-untyped-def]
    """The points (N, 3) themselves into columns offset ... of `out` (N, ...)."""
    for i in range(np.uint64(points.shape[0])):
        for k in range(np.uint64(3)):
            out[i, np.uint64(offset) + k] = points[i, k]


@kernel
def read_backward(gradient, axes, points, given, offset):  # type: ignore[no-untyped-def]
    """Backward of `read`: adds to `gradient` (P, H, W, C) what columns offset ... of `given` (N, ...) bring."""
    count, h, w, channels = gradient.shape
    for i in range(np.uint64(points.shape[0])):
        for p in range(np.uint64(count)):
            x, a = texel(points[i, axes[p, 0]], w)
            y, b = texel(points[i, axes[p, 1]], h)
            w00, w01, w10, w11 = (ONE - a) * (ONE - b), a * (ONE - b), (ONE - a) * b, a * b
            right, below = x + NEXT, y + NEXT
            at = np.uint64(offset) + p * np.uint64(channels)
            for c in range(np.uint64(channels)):
                g = given[i, at + c]
                gradient[p, y, x, c] += w00 * g
                gradient[p, y, right, c] += w01 * g
                gradient[p, below, x, c] += w10 * g
                gradient[p, below, right, c] += w11 * g


@kernel
def blend(shapes, shares, out):  # type: ignore[no-untyped-def]
    """Planes (P, H, W, K, C), each texel's K sums of channels times `shares` (K,), added to `out` (P, H, W, C)."""
    count, h, w, shown, channels = shapes.shape
    for p in range(np.uint64(count)):
        for y in range(np.uint64(h)):
            for x in range(np.uint64(w)):
                for k in range(np.uint64(shown)):
                    share = shares[k]
                    for c in range(np.uint64(channels)):
                        out[p, y, x, c] += share * shapes[p, y, x, k, c]


@kernel
def read_blended(shapes, axes, points, shares, out, offset):  # type: ignore[no-untyped-def]
    """As `read`, of planes (P, H, W, K, C) that each frame blends: points (G, N, 3), shares (G, K), out (G, N, ...).

    Of a texel the K C numbers lie side by side, and one loop goes along them.
    """
    count, h, w, shown, channels = shapes.shape
    texels, size, n = shapes.reshape(count, h, w, shown * channels), np.uint64(shown * channels), np.uint64(channels)
    told, seen = np.empty(shown * channels, np.float32), np.empty(shown * channels, np.float32)
    for g in range(np.uint64(points.shape[0])):
        for j in range(size):
            told[j] = shares[g, j // n]
        for i in range(np.uint64(points.shape[1])):
            for p in range(np.uint64(count)):
                x, a = texel(points[g, i, axes[p, 0]], w)
                y, b = texel(points[g, i, axes[p, 1]], h)
                w00, w01, w10, w11 = (ONE - a) * (ONE - b), a * (ONE - b), (ONE - a) * b, a * b
                right, below = x + NEXT, y + NEXT
                for j in range(size):
                    seen[j] = told[j] * (
                        w00 * texels[p, y, x, j]
                        + w01 * texels[p, y, right, j]
                        + w10 * texels[p, below, x, j]
                        + w11 * texels[p, below, right, j]
                    )
                at = np.uint64(offset) + p * n
                for c in range(n):
                    out[g, i, at + c] = NONE
                for k in range(np.uint64(shown)):
                    for c in range(n):
                        out[g, i, at + c] += seen[k * n + c]


@kernel
def read_blended_backward(shapes, axes, points, shares, given, offset, gradient, to_shares):  # type: ignore[no-untyped-def]
    """Backward of `read_blended`: adds to `gradient` (P, H, W, K, C) and to `to_shares` (G, K)."""
    count, h, w, shown, channels = shapes.shape
    texels, size, n = shapes.reshape(count, h, w, shown * channels), np.uint64(shown * channels), np.uint64(channels)
    moved = gradient.reshape(count, h, w, shown * channels)
    told, much = np.empty(shown * channels, np.float32), np.empty(shown * channels, np.float32)
    total = np.empty(shown * channels, np.float32)
    for g in range(np.uint64(points.shape[0])):
        for j in range(size):
            told[j], total[j] = shares[g, j // n], NONE
        for i in range(np.uint64(points.shape[1])):
            for p in range(np.uint64(count)):
                x, a = texel(points[g, i, axes[p, 0]], w)
                y, b = texel(points[g, i, axes[p, 1]], h)
                w00, w01, w10, w11 = (ONE - a) * (ONE - b), a * (ONE - b), (ONE - a) * b, a * b
                right, below = x + NEXT, y + NEXT
                at = np.uint64(offset) + p * n
                for k in range(np.uint64(shown)):
                    for c in range(n):
                        much[k * n + c] = given[g, i, at + c]
                for j in range(size):
                    total[j] += much[j] * (
                        w00 * texels[p, y, x, j]
                        + w01 * texels[p, y, right, j]
                        + w10 * texels[p, below, x, j]
                        + w11 * texels[p, below, right, j]
                    )
                    much[j] *= told[j]
                for j in range(size):
                    moved[p, y, x, j] += w00 * much[j]
                    moved[p, y, right, j] += w01 * much[j]
                    moved[p, below, x, j] += w10 * much[j]
                    moved[p, below, right, j] += w11 * much[j]
        for j in range(size):
            to_shares[g, j // n] += total[j]
