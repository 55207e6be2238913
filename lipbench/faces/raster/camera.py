"""Pinhole camera and rigid pose in AD-NeRF's convention.

The camera sits at the origin and looks down -Z, X to the right, Y up (OpenGL). A model point x goes to camera space by
X = R x + t, and to the image by

    u = -f X / Z + cx        v = f Y / Z + cy        (Z < 0; v grows downwards)

with R = Rx(theta) Ry(phi) Rz(-psi) for AD-NeRF's Euler angles (theta, phi, psi); note the minus on psi
(AD-NeRF data_util/face_tracking/util.py, `euler2rot`). One unit of length is 1 dm, as in AD-NeRF's rescaled BFM.
Pixel (i, j) covers [j, j+1) x [i, i+1), its center lies at (j + 0.5, i + 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Camera:
    """Intrinsics of one image. focal, cx, cy in px; cx and cy default to the image center."""

    focal: float
    width: int
    height: int
    cx: float | None = None
    cy: float | None = None

    @property
    def center(self) -> tuple[float, float]:
        """(cx, cy) in px."""
        return (self.width / 2 if self.cx is None else self.cx, self.height / 2 if self.cy is None else self.cy)

    def scaled(self, factor: float) -> Camera:
        """The same view at `factor` times the resolution."""
        cx, cy = self.center
        return Camera(
            self.focal * factor, round(self.width * factor), round(self.height * factor), cx * factor, cy * factor
        )

    def project(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """(..., 3) camera-space points -> (..., 2) px."""
        points = np.asarray(points, np.float64)
        cx, cy = self.center
        x, y, z = points[..., 0], points[..., 1], points[..., 2]
        return np.stack([-self.focal * x / z + cx, self.focal * y / z + cy], -1)

    @classmethod
    def portrait(cls, size: int, distance: float = 7.5, view: float = 2.9, height: int | None = None) -> Camera:
        """A camera that sees `view` dm across the shorter image side at `distance` dm (default: head, shoulders)."""
        height = size if height is None else height
        return cls(focal=min(size, height) * distance / view, width=size, height=height)


def euler_to_matrix(euler: ArrayLike) -> NDArray[np.float64]:
    """(..., 3) AD-NeRF angles (theta, phi, psi) in radians -> (..., 3, 3) rotation Rx(theta) Ry(phi) Rz(-psi).

    theta tilts the head down (positive: chin to chest), phi turns it to the image's right, psi rolls it clockwise
    as seen in the image.
    """
    angles = np.asarray(euler, np.float64)
    a, b, c = angles[..., 0], angles[..., 1], -angles[..., 2]
    ca, sa, cb, sb, cc, sc = np.cos(a), np.sin(a), np.cos(b), np.sin(b), np.cos(c), np.sin(c)
    rows = [
        [cb * cc, -cb * sc, sb],
        [ca * sc + sa * sb * cc, ca * cc - sa * sb * sc, -sa * cb],
        [sa * sc - ca * sb * cc, sa * cc + ca * sb * sc, ca * cb],
    ]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def matrix_to_euler(rotation: NDArray[np.floating]) -> NDArray[np.float64]:
    """Inverse of `euler_to_matrix` for |phi| < 90 degrees: (..., 3, 3) -> (..., 3) radians."""
    r = np.asarray(rotation, np.float64)
    theta = np.arctan2(-r[..., 1, 2], r[..., 2, 2])
    phi = np.arcsin(np.clip(r[..., 0, 2], -1, 1))
    psi = np.arctan2(r[..., 0, 1], r[..., 0, 0])
    return np.stack([theta, phi, psi], -1)
