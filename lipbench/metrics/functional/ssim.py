"""SSIM of RGB frames: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment", IEEE TIP 13(4), 2004.

11 x 11 Gaussian window of sigma 1.5, population covariance, K1 = 0.01, K2 = 0.03, windows that lie inside the image,
mean over windows and channels. The same number as

    skimage.metrics.structural_similarity(a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
                                          data_range=255, channel_axis=-1)

The kernel sums in float64: in float32 the difference E[x^2] - E[x]^2 of flat areas (letterbox bars) is off by more
than 1e-5. It filters s = x + y and d = x - y instead of x and y, so that equal images give exactly 1. What is filtered
are whole numbers, 2 * 510^2 at most where two rows are added: float32 holds them exactly, in half the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import Unsupported
from lipbench.metrics.arrays import Frame, as_clips

WINDOW = 11
SIGMA = 1.5
K1, K2 = 0.01, 0.03
# Columns (times channels) per strip: four ring buffers then stay in the second-level cache.
STRIP = 384

F = TypeVar("F", bound=Callable[..., Any])


def _compiled(function: F) -> F:
    """numba.njit, cached on disk where that is possible; sums keep their order, so that 1 stays 1."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
    try:
        return cast(F, numba.njit(cache=True, **options)(function))
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return cast(F, numba.njit(**options)(function))


def _gaussian() -> NDArray[np.float64]:
    x = np.arange(WINDOW) - WINDOW // 2
    taps = np.exp(-0.5 * (x / SIGMA) ** 2)
    return taps / taps.sum()


_TAPS = _gaussian()


@_compiled
def _down(ring, top, taps, out, n):  # type: ignore[no-untyped-def]
    """Vertical filter: out (n,) float64 from a ring of whole numbers, (11, n or more) float32; its first row is `top`.

    The first and the last row, the second and the last but one, ... share a tap.
    """
    a, b, c = ring[top], ring[(top + 1) % 11], ring[(top + 2) % 11]
    d, e, f = ring[(top + 3) % 11], ring[(top + 4) % 11], ring[(top + 5) % 11]
    g, h, i = ring[(top + 6) % 11], ring[(top + 7) % 11], ring[(top + 8) % 11]
    j, k = ring[(top + 9) % 11], ring[(top + 10) % 11]
    t0, t1, t2, t3, t4, t5 = taps[0], taps[1], taps[2], taps[3], taps[4], taps[5]
    for x in range(n):
        far = t5 * np.float64(f[x]) + t0 * np.float64(a[x] + k[x]) + t1 * np.float64(b[x] + j[x])
        out[x] = far + t2 * np.float64(c[x] + i[x]) + t3 * np.float64(d[x] + h[x]) + t4 * np.float64(e[x] + g[x])


@_compiled
def _fill(p, q, rings, slot, n):  # type: ignore[no-untyped-def]
    """Sum, difference and their squares of two rows (n,) of whole numbers, into a row of the four rings."""
    s, d, ss, dd = rings[0, slot], rings[1, slot], rings[2, slot], rings[3, slot]
    for j in range(n):
        u, v = np.float32(p[j]), np.float32(q[j])
        s[j] = u + v
        d[j] = u - v
    for j in range(n):
        ss[j] = s[j] * s[j]
        dd[j] = d[j] * d[j]


@_compiled
def _along(row, taps, out, n):  # type: ignore[no-untyped-def]
    """Horizontal filter of an interleaved RGB row: out (n,) from row (n + 30,); neighbors are 3 apart."""
    a, b, c, d, e = row[:n], row[3 : n + 3], row[6 : n + 6], row[9 : n + 9], row[12 : n + 12]
    f = row[15 : n + 15]
    g, h, i, j, k = row[18 : n + 18], row[21 : n + 21], row[24 : n + 24], row[27 : n + 27], row[30 : n + 30]
    t0, t1, t2, t3, t4, t5 = taps[0], taps[1], taps[2], taps[3], taps[4], taps[5]
    for x in range(n):
        near = t4 * (e[x] + g[x]) + t3 * (d[x] + h[x])
        far = t2 * (c[x] + i[x]) + t1 * (b[x] + j[x])
        out[x] = t5 * f[x] + near + far + t0 * (a[x] + k[x])


@_compiled
def _mean_ssim(x, y, taps, c1, c2, boxes):  # type: ignore[no-untyped-def]
    """Mean SSIM of two (H, W * 3) uint8 images in each of `boxes`, strip by strip, one row at a time.

    Args:
        boxes: (B, 4) left, top, right, bottom of the windows that count, in columns times channels and in rows.
    """
    height, width = x.shape
    n_windows, margin = width - 30, 30
    rings, row = np.empty((4, 11, STRIP + margin), np.float32), np.empty(STRIP + margin)
    means = np.empty((4, STRIP))
    mean_s, mean_d, mean_ss, mean_dd = means[0], means[1], means[2], means[3]
    value, totals = np.empty(STRIP), np.zeros(len(boxes))
    sums = np.zeros((len(boxes), STRIP))
    for left in range(0, n_windows, STRIP):
        n = min(STRIP, n_windows - left)
        wide = n + margin
        sums[:] = 0
        for i in range(height):
            _fill(x[i, left : left + wide], y[i, left : left + wide], rings, i % 11, wide)
            if i < 10:
                continue
            for k in range(4):
                _down(rings[k], (i + 1) % 11, taps, row, wide)
                _along(row, taps, means[k], n)
            for j in range(n):
                # s2 - d2 = 4 mu_x mu_y, s2 + d2 = 2 (mu_x^2 + mu_y^2), var_s - var_d = 4 cov_xy and
                # var_s + var_d = 2 (var_x + var_y): twice the published factors, hence twice c1 and c2.
                s2, d2 = mean_s[j] * mean_s[j], mean_d[j] * mean_d[j]
                var_s, var_d = mean_ss[j] - s2, mean_dd[j] - d2
                top = (s2 - d2 + 2 * c1) * (var_s - var_d + 2 * c2)
                value[j] = top / ((s2 + d2 + 2 * c1) * (var_s + var_d + 2 * c2))
            for b in range(len(boxes)):
                if boxes[b, 1] <= i - 10 < boxes[b, 3]:
                    first, last = max(boxes[b, 0] - left, 0), min(boxes[b, 2] - left, n)
                    own, here = sums[b, first:last], value[first:last]
                    for j in range(last - first):
                        own[j] += here[j]
        for b in range(len(boxes)):
            totals[b] += sums[b].sum()
    return totals / ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def frame_ssim(prediction: Frame, reference: Frame, data_range: float = 255) -> float:
    """Mean SSIM of two (H, W, 3) uint8 frames with H and W at least 11; exactly 1 when they are equal."""
    height, width = prediction.shape[:2]
    return box_ssim(prediction, reference, [(0, 0, width, height)], data_range)[0]


def box_ssim(
    prediction: Frame, reference: Frame, boxes: Sequence[tuple[int, int, int, int]], data_range: float = 255
) -> list[float]:
    """What `frame_ssim` says of several parts of two frames, all from one pass: windows that lie inside a part count.

    Args:
        prediction: uint8 RGB, (H, W, 3).
        reference: uint8 RGB, (H, W, 3).
        boxes: x1, y1, x2, y2 of each part, the pixels [y1:y2, x1:x2], inside the frame, at least 11 px either way.
    """
    if np.array_equal(prediction, reference):
        return [1.0] * len(boxes)
    height, width, channels = prediction.shape
    x = np.ascontiguousarray(prediction).reshape(height, width * channels)
    y = np.ascontiguousarray(reference).reshape(height, width * channels)
    edge = WINDOW - 1  # a part of n px holds n - 10 windows
    windows = np.array([(x1 * channels, y1, (x2 - edge) * channels, y2 - edge) for x1, y1, x2, y2 in boxes], np.int64)
    means = _mean_ssim(x, y, _TAPS, (K1 * data_range) ** 2, (K2 * data_range) ** 2, windows)
    return [float(mean) for mean in means]


def ssim_per_frame(prediction: Frame, reference: Frame, data_range: float = 255) -> NDArray[np.float64]:
    """SSIM of every frame.

    Args:
        prediction: uint8 RGB, (H, W, 3) or (T, H, W, 3), H and W at least 11.
        reference: the same of what it is compared to.
        data_range: L in the constants (K L)^2.

    Returns:
        (T,) in -1..1, exactly 1 where the frames are equal.

    Raises:
        UsageError: other dtype or shape, or the two differ in shape.
        Unsupported: frames smaller than the 11 px window.
    """
    a, b = as_clips(prediction, reference)
    if min(a.shape[1:3]) < WINDOW:
        raise Unsupported(
            f"frames of {a.shape[2]} x {a.shape[1]} px have no SSIM",
            f"its window is {WINDOW} x {WINDOW} px",
            "compare larger frames, or use PSNR",
        )
    return np.array([frame_ssim(x, y, data_range) for x, y in zip(a, b, strict=True)])


def ssim(prediction: Frame, reference: Frame, data_range: float = 255) -> float:
    """Structural similarity on RGB, mean over frames (the exact variant stands at the top of this module).

    Args:
        prediction: uint8 RGB, (H, W, 3) or (T, H, W, 3), H and W at least 11.
        reference: the same of what it is compared to.
        data_range: L in the constants (K L)^2.

    Returns:
        -1 to 1, higher is closer; exactly 1 when all frames are equal.

    Raises:
        UsageError: other dtype or shape, or the two differ in shape.
        Unsupported: frames smaller than the 11 px window.

    Source:
        Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment", IEEE TIP 13(4), 2004.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics import ssim
        >>> noise = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
        >>> ssim(noise, noise)
        1.0
        >>> abs(ssim(255 - noise, noise) + 0.97) < 0.03  # the negative: nearly -1
        True
    """
    return float(ssim_per_frame(prediction, reference, data_range).mean())
