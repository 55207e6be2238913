"""Periodic noise textures for skin, hair and cloth."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.raster.kernel import kernel

Image = NDArray[np.float32]


@lru_cache(maxsize=32)
def noise(seed: int, size: int, slope: float) -> Image:
    """(size, size) periodic noise of unit deviation whose power falls with frequency to the power `slope`."""
    rng = np.random.default_rng([7, seed])
    f = np.fft.fftfreq(size)
    k = np.hypot(f[:, None], f[None])
    k[0, 0] = 1
    spectrum = np.fft.fft2(rng.normal(size=(size, size))) * k ** (-slope / 2) * (k > 1.5 / size)
    out = np.fft.ifft2(spectrum).real
    return (out / out.std()).astype(np.float32)


@kernel
def _lookup(image, u, v, out):  # type: ignore[no-untyped-def]
    n = image.shape[0]
    for i in range(u.shape[0]):
        x, y = u[i] * n, v[i] * n
        fx, fy = np.floor(x), np.floor(y)
        a, b = x - fx, y - fy
        x0, y0 = int(fx) % n, int(fy) % n
        x1, y1 = (x0 + 1) % n, (y0 + 1) % n
        top = image[y0, x0] * (1 - a) + image[y0, x1] * a
        out[i] = top * (1 - b) + (image[y1, x0] * (1 - a) + image[y1, x1] * a) * b


def lookup(image: Image, u: NDArray[np.floating], v: NDArray[np.floating]) -> Image:
    """Bilinear, periodic: image values at (...) u, v, one period per unit."""
    u, v = np.broadcast_arrays(u, v)
    out = np.empty(u.size, np.float32)
    _lookup(image, np.ascontiguousarray(u.ravel(), np.float64), np.ascontiguousarray(v.ravel(), np.float64), out)
    return out.reshape(u.shape)
