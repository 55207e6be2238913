"""The part of a model's surface whose colors are compared with the frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from lipbench.faces.morphable import MorphableModel
from lipbench.faces.morphable.procedural import head_parts
from lipbench.faces.raster import Camera, visibility

Array = NDArray[np.float64]
MOUTH_WEIGHT, EYE_WEIGHT = 4.0, 0.5
DEPTH_SLACK = 0.025  # dm by which a vertex may lie behind what the z-buffer saw and still count as seen


@dataclass(frozen=True)
class FitSurface:
    """vertices: (V,) vertex numbers; weight: (V,) adding up to 1: the area of the surface round the vertex, seen from
    the front, more round mouth and eyes."""

    vertices: NDArray[np.int64]
    weight: Array


def face_surface(model: MorphableModel, wanted: int) -> FitSurface:
    """Vertices of the face: inside the hull of the landmarks, seen from the front with a neutral face, the whole lips;
    without eyeballs and what lies behind the lips, whose colors no expression moves. At most about `wanted`, densest
    round mouth and eyes.

    Raises:
        Unsupported: the model has no landmark vertices.
    """
    marks = model.require_landmarks().points
    mean = np.asarray(model.mean, np.float64)
    front = seen_vertices(mean + np.array([0.0, 0.0, -20.0]), model.triangles, Camera(4000.0, 1024, 1024))
    hull = ConvexHull(mean[marks][:, :2])
    inside = (mean[:, :2] @ hull.equations[:, :2].T + hull.equations[:, 2] < 0.02).all(1)
    chosen = inside & front
    chosen[model.lips] = True
    if model.name == "procedural":
        parts = head_parts()
        chosen |= parts.mask("lid_l", "lid_r")
        chosen &= parts.mask("skin", "lips", "lid_l", "lid_r")
    area = vertex_areas(mean, model.triangles)
    mouth, eyes = mean[marks[48:68]], mean[marks[36:48]]
    weight = area * (1 + (MOUTH_WEIGHT - 1) * _near(mean, mouth, 0.12) + (EYE_WEIGHT - 1) * _near(mean, eyes, 0.08))
    index = np.flatnonzero(chosen)
    if len(index) > wanted:  # keep a vertex with a probability that grows with its weight, and make up for it
        keep = np.clip(weight[index] * wanted / weight[index].sum(), 0, 1)
        kept = np.random.default_rng(0).random(len(index)) < keep
        index, weight = index[kept], np.maximum(weight[index] / keep, 0)[kept]
    else:
        weight = weight[index]
    return FitSurface(index, weight / weight.sum())


def _near(points: Array, marks: Array, reach: float) -> Array:
    """(N,) 1 at the marks, falling to 0 over a few times `reach`, in the frontal plane."""
    squared = ((points[:, None, :2] - marks[None, :, :2]) ** 2).sum(2).min(1)
    return np.asarray(np.exp(-squared / (2 * reach**2)), np.float64)


def vertex_areas(points: Array, triangles: NDArray[np.integer]) -> Array:
    """(N,) dm^2: a third of the triangles round each vertex, seen along z."""
    a, b, c = (points[triangles[:, k], :2] for k in range(3))
    area = np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 6
    out = np.zeros(len(points))
    for k in range(3):
        np.add.at(out, triangles[:, k], area)
    return out


def seen_vertices(points: Array, triangles: NDArray[np.integer], camera: Camera) -> NDArray[np.bool_]:
    """(N,) which camera-space vertices (N, 3) are in the picture and not hidden by the mesh."""
    inverse = visibility(points, triangles, camera).inverse_depth
    uv = np.floor(camera.project(points)).astype(np.int64)
    inside = (uv >= 0).all(1) & (uv[:, 0] < camera.width) & (uv[:, 1] < camera.height) & (points[:, 2] < 0)
    x, y = np.clip(uv[:, 0], 0, camera.width - 1), np.clip(uv[:, 1], 0, camera.height - 1)
    front = inverse[y, x].astype(np.float64)
    return np.asarray(inside & (-points[:, 2] <= 1 / np.maximum(front, 1e-6) + DEPTH_SLACK))
