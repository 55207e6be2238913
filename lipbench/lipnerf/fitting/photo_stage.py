"""Colors, light and geometry in turn: AD-NeRF's phases C and D with closed-form colors and Gauss-Newton geometry."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from lipbench.faces.morphable import MorphableModel
from lipbench.faces.raster import Camera, sh9
from lipbench.lipnerf.fitting import appearance
from lipbench.lipnerf.fitting.appearance import FitSurface, Geometry, Look, face_surface
from lipbench.lipnerf.fitting.landmark_solver import LandmarkProblem
from lipbench.lipnerf.fitting.landmark_stage import spread
from lipbench.lipnerf.fitting.options import FitOptions, Log
from lipbench.lipnerf.fitting.photo_term import PhotoTerm
from lipbench.lipnerf.fitting.state import FitState, Free
from lipbench.media.held import hold

Array = NDArray[np.float64]
#: The photometric term's weight in landmarks: all vertices together count like this many points, for their errors are
#: not independent.
EVIDENCE = 600.0
#: How far vertices may move before the next round without leaving the cut image, as a share of the face's size.
MARGIN = 0.25


@dataclass(frozen=True)
class Small:
    """Frames at the working resolution: images (n, h, w, 3) uint8, slightly blurred; zoom (x, y) against full size."""

    images: NDArray[np.uint8]
    zoom: tuple[float, float]


def shrink(frames: NDArray[np.uint8], index: NDArray[np.int64], face_px: float, wanted_px: float) -> Small:
    """Some frames, scaled so that a face of `face_px` has `wanted_px` (never enlarged)."""
    height, width = frames.shape[1:3]
    factor = min(1.0, wanted_px / face_px)
    size = (max(8, round(width * factor)), max(8, round(height * factor)))
    # A little blur: derivatives of the image then hold for about a pixel.
    images = hold(
        cv2.GaussianBlur(cv2.resize(frames[t], size, interpolation=cv2.INTER_AREA), (3, 3), 0.7)  # type: ignore[misc]
        for t in index
    )
    return Small(images, (size[0] / width, size[1] / height))


def cut(small: Small, uv: Array, margin: float) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """A window of every frame, all of one size, around points and `margin` px more: what a face takes of an image may
    be a fifth of it.

    Args:
        uv: (n, V, 2) px of the small frames.

    Returns:
        (n, h, w, 3), and (n, 2) the windows' corners x, y.
    """
    height, width = small.images.shape[1:3]
    low, high = uv.min(1) - margin, uv.max(1) + margin
    w, h = np.minimum(np.ceil((high - low).max(0)).astype(int) + 1, (width, height))
    corner = np.clip(np.floor(low).astype(np.int64), 0, np.array([width - w, height - h]))
    cuts = [image[y : y + h, x : x + w] for image, (x, y) in zip(small.images, corner, strict=True)]
    return np.stack(cuts), corner


@dataclass(frozen=True)
class Photo:
    """What the stage found: state, look, light (n, 9, 3), mean absolute color error (n,) in 0..1."""

    state: FitState
    look: Look
    light: Array
    error: Array


def refine(
    p: LandmarkProblem,
    model: MorphableModel,
    state: FitState,
    small: Small,
    options: FitOptions,
    free: Free,
    rounds: int,
    look: Look | None,
    log: Log,
) -> Photo:
    """Fit the frames of a landmark problem photometrically, on top of its landmarks.

    Args:
        look: the person's colors when known (they stay); learned from key frames when None.
    """
    n = len(small.images)
    surface = face_surface(model, options.vertices)
    camera = Camera(
        float(state.focal) * small.zoom[1],
        small.images.shape[2],
        small.images.shape[1],
        p.center[0] * small.zoom[0],
        p.center[1] * small.zoom[1],
    )
    keys = set(spread(n, options.keyframes).tolist())
    learn = look is None
    for k in range(rounds):
        whole: list[Geometry] = []  # of key frames; of the others the surface alone, a tenth of it
        colors: list[Array] = []
        geometries: list[Geometry] = []
        for t in range(n):
            found = appearance.geometry(model, state, t, camera)
            geometries.append(found.at(surface.vertices))
            if learn and t in keys:
                whole.append(found)
                image = small.images[t].astype(np.float32) / 255
                colors.append(appearance.sample(image, camera.project(found.points)))
        if learn:
            look = appearance.learn_look(model, whole, colors, surface.vertices, surface.weight, look)
        assert look is not None
        light, target, weight = _expect(surface, look, geometries, small, camera)
        seen = np.stack([camera.project(g.points) for g in geometries])
        p.photo = _term(p, model, surface, small, seen, target, weight * EVIDENCE * options.photo_weight, options)
        before = float(p.photo.error(state).mean())
        state = p.solve(state, free, options.photo_steps)
        log(f"colors, round {k + 1}: error {before:.4f} -> {float(p.photo.error(state).mean()):.4f}")
    assert look is not None
    assert p.photo is not None
    error = p.photo.error(state).cpu().numpy().astype(np.float64)
    p.photo = None
    return Photo(state, look, light, error)


def _expect(
    surface: FitSurface, look: Look, geometries: list[Geometry], small: Small, camera: Camera
) -> tuple[Array, NDArray[np.float32], NDArray[np.float32]]:
    """Light (n, 9, 3) of every frame; the colors (n, V, 3) that it gives the surface; weight (n, V).

    `geometries` are those of the surface's vertices.
    """
    index = surface.vertices
    light = np.empty((len(geometries), 9, 3))
    target = np.empty((len(geometries), len(index), 3), np.float32)
    weight = np.empty((len(geometries), len(index)), np.float32)
    for t, g in enumerate(geometries):
        seen = appearance.sample(small.images[t].astype(np.float32) / 255, camera.project(g.points))
        weight[t] = surface.weight * g.seen
        light[t] = appearance.solve_light(g.normals, look.texture[index], seen, weight[t], look.light)
        target[t] = look.texture[index] * (sh9(g.normals) @ light[t])
    return light, target, weight


def _term(
    p: LandmarkProblem,
    model: MorphableModel,
    surface: FitSurface,
    small: Small,
    seen: Array,
    target: NDArray[np.float32],
    weight: NDArray[np.float32],
    options: FitOptions,
) -> PhotoTerm:
    device = p.seen.device
    at = surface.vertices

    def tensor(x: NDArray[np.generic]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(x)).to(device)

    def scaled(basis: Array, sigma: Array) -> torch.Tensor:
        return tensor((basis[:, at] * sigma[:, None, None]).astype(np.float32))

    images, corner = cut(small, seen, MARGIN * options.face_px)
    return PhotoTerm(
        tensor(images.transpose(0, 3, 1, 2)),
        small.zoom,
        tensor(p.center - corner / small.zoom),
        tensor(model.mean[at].astype(np.float32)),
        scaled(model.identity_basis, model.identity_sigma),
        scaled(model.expression_basis, model.expression_sigma),
        tensor(target),
        tensor(weight),
        options.photo_sigma,
    )
