"""The relief: a thin layer of head space about the mesh at rest, seen from the front.

Its coordinates are x and y of head space and the depth between two maps, its back and its front. Over the face it is
thin (the mesh knows where the skin is), elsewhere it has room for hair. Mouth cavity and teeth lie behind its back.
Where no network draws them they are put onto it: what moves apart in depth moves apart there.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.raster import Camera
from lipbench.faces.raster.nearest import nearest_pixels
from lipbench.faces.raster.zbuffer import barycentrics, visibility
from lipbench.nerf.relief.mesh import HeadMesh, MeshView, canonical

#: dm behind and in front of the mesh: over the face, and elsewhere.
FACE, HAIR = (0.05, 0.04), (0.10, 0.25)
#: The same everywhere where frames are put in their place: all that is left to depth is the lips before the teeth.
SKIN = (0.025, 0.02)
ABOVE_BROWS = 0.2  # dm, where the face ends
SLANT = 3.0  # times thicker along the line of sight a layer gets at most where the mesh turns away
MAPS = 256  # px, longest side of the maps
STEEPEST = 1.5  # dm of depth a dm across, where rays meet the middle from all sides
ASKING = 0.05  # of the frames have to show something beside the mesh for the relief to reach it
FARTHEST = 0.5  # dm, how far in front of the mesh it may do so
MARGIN = 0.04  # of the masks' extent, on each side

BESIDE_LIPS, BELOW_CHIN = 0.25, 0.05  # of the mouth's width on each side, dm
ABOVE_CHIN = 0.62  # of the height of lips and chin: what the lips have of it
BLEND = 0.1  # of lips and chin's size, in which what is mixed there ends

#: Half the size of an eye's box, as shares of the distance between the eye's corners.
EYE_BOX = (0.85, 0.6)

Float32 = NDArray[np.float32]
Box = tuple[float, float, float, float]


class Relief(NamedTuple):
    """Where the relief lies about the mesh.

    Attributes:
        place: left, top, width, height in head space (x right, y up), dm.
        middle: (h, w) dm, depth (z) of the mesh at rest, extended beyond its outline; the rows go down.
        inner: (h, w) dm, the relief's back.
        outer: (h, w) dm, its front.
        eyes: left, top, width, height of a box about each eye, as shares of the place's (u and v).
        mouth: the same of lips and chin.
    """

    place: Box
    middle: Float32
    inner: Float32
    outer: Float32
    eyes: tuple[Box, Box]
    mouth: Box

    @property
    def lips(self) -> Box:
        """The upper part of `mouth`, without the chin."""
        left, top, width, height = self.mouth
        return left, top, width, ABOVE_CHIN * height


class Rest(NamedTuple):
    """The mesh at rest seen straight from the front: where the relief's maps look.

    Attributes:
        triangle: (h, w) int32, -1 for none.
        shares: (h, w, 3) barycentrics.
        mesh: which.
    """

    triangle: NDArray[np.int32]
    shares: Float32
    mesh: HeadMesh

    def attribute(self, values: NDArray[np.floating]) -> Float32:
        """(N, C) per vertex -> (h, w, C), 0 outside the mesh."""
        corners = np.asarray(values, np.float32)[self.mesh.triangles[np.maximum(self.triangle, 0)]]
        found = np.einsum("hwkc,hwk->hwc", corners, self.shares) * (self.triangle >= 0)[..., None]
        return found.astype(np.float32)


def look_at_rest(mesh: HeadMesh, place: Box, size: tuple[int, int]) -> Rest:
    """The mesh at rest over a place of head space, in an image of (h, w) px."""
    h, w = size
    far = 1000.0  # a perspective camera as far away as this sees parallel rays
    x = (mesh.neutral[:, 0] - place[0]) / place[2] * w
    y = (place[1] - mesh.neutral[:, 1]) / place[3] * h
    depth = far - 20.0 * mesh.neutral[:, 2]
    points = np.stack([(x - w / 2) * depth / far, (h / 2 - y) * depth / far, -depth], 1)
    camera = Camera(far, w, h)
    triangle = visibility(points, mesh.triangles, camera).triangle
    return Rest(triangle, barycentrics(points, mesh.triangles, triangle, camera), mesh)


def relief_of(
    mesh: HeadMesh,
    place: Box,
    skin: tuple[float, float] = FACE,
    hair: tuple[float, float] = HAIR,
    slant: float = SLANT,
    shut: bool = False,
) -> tuple[Relief, Float32]:
    """The relief over a place of head space, and where in its maps it is a face's, thin, as shares.

    Args:
        mesh: at rest.
        place: see `Relief`.
        skin: dm behind and in front of the mesh where it is a face's.
        hair: the same elsewhere.
        slant: how much thicker it may get where the mesh turns away.
        shut: whether it passes before a mouth that is open at rest.
    """
    import cv2

    unit = max(place[2:]) / MAPS  # dm a px
    size = max(2, round(place[3] / unit)), max(2, round(place[2] / unit))
    rest = look_at_rest(mesh, place, size)
    hit = rest.triangle >= 0
    depth = rest.attribute(mesh.neutral[:, 2:])[..., 0]
    _, number, nearest = nearest_pixels(hit, 5)
    beside = depth.reshape(-1)[nearest].astype(np.float32)[number]
    soft = cv2.GaussianBlur(beside, (0, 0), MAPS / 40)
    middle = np.where(hit, depth, cv2.GaussianBlur(np.where(hit, depth, soft), (0, 0), MAPS / 128)).astype(np.float32)
    if shut:
        middle = _gentle(_shut(middle, mesh, place, unit), STEEPEST * unit)
    height = place[1] - (np.arange(size[0]) + 0.5) * unit
    below = height[:, None] < mesh.marks[17:27, 1].max() + ABOVE_BROWS
    inside = cv2.erode((hit & below).astype(np.uint8), np.ones((3, 3), np.uint8))
    face = np.asarray(cv2.GaussianBlur(inside.astype(np.float32), (0, 0), MAPS / 100), np.float32)
    gy, gx = np.gradient(cv2.GaussianBlur(middle, (0, 0), 1.5), unit)
    turned = np.minimum(np.sqrt(1 + gx * gx + gy * gy), slant)
    back, front = (face * thin * turned + (1 - face) * wide for thin, wide in zip(skin, hair, strict=True))
    inner, outer = (middle - back).astype(np.float32), (middle + front).astype(np.float32)
    eyes = _eye_box(mesh.marks[[36, 39]], place), _eye_box(mesh.marks[[42, 45]], place)
    return Relief(place, middle, inner, outer, eyes, _lips_box(mesh, place)), face


def _eye_box(corners: NDArray[np.float64], place: Box) -> Box:
    """Of the eye with these two corners, (2, 3) dm."""
    (x, y), reach = corners[:, :2].mean(0), max(float(np.ptp(corners[:, 0])), 1e-3) * np.array(EYE_BOX)
    left, top = (x - reach[0] - place[0]) / place[2], (place[1] - y - reach[1]) / place[3]
    return float(left), float(top), float(2 * reach[0] / place[2]), float(2 * reach[1] / place[3])


def _shut(middle: Float32, mesh: HeadMesh, place: Box, unit: float) -> Float32:
    """The middle (h, w), of px as large as `unit` dm, with what lies between the lips at the depth of the lips."""
    import cv2

    lips = np.stack([mesh.marks[48:, 0] - place[0], place[1] - mesh.marks[48:, 1]], 1) / unit
    inside = np.zeros(middle.shape, np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(np.round(lips).astype(np.int32)), 1)
    reach = round(max(np.ptp(lips[12:, 1]), 2.0)) + 2
    near = np.ones((2 * reach + 1, 3), np.uint8)
    return np.where(inside > 0, cv2.morphologyEx(middle, cv2.MORPH_CLOSE, near), middle).astype(np.float32)


def _gentle(middle: Float32, rise: float) -> Float32:
    """The middle (h, w) and before it what is needed so that no px lies more than `rise` dm behind the next one."""
    import cv2

    cross, square = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)), np.ones((3, 3), np.uint8)
    while True:
        found = np.maximum(cv2.dilate(middle, cross) - rise, cv2.dilate(middle, square) - math.sqrt(2) * rise)
        if (found <= middle + 1e-6).all():
            return middle
        middle = np.maximum(middle, found).astype(np.float32)


def lips_and_chin(mesh: HeadMesh) -> tuple[float, float, float, float]:
    """Left, top, right, bottom in head space (dm) of what belongs to the expression alone."""
    marks = mesh.marks
    side = BESIDE_LIPS * float(np.ptp(marks[48:60, 0]))
    top = 0.5 * (marks[33, 1] + marks[48:60, 1].max())
    return marks[48:60, 0].min() - side, top, marks[48:60, 0].max() + side, marks[8, 1] - BELOW_CHIN


def _lips_box(mesh: HeadMesh, place: Box) -> Box:
    """Of `lips_and_chin`, with the soft edge about it."""
    x0, y0, x1, y1 = lips_and_chin(mesh)
    more = BLEND * max(x1 - x0, y0 - y1)
    left, top = (x0 - more - place[0]) / place[2], (place[1] - y0 - more) / place[3]
    return float(left), float(top), float((x1 - x0 + 2 * more) / place[2]), float((y0 - y1 + 2 * more) / place[3])


def widened(
    relief: Relief,
    face: Float32,
    views: list[MeshView],
    masks: list[NDArray[np.bool_]],
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
    camera: Camera,
) -> tuple[Relief, Float32]:
    """The relief with room for what the masks show beside the mesh, and where it still is a face's.

    A fit that is a few pixels too narrow leaves cheek and jaw beside its silhouette: the relief's front has to reach
    to where such pixels lie.

    Args:
        relief: see `relief_of`.
        face: the same.
        views: of some frames.
        masks: (H, W) bool, the head.
        rotation: (F, 3, 3) head to camera.
        translation: (F, 3) dm.
        camera: of all frames.
    """
    import cv2

    h, w = relief.middle.shape
    left, top, width, height = relief.place
    ahead = np.zeros((len(views), h, w), np.float32)
    pixel = float(np.median(-translation[:, 2])) / camera.focal  # dm
    around = np.ones((2 * math.ceil(pixel * w / width) + 1,) * 2, np.uint8)
    for k, (view, mask) in enumerate(zip(views, masks, strict=True)):
        x, y, z = canonical(view, rotation[k], translation[k], camera)[mask & ~view.hit].T
        column = np.clip(((x - left) / width * w).astype(np.int64), 0, w - 1)
        row = np.clip(((top - y) / height * h).astype(np.int64), 0, h - 1)
        np.maximum.at(ahead[k], (row, column), z.astype(np.float32) - relief.middle[row, column])
        ahead[k] = cv2.dilate(ahead[k], around)
    rank = min(len(views), max(2, round(ASKING * len(views))))  # a mask that ran out once asks for nothing
    asked = np.partition(ahead, -rank, axis=0)[-rank]
    asked = cv2.GaussianBlur(cv2.dilate(asked, around), (0, 0), MAPS / 128)
    asked = np.asarray(np.minimum(asked, FARTHEST), np.float32)
    outer = np.maximum(relief.outer, relief.middle + asked)
    return relief._replace(outer=outer), np.where(outer > relief.outer, 0, face).astype(np.float32)


def extent(
    views: list[MeshView],
    masks: list[NDArray[np.bool_]],
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
    camera: Camera,
) -> Box:
    """Place of the relief that holds what the masks of some frames show, hair's ends with it.

    Args:
        views: of these frames.
        masks: (H, W) bool, the head.
        rotation: (F, 3, 3) head to camera.
        translation: (F, 3) dm.
        camera: of all frames.
    """
    low, high = [], []
    for view, mask, turn, move in zip(views, masks, rotation, translation, strict=True):
        if not mask.any():
            continue
        x, y = canonical(view, turn, move, camera)[mask][:, :2].T
        low.append((x.min(), y.min()))
        high.append((x.max(), y.max()))
    # A mask that ran out in a frame or two must not stretch the texels of all.
    (left, bottom), (right, top) = np.percentile(low, 5, axis=0), np.percentile(high, 95, axis=0)
    mx, my = MARGIN * (right - left), MARGIN * (top - bottom)
    return float(left - mx), float(top + my), float(right - left + 2 * mx), float(top - bottom + 2 * my)
