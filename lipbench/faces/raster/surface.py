"""What the renderer draws: a triangle mesh with parts, one texture atlas and a few hints for shading."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class SurfaceLabel(IntEnum):
    """Classes of the label map."""

    BACKGROUND = 0
    SKIN = 1
    HAIR = 2
    LIP = 3
    MOUTH = 4  # inside of the mouth without the teeth: cavity, gums, tongue
    TEETH = 5
    EYE = 6
    EAR = 7
    NECK = 8
    CLOTH = 9


#: RGB per label, for images of label maps.
PALETTE = np.array(
    [
        (20, 20, 24),
        (255, 203, 168),
        (92, 62, 42),
        (214, 78, 84),
        (84, 10, 22),
        (250, 250, 244),
        (110, 190, 255),
        (255, 160, 110),
        (226, 186, 92),
        (66, 88, 166),
    ],
    np.uint8,
)


class Material(IntEnum):
    """How a triangle answers to light."""

    SKIN = 0
    LIP = 1
    INNER = 2  # inside of the mouth: darkens as the lips close
    TEETH = 3  # as INNER, but glossy
    EYE = 4
    HAIR = 5  # highlights run across the strands
    CLOTH = 6
    LASH = 7


@dataclass(frozen=True)
class Eye:
    """Vertex indices of one eye: the ball, and the lids' margins from the left to the right corner in the image."""

    ball: NDArray[np.int32]
    upper: NDArray[np.int32]
    lower: NDArray[np.int32]


@dataclass(frozen=True)
class Surface:
    """A mesh with its looks.

    Attributes:
        triangles: (M, 3) int32, counter-clockwise seen from outside.
        material: (M,) uint8 of `Material`.
        two_sided: (M,) bool, drawn from behind too (hair sheets, the inside of the mouth).
        uv: (M, 3, 2) float32, per triangle corner, in texels of `texture`; (0, 0) is the outer corner of the first.
        texture: (H, W, 4) uint8: sRGB albedo and specular strength (255 = 1).
        labels: (H, W) uint8 of `SurfaceLabel` per texel.
        occlusion: (N,) float32 in [0, 1], share of the surroundings that reaches a vertex.
        strand_next: (N,) int32, the next vertex towards the tip of a hair strand (the tip names itself), -1 where there
            is no hair.
        mouth: (2, K) int32 upper and lower inner-lip vertices; their distance lights the inside of the mouth.
        eyes: shading hints for eyeballs.
        casts: (M,) bool, triangles that throw shadows.
    """

    triangles: NDArray[np.int32]
    material: NDArray[np.uint8]
    two_sided: NDArray[np.bool_]
    uv: NDArray[np.float32]
    texture: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    occlusion: NDArray[np.float32]
    strand_next: NDArray[np.int32]
    mouth: NDArray[np.int32] | None = None
    eyes: tuple[Eye, ...] = ()
    casts: NDArray[np.bool_] | None = None

    @property
    def n_vertices(self) -> int:
        """Vertices that `Renderer.render` expects."""
        return len(self.occlusion)

    @classmethod
    def plain(
        cls,
        n_vertices: int,
        triangles: NDArray[np.integer],
        vertex_rgb: NDArray[np.floating] | None = None,
        label: SurfaceLabel = SurfaceLabel.SKIN,
    ) -> Surface:
        """A mesh without a texture: one color per vertex (N, 3) sRGB in [0, 1] (mid gray by default).

        The colors become one texel per vertex, so they are not blended across a triangle wider than a few pixels;
        meant for looking at 3DMM fits, whose triangles are small.
        """
        width = 256
        height = -(-n_vertices // width)
        texture = np.full((height, width, 4), (150, 150, 150, 20), np.uint8)
        if vertex_rgb is not None:
            texture.reshape(-1, 4)[:n_vertices, :3] = np.clip(vertex_rgb, 0, 1) * 255 + 0.5
        index = np.arange(n_vertices)
        uv = np.stack([index % width + 0.5, index // width + 0.5], -1).astype(np.float32)
        m = len(triangles)
        return cls(
            triangles=np.ascontiguousarray(triangles, np.int32),
            material=np.full(m, Material.SKIN, np.uint8),
            two_sided=np.zeros(m, bool),
            uv=uv[np.asarray(triangles)],
            texture=texture,
            labels=np.full((height, width), label, np.uint8),
            occlusion=np.ones(n_vertices, np.float32),
            strand_next=np.full(n_vertices, -1, np.int32),
        )
