"""The renderer: posed vertices, a camera and a light -> an image with labels and depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import UsageError
from lipbench.faces.raster.camera import Camera
from lipbench.faces.raster.light import Light
from lipbench.faces.raster.normals import vertex_normals
from lipbench.faces.raster.shade import LINEAR, develop, shade_image
from lipbench.faces.raster.shadow import height_map
from lipbench.faces.raster.surface import Surface
from lipbench.faces.raster.zbuffer import visibility

SHADOW_SIZE = 160
NO_SHADOW = (np.zeros((1, 1), np.float32), np.eye(3), np.ones(3))


def _tone_curve() -> NDArray[np.uint8]:
    """4096 entries over [0, 2): a soft shoulder, then the sRGB curve."""
    x = np.linspace(0, 2, 4096)
    y = np.clip(1.10 * x / (1 + 0.16 * x), 0, 1)
    srgb = np.where(y <= 0.0031308, 12.92 * y, 1.055 * np.maximum(y, 1e-9) ** (1 / 2.4) - 0.055)
    return np.clip(srgb * 255 + 0.5, 0, 255).astype(np.uint8)


TONE_CURVE = _tone_curve()


@dataclass(frozen=True)
class RenderOutput:
    """One frame.

    image: (H, W, 3) uint8 RGB. labels: (H, W) uint8 of `Label`. depth: (H, W) float32 dm along the view axis,
    inf for the background.
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
            background: (H, W, 3) uint8 RGB behind the head; mid grey when None.

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
            behind = np.full((height, width, 3), LINEAR[118], np.float32)
        elif background.shape != (height, width, 3):
            raise UsageError(
                f"cannot render onto a background of shape {background.shape}",
                f"the camera's image is {height} x {width}",
                "resize the background first",
            )
        else:
            behind = _undeveloped()[background]
        light = Light() if light is None else light
        direction = np.asarray(light.direction, np.float64)
        direction = direction / np.linalg.norm(direction)

        fine = camera.scaled(supersample)
        seen = visibility(points, surface.triangles, fine, ~surface.two_sided)
        normals = vertex_normals(points, surface.triangles)
        shadow = self._shadow(points, direction) if light.shadows else NO_SHADOW
        image = np.empty((height, width, 3), np.float32)
        labels = np.empty((height, width), np.uint8)
        depth = np.empty((height, width), np.float32)
        shade_image(
            seen.triangle, seen.inverse_depth, supersample,
            (float(fine.focal), float(fine.center[0]), float(fine.center[1])),
            (points, normals, surface.triangles, surface.material),
            (surface.uv, surface.texture, surface.labels, self._occlusion(points), surface.strand_next, LINEAR),
            (np.asarray(light.sh, np.float64), direction, np.asarray(light.color, np.float64)),
            shadow, self._mouth_light(points), behind, image, labels, depth,
        )  # fmt: skip
        out = np.empty((height, width, 3), np.uint8)
        develop(image, TONE_CURVE, out)
        return RenderOutput(out, labels, depth)

    def _shadow(
        self, points: NDArray[np.float64], direction: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
        used = points[self._casting[::7, 0]]
        # In coarse steps: a region that follows every move of the jaw would make the edges of all shadows flicker.
        low, high = np.floor(used.min(0) * 2) / 2, np.ceil(used.max(0) * 2) / 2
        return height_map(
            points, self._casting, self._all_cast, direction, SHADOW_SIZE,
            ((low + high) / 2, max(float(np.linalg.norm(high - low)) * 0.42, 1e-3)),
        )  # fmt: skip

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


def _undeveloped() -> NDArray[np.float32]:
    """(256,) display byte -> linear value that `develop` turns back into that byte."""
    wanted = np.arange(256)
    x = np.linspace(0, 2, 4096)
    first = np.searchsorted(TONE_CURVE, wanted, side="left")
    last = np.searchsorted(TONE_CURVE, wanted, side="right")
    return x[np.clip((first + last) // 2, 0, 4095)].astype(np.float32)
