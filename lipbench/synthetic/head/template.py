"""The neutral head: one mesh, whose topology all identities share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.raster.surface import Material
from lipbench.synthetic.head import ears, eyes, mouth, torso
from lipbench.synthetic.head.atlas import REGIONS, head_u, head_v
from lipbench.synthetic.head.builder import HeadBuilder, Index
from lipbench.synthetic.head.relief import head_point
from lipbench.synthetic.head.shape import Array
from lipbench.synthetic.head.skin import ROUND, to_plane, triangulate
from lipbench.synthetic.head.skull import skull

RESOLUTION = 1.0
SIDES = (("l", -1), ("r", 1))


@dataclass(frozen=True)
class Template:
    """Geometry that all identities share.

    Attributes:
        points: (N, 3) dm.
        triangles: (M, 3).
        uv: (M, 3, 2) texels.
        material: (M,).
        two_sided: (M,).
        groups: part -> vertex indices, in the part's own grid shape: lips (rings, columns), bag, lid_l, lid_r, eye_l,
            eye_r, lash_l, lash_r, ear_l, ear_r, teeth_u, teeth_l, gum_u, gum_l, tongue, skin, cloth. "_l" is the
            image's left.
        eye_polar: (24, 40, 2) polar angle and azimuth of the eyeballs' vertices.
    """

    points: Array
    triangles: Index
    uv: NDArray[np.float32]
    material: NDArray[np.uint8]
    two_sided: NDArray[np.bool_]
    groups: dict[str, Index]
    eye_polar: Array

    @property
    def n_vertices(self) -> int:
        return len(self.points)

    def mask(self, *names: str) -> NDArray[np.bool_]:
        """(N,) bool, the vertices of the named groups."""
        out = np.zeros(len(self.points), bool)
        for name in names:
            out[self.groups[name].ravel()] = True
        return out


def mouth_v(ring: Array) -> Array:
    """Ring coordinate (0 inner line, 1 border of the red) -> v in the mouth's rectangle; the red gets 60 %."""
    top = mouth.RINGS[-1]
    return np.where(ring <= 1, 0.6 * ring, 0.6 + 0.4 * (ring - 1) / (top - 1))


def _closed_texels(name: str, v: Array, columns: int) -> NDArray[np.float32]:
    """(len(v), columns + 1, 2) texels of loops whose last column meets the first."""
    return REGIONS[name].texels(np.linspace(0, 1, columns + 1)[None], np.asarray(v)[:, None])


def _add_mouth(b: HeadBuilder) -> None:
    rings = mouth.lip_rings()
    lips = b.vertices("lips", rings)
    texels = _closed_texels("mouth", mouth_v(mouth.RINGS), mouth.COLUMNS)
    border = len(mouth.VERMILION)
    b.grid(lips[:border], texels[:border], Material.LIP, closed=True)
    b.grid(lips[border - 1 :], texels[border - 1 :], Material.SKIN, closed=True)
    k = mouth.COLUMNS
    loops = mouth.bag_rings(rings[0])
    bag = b.vertices("bag", loops)
    cap = b.vertices("bag_cap", loops[-1].mean(0, keepdims=True))
    rows = np.concatenate([bag[::-1], lips[:1]])
    texels = _closed_texels("bag", np.linspace(1, 0, len(rows)), mouth.COLUMNS)
    b.grid(rows, texels, Material.INNER, closed=True)
    fan = np.stack([np.full(k, cap[0]), bag[-1], np.roll(bag[-1], -1)], -1)
    b.triangles(fan, np.broadcast_to(REGIONS["bag"].texels(0.5, 1.0), (k, 3, 2)), Material.INNER)

    front = float(rings[0][:, 2].max()) - 0.105
    for name, lower in (("u", False), ("l", True)):
        crowns = mouth.teeth(lower, front)
        u = np.linspace(0, 1, crowns.shape[1])[None]
        v = np.linspace(0, 1, len(crowns))[:, None]
        b.grid(b.vertices(f"teeth_{name}", crowns), REGIONS[f"teeth_{name}"].texels(u, v), Material.TEETH)
        band = mouth.gums(lower, front)
        v = np.linspace(0, 1, len(band))[:, None]
        b.grid(b.vertices(f"gum_{name}", band), REGIONS["gum"].texels(u, v), Material.INNER)
    flesh = mouth.tongue(front)
    v = np.linspace(0, 1, len(flesh))
    b.grid(b.vertices("tongue", flesh), _closed_texels("tongue", v, flesh.shape[1]), Material.INNER, closed=True)


def _add_eyes(b: HeadBuilder) -> Array:
    polar = np.zeros((24, 40, 2))
    for name, side in SIDES:
        loops = eyes.lid_loops(side)
        lid = b.vertices(f"lid_{name}", loops)
        b.grid(
            lid, _closed_texels(f"lid_{name}", np.linspace(0, 1, len(loops)), eyes.COLUMNS), Material.SKIN, closed=True
        )
        points, angle, azimuth = eyes.ball(side)
        ball = b.vertices(f"eye_{name}", points)
        polar = np.stack([angle, azimuth], -1)
        radius = angle / (2 * angle.max())
        uv = np.stack([0.5 + radius * np.cos(azimuth), 0.5 - radius * np.sin(azimuth)], -1)
        uv = np.concatenate([uv, uv[:, :1]], 1)
        b.grid(ball, REGIONS["eye"].texels(uv[..., 0], uv[..., 1]), Material.EYE, closed=True)
        fringe = eyes.lashes(loops, side)
        u, v = np.linspace(0, 1, fringe.shape[1])[None], np.linspace(0, 1, len(fringe))[:, None]
        b.grid(b.vertices(f"lash_{name}", fringe), REGIONS["lash"].texels(u, v), Material.LASH, two_sided=True)
    return polar


def _add_skin(b: HeadBuilder) -> None:
    loops = [b.groups["lips"][-1], b.groups["lid_l"][-1], b.groups["lid_r"][-1]]
    placed = b.points()
    holes = [to_plane(*skull().locate(placed[loop, 0], placed[loop, 1])) for loop in loops]
    plane, triangles = triangulate(holes, RESOLUTION)
    alpha, t = plane[:, 0] / ROUND, -plane[:, 1] / skull().length
    texels = REGIONS["head"].texels(head_u(alpha), head_v(t))
    n_shared = sum(map(len, holes))
    n_seam = int(44 * RESOLUTION)
    new = slice(n_shared, len(plane) - n_seam)
    skin = b.vertices("skin", head_point(alpha[new], t[new]))
    vertex = np.concatenate([*loops, skin, skin[-n_seam:]])
    # Crown and foot of the surface are single rows of coinciding points; the crown is closed, the foot is hidden.
    crown = (t < 1e-9) & (np.arange(len(plane)) >= n_shared)
    vertex[crown] = vertex[crown][0]
    corners = vertex[triangles]
    keep = (corners[:, 0] != corners[:, 1]) & (corners[:, 1] != corners[:, 2]) & (corners[:, 0] != corners[:, 2])
    b.triangles(corners[keep], texels[triangles[keep]], Material.SKIN)


def _add_rest(b: HeadBuilder) -> None:
    for name, side in SIDES:
        points = ears.ear(side)
        r = np.linspace(0, 1, ears.ROWS)[:, None] / 2
        angle = np.linspace(0, 2 * np.pi, ears.COLUMNS + 1)[None]
        texels = REGIONS["ear"].texels(0.5 + r * np.cos(angle), 0.5 - r * np.sin(angle))
        b.grid(b.vertices(f"ear_{name}", points), texels, Material.SKIN, closed=True, flip=side > 0)
    points, _, v = torso.torso()
    texels = _closed_texels("cloth", v[:, 0], torso.COLUMNS)
    b.grid(b.vertices("cloth", points), texels, Material.CLOTH, closed=True)


@cache
def template() -> Template:
    """Build the template (about half a second), once per process."""
    b = HeadBuilder()
    _add_mouth(b)
    polar = _add_eyes(b)
    _add_skin(b)
    _add_rest(b)
    points, triangles, uv, material, two_sided = b.arrays()
    return Template(points, triangles, uv, material, two_sided, b.groups, polar)
