"""The renderer: posed vertices, a camera and a light -> an image with labels and depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import UsageError
from lipbench.faces.raster.camera import Camera
from lipbench.faces.raster.light import Light
from lipbench.faces.raster.normals import vertex_normals
from lipbench.faces.raster.resolve import TONE_CURVE, UNDEVELOPED, pick_samples, resolve
from lipbench.faces.raster.shade import LINEAR, fill_ambient, fill_tangents, shade_samples
from lipbench.faces.raster.shadow import height_map
from lipbench.faces.raster.surface import Material, Surface
from lipbench.faces.raster.zbuffer import visibility

SHADOW_SIZE = 224  # cells
SHADOW_HALF = 1.9  # dm: half side of the region round the head in which shadows fall
GRAY = 118
NO_SHADOW = (np.zeros((1, 1), np.float32), np.eye(3), np.ones(3))


@dataclass(frozen=True)
class RenderOutput:
    """One frame.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8 of `Label`.
        depth: (H, W) float32 dm along the view axis, inf for the background.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    depth: NDArray[np.float32]


class Renderer:
    """Draws one `Surface`; keeps nothing between frames, so it may be used from several threads."""

    def __init__(self, surface: Surface) -> None:
        self.surface = surface
        casts = np.ones(len(surface.triangles), np.bool_) if surface.casts is None else surface.casts
        # Only the casting triangles, so that the shadow pass does not walk over the rest.
        self._casting = np.ascontiguousarray(surface.triangles[casts])
        self._all_cast = np.ones(len(self._casting), np.bool_)
        # The region of the shadow map follows the skin: the head, not the shoulders.
        self._shaded = np.unique(surface.triangles[surface.material == Material.SKIN])[::13]

    def render(
        self,
        vertices: NDArray[np.floating],
        camera: Camera,
        light: Light | None = None,
        *,
        supersample: int = 2,
        background: NDArray[np.uint8] | None = None,
    ) -> RenderOutput:
        """Draw one frame.

        Args:
            vertices: (N, 3) in camera space (dm), as `Head.pose_frame` returns them.
            camera: size and intrinsics of the image.
            light: default studio light when None.
            supersample: samples per pixel and axis.
            background: (H, W, 3) uint8 RGB behind the head; mid gray when None.

        Raises:
            UsageError: vertices or background of the wrong shape.
        """
        surface = self.surface
        points = np.ascontiguousarray(vertices, np.float64)
        if points.shape != (surface.n_vertices, 3):
            raise UsageError(
                f"cannot render vertices of shape {points.shape}",
                f"this surface has {surface.n_vertices} vertices",
                "pass the vertices of the head that the renderer was made for",
            )
        height, width = camera.height, camera.width
        if background is None:
            image = np.full((height, width, 3), GRAY, np.uint8)
        elif background.shape == (height, width, 3) and background.dtype == np.uint8:
            image = background.copy(order="C")
        else:
            raise UsageError(
                f"cannot render onto a background of shape {background.shape}, {background.dtype}",
                f"the camera's image is {height} x {width} x 3, uint8",
                "resize the background first",
            )
        light = Light() if light is None else light
        direction = np.asarray(light.direction, np.float64)
        direction = direction / np.linalg.norm(direction)

        fine = camera.scaled(supersample)
        seen = visibility(points, surface.triangles, fine, ~surface.two_sided)
        normals = vertex_normals(points, surface.triangles)
        occlusion = self._occlusion(points)
        ambient = np.empty_like(normals)
        fill_ambient(normals, occlusion, np.asarray(light.sh, np.float64), ambient)
        tangents = np.empty_like(normals)
        fill_tangents(points, surface.strand_next, tangents)
        counts = np.empty((height, width), np.uint8)
        depth = np.empty((height, width), np.float32)
        samples = np.empty((fine.height * fine.width, 3), np.int32)
        n = pick_samples(
            seen.triangle, seen.inverse_depth, supersample, float(fine.focal), surface.material, samples, counts, depth
        )
        rgb, sample_labels = np.empty((n, 3), np.float32), np.empty(n, np.uint8)
        shade_samples(
            samples[:n],
            (float(fine.focal), float(fine.center[0]), float(fine.center[1])),
            (points, normals, surface.triangles, surface.material),
            (surface.uv, surface.texture, surface.labels, occlusion, tangents, LINEAR),
            (ambient, direction, np.asarray(light.color, np.float64)),
            self._shadow(points, direction) if light.shadows else NO_SHADOW,
            self._mouth_light(points),
            rgb,
            sample_labels,
        )
        labels = np.empty((height, width), np.uint8)
        resolve(samples, counts, rgb, sample_labels, TONE_CURVE, UNDEVELOPED, image, labels)
        return RenderOutput(image, labels, depth)

    def _shadow(
        self, points: NDArray[np.float64], direction: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
        center = points[self._shaded].mean(0)
        return height_map(points, self._casting, self._all_cast, direction, SHADOW_SIZE, (center, SHADOW_HALF))

    def _mouth_light(self, points: NDArray[np.float64]) -> float:
        """Light inside the mouth: little falls in through nearly closed lips."""
        if self.surface.mouth is None:
            return 1.0
        upper, lower = points[self.surface.mouth[0]], points[self.surface.mouth[1]]
        gap = float(np.linalg.norm(upper - lower, axis=1).max())
        return 0.30 + 0.70 * min(gap / 0.16, 1.0)

    def _occlusion(self, points: NDArray[np.float64]) -> NDArray[np.float32]:
        """Baked occlusion, with the lids' shade on the eyeballs, which moves with lids and gaze."""
        occlusion = self.surface.occlusion
        if not self.surface.eyes:
            return occlusion
        occlusion = occlusion.copy()
        for eye in self.surface.eyes:
            upper, lower = points[eye.upper], points[eye.lower]
            across = upper[-1] - upper[0]
            width = float(np.linalg.norm(across)) + 1e-9
            across = across / width
            up = upper.mean(0) - lower.mean(0)
            up = up - across * (up @ across)
            up = up / (np.linalg.norm(up) + 1e-9)
            ball = points[eye.ball] - upper[0]
            along = ball @ across
            lid_up = np.interp(along, (upper - upper[0]) @ across, (upper - upper[0]) @ up)
            lid_low = np.interp(along, (lower - upper[0]) @ across, (lower - upper[0]) @ up)
            height = ball @ up
            shade = np.clip((lid_up - height) / 0.055, 0, 1)
            shade = 0.42 + 0.58 * shade * (2 - shade)
            shade *= 0.80 + 0.20 * np.clip((height - lid_low) / 0.03, 0, 1)
            shade *= 0.70 + 0.30 * np.clip(np.minimum(along, width - along) / 0.045, 0, 1)
            occlusion[eye.ball] = shade
        return occlusion
