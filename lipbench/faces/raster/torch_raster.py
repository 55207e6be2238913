"""The rasteriser in torch, for fits: visibility is fixed, barycentrics are recomputed with gradients.

Which triangle a pixel sees does not change under a small step, where it lies inside that triangle does. So visibility
comes from the numba z-buffer without gradients (refresh it every ten steps or so), and `barycentrics` recomputes the
perspective-correct weights from the moving vertices: gradients reach geometry, pose and focal length through them, and
albedo and light through `interpolate`. Silhouettes give no gradient; landmarks have to.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lipbench.faces.raster import zbuffer
from lipbench.faces.raster.camera import Camera
from lipbench.faces.raster.light import SH_CONSTANTS


class Fragments(NamedTuple):
    """Covered pixels. pixel: (P,) int64 flat index y * width + x. corners: (P, 3) int64 vertices of the triangle seen.
    xy: (P, 2) float32 pixel centres."""

    pixel: Tensor
    corners: Tensor
    xy: Tensor


def rasterize(vertices: Tensor, triangles: Tensor, camera: Camera, *, step: int = 1, cull: bool = True) -> Fragments:
    """Visibility of camera-space vertices (N, 3); no gradients.

    Args:
        triangles: (M, 3) int64.
        step: keep every `step`-th covered pixel only (a fit needs far fewer than all).
        cull: leave out triangles that face away.
    """
    points = vertices.detach().cpu().numpy().astype(np.float64)
    faces = triangles.cpu().numpy()
    seen = zbuffer.visibility(points, faces, camera, cull).triangle
    ys, xs = np.nonzero(seen >= 0)
    ys, xs = ys[::step], xs[::step]
    device = vertices.device
    corners = torch.from_numpy(faces[seen[ys, xs]].astype(np.int64)).to(device)
    xy = torch.from_numpy(np.stack([xs + 0.5, ys + 0.5], 1).astype(np.float32)).to(device)
    return Fragments(torch.from_numpy(ys * camera.width + xs).to(device), corners, xy)


def project(vertices: Tensor, focal: Tensor | float, center: tuple[float, float]) -> Tensor:
    """(..., 3) camera space -> (..., 2) px, u = -f X / Z + cx, v = f Y / Z + cy."""
    x, y, z = vertices.unbind(-1)
    return torch.stack([-focal * x / z + center[0], focal * y / z + center[1]], -1)


def barycentrics(fragments: Fragments, vertices: Tensor, camera: Camera, focal: Tensor | float | None = None) -> Tensor:
    """(P, 3) perspective-correct weights of the fragments' corners at the pixel centres, differentiable in
    `vertices` (N, 3) and `focal` (the camera's when None). May be slightly negative where a triangle has moved."""
    f = camera.focal if focal is None else focal
    a, b, c = vertices[fragments.corners].unbind(1)  # (P, 3) each
    cx, cy = camera.center
    # Ray through the pixel in (X, Y, depth): the same edge values as in the z-buffer.
    u, v = fragments.xy.to(vertices.dtype).unbind(-1)
    ray = torch.stack([(u - cx) / f, (cy - v) / f, -torch.ones_like(u)], -1)
    edges = torch.stack([(ray * torch.linalg.cross(p, q)).sum(-1) for p, q in ((b, c), (c, a), (a, b))], -1)
    return edges / edges.sum(-1, keepdim=True)


def interpolate(attributes: Tensor, fragments: Fragments, weights: Tensor) -> Tensor:
    """(N, C) per-vertex attributes -> (P, C) at the fragments."""
    return (attributes[fragments.corners] * weights[..., None]).sum(1)


def vertex_normals(vertices: Tensor, triangles: Tensor) -> Tensor:
    """(N, 3) smooth unit normals of (N, 3) vertices, differentiable."""
    a, b, c = vertices[triangles].unbind(1)
    face = torch.linalg.cross(b - a, c - a)
    total = torch.zeros_like(vertices)
    for k in range(3):
        total = total.index_add(0, triangles[:, k], face)
    return torch.nn.functional.normalize(total, dim=1)


def sh9(normals: Tensor) -> Tensor:
    """(..., 3) -> (..., 9), the bands of `light.sh9`."""
    x, y, z = normals.unbind(-1)
    terms = (torch.ones_like(x), y, z, x, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y)
    return torch.stack([k * t for k, t in zip(SH_CONSTANTS, terms, strict=True)], -1)


def to_image(values: Tensor, fragments: Fragments, camera: Camera, background: float = 0.0) -> Tensor:
    """(P, C) fragment values -> (H, W, C)."""
    out = values.new_full((camera.height * camera.width, values.shape[-1]), background)
    return out.index_copy(0, fragments.pixel, values).view(camera.height, camera.width, -1)
