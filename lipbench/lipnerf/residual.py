"""What a field gets wrong in the clip's own frames, put right in a dub's.

Under its own expression a frame can be drawn and held against what was filmed. Much of the difference belongs to the
shape that the lips have, in whichever frame: teeth, and the lips' edges, which a field smooths. A frame of a dub takes
the residuals of those own frames whose lips are nearest to its lips, each moved there by the fitted mesh:

    residual_j = filmed_j - drawn_j(own_j)
    dub        = drawn(dub) + share sum_j w_j residual_j(warp_j),    w_j = 1 - (d_j / d)^2 over their sum

d_j is the distance of the lips' landmarks, d that of the first frame that is left out, so that none comes or goes at
once. `share` is measured on the clip: the least squares of residuals on what frames more than `APART` s away say of
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.core import npz
from lipbench.core.errors import WeightsError
from lipbench.faces.raster import Camera
from lipbench.faces.raster.kernel import kernel
from lipbench.faces.raster.zbuffer import edge_values, visibility
from lipbench.lipnerf.prepared import PreparedClip
from lipbench.nerf.relief.mesh import HeadMesh, Motions

Array = NDArray[np.float64]
Map = NDArray[np.float32]

SCHEMA = 1
#: Own frames that are kept at most, and of how many of them a dub's frame takes the residuals.
KEPT, NEAREST = 250, 10
#: Between frames that are held against each other to measure the share, seconds.
APART = 0.5
#: px about lips, upper lip and chin of a face that is `SIZE` px from the eyes to the chin, and over how many they fade.
RIM, FADE, SIZE = 6.0, 2.0, 100.0
FAR = -9.0  # px, beside every image
CHIN, EYES, LIPS = 8, slice(36, 48), slice(48, 68)
AREA = (31, 35, *range(48, 60), 6, 8, 10)


@dataclass(frozen=True)
class Poses:
    """Where a clip's frames have the mesh.

    Attributes:
        mesh: of the person.
        expression: (T, K) of its frames.
        rotation: (T, 3, 3) head to camera.
        translation: (T, 3) dm.
        camera: whose image it is.
    """

    mesh: HeadMesh
    expression: Array
    rotation: Array
    translation: Array
    camera: Camera

    def own_motions(self, frames: NDArray[np.integer]) -> Motions:
        """How far the expressions of some frames move the mesh."""
        return Motions(self.mesh, self.expression[frames])

    def area(self, t: int, moved: Array) -> Map:
        """(H, W) 1 about the lips of frame t, fading to 0; its expression moves the mesh by (N, 3) dm."""
        marks = self.camera.project(self.mesh.placed(moved, self.rotation[t], self.translation[t])[self.mesh.mark_rows])
        scale = float(np.linalg.norm(marks[CHIN] - marks[EYES].mean(0))) / SIZE
        share = np.zeros((self.camera.height, self.camera.width), np.float32)
        cv2.fillConvexPoly(share, cv2.convexHull(marks[list(AREA)].astype(np.float32)).round().astype(np.int32), 1.0)
        reach = 2 * max(1, round(RIM * scale)) + 1
        wide = cv2.dilate(share, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
        soft = np.asarray(cv2.GaussianBlur(wide, (0, 0), max(FADE * scale, 0.3)), np.float32)
        return np.where(soft < 1 / 512, 0, soft).astype(np.float32)


def poses_of(prepared: PreparedClip, own: NDArray[np.floating]) -> Poses:
    """Where a clip's frames have the mesh in the crop, under their expressions (T, K)."""
    fit, (x0, y0, x1, y1) = prepared.fit, prepared.crop
    mesh, (cx, cy) = HeadMesh(fit.load_model(), fit.identity, own.mean(0)), fit.camera.center
    camera = Camera(fit.focal, x1 - x0, y1 - y0, cx - x0, cy - y0)
    return Poses(mesh, np.asarray(own, np.float64), fit.rotation, fit.translation, camera)


@dataclass(frozen=True)
class Residuals:
    """Residuals of a clip's own frames about the lips.

    Attributes:
        frames: (J,) their numbers in the clip.
        corners: (J, 2) x, y px, where in the frame each lies.
        images: (J, h, w, 3) int8, levels of 255, 0 where nothing is known.
        share: how much of them holds for other frames, 0 to 1.
    """

    frames: NDArray[np.int64]
    corners: NDArray[np.int64]
    images: NDArray[np.int8]
    share: float

    def save(self, path: Path) -> Path:
        """Write; returns the path."""
        held: Mapping[str, Any] = {name: getattr(self, name) for name in ("frames", "corners", "images", "share")}
        npz.save(path, {"schema": SCHEMA, **held}, compressed=False)
        return path

    @classmethod
    def load(cls, path: Path) -> Residuals:
        """Read what `save` wrote.

        Raises:
            WeightsError: not such a file.
        """
        names = ("frames", "corners", "images", "share")
        held = npz.load(path, SCHEMA, "the residuals", "train the field again", names, WeightsError)
        return cls(held["frames"], held["corners"], held["images"], float(held["share"]))


def kept_frames(trained: NDArray[np.int64], n_frames: int) -> NDArray[np.int64]:
    """Those of a clip's trained frames whose residuals are kept: at most `KEPT`, evenly spread."""
    own = trained[trained < n_frames]
    return own[:: max(1, -(-len(own) // KEPT))]


def gather(
    poses: Poses,
    filmed: NDArray[np.uint8],
    frames: NDArray[np.int64],
    drawn: Callable[[Callable[[int], NDArray[np.bool_]]], Iterable[tuple[Map, Map]]],
    fps: float,
) -> Residuals:
    """Residuals of a clip's own frames.

    Args:
        poses: of the clip.
        filmed: (T, H, W, 3) its frames.
        frames: (J,) which of them.
        drawn: given which pixels of the j-th are wanted, yields each one's premultiplied color (H, W, 3) and opacity
            (H, W), both in [0, 1], under its own expression.
        fps: of the clip.
    """
    motions = poses.own_motions(frames)
    areas = [poses.area(int(t), motions[j]) for j, t in enumerate(frames)]
    boxes = [cv2.boundingRect((area > 0).astype(np.uint8)) for area in areas]
    w, h = (max(1, *(box[k] for box in boxes)) for k in (2, 3))
    corners = np.array([(min(x, poses.camera.width - w), min(y, poses.camera.height - h)) for x, y, _, _ in boxes])
    images = np.zeros((len(frames), h, w, 3), np.int8)
    for j, (rgb, alpha) in enumerate(drawn(lambda j: areas[j] > 0)):
        x, y = corners[j]
        part = np.s_[y : y + h, x : x + w]
        # Over the frame itself, so that a background that shows through is no error of the head's.
        wrong = filmed[frames[j]][part] * alpha[part][..., None] - 255 * rgb[part]
        images[j] = np.clip(np.rint(wrong * areas[j][part][..., None]), -127, 127)
    found = Residuals(frames, corners.astype(np.int64), images, 1.0)
    return replace(found, share=_measured_share(Corrector(poses, found), APART * fps))


class Corrector:
    """Residuals as a dub's frames take them.

    Args:
        poses: of the clip.
        held: residuals of the same clip.
    """

    def __init__(self, poses: Poses, held: Residuals) -> None:
        self.poses, self.held = poses, held
        mesh = poses.mesh
        rows = _about_lips(mesh)
        kept = mesh.triangles[np.isin(mesh.triangles, rows).all(1)]
        self._triangles = np.ascontiguousarray(np.searchsorted(rows, kept), np.int32)
        self._rows, self._still = rows, mesh.neutral[rows]
        self._marks = np.searchsorted(rows, mesh.mark_rows[LIPS])
        lips: list[Array] = []
        pixels: list[Array] = []
        motions = poses.own_motions(held.frames)
        for j, t in enumerate(held.frames):
            moved = motions[j]
            lips.append((self._still + moved[rows])[self._marks].ravel())
            pixels.append(poses.camera.project(self._points(int(t), moved)) - held.corners[j] - 0.5)
        self._lips, self._pixels = np.stack(lips), np.stack(pixels)

    def _points(self, t: int, moved: Array) -> Array:
        """(n, 3) dm, the part's vertices in frame t's pose, in camera space, under an expression that moves the mesh by
        (N, 3) dm."""
        shape = self._still + moved[self._rows]
        return np.ascontiguousarray(shape @ self.poses.rotation[t].T + self.poses.translation[t])

    def part(self, t: int, moved: Array, apart: float = -1.0) -> tuple[tuple[slice, slice], Map]:
        """Rows and columns of all that is not 0, and there the (h, w, 3) levels of 255 to be added to a drawn frame.

        Args:
            t: whose pose the dub's frame has.
            moved: (N, 3) dm, how far the expression that is drawn moves the mesh.
            apart: own frames this near to t are left out.
        """
        points = self._points(t, moved)
        rows, weights = self._nearest(t, points, apart)
        camera, (x0, y0) = self._camera(points)
        triangle = visibility(points, self._triangles, camera).triangle
        out = np.zeros((*triangle.shape, 3), np.float32)
        columns, lines = np.full((2, len(rows), *triangle.shape), FAR, np.float32)
        cx, cy = camera.center
        lens = float(camera.focal), float(cx), float(cy)
        fill_places(points, self._triangles, triangle, *lens, self._pixels, rows, columns, lines)
        for j, weight in enumerate(self.held.share * weights):
            image = self.held.images[rows[j]].astype(np.float32)
            out += np.float32(weight) * cv2.remap(image, columns[j], lines[j], cv2.INTER_LINEAR)
        return np.s_[y0 : y0 + camera.height, x0 : x0 + camera.width], out

    def _nearest(self, t: int, points: Array, apart: float) -> tuple[NDArray[np.int64], Array]:
        """(n,) rows of own frames whose lips are nearest to those of frame t's vertices, and their weights."""
        lips = (points[self._marks] - self.poses.translation[t]) @ self.poses.rotation[t]
        away = np.square(self._lips - lips.ravel()).sum(1)
        away[np.abs(self.held.frames - t) <= apart] = np.inf
        order = np.argsort(away, kind="stable")[: NEAREST + 1]
        order = order[np.isfinite(away[order])]
        last = away[order[-1]] if len(order) else 1.0
        weights = 1 - away[order] / max(float(last), 1e-12) + 1e-6
        return order, weights / max(float(weights.sum()), 1e-12)

    def _camera(self, points: Array) -> tuple[Camera, tuple[int, int]]:
        """The camera of what is seen of the part, and its corner."""
        whole, size = self.poses.camera, np.array([self.poses.camera.width, self.poses.camera.height])
        columns, lines = whole.project(points).T
        low = np.clip(np.floor([columns.min(), lines.min()]), 0, size - 1).astype(int)
        high = np.maximum(np.clip(np.ceil([columns.max(), lines.max()]), 0, size).astype(int), low + 1)
        cx, cy = whole.center
        (x0, y0), (x1, y1) = low, high
        return Camera(whole.focal, int(x1 - x0), int(y1 - y0), cx - x0, cy - y0), (int(x0), int(y0))


def _about_lips(mesh: HeadMesh) -> NDArray[np.int64]:
    """Numbers of the vertices in the front of the head that `Poses.area` may cover."""
    marks = mesh.neutral[mesh.mark_rows]
    area, air = marks[list(AREA)], 2 * (RIM + FADE) / SIZE * np.linalg.norm(marks[CHIN] - marks[EYES].mean(0))
    inside = (mesh.neutral[:, :2] > area.min(0)[:2] - air) & (mesh.neutral[:, :2] < area.max(0)[:2] + air)
    found: NDArray[np.int64] = np.flatnonzero(inside.all(1) & (mesh.neutral[:, 2] > area[:, 2].min() - 10 * air))
    return found


def _measured_share(whole: Corrector, apart: float) -> float:
    """How much of what other frames say of a frame's residual is in it, 0 to 1, see the module."""
    both = own = 0.0
    h, w = whole.held.images.shape[1:3]
    told = np.zeros((whole.poses.camera.height, whole.poses.camera.width, 3), np.float32)
    some = np.arange(0, len(whole.held.frames), 4)
    motions = whole.poses.own_motions(whole.held.frames[some])
    for k, j in enumerate(some):
        told[:] = 0
        view, image = whole.part(int(whole.held.frames[j]), motions[k], apart)
        told[view] = image
        x, y = whole.held.corners[j]
        there = told[y : y + h, x : x + w]
        both += float((there * whole.held.images[j]).sum())
        own += float(np.square(there).sum())
    return float(np.clip(both / own, 0, 1)) if own > 0 else 0.0


@kernel
def fill_places(points, triangles, triangle, focal, cx, cy, pixels, rows, columns, lines):  # type: ignore[no-untyped-def]
    """Where own frames have what the pixels of a dub's frame see.

    Args:
        points: (n, 3) dm, camera space.
        triangles: (m, 3).
        triangle: (H, W) number of the triangle that a pixel sees, -1 for none.
        focal: px.
        cx: px.
        cy: px.
        pixels: (J, n, 2) px, where own frames have the vertices.
        rows: (j,) which of them.
        columns: (j, H, W) takes px where something is seen.
        lines: the same.
    """
    for y in range(triangle.shape[0]):
        for x in range(triangle.shape[1]):
            k = triangle[y, x]
            if k < 0:
                continue
            a, b, c = triangles[k, 0], triangles[k, 1], triangles[k, 2]
            e0, e1, e2 = edge_values(points, a, b, c, (x + 0.5 - cx) / focal, (cy - y - 0.5) / focal)
            for j in range(rows.shape[0]):
                own = pixels[rows[j]]
                columns[j, y, x] = e0 * own[a, 0] + e1 * own[b, 0] + e2 * own[c, 0]
                lines[j, y, x] = e0 * own[a, 1] + e1 * own[b, 1] + e2 * own[c, 1]
