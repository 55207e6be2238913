"""A built head: geometry and looks of one identity, posed frame by frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipbench.core.errors import UsageError
from lipbench.faces.morphable.semantic import SEMANTIC, semantic_vector
from lipbench.faces.raster.camera import Camera
from lipbench.faces.raster.occlusion import ambient_occlusion
from lipbench.faces.raster.surface import Eye, Material, Surface
from lipbench.synthetic.head import eyes, hair, pose
from lipbench.synthetic.head.atlas import REGIONS
from lipbench.synthetic.head.builder import HeadBuilder
from lipbench.synthetic.head.contact import hold_tongue, lid_reach, lid_vertices, part_lips, settle_lids
from lipbench.synthetic.head.expression_space import DIMENSIONS, expression_space
from lipbench.synthetic.head.expressions import semantic_shapes
from lipbench.synthetic.head.gaze import follow_gaze, gaze_angles, turn_eyes
from lipbench.synthetic.head.identity import Identity
from lipbench.synthetic.head.landmarks import landmarks, mouth_measures
from lipbench.synthetic.head.paint import paint_atlas
from lipbench.synthetic.head.shape import Array, step
from lipbench.synthetic.head.template import SIDES, template
from lipbench.synthetic.head.warps import extend, identity_modes

#: Where head and shoulders stand unless told otherwise, dm in front of the camera.
REST_TRANSLATION = np.array([0.0, 0.0, -7.5])


@dataclass(frozen=True)
class Outfit:
    """What a hair style adds to the template: vertices, the joined surface without colors, occlusion."""

    hair_points: Array
    hair_share: Array
    surface: Surface


@cache
def _outfit(style: str) -> Outfit:
    t = template()
    b = HeadBuilder(first=t.n_vertices)
    strand_next = [np.full(t.n_vertices, -1, np.int32)]
    for sheet in hair.hair_sheets(style):
        index = b.vertices("hair", sheet)
        v, u = np.meshgrid(np.linspace(0, 1, sheet.shape[0]), np.linspace(0, 1, sheet.shape[1]), indexing="ij")
        half = sheet.shape[1] // 2
        texels = REGIONS["hair"].texels(u, v)
        for part in (slice(0, half), slice(half, None)):
            b.grid(index[:, part], texels[:, part], Material.HAIR, two_sided=True)
        strand_next.append(np.concatenate([index[1:], index[-1:]]).ravel().astype(np.int32))
    points, triangles, uv, material, two_sided = b.arrays()
    share = np.where(points[:, 1] > -0.7, 1.0, 1 - 0.55 * step(-0.7, -1.5, points[:, 1]))
    everything = np.concatenate([t.points, points])
    joined = np.concatenate([t.triangles, triangles]).astype(np.int32)
    material = np.concatenate([t.material, material])
    inner = np.isin(material, (Material.EYE, Material.LASH))
    occlusion = ambient_occlusion(everything, joined[~inner])
    for name, _ in SIDES:  # moist edges gather light
        rim = t.groups[f"lid_{name}"][: eyes.OUTER_EDGE + 1]
        occlusion[rim] = np.maximum(occlusion[rim], 0.6)
    # With the lips at rest hardly any light falls into the mouth; what counts there is the depth behind them.
    front = t.points[t.groups["lips"][0], 2].max()
    mouth_parts = t.mask("bag", "bag_cap", "teeth_u", "teeth_l", "gum_u", "gum_l", "tongue")
    depth = np.clip((front - t.points[mouth_parts, 2] - 0.06) / 0.34, 0, 1)
    occlusion[: t.n_vertices][mouth_parts] = 0.08 + 0.92 * (1 - depth) ** 1.6
    eyes_ = []
    for name, _ in SIDES:
        loop = t.groups[f"lid_{name}"][eyes.OUTER_EDGE]
        half = len(loop) // 2
        upper = loop[half::-1]  # left corner .. right corner
        lower = np.r_[loop[half:], loop[:1]]
        eyes_.append(Eye(*(i.astype(np.int32) for i in (t.groups[f"eye_{name}"].ravel(), upper, lower))))
    columns = t.groups["lips"].shape[1]
    middle = np.arange(columns // 4 - 6, columns // 4 + 7)
    mouth = np.stack([t.groups["lips"][0, middle], t.groups["lips"][0, columns - middle]]).astype(np.int32)
    surface = Surface(
        triangles=joined,
        material=material,
        two_sided=np.concatenate([t.two_sided, two_sided]),
        uv=np.concatenate([t.uv, uv]),
        texture=np.zeros((1, 1, 4), np.uint8),
        labels=np.zeros((1, 1), np.uint8),
        occlusion=occlusion,
        strand_next=np.concatenate(strand_next),
        mouth=mouth,
        eyes=tuple(eyes_),
        casts=np.isin(material, (Material.SKIN, Material.LIP, Material.HAIR, Material.CLOTH)),
    )
    return Outfit(points, share, surface)


@cache
def _moving() -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Vertices that expressions move, and the semantic (36, 3n) and principal (79, 3n) shapes on them."""
    space = expression_space()
    principal = (space.basis * space.sigma[:, None, None]).astype(np.float32)
    index = np.flatnonzero(np.abs(principal).max((0, 2)) > 1e-7)
    semantic = semantic_shapes()[:, index].astype(np.float32)
    return index, semantic.reshape(len(SEMANTIC), -1), principal[:, index].reshape(DIMENSIONS, -1)


class Head:
    """One identity, ready to pose and render.

    Attributes:
        identity: who.
        surface: for `raster.Renderer`; its first `n_model` vertices are those of the morphable model, hair follows.
        n_model: N, vertices of the morphable model.
        triangles: (M, 3) of the model alone.
    """

    def __init__(self, identity: Identity) -> None:
        t = template()
        outfit = _outfit(identity.hair_style)
        texture, labels = paint_atlas(identity)
        self.identity = identity
        self.n_model = t.n_vertices
        self.triangles = t.triangles
        base = outfit.surface
        self.surface = Surface(
            base.triangles,
            base.material,
            base.two_sided,
            base.uv,
            texture,
            labels,
            base.occlusion,
            base.strand_next,
            base.mouth,
            base.eyes,
            base.casts,
        )
        coefficients = identity.coefficients()
        self._offset = np.tensordot(coefficients, identity_modes(), 1)
        self._hair = outfit.hair_points + extend(outfit.hair_points, coefficients)
        self._share = np.concatenate([pose.template_share(), outfit.hair_share])
        self._lids = lid_vertices()
        self._reach = lid_reach(self._offset)
        balls = np.stack([self._offset[t.groups[f"eye_{name}"].ravel()].mean(0) for name, _ in SIDES])
        self._eye_centers = balls + np.stack([eyes.socket(side) for _, side in SIDES])

    def neutral(self) -> Array:
        """(N, 3) model vertices at rest, in model space."""
        return template().points + self._offset

    def deform(self, expression: Mapping[str, float] | ArrayLike, gaze: ArrayLike = (0.0, 0.0)) -> Array:
        """Model-space vertices (N, 3) with an expression, closed contacts and turned eyes.

        Args:
            expression: semantic weights (dict or (36,)) or coefficients (79,).
            gaze: (yaw, pitch) in radians, or one row per eye (image left, right); + is image right and up.

        Raises:
            UsageError: an expression or a gaze of another shape.
        """
        t = template()
        index, semantic, principal = _moving()
        if not isinstance(expression, Mapping) and np.shape(expression) == (DIMENSIONS,):
            moved = np.asarray(expression, np.float32) @ principal
        elif isinstance(expression, Mapping) or np.shape(expression) == (len(SEMANTIC),):
            moved = semantic_vector(expression).astype(np.float32) @ semantic
        else:
            raise UsageError(
                f"cannot pose an expression of shape {np.shape(expression)}",
                f"a frame has {len(SEMANTIC)} semantic weights or {DIMENSIONS} coefficients",
                "pass one frame at a time",
            )
        points = t.points.copy()
        points[index] += moved.reshape(-1, 3)
        angles = gaze_angles(gaze)
        if angles.any():
            follow_gaze(points, angles)
            turn_eyes(points, angles)
        part_lips(points)
        hold_tongue(points)
        lids = t.points[self._lids]
        points[self._lids] = lids + self._reach * (points[self._lids] - lids)
        points += self._offset
        settle_lids(points, self._eye_centers)
        return points

    def pose_frame(
        self,
        expression: Mapping[str, float] | ArrayLike,
        head_rotation: ArrayLike | None = None,
        head_translation: ArrayLike | None = None,
        *,
        gaze: ArrayLike = (0.0, 0.0),
        body_rotation: ArrayLike | None = None,
        body_translation: ArrayLike = REST_TRANSLATION,
    ) -> Array:
        """Camera-space vertices (N + hair, 3) of one frame, for `Renderer.render`.

        Args:
            expression: semantic weights (dict or (36,)) or coefficients (79,).
            head_rotation: (3, 3), see `raster.euler_to_matrix`; identity when None.
            head_translation: (3,) dm; when None, such that the skull stays on the spine (`joint_translation`).
            gaze: see `deform`.
            body_rotation: where the shoulders stand; they do not follow the head.
            body_translation: where the shoulders stand; they do not follow the head.
        """
        body = (
            np.eye(3) if body_rotation is None else np.asarray(body_rotation, np.float64),
            np.asarray(body_translation, np.float64),
        )
        rotation = body[0] if head_rotation is None else np.asarray(head_rotation, np.float64)
        if head_translation is None:
            translation = pose.joint_translation(rotation, body)
        else:
            translation = np.asarray(head_translation, np.float64)
        points = np.concatenate([self.deform(expression, gaze), self._hair])
        return pose.place(points, self._share, (rotation, translation), body)

    def landmarks68(self, vertices: Array, camera: Camera) -> NDArray[np.float64]:
        """(68, 2) px of camera-space vertices; the jaw's points follow the visible contour."""
        marks = landmarks()
        points = marks.points.copy()
        x = camera.project(vertices[np.concatenate([marks.left, marks.right])])[..., 0]
        rows = np.arange(8)
        points[:8] = marks.left[rows, x[:8].argmin(1)]
        points[9:17] = marks.right[rows, x[8:].argmax(1)]
        return camera.project(vertices[points])

    def mouth_measures(self, vertices: Array) -> dict[str, float]:
        """{"lip_gap_mm", "mouth_width_mm"} of posed vertices, see `landmarks.mouth_measures`."""
        return mouth_measures(vertices)
