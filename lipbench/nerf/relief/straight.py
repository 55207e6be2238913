"""Rays through a relief that is one surface: its coordinates are those of the place where a ray meets it.

Where frames are put in their place, all of a head but the mouth is one thin surface, put together from what each pixel
sees at one point. Walking on through its layers a ray would leave that point for what its neighbors see, and where the
surface is steep come at it from behind: rings of specks along the mesh's outline. So a ray's samples differ in depth
alone.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from lipbench.faces.raster.kernel import kernel
from lipbench.nerf.relief import dense
from lipbench.nerf.relief.dense import Views
from lipbench.nerf.relief.kernels import back_and_front, head_point, height, softplus


@kernel
def march(  # type: ignore[no-untyped-def]
    frames,
    columns,
    rows,
    focal,
    cx,
    cy,
    rotation,
    translation,
    shift,
    near,
    far,
    front,
    jitter,
    keep,
    inner,
    outer,
    place,
    density,
    opacity,
    samples,
    threshold,
    opaque,
    points,
    lengths,
    starts,
):
    """`kernels.march` with all samples of a ray where it meets the surface, `front` dm after `near`."""
    layers, n, m = density.shape
    count = 0
    for i in range(frames.shape[0]):
        starts[i] = count
        t, x, y = np.uint64(frames[i]), np.uint64(columns[i]), np.uint64(rows[i])
        rx, ry = (columns[i] - cx) / focal, (cy - rows[i]) / focal
        step = (far[t, y, x] - near[t, y, x]) / samples
        if step <= 0.0:
            continue
        px, py, pz = head_point(rx, ry, near[t, y, x] + front, rotation, translation, shift, t, y, x)
        nearer = rotation[t, 2, 2] - rx * rotation[t, 0, 2] - ry * rotation[t, 1, 2]  # z a dm towards the camera
        u = min(max((px - place[0]) / place[2], 0.0), 1.0)
        v = min(max((place[1] - py) / place[3], 0.0), 1.0)
        back, ahead = back_and_front(u, v, inner, outer)
        length = step * math.sqrt(1 + rx * rx + ry * ry) / (ahead - back)
        ku, kv = np.uint64(min(int(u * m), m - 1)), np.uint64(min(int(v * n), n - 1))
        passed = 0.0
        for k in range(samples):
            z = pz + (front - (k + jitter[i]) * step) * nearer
            s = height(z, back, ahead)
            raw = density[np.uint64(int(s * (layers - 1) + 0.5)), kv, ku]
            if raw > threshold or keep[i]:
                points[count, 0], points[count, 1], points[count, 2] = u, v, s
                lengths[count] = length
                count += 1
                passed += softplus(raw) * opacity * length
                if passed > opaque:
                    break
    starts[frames.shape[0]] = count
    return count


def candidates(
    views: Views,
    frames: Tensor,
    columns: Tensor,
    rows: Tensor,
    jitter: Tensor,
    surfaces: Tensor,
    place: Tensor,
    samples: int,
) -> tuple[Tensor, Tensor]:
    """`dense.candidates` of such rays."""
    x, y = columns.to(torch.int64), rows.to(torch.int64)
    columns, rows, jitter = (each.to(views.rotation.dtype) for each in (columns, rows, jitter))
    ray = torch.stack(
        [(columns - views.center[0]) / views.focal, (views.center[1] - rows) / views.focal, -torch.ones_like(rows)], -1
    )
    rotation, first = views.rotation[frames], views.near[frames, y, x]
    step = (views.far[frames, y, x] - first) / samples
    seen = ray * (first + views.front)[:, None] - views.translation[frames]
    p = torch.einsum("ri,rij->rj", seen, rotation) - views.shift[frames, y, x]
    nearer = -torch.einsum("ri,ri->r", ray, rotation[..., 2])
    u = ((p[:, 0] - place[0]) / place[2]).clamp(0.0, 1.0)
    v = ((place[1] - p[:, 1]) / place[3]).clamp(0.0, 1.0)
    back, ahead = (dense.at(each, u, v)[:, None] for each in surfaces[:2])
    passed = (torch.arange(samples, device=x.device) + jitter[:, None]) * step[:, None]
    z = p[:, 2:] + (views.front - passed) * nearer[:, None]
    s = dense.height(z, back, ahead)
    length = (step * ray.norm(dim=1))[:, None] / (ahead - back)
    points = torch.stack([u[:, None].expand_as(s), v[:, None].expand_as(s), s], -1)
    return points.float(), length.expand_as(s).float()
