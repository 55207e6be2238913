"""Where a dub's expression moves the head: the rendered head is put in there, the rest of the head stays as filmed.

A dub has the source frame's pose, light and hair. What of the head its expression does not move looks as it was filmed,
and a field's picture of it can only be worse. How far the skin is moved the fitted mesh tells:

    motion(p) = focal / depth |v_dub - v_own|      px, of the skin at p under the one expression or the other

Up to `STILL` px of it the frame is the source's, from `MOVED` px on and between the lips it is as rendered. The paper
pastes the whole head.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.faces.raster import Camera
from lipbench.faces.raster.zbuffer import visibility
from lipbench.nerf.relief.mesh import HeadMesh, fill_view

Map = NDArray[np.float32]

#: Motion in px up to which the source shows, and from which on the rendered head does; how far the region is widened
#: and over how much it fades, px. All of a face that is `SIZE` px from the eyes to the chin; others in proportion.
STILL, MOVED, RIM, FADE, SIZE = 0.1, 0.6, 2.0, 1.0, 100.0
CHIN, EYES, OUTER_LIPS = 8, slice(36, 48), slice(48, 60)


def moved_region(
    mesh: HeadMesh,
    own: NDArray[np.floating],
    dub: NDArray[np.floating],
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
    camera: Camera,
) -> Map:
    """(H, W) how much of a rendered head a frame takes, 0 to 1.

    Args:
        mesh: of the person.
        own: (K,) expression of the source frame.
        dub: (K,) expression that is rendered.
        rotation: (3, 3) head to camera, of the source frame.
        translation: (3,) dm.
        camera: whose image it is.
    """
    shapes = [np.ascontiguousarray(mesh.vertices(e) @ rotation.T + translation) for e in (own, dub)]
    here, there = (camera.project(shape[mesh.mark_rows]) for shape in shapes)
    scale = float(np.linalg.norm(here[CHIN] - here[EYES].mean(0))) / SIZE
    change = shapes[1] - shapes[0]
    depth = np.maximum(np.minimum(-shapes[0][:, 2], -shapes[1][:, 2]), 1e-3)
    px = np.sqrt(np.square(change).sum(1)) * camera.focal / depth
    # Skin that stays hides nothing of the rest here: the region only grows by what it would hide.
    moving = np.ascontiguousarray(mesh.triangles[(px > STILL * scale)[mesh.triangles].any(1)])
    motion = np.maximum(*(_seen(shape, px, moving, camera) for shape in shapes)) / max(scale, 1e-6)
    share = np.clip((motion - STILL) / (MOVED - STILL), 0, 1).astype(np.float32)
    lips = cv2.convexHull(np.concatenate([marks[OUTER_LIPS] for marks in (here, there)]).astype(np.float32))
    cv2.fillConvexPoly(share, lips.round().astype(np.int32), 1.0)
    reach = 2 * max(1, round(RIM * scale)) + 1
    wide = cv2.dilate(share, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    soft = np.asarray(cv2.GaussianBlur(wide, (0, 0), max(FADE * scale, 0.3)), np.float32)
    return np.where(soft < 1 / 512, 0, soft).astype(np.float32)


def put_in(source: NDArray[np.uint8], image: NDArray[np.uint8], region: Map) -> NDArray[np.uint8]:
    """(H, W, 3) the source frame with an image's region (H, W) over it; where that is 0, the source's bits."""
    mixed = source + region[..., None] * (image.astype(np.float32) - source)
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def _seen(points: NDArray[np.float64], px: NDArray[np.float64], triangles: NDArray[np.int32], camera: Camera) -> Map:
    """(H, W) what is seen of a value (N,) of a mesh's vertices (N, 3), in camera space; 0 beside it."""
    triangle = visibility(points, triangles, camera).triangle
    depth, seen = np.zeros(triangle.shape, np.float32), np.zeros((*triangle.shape, 3), np.float32)
    cx, cy = camera.center
    values = np.zeros_like(points)
    values[:, 0] = px
    fill_view(points, values, triangles, triangle, float(camera.focal), float(cx), float(cy), depth, seen)
    return seen[..., 0]
