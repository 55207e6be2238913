"""Where each frame shows the head beside where its fit says: smooth displacements, found by optical flow.

A fit of a recorded person is right to a pixel or two, and hair is no part of it: put back onto the head at rest, frames
disagree about what a texel shows. Here every frame is compared with the mean of all, on the head at rest; what is left
over is smoothed and belongs to the frame as its pose does. Lips and chin are left out: they belong to the expression.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.raster import Camera
from lipbench.nerf.relief.mesh import HeadMesh, MeshView, canonical
from lipbench.nerf.relief.scene import ReliefScene
from lipbench.nerf.relief.surface import Box, Float32, Relief, Rest, lips_and_chin, look_at_rest

CELLS = 64  # of a frame's displacements, along the longer side
#: Rounds: the share of the images' resolution at which frames are compared, and over how many dm they are smoothed.
ROUNDS = ((0.5, 0.17), (0.5, 0.06), (0.5, 0.06), (1.0, 0.03))
MEAN_FRAMES = 60  # that the mean is made of
LITTLE = 0.05  # how much that counts against what is seen there
BEHIND = 128.0  # level of what is not head: darker than skin, brighter than most hair, so that outlines count
TURNS = 8  # steps towards the place whose displacement ends where a pixel looks


class Canvas:
    """The head at rest as an image, (n, m) texels, that frames are put back onto.

    Args:
        scene: of the frames.
        mesh: at rest.
        relief: whose place it shows.
        size: (n, m).
    """

    def __init__(self, scene: ReliefScene, mesh: HeadMesh, relief: Relief, size: tuple[int, int]) -> None:

        n, m = self.size = size
        self.scene, self.mesh, self.relief = scene, mesh, relief
        self._rest: Rest = look_at_rest(mesh, relief.place, relief.middle.shape)
        left, top, width, height = relief.place
        x = left + (np.arange(m, dtype=np.float32) + 0.5) / m * width
        y = top - (np.arange(n, dtype=np.float32) + 0.5) / n * height
        flat = np.stack(np.meshgrid(x, y), -1).astype(np.float32)
        self._points = np.concatenate([flat, _at(relief.middle, flat, relief.place)[..., None]], -1)

    def put_back(self, t: int, warp: Float32, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(n, m[, C]) what an image (H, W[, C]) of frame t shows at the texels, displaced by the frame's warp."""
        import cv2

        n, m = self.size
        s = self.scene
        moved = np.asarray(cv2.resize(self._rest.attribute(self.mesh.moved(s.condition[t])), (m, n)), np.float32)
        displacement = np.asarray(cv2.resize(warp, (m, n)), np.float32)
        points = self._points + moved + slid(self._points[..., :2], displacement, self.relief)
        x, y, z = np.moveaxis(points @ s.rotation[t].T.astype(np.float32) + s.translation[t].astype(np.float32), -1, 0)
        (cx, cy), focal = s.camera.center, s.camera.focal
        column, row = cx - 0.5 - focal * x / z, cy - 0.5 + focal * y / z
        maps = column.astype(np.float32), row.astype(np.float32)
        return np.asarray(cv2.remap(image, *maps, cv2.INTER_LINEAR, borderValue=0), np.uint8)

    def head(self, t: int, warp: Float32) -> tuple[NDArray[np.uint8], Float32]:
        """(n, m, 3) frame t put back, and (n, m) 1 where all of a texel is head, else 0."""
        shown = self.put_back(t, warp, self.scene.scene.head[t].astype(np.uint8) * 255)
        return self.put_back(t, warp, self.scene.filmed[t]), (shown > 230).astype(np.float32)


def register(scene: ReliefScene, mesh: HeadMesh, relief: Relief, texels: Callable[[float], tuple[int, int]]) -> Float32:
    """(T, h, w, 2) dm to the right and up: where a frame shows what the head at rest has at a place of the relief.

    Args:
        scene: of the training.
        mesh: at rest.
        relief: of the field.
        texels: (n, m) of a grid whose texels have so many px of the images.
    """
    import cv2

    _, _, width, height = relief.place
    cell = max(width, height) / CELLS
    h, w = max(2, round(height / cell)), max(2, round(width / cell))
    warps = np.zeros((len(scene), h, w, 2), np.float32)
    if len(scene) < 2:
        return warps
    some = np.unique(np.linspace(0, len(scene) - 1, MEAN_FRAMES).round().astype(int))
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    for share, reach in ROUNDS:
        n, m = texels(1 / share)
        canvas = Canvas(scene, mesh, relief, (n, m))
        free = away_from_lips(mesh, relief.place, (n, m))
        parts = [canvas.head(t, warps[t]) for t in some]
        shown = np.sum([mask for _, mask in parts], 0)
        mean = np.sum([image * mask[..., None] for image, mask in parts], 0) / np.maximum(shown, 1)[..., None]
        known = shown / len(some)
        target = _gray(mean, known)
        unit = np.array([width / m, -height / n], np.float32)  # dm a texel
        scale = abs(float(unit[0]))
        for t in range(len(scene)):
            image, mask = canvas.head(t, warps[t])
            found = flow.calc(target, _gray(image, mask), None)  # type: ignore[call-overload]
            moved = np.asarray(found, np.float32) * unit
            weight = np.maximum(mask, known > 0.5).astype(np.float32) * (known > 0.1) * free
            smooth = _smoothed(moved, weight, reach / scale)
            more = np.asarray(cv2.resize(smooth, (w, h), interpolation=cv2.INTER_AREA), np.float32)
            warps[t] = _after(warps[t], more, relief.place)
        warps -= warps.mean(0)
    return warps.astype(np.float16).astype(np.float32)


def away_from_lips(mesh: HeadMesh, place: Box, size: tuple[int, int]) -> Float32:
    """(n, m) 0 over lips and chin, 1 elsewhere, with a soft edge."""
    import cv2

    n, m = size
    left, top, width, height = place
    x0, y1, x1, y0 = lips_and_chin(mesh)
    x = left + (np.arange(m) + 0.5) / m * width
    y = top - (np.arange(n) + 0.5) / n * height
    free = 1 - ((x > x0) & (x < x1))[None] * ((y > y0) & (y < y1))[:, None].astype(np.float32)
    return np.asarray(cv2.GaussianBlur(free.astype(np.float32), (0, 0), 0.04 * m / width), np.float32)


def registered(
    view: MeshView,
    warp: Float32,
    relief: Relief,
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
    camera: Camera,
) -> MeshView:
    """What pixels see, taken back by the frame's displacement, too.

    Args:
        view: of a frame.
        warp: (h, w, 2) dm, the frame's, see `register`.
        relief: of the field.
        rotation: (3, 3) head to camera.
        translation: (3,) dm.
        camera: whose image it is.
    """
    if not warp.any():
        return view
    seen = canonical(view, rotation, translation, camera)[..., :2].astype(np.float32)
    back = seen
    for _ in range(TURNS):  # the displacement is told where the head at rest has it
        back = seen - _at(warp, back, relief.place)
    return view._replace(shift=view.shift + slid(back, seen - back, relief))


def slid(points: Float32, displacement: Float32, relief: Relief) -> Float32:
    """(H, W, 3) dm that points (H, W, 2) go by a displacement (H, W, 2): in depth as the relief's middle does."""
    rise = _at(relief.middle, points + displacement, relief.place) - _at(relief.middle, points, relief.place)
    return np.concatenate([displacement, rise[..., None]], -1)


def _at(values: Float32, points: Float32, place: Box) -> Float32:
    """(H, W[, C]) of a map (h, w[, C]) over the relief's place at points (H, W, 2) dm."""
    import cv2

    (h, w), (left, top, width, height) = values.shape[:2], place
    column = (points[..., 0] - left) / width * w - 0.5
    row = (top - points[..., 1]) / height * h - 0.5
    found = cv2.remap(
        values, column.astype(np.float32), row.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(found, np.float32)


def _after(warp: Float32, more: Float32, place: Box) -> Float32:
    """The displacement `more`, then `warp`."""
    (h, w), (left, top, width, height) = warp.shape[:2], place
    x = left + (np.arange(w, dtype=np.float32) + 0.5) / w * width
    y = top - (np.arange(h, dtype=np.float32) + 0.5) / h * height
    return more + _at(warp, np.stack(np.meshgrid(x, y), -1) + more, place)


def _smoothed(moved: Float32, weight: Float32, reach: float) -> Float32:
    """(n, m, 2) means about each texel, weighted; from farther away where nothing tells."""
    import cv2

    def sums(sigma: float) -> tuple[Float32, Float32]:
        some = np.asarray(cv2.GaussianBlur(moved * weight[..., None], (0, 0), sigma), np.float32)
        return some, np.asarray(cv2.GaussianBlur(weight, (0, 0), sigma), np.float32)[..., None]

    far, many = sums(reach * 4)
    coarse = far / np.maximum(many, 1e-3)
    near, count = sums(reach)
    return np.asarray((near + LITTLE * coarse) / (count + LITTLE), np.float32)


def _gray(image: NDArray[np.generic], mask: Float32) -> NDArray[np.uint8]:
    """(n, m) levels of the head over an even ground."""
    level = np.asarray(image, np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.clip(mask * level + (1 - mask) * BEHIND, 0, 255).astype(np.uint8)
