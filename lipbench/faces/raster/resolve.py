"""From the visibility buffer to the finished image: how many samples a pixel needs, tone curve, labels, depth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.raster.kernel import kernel

CURVE_TOP = 2.0  # linear value at the end of the tone curve's table
SMOOTH = 0.03  # dm of depth within a pixel up to which it counts as one smooth surface
FINE = 0.006  # dm: pixels narrower than this see no more than two texels and need one sample


def _tone_curve() -> NDArray[np.uint8]:
    """4096 entries over [0, CURVE_TOP): a soft shoulder, then the sRGB curve."""
    x = np.linspace(0, CURVE_TOP, 4096)
    y = np.clip(1.10 * x / (1 + 0.16 * x), 0, 1)
    srgb = np.where(y <= 0.0031308, 12.92 * y, 1.055 * np.maximum(y, 1e-9) ** (1 / 2.4) - 0.055)
    return np.clip(srgb * 255 + 0.5, 0, 255).astype(np.uint8)


def _inverse(curve: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(256,) display byte -> linear value that the curve turns back into that byte."""
    wanted = np.arange(256)
    middle = (np.searchsorted(curve, wanted, side="left") + np.searchsorted(curve, wanted, side="right")) // 2
    return np.linspace(0, CURVE_TOP, len(curve))[np.clip(middle, 0, len(curve) - 1)].astype(np.float32)


TONE_CURVE = _tone_curve()
UNDEVELOPED = _inverse(TONE_CURVE)


@kernel
def pick_samples(tri, inverse_depth, factor, focal, material, samples, counts, depth):  # type: ignore[no-untyped-def]
    """Choose what to shade of a (H*factor, W*factor) visibility buffer.

    Pixels whose samples all lie on one smooth material are shaded once or along one diagonal, others at every sample.
    Writes x, y, triangle into `samples` and, per pixel, how many of them are its own (`counts`) and the depth of the
    nearest one; returns how many were chosen. Uncovered samples of a mixed pixel count, with triangle -1.
    """
    height, width = counts.shape
    n = 0
    for y in range(height):
        for x in range(width):
            hits, same, near, far, first = 0, True, 0.0, 1e9, -1
            for sy in range(y * factor, y * factor + factor):
                for sx in range(x * factor, x * factor + factor):
                    k = tri[sy, sx]
                    if k < 0:
                        continue
                    hits += 1
                    w = inverse_depth[sy, sx]
                    near, far = max(near, w), min(far, w)
                    if first < 0:
                        first = material[k]
                    elif first != material[k]:
                        same = False
            counts[y, x] = 0
            if hits == 0:
                depth[y, x] = np.inf
                continue
            depth[y, x] = 1.0 / near
            same = same and hits == factor * factor and near - far < SMOOTH * near * far
            once = same and factor < FINE * focal * near
            for dy in range(factor):
                for dx in range(factor):
                    if same and (dx != dy or (once and dx > 0)):
                        continue
                    sx, sy = x * factor + dx, y * factor + dy
                    samples[n, 0], samples[n, 1], samples[n, 2] = sx, sy, tri[sy, sx]
                    counts[y, x] += 1
                    n += 1
    return n


@kernel
def resolve(samples, counts, rgb, sample_labels, curve, undeveloped, image, labels):  # type: ignore[no-untyped-def]
    """Average the shaded samples of every pixel into `image` (H, W, 3) uint8, which holds the background."""
    height, width = labels.shape
    top = curve.shape[0] - 1
    votes = np.zeros(16, np.int32)
    s = 0
    for y in range(height):
        for x in range(width):
            n = counts[y, x]
            if n == 0:
                labels[y, x] = 0
                continue
            r, g, b = 0.0, 0.0, 0.0
            votes[:] = 0
            for _ in range(n):
                if samples[s, 2] < 0:
                    r += undeveloped[image[y, x, 0]]
                    g += undeveloped[image[y, x, 1]]
                    b += undeveloped[image[y, x, 2]]
                    votes[0] += 1
                else:
                    # Clamp before averaging: a highlight must not outshine the samples beside it.
                    r += min(rgb[s, 0], 1.5)
                    g += min(rgb[s, 1], 1.5)
                    b += min(rgb[s, 2], 1.5)
                    votes[sample_labels[s]] += 1
                s += 1
            scale = top / CURVE_TOP / n
            image[y, x, 0] = curve[min(max(int(r * scale), 0), top)]
            image[y, x, 1] = curve[min(max(int(g * scale), 0), top)]
            image[y, x, 2] = curve[min(max(int(b * scale), 0), top)]
            best = 0
            for c in range(16):
                if votes[c] > votes[best]:
                    best = c
            labels[y, x] = best
