"""A face brought to the place where a recognition network expects it: five points on a template, by a similarity."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.metrics.arrays import Frame

Points = NDArray[np.floating]

#: ArcFace's places at 112 px: the middles of the eyes (left in the image first), nose, corners of the mouth.
ARCFACE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])
#: dlib's places in a square of 1: eye corners outer and inner, right in the image first, and the nose's base.
DLIB = np.array(
    [
        [0.8595674595992, 0.2134981538014],
        [0.6460604764104, 0.2289674387677],
        [0.1205750620789, 0.2137274526848],
        [0.3340850613712, 0.2290642403242],
        [0.4901123135679, 0.6277975316475],
    ]
)
#: The same points by their numbers among the 68.
_DLIB_68 = (45, 42, 36, 39, 33)
DLIB_SIZE, DLIB_PADDING = 150, 0.25
ARCFACE_SIZE = 112


def arcface_points(points68: Points) -> NDArray[np.float64]:
    """(68, 2) px -> (5, 2) px in the order of `ARCFACE`."""
    p = np.asarray(points68, np.float64)
    return np.stack([p[36:42].mean(axis=0), p[42:48].mean(axis=0), p[30], p[48], p[54]])


def similarity(points: Points, places: Points) -> NDArray[np.float64]:
    """The (2, 3) rotation, scale and shift that takes (N, 2) points to (N, 2) places, least squares.

    Source:
        Umeyama, IEEE TPAMI 13(4), 1991, in the plane without reflection: a complex factor and a shift.

    Examples:
        >>> import numpy as np
        >>> similarity(np.array([[0.0, 0], [1, 0]]), np.array([[5.0, 5], [5, 7]])).round(6) + 0
        array([[ 0., -2.,  5.],
               [ 2.,  0.,  5.]])
    """
    z, w = (np.asarray(p, np.float64) @ [1, 1j] for p in (points, places))
    off, to = z - z.mean(), w - w.mean()
    turn = np.vdot(off, to) / np.vdot(off, off)
    shift = w.mean() - turn * z.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def arcface_crop(frame: Frame, points68: Points) -> Frame:
    """The (112, 112, 3) face that ArcFace sees, bilinear, black outside the frame.

    Args:
        frame: (H, W, 3) uint8 RGB.
        points68: (68, 2) px.
    """
    to = similarity(arcface_points(points68), ARCFACE)
    return _warped(frame, to, ARCFACE_SIZE)


def dlib_crop(frame: Frame, points68: Points) -> Frame:
    """The (150, 150, 3) face that dlib's network sees: its five points, a quarter of their square around them.

    As in dlib, a frame is halved while the face is still larger than the crop.

    Args:
        frame: (H, W, 3) uint8 RGB.
        points68: (68, 2) px.
    """
    places = (DLIB_PADDING + DLIB) / (2 * DLIB_PADDING + 1) * DLIB_SIZE
    points = np.asarray(points68, np.float64)[list(_DLIB_68)]
    to = similarity(points, places)
    while np.hypot(*to[:, 0]) < 0.5:
        frame, points = cv2.pyrDown(frame).astype(np.uint8, copy=False), points / 2
        to = similarity(points, places)
    return _warped(frame, to, DLIB_SIZE)


def _warped(frame: Frame, to: NDArray[np.float64], size: int) -> Frame:
    found = cv2.warpAffine(frame, to, (size, size), flags=cv2.INTER_LINEAR, borderValue=(0, 0, 0))
    return found.astype(np.uint8, copy=False)
