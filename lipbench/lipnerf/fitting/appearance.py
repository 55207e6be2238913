"""The surface whose colors are compared with the frames, its colors, and the light of the frames, in closed form.

pixel = albedo * (sh9(normal) @ light). With the geometry known, light is a least-squares problem per frame and the
color of a vertex one over the frames, so a few turns of both replace a descent (AD-NeRF's phase C, whose parameters
are the model's albedo coefficients alone). The color of a vertex is its robust mean over the frames that see it, light
divided out; the model's coefficients are the ridge solution nearest to these colors.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from lipbench.faces.morphable import MorphableModel
from lipbench.faces.morphable.procedural import head_parts
from lipbench.faces.raster import Camera, sh9, vertex_normals, visibility
from lipbench.lipnerf.fitting.state import FitState

Array = NDArray[np.float64]
LIGHT_PRIOR = 0.02  # per squared unit of light and vertex of weight 1: holds what a frame does not show
ALBEDO_PRIOR = 2e-3  # per squared standard deviation, against mean squared color error
TURNS = 3
MOUTH_WEIGHT, EYE_WEIGHT = 4.0, 0.5
DEPTH_SLACK = 0.025  # dm by which a vertex may lie behind what the z-buffer saw and still count as seen


@dataclass(frozen=True)
class FitSurface:
    """Vertices whose colors are compared with the frames.

    Attributes:
        vertices: (V,) vertex numbers.
        weight: (V,) adding up to 1: the area of the surface round the vertex, seen from the front, more round mouth and
            eyes.
    """

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
    """(N,) which camera-space vertices (N, 3) are in the image and not hidden by the mesh."""
    inverse = visibility(points, triangles, camera).inverse_depth
    uv = np.floor(camera.project(points)).astype(np.int64)
    inside = (uv >= 0).all(1) & (uv[:, 0] < camera.width) & (uv[:, 1] < camera.height) & (points[:, 2] < 0)
    x, y = np.clip(uv[:, 0], 0, camera.width - 1), np.clip(uv[:, 1], 0, camera.height - 1)
    front = inverse[y, x].astype(np.float64)
    return np.asarray(inside & (-points[:, 2] <= 1 / np.maximum(front, 1e-6) + DEPTH_SLACK))


@dataclass(frozen=True)
class Geometry:
    """One frame's mesh: points (N, 3) camera space, normals (N, 3), seen (N,) bool."""

    points: Array
    normals: Array
    seen: NDArray[np.bool_]

    def at(self, vertices: NDArray[np.int64]) -> Geometry:
        """Of some of the vertices."""
        return Geometry(self.points[vertices], self.normals[vertices], self.seen[vertices])


def geometry(model: MorphableModel, state: FitState, t: int, camera: Camera) -> Geometry:
    """The mesh of frame t of a state in a camera of any resolution."""
    shape = model.vertices(state.identity.cpu().numpy(), state.expression[t].cpu().numpy())
    points = np.asarray(shape, np.float64) @ state.rotation[t].cpu().numpy().T + state.translation[t].cpu().numpy()
    normals = vertex_normals(points, model.triangles)
    return Geometry(points, normals, seen_vertices(points, model.triangles, camera) & (normals[:, 2] > 0.05))


def sample(frame: NDArray[np.float32], uv: Array) -> Array:
    """(n, 3) colors of a frame (H, W, 3) at (n, 2) px, bilinear, edges repeated."""
    at = (uv - 0.5).astype(np.float32)
    out = cv2.remap(frame, at[:, None, 0], at[:, None, 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(out[:, 0], np.float64)


@dataclass(frozen=True)
class Look:
    """The colors of a person, and the light.

    Attributes:
        albedo: (K_alb,) coefficients.
        texture: (N, 3) color per vertex.
        light: (9, 3) of all key frames together.
    """

    albedo: Array
    texture: Array
    light: Array


def learn_look(
    model: MorphableModel,
    geometries: list[Geometry],
    colors: list[Array],
    index: NDArray[np.int64],
    weight: Array,
    prior: Look | None = None,
) -> Look:
    """Colors of the person and the common light, from key frames.

    Args:
        geometries: per key frame.
        colors: per key frame (N, 3), pixels at all projected vertices, 0..1.
        index: (V,) vertices that light is measured on, with weight (V,).
        prior: an earlier answer to start from.
    """
    texture = np.asarray(model.albedo(), np.float64) if prior is None else prior.texture
    albedo = np.zeros(model.n_albedo)
    light = np.zeros((9, 3))
    basis = (model.albedo_basis[:, index] * model.albedo_sigma[:, None, None]).reshape(model.n_albedo, -1)
    for _ in range(TURNS):
        light = np.mean(
            [
                solve_light(g.normals[index], texture[index], c[index], weight * g.seen[index], None)
                for g, c in zip(geometries, colors, strict=True)
            ],
            0,
        )
        measured, share = _texture(geometries, colors, light)
        difference = (measured - np.asarray(model.albedo(), np.float64))[index]
        w = np.repeat(weight * share[index], 3)
        a = (basis * w) @ basis.T + ALBEDO_PRIOR * np.eye(len(basis))
        albedo = np.linalg.solve(a, (basis * w) @ difference.ravel())
        # Vertices that hardly any frame sees keep the model's color.
        texture = share[:, None] * measured + (1 - share[:, None]) * np.asarray(model.albedo(albedo), np.float64)
    return Look(albedo, texture, light)


def _texture(geometries: list[Geometry], colors: list[Array], light: Array) -> tuple[Array, Array]:
    """(N, 3) robust mean color with the light divided out, and (N,) 0..1 how well it is known."""
    seen = np.stack([g.seen * np.clip(g.normals[:, 2], 0, 1) for g in geometries])  # (K, N), frontal views count more
    shade = np.stack([np.maximum(sh9(g.normals) @ light, 0.05) for g in geometries])  # (K, N, 3)
    flat = np.stack(colors) / shade
    center = np.zeros(flat.shape[1:])
    w = seen
    for _ in range(3):
        center = (w[..., None] * flat).sum(0) / np.maximum(w.sum(0), 1e-9)[:, None]
        w = seen / (1 + (((flat - center) / 0.08) ** 2).sum(2))
    return center, np.clip(seen.sum(0) / 2.0, 0, 1)


def solve_light(normals: Array, texture: Array, colors: Array, weight: Array, around: Array | None) -> Array:
    """(9, 3) light under which (V, 3) texture with (V, 3) normals comes nearest to (V, 3) colors.

    Args:
        around: (9, 3) the answer where the vertices do not tell; an even light of their mean brightness when None.
    """
    bands = sh9(normals)
    w = weight / max(weight.sum(), 1e-9)
    if around is None:
        around = np.zeros((9, 3))
        around[0] = (w @ (colors * texture)) / np.maximum(w @ texture**2, 1e-9) / bands[0, 0]
    out = np.empty((9, 3))
    for c in range(3):
        m = bands * texture[:, c : c + 1]
        a = (m * w[:, None]).T @ m + LIGHT_PRIOR * np.eye(9)
        out[:, c] = around[:, c] + np.linalg.solve(a, (m * w[:, None]).T @ (colors[:, c] - m @ around[:, c]))
    return out
