"""The two ways to get images from landmarks: the published network, and a warp of the photo."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.baselines.makeittalk.landmarks import LOWER_INNER, UPPER_INNER, Points, arches, met

Frame = NDArray[np.uint8]
SIZE = 256
#: first point, last point, closed, BGR: util/utils.py (vis_landmark_on_img)
_CURVES = (
    (0, 16, False, (255, 144, 25)),
    (17, 21, False, (50, 205, 50)),
    (22, 26, False, (50, 205, 50)),
    (27, 35, False, (208, 224, 63)),
    (36, 41, True, (71, 99, 255)),
    (42, 47, True, (71, 99, 255)),
    (48, 59, True, (238, 130, 238)),
    (60, 67, True, (238, 130, 238)),
)
CAVITY = (52, 20, 20)  # RGB of an open mouth that the photo does not show
_FINER = 2  # rows and columns of samples in a pixel of a warped image
_FRACTION = 4  # bits after the point when triangles are drawn


def landmark_drawing(points: Points) -> Frame:
    """(68, >= 2) px -> (256, 256, 3) BGR lines of 2 px on white; coordinates are cut off to integers, as published."""
    image = np.full((SIZE, SIZE, 3), 255, np.uint8)
    whole = points[:, :2].astype(np.int32)
    for first, last, closed, color in _CURVES:
        cv2.polylines(image, [whole[first : last + 1]], closed, color, 2)
    return image


def square_around(points: Points, width: int, height: int) -> tuple[int, int, int]:
    """x, y, side (px) of the square that a portrait of this face would show: twice the height of its 68 points.

    May reach over the border of the image.
    """
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    side = int(min(round(2.0 * float((high - low).max())), max(width, height)))
    x, y = (low + high) / 2 - side / 2
    return round(float(x)), round(float(y)), side


class NetworkPainter:
    """Draws with the image translation network: a 256 x 256 square of the photo, put back into the photo."""

    def __init__(self, net: object, photo: Frame, points: Points, device: str) -> None:
        self.net, self.device, self.photo = net, device, photo
        height, width = photo.shape[:2]
        self.x, self.y, self.side = square_around(points, width, height)
        left, top = max(0, -self.x), max(0, -self.y)
        right, bottom = max(0, self.x + self.side - width), max(0, self.y + self.side - height)
        wide = cv2.copyMakeBorder(photo, top, bottom, left, right, cv2.BORDER_REPLICATE)
        square = wide[self.y + top :, self.x + left :][: self.side, : self.side]
        way = cv2.INTER_AREA if self.side > SIZE else cv2.INTER_CUBIC
        self.square = np.ascontiguousarray(cv2.resize(square, (SIZE, SIZE), interpolation=way)[..., ::-1])  # BGR

    def to_square(self, points: Points) -> Points:
        """(..., 68, 2) px of the photo -> px of the square."""
        return (points - (self.x, self.y)) * (SIZE / self.side)

    def from_square(self, points: Points) -> Points:
        """The way back."""
        return points * (self.side / SIZE) + (self.x, self.y)

    def frames(self, landmarks: Points) -> Iterator[Frame]:
        """(T, 68, 2) px of the photo -> T frames (H, W, 3) RGB."""
        import torch

        still = torch.from_numpy(self.square.copy()).permute(2, 0, 1).float() / 255
        for points in self.to_square(landmarks):
            lines = torch.from_numpy(landmark_drawing(points)).permute(2, 0, 1).float() / 255
            with torch.inference_mode():
                made = self.net(torch.cat([lines, still])[None].to(self.device))[0].tanh()  # type: ignore[operator]
            image = (made.clamp(0, 1) * 255).permute(1, 2, 0).cpu().numpy().astype(np.uint8)[..., ::-1]
            yield self._pasted(image)

    def _pasted(self, image: Frame) -> Frame:
        out = self.photo.copy()
        height, width = out.shape[:2]
        way = cv2.INTER_AREA if self.side < SIZE else cv2.INTER_CUBIC
        drawn = cv2.resize(np.ascontiguousarray(image), (self.side, self.side), interpolation=way)
        x1, y1, x2, y2 = max(0, self.x), max(0, self.y), min(width, self.x + self.side), min(height, self.y + self.side)
        out[y1:y2, x1:x2] = drawn[y1 - self.y : y2 - self.y, x1 - self.x : x2 - self.x]
        return out


class Warp:
    """Bends the photo so that its landmarks go where they should: piecewise affine over a Delaunay mesh.

    Upstream animates drawn characters this way (facewarp). Points on a ring around the face and on the border stand
    still. Where lips open wider than in the photo, the inside of the mouth darkens.
    """

    def __init__(self, photo: Frame, points: Points) -> None:
        from scipy.spatial import Delaunay

        self.photo = photo
        height, width = photo.shape[:2]
        center = points[27:36].mean(0)
        around = np.concatenate([points[:17], points[[26, 25, 24, 19, 18, 17]] - (0, 0.35 * np.ptp(points[:, 1]))])
        ring = center + 1.45 * (around - center)
        xs, ys = np.linspace(0, width - 1, 5), np.linspace(0, height - 1, 5)
        edge = [(x, y) for x in xs for y in (0, height - 1)] + [(x, y) for x in (0, width - 1) for y in ys[1:-1]]
        inside = (ring > 1).all(1) & (ring < (width - 2, height - 2)).all(1)
        self.still = np.concatenate([ring[inside], np.array(edge, float)])
        self.source = np.concatenate([points, arches(points), self.still])
        self.triangles = Delaunay(self.source).simplices  # (M, 3)
        self.gap = float(np.linalg.norm(points[LOWER_INNER] - points[UPPER_INNER], axis=1).mean())

    def frame(self, points: Points) -> Frame:
        """(68, 2) px -> (H, W, 3) RGB."""
        points = met(points)
        target = np.concatenate([points, arches(points), self.still])
        height, width = self.photo.shape[:2]
        moved = np.abs(target - self.source).max(1) > 1e-3
        active = self.triangles[moved[self.triangles].any(1)]
        if not len(active):
            return self.photo.copy()
        # Triangles are drawn twice as fine as pixels: closing lids and lips squeeze many pixels of the photo into one.
        number = np.zeros((_FINER * height, _FINER * width), np.int32)
        fine = (target[active] + 0.5) * _FINER - 0.5  # (m, 3, 2)
        corners = np.round(fine * 2**_FRACTION).astype(np.int32)
        turned = _signed_area(self.source[active]) * _signed_area(target[active]) <= 0
        back = np.zeros((len(active) + 1, 2, 3), np.float32)
        back[0] = np.array([[1, 0, 0.5 - 0.5 * _FINER], [0, 1, 0.5 - 0.5 * _FINER]]) / _FINER
        for k in np.flatnonzero(~turned):
            cv2.fillConvexPoly(number, corners[k], int(k) + 1, cv2.LINE_8, _FRACTION)
            back[k + 1] = cv2.getAffineTransform(fine[k].astype(np.float32), self.source[active[k]].astype(np.float32))
        y1, y2, x1, x2 = _bounds(number > 0)
        xx = np.arange(_FINER * x1, _FINER * x2, dtype=np.float32)
        yy = np.arange(_FINER * y1, _FINER * y2, dtype=np.float32)[:, None]
        which = number[_FINER * y1 : _FINER * y2, _FINER * x1 : _FINER * x2]
        # One array for each coefficient: arrays of matrices have no neighbors to compute together.
        of_x, of_y = ([k.take(which) for k in row] for row in np.moveaxis(back, 0, 2))
        map_x, map_y = (k[0] * xx + k[1] * yy + k[2] for k in (of_x, of_y))
        drawn = cv2.remap(self.photo, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        out = self.photo.copy()
        out[y1:y2, x1:x2] = cv2.resize(drawn, (x2 - x1, y2 - y1), interpolation=cv2.INTER_AREA)
        return self._darkened(out, points)

    def frames(self, landmarks: Points) -> Iterator[Frame]:
        """(T, 68, 2) px -> T frames."""
        return (self.frame(points) for points in landmarks)

    def _darkened(self, image: Frame, points: Points) -> Frame:
        gap = float(np.linalg.norm(points[LOWER_INNER] - points[UPPER_INNER], axis=1).mean())
        share = 1 - self.gap / gap if gap > max(self.gap, 0.5) else 0.0
        if share <= 0:
            return image
        mask, more = np.zeros(image.shape[:2], np.uint8), arches(points)
        upper = [points[60], *more[[1, 0]], *points[61:64], *more[[2, 3]], points[64]]
        lower = [*more[[7, 6]], *points[65:68], *more[[4, 5]]]
        inside = np.array([*upper, *lower])
        cv2.fillPoly(mask, [np.round(inside * 2**_FRACTION).astype(np.int32)], 255, cv2.LINE_AA, _FRACTION)
        soft = cv2.GaussianBlur(mask, (0, 0), max(0.6, 0.12 * gap)).astype(np.float32)[..., None] / 255 * share
        return np.clip(image * (1 - soft) + np.array(CAVITY, np.float32) * soft + 0.5, 0, 255).astype(np.uint8)


def _signed_area(triangles: Points) -> NDArray[np.float64]:
    a, b = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def _bounds(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """First and last + 1 row and column, in pixels, of a mask that is finer than they are."""
    rows, columns = np.flatnonzero(mask.any(1)) // _FINER, np.flatnonzero(mask.any(0)) // _FINER
    if not len(rows):
        return 0, 1, 0, 1
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
