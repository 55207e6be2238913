"""Ears: a shell modeled in polar coordinates with rim, inner fold, bowl, tragus and lobe."""

from __future__ import annotations

import numpy as np

from lipbench.synthetic.head.shape import Array, ridge, step

ROWS, COLUMNS = 18, 44


def ear(side: int) -> Array:
    """(ROWS, COLUMNS, 3) points from the middle of the bowl outwards and round to the back of the rim.

    Local axes before placing: u towards the front of the face, v up, w away from the skull.
    """
    rows = np.linspace(0, 1, ROWS)
    r, b = np.meshgrid(rows, np.linspace(0, 2 * np.pi, COLUMNS, endpoint=False), indexing="ij")
    cos, sin = np.cos(b), np.sin(b)  # cos = +1 towards the face
    back_rim = step(0.86, 1.0, r)
    rr = np.where(r < 0.88, r / 0.88, 1.0 - 0.25 * back_rim)
    # Outline: broad above, narrow lobe below.
    width = 0.150 * (1 + 0.18 * sin) * np.where(cos > 0, 0.80, 1.05)
    height = np.where(sin > 0, 0.290, 0.280)
    u, v = width * rr * cos, height * rr * sin
    upper = step(-0.75, -0.2, sin)
    rim = 0.050 * ridge(rr, 0.93, 0.10) * (upper * step(0.98, 0.35, cos) + 0.25)
    anti = 0.040 * ridge(rr, 0.62 - 0.06 * sin, 0.13) * step(0.55, -0.2, cos) * step(-0.95, -0.4, sin)
    bowl = -0.036 * np.exp(-((rr / 0.42) ** 2))
    tragus = 0.045 * np.exp(-(((u - 0.085) / 0.035) ** 2) - (((v + 0.035) / 0.055) ** 2))
    lobe = 0.020 * np.exp(-((u / 0.08) ** 2) - (((v + 0.230) / 0.07) ** 2))
    w = 0.052 + rim + anti + bowl + tragus + lobe + 0.045 * step(0.4, -1.0, cos) * rr
    w = w - 0.085 * back_rim
    # Tilt back, turn out from the skull, put in place.
    tilt, turn = 0.20, 0.22
    y = v * np.cos(tilt) + u * np.sin(tilt) * 0.5
    z = u * np.cos(tilt) - v * np.sin(tilt)
    x = w * np.cos(turn) - z * np.sin(turn)
    z = z * np.cos(turn) + w * np.sin(turn) * 0.3
    return np.stack([side * (0.85 * x + 0.690), 0.95 * y + 0.03, 0.95 * z - 0.13], -1)
