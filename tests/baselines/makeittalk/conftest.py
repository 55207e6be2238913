"""A face in the iBUG order with real lips: outer and inner contour, each clockwise from the image's left corner."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def ibug() -> np.ndarray:
    """(68, 3) px in a 96 x 80 image, lips 4 px apart."""
    points = np.zeros((68, 3))
    jaw = np.linspace(np.pi, 0, 17)
    points[:17, :2] = np.stack([46 + 22 * np.cos(jaw), 36 + 32 * np.sin(jaw)], 1)
    points[17:27, 0], points[17:27, 1] = np.r_[np.linspace(28, 41, 5), np.linspace(51, 64, 5)], 24
    points[27:31, 0], points[27:31, 1] = 46, np.linspace(30, 43, 4)
    points[31:36, 0], points[31:36, 1] = np.linspace(42, 50, 5), 45
    for first, x in ((36, 36), (42, 56)):
        dx, dy = np.array([-4, -2, 2, 4, 2, -2]), np.array([0, -2, -2, 0, 2, 2])
        points[first : first + 6, :2] = np.stack([x + dx, 31 + dy], 1)
    top = np.linspace(np.pi, 0, 7)
    points[48:55, :2] = np.stack([46 + 9 * np.cos(top), 55 - 5 * np.sin(top)], 1)
    points[55:60, :2] = np.stack([46 + 9 * np.cos(top[5:0:-1]), 55 + 6 * np.sin(top[5:0:-1])], 1)
    inner = np.linspace(np.pi, 0, 5)
    points[60:65, :2] = np.stack([46 + 7 * np.cos(inner), 55 - 2 * np.sin(inner)], 1)
    points[65:68, :2] = np.stack([46 + 7 * np.cos(inner[3:0:-1]), 55 + 2 * np.sin(inner[3:0:-1])], 1)
    return points
