"""The procedural head as a `MorphableModel`: what `tools/bake_head.py` puts into the packaged file."""

from __future__ import annotations

import numpy as np

from lipbench.faces.morphable.base import LandmarkIndices, MorphableModel
from lipbench.faces.morphable.procedural import LICENCE, NAME
from lipbench.faces.raster.surface import Material
from lipbench.synthetic.head.expression_space import expression_space, smooth_fields
from lipbench.synthetic.head.identity import SKINS
from lipbench.synthetic.head.landmarks import landmarks
from lipbench.synthetic.head.mouth import VERMILION
from lipbench.synthetic.head.shape import Array, step
from lipbench.synthetic.head.template import Template, template
from lipbench.synthetic.head.warps import identity_modes

ALBEDO_MODES = 40
_SRGB = 1 / 2.4


def _srgb(linear: Array) -> Array:
    return 1.055 * np.maximum(linear, 1e-6) ** _SRGB - 0.055


def _mean_albedo(t: Template) -> Array:
    """(N, 3) display RGB of a medium complexion; lips, teeth, eyes and clothes in their own colors."""
    skin, lips = SKINS[2]
    colors = {
        Material.SKIN: skin,
        Material.LIP: lips,
        Material.INNER: (0.25, 0.07, 0.06),
        Material.TEETH: (0.75, 0.7, 0.6),
        Material.EYE: (0.7, 0.68, 0.66),
        Material.LASH: (0.02, 0.02, 0.02),
        Material.CLOTH: (0.15, 0.18, 0.25),
    }
    out = np.tile(np.array(skin), (t.n_vertices, 1))
    for material, color in colors.items():
        out[np.unique(t.triangles[t.material == material])] = color
    y = t.points[:, 1]
    scalp = t.mask("skin") * step(0.62, 0.78, y + 0.25 * step(0.2, -0.2, t.points[:, 2]))
    out = out * (1 - scalp[:, None]) + np.array([0.06, 0.04, 0.03]) * scalp[:, None]
    return _srgb(out)


def _albedo_modes(t: Template) -> Array:
    """(40, N, 3): brightness and tint of the skin as a whole, then smooth variation."""
    whole = t.mask("skin", "lips", "lid_l", "lid_r", "ear_l", "ear_r")[:, None].astype(float)
    first = np.stack([whole * [0.16, 0.16, 0.15], whole * [0.03, -0.01, -0.03], whole * [-0.01, 0.02, -0.02]])
    smooth = smooth_fields(t.points, ALBEDO_MODES - 3, 0.22, 0.030, np.ones(t.n_vertices), seed=3)
    return np.concatenate([first, smooth])


def _split(modes: Array) -> tuple[Array, Array]:
    """Modes that carry their deviation -> unit modes (float32) and deviations."""
    sigma = np.linalg.norm(modes.reshape(len(modes), -1), axis=1)
    return (modes / sigma[:, None, None]).astype(np.float32), sigma.astype(np.float32)


def build_model() -> MorphableModel:
    """Build what `faces.morphable.procedural.procedural_model` reads."""
    t, space = template(), expression_space()
    identity_basis, identity_sigma = _split(identity_modes())
    albedo_basis, albedo_sigma = _split(_albedo_modes(t))
    marks = landmarks()
    motion = np.linalg.norm(space.basis * space.sigma[:, None, None], axis=2).max(0)
    still = t.mask("skin") & (motion < 1e-4) & (t.points[:, 2] > 0) & (t.points[:, 1] > 0.0)
    lips = t.groups["lips"][: len(VERMILION)]
    return MorphableModel(
        name=NAME,
        licence=LICENCE,
        mean=t.points.astype(np.float32),
        identity_basis=identity_basis,
        identity_sigma=identity_sigma,
        expression_basis=space.basis.astype(np.float32),
        expression_sigma=space.sigma.astype(np.float32),
        triangles=t.triangles,
        albedo_mean=_mean_albedo(t).astype(np.float32),
        albedo_basis=albedo_basis,
        albedo_sigma=albedo_sigma,
        landmarks=LandmarkIndices(marks.points, marks.left, marks.right),
        rigid=np.flatnonzero(still),
        lips=np.unique(lips),
    )
