"""What pixels see of the fitted mesh: how far away it is, and how far the expression has moved it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipbench.faces.morphable import MorphableModel
from lipbench.faces.raster import Camera
from lipbench.faces.raster.kernel import kernel
from lipbench.faces.raster.nearest import nearest_pixels
from lipbench.faces.raster.zbuffer import edge_values, visibility

#: dm below the chin (landmark 8) under which the mesh is left out: a neck is no part of the head that is rendered.
BELOW_CHIN = 0.10
#: dm outside the silhouette over which the mesh's motion fades.
FADE = 0.15
OUTER_LIPS, CHIN, JAW_ENDS = slice(48, 60), 8, [0, 16]  # landmarks
AT_ONCE = 16  # expressions whose motions are made together

Float32 = NDArray[np.float32]


class MeshView(NamedTuple):
    """What the pixels of one frame see.

    Attributes:
        depth: (H, W) dm along the camera's axis; outside the silhouette that of the nearest pixel inside.
        shift: (H, W, 3) dm in head space, from the mesh at rest; fading outside the silhouette.
        hit: (H, W) bool, inside the silhouette.
        mouth: (H, W) bool, within the lips' outer edge.
        jaw: (3, 4) from head space to where the jaw has it at rest, dm.
    """

    depth: Float32
    shift: Float32
    hit: NDArray[np.bool_]
    mouth: NDArray[np.bool_]
    jaw: NDArray[np.float64]


class HeadMesh:
    """One person's morphable model: the triangles of the head alone, and the vertices they need.

    Args:
        model: with landmarks.
        identity: (K_id,).
        rest: (K,) expression in which the relief is at rest: the mean of the clip's.

    Attributes:
        neutral: (N, 3) dm, the vertices at rest.
        marks: (68, 3) dm, the landmarks at rest.
        mark_rows: (68,) rows of `neutral`, the landmarks' vertices.
        triangles: (M, 3) int32.
    """

    def __init__(self, model: MorphableModel, identity: NDArray[np.floating], rest: NDArray[np.float64]) -> None:
        self.rest = rest
        whole = np.asarray(model.vertices(identity, rest), np.float64)
        self.marks = whole[model.require_landmarks().points]
        low = whole[:, 1] < self.marks[8, 1] - BELOW_CHIN
        kept = model.triangles[~low[model.triangles].any(1)]
        marks = model.require_landmarks().points
        rows = np.unique(np.concatenate([kept.ravel(), marks]))
        self.triangles = np.ascontiguousarray(np.searchsorted(rows, kept), np.int32)
        self.mark_rows = np.searchsorted(rows, marks)
        self.neutral = whole[rows]
        basis = np.take(model.expression_basis, rows, 1).astype(np.float64)
        basis *= np.asarray(model.expression_sigma)[:, None, None]
        self._basis = basis.reshape(len(basis), -1)

    def moved(self, expression: ArrayLike) -> NDArray[np.float64]:
        """(N, 3) dm, how far an expression (K,) moves the vertices from their rest; (T, N, 3) of several (T, K)."""
        moved: NDArray[np.float64] = (np.asarray(expression, np.float64) - self.rest) @ self._basis
        return moved.reshape(*moved.shape[:-1], -1, 3)

    def placed(
        self, moved: NDArray[np.float64], rotation: NDArray[np.float64], translation: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """(N, 3) dm in camera space, the vertices that were moved by (N, 3) dm."""
        return np.ascontiguousarray((self.neutral + moved) @ rotation.T + translation)

    def view(
        self, expression: ArrayLike, rotation: NDArray[np.float64], translation: NDArray[np.float64], camera: Camera
    ) -> MeshView:
        """What a camera sees of the mesh.

        Args:
            expression: (K,).
            rotation: (3, 3) head to camera.
            translation: (3,) dm.
            camera: whose image it is.
        """
        moved = self.moved(expression)
        return self.view_of(self.placed(moved, rotation, translation), moved, float(-translation[2]), camera)

    def view_of(
        self, points: NDArray[np.float64], moved: NDArray[np.float64], distance: float, camera: Camera
    ) -> MeshView:
        """The same of the mesh whose vertices were moved by (N, 3) dm and placed at (N, 3), so many dm away."""
        triangle = visibility(points, self.triangles, camera).triangle
        depth, shift = seen_values(points, moved, self.triangles, triangle, camera)
        hit = triangle >= 0
        depth, shift = _extended(depth, shift, hit, FADE * camera.focal / distance)
        lips = camera.project(points[self.mark_rows[OUTER_LIPS]])
        return MeshView(depth, shift, hit, hit & _filled(lips, hit.shape), self.jaw(moved))

    def jaw(self, moved: NDArray[np.float64]) -> NDArray[np.float64]:
        """(3, 4) from head space to where the jaw has it at rest, when the vertices are moved by (N, 3) dm.

        It turns about the line between the jawline's ends, and goes sideways, as the chin does.
        """
        joint, chin = self.marks[JAW_ENDS].mean(0), moved[self.mark_rows[CHIN]]
        _, y, z = self.marks[CHIN] - joint
        angle = math.atan2(y, z) - math.atan2(y + chin[1], z + chin[2])
        c, s = math.cos(angle), math.sin(angle)
        turn = np.array([[1.0, 0.0, 0.0], [0.0, c, s], [0.0, -s, c]])
        return np.column_stack([turn, joint - turn @ joint - [chin[0], 0.0, 0.0]])


class Motions:
    """How far each of many expressions moves a mesh's vertices, made a few at a time.

    A single expression costs a look at the whole basis, which no cache holds: some at once cost hardly more. They round
    otherwise than single ones, in the last bits of a double.

    Args:
        mesh: whose.
        expressions: (T, K), asked for mostly in their order.
    """

    def __init__(self, mesh: HeadMesh, expressions: ArrayLike) -> None:
        self._mesh, self._expressions = mesh, np.asarray(expressions, np.float64)
        self._first, self._held = -1, np.zeros((0, 0, 3))

    def __len__(self) -> int:
        return len(self._expressions)

    def __getitem__(self, t: int) -> NDArray[np.float64]:
        """(N, 3) dm."""
        first = t - t % AT_ONCE
        if first != self._first:
            self._first, self._held = first, self._mesh.moved(self._expressions[first : first + AT_ONCE])
        found: NDArray[np.float64] = self._held[t - first]
        return found


def canonical(
    view: MeshView, rotation: NDArray[np.float64], translation: NDArray[np.float64], camera: Camera
) -> NDArray[np.float64]:
    """(H, W, 3) dm, where in the head at rest the mesh (or its extension) lies that pixels see."""
    h, w = view.depth.shape
    cx, cy = camera.center
    x, y = np.meshgrid(np.arange(w) + 0.5, np.arange(h) + 0.5)
    z = view.depth.astype(np.float64)
    seen = np.stack([(x - cx) / camera.focal * z, (cy - y) / camera.focal * z, -z], -1)
    found: NDArray[np.float64] = (seen - translation) @ rotation - view.shift
    return found


def seen_values(
    points: NDArray[np.float64],
    values: NDArray[np.float64],
    triangles: NDArray[np.int32],
    triangle: NDArray[np.integer],
    camera: Camera,
) -> tuple[Float32, Float32]:
    """(H, W) depths, dm, and (H, W, 3) values (N, 3) of a mesh's vertices at what every pixel sees; 0 where none is.

    Args:
        points: (N, 3) dm, camera space.
        values: of the vertices.
        triangles: (M, 3).
        triangle: (H, W) number of the triangle that a pixel sees, -1 for none.
        camera: whose image it is.
    """
    depth, seen = np.zeros(triangle.shape, np.float32), np.zeros((*triangle.shape, 3), np.float32)
    cx, cy = camera.center
    fill_view(points, values, triangles, triangle, float(camera.focal), float(cx), float(cy), depth, seen)
    return depth, seen


def _filled(marks: NDArray[np.float64], size: tuple[int, ...]) -> NDArray[np.bool_]:
    """(H, W) inside the hull of points (K, 2) px."""
    import cv2

    inside = np.zeros(size, np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull((marks - 0.5).round().astype(np.int32)), 1)
    return inside > 0


def _extended(depth: Float32, shift: Float32, hit: NDArray[np.bool_], fade: float) -> tuple[Float32, Float32]:
    """Outside the silhouette: the nearest pixel's depth, and its shift the less the farther away, over `fade` px."""
    if not hit.any():
        return depth, shift
    away, number, place = nearest_pixels(hit)
    out = np.flatnonzero(~hit)
    source = place[number.reshape(-1)[out]]
    depth.reshape(-1)[out] = depth.reshape(-1)[source]
    share = np.exp(-np.square(away.reshape(-1)[out] / fade))[:, None]
    shift.reshape(-1, 3)[out] = shift.reshape(-1, 3)[source] * share
    return depth, shift


@kernel
def fill_view(points, moved, triangles, triangle, focal, cx, cy, depth, shift):  # type: ignore[no-untyped-def]
    """Depth and motion of the mesh at every pixel that hits it.

    Args:
        points: (N, 3) dm, camera space.
        moved: (N, 3) dm, how far each vertex is from its rest.
        triangles: (M, 3).
        triangle: (H, W) number of the triangle that a pixel sees, -1 for none.
        focal: px.
        cx: px.
        cy: px.
        depth: (H, W) takes dm along the axis.
        shift: (H, W, 3) takes dm.
    """
    height, width = triangle.shape
    for y in range(height):
        for x in range(width):
            k = triangle[y, x]
            if k < 0:
                continue
            a, b, c = triangles[k, 0], triangles[k, 1], triangles[k, 2]
            e0, e1, e2 = edge_values(points, a, b, c, (x + 0.5 - cx) / focal, (cy - y - 0.5) / focal)
            depth[y, x] = -(e0 * points[a, 2] + e1 * points[b, 2] + e2 * points[c, 2])
            for j in range(3):
                shift[y, x, j] = e0 * moved[a, j] + e1 * moved[b, j] + e2 * moved[c, j]
