"""Shading: albedo from the atlas, ambient light per vertex, a key light with a soft terminator, gloss per sample."""

from __future__ import annotations

import numpy as np

from lipbench.faces.raster.kernel import inlined, kernel
from lipbench.faces.raster.light import SH_CONSTANTS
from lipbench.faces.raster.surface import Material
from lipbench.faces.raster.zbuffer import edge_values

SKIN, LIP, INNER, TEETH = int(Material.SKIN), int(Material.LIP), int(Material.INNER), int(Material.TEETH)
EYE, HAIR, CLOTH, LASH = int(Material.EYE), int(Material.HAIR), int(Material.CLOTH), int(Material.LASH)
K0, K1, K2, K3, K4 = SH_CONSTANTS[0], SH_CONSTANTS[1], SH_CONSTANTS[4], SH_CONSTANTS[6], SH_CONSTANTS[8]

#: sRGB byte -> linear.
LINEAR = (((np.arange(256) / 255 + 0.055) / 1.055) ** 2.4).astype(np.float32)
LINEAR[:11] = np.arange(11) / 255 / 12.92

# Towards a soft window behind the viewer: eyes without a catch light look dead.
CATCH = (-0.36, 0.50, 0.79)


@inlined
def square_times(x, n):  # type: ignore[no-untyped-def]
    """x ** (2 ** n)"""
    for _ in range(n):
        x = x * x
    return x


@inlined
def lit(shadow_map, scale, px, py, pz):  # type: ignore[no-untyped-def]
    """Share of the key light at light-space point (px, py, pz): comparisons with 3x3 cells of the shadow map, weighted
    by a quadratic B-spline, which leaves no stairs."""
    size = shadow_map.shape[0]
    u, v = px * scale[0] + scale[1], py * scale[0] + scale[2]
    iu, iv = int(u), int(v)
    total = 1.0
    if iu >= 1 and iv >= 1 and iu <= size - 2 and iv <= size - 2:
        fu, fv = u - iu, v - iv
        total = 0.0
        for dv in range(3):
            wv = 0.5 * (1.0 - fv) * (1.0 - fv) if dv == 0 else 0.5 * fv * fv if dv == 2 else 0.5 + fv - fv * fv
            for du in range(3):
                wu = 0.5 * (1.0 - fu) * (1.0 - fu) if du == 0 else 0.5 * fu * fu if du == 2 else 0.5 + fu - fu * fu
                # Fades over a distance instead of a hard test: softens the edge and hides the bias.
                gap = shadow_map[iv + dv - 1, iu + du - 1] - pz
                total += wu * wv * min(max(1.4 - 10.0 * gap, 0.0), 1.0)
    return total


@kernel
def fill_ambient(normals, occlusion, sh, out):  # type: ignore[no-untyped-def]
    """(N, 3) ambient light that reaches every vertex, into `out`."""
    for i in range(normals.shape[0]):
        x, y, z = normals[i, 0], normals[i, 1], normals[i, 2]
        for c in range(3):
            value = K0 * sh[0, c] + K1 * (y * sh[1, c] + z * sh[2, c] + x * sh[3, c])
            value += K2 * (x * y * sh[4, c] + y * z * sh[5, c] + x * z * sh[7, c])
            value += K3 * (3 * z * z - 1) * sh[6, c] + K4 * (x * x - y * y) * sh[8, c]
            # What is occluded is lit by its neighbors, skin mostly: warmer than gray.
            o = occlusion[i] + (0.10 if c == 0 else 0.02) * (1.0 - occlusion[i])
            out[i, c] = max(value, 0.0) * o


@kernel
def fill_tangents(points, strand_next, out):  # type: ignore[no-untyped-def]
    """(N, 3) unit directions along the strands into `out`; zero where there is no hair."""
    for i in range(points.shape[0]):
        n = strand_next[i]
        if n < 0:
            out[i, 0] = out[i, 1] = out[i, 2] = 0.0
            continue
        x, y, z = points[n, 0] - points[i, 0], points[n, 1] - points[i, 1], points[n, 2] - points[i, 2]
        q = 1.0 / np.sqrt(x * x + y * y + z * z + 1e-20)
        out[i, 0], out[i, 1], out[i, 2] = x * q, y * q, z * q


@kernel
def shade_samples(  # type: ignore[no-untyped-def]
    samples, camera, mesh, look, light, shadow, mouth_light, rgb, label_out
):
    """Shade every sample of a list.

    Args:
        samples: (n, 3) int32 x, y of the sample and its triangle.
        rgb: (n, 3) float32 linear, filled here.
        label_out: (n,) uint8, filled here.
    """
    focal, cx, cy = camera
    points, normals, triangles, material = mesh
    uv, texture, labels, occlusion, tangents, linear = look
    ambient, direction, color = light
    shadow_map, to_light, scale = shadow
    height, width = labels.shape
    lx, ly, lz = direction[0], direction[1], direction[2]
    for s in range(samples.shape[0]):
        k = samples[s, 2]
        if k < 0:
            continue
        rx, ry = (samples[s, 0] + 0.5 - cx) / focal, (cy - samples[s, 1] - 0.5) / focal
        ia, ib, ic = triangles[k, 0], triangles[k, 1], triangles[k, 2]
        b0, b1, b2 = edge_values(points, ia, ib, ic, rx, ry)
        m = material[k]
        nx = b0 * normals[ia, 0] + b1 * normals[ib, 0] + b2 * normals[ic, 0]
        ny = b0 * normals[ia, 1] + b1 * normals[ib, 1] + b2 * normals[ic, 1]
        nz = b0 * normals[ia, 2] + b1 * normals[ib, 2] + b2 * normals[ic, 2]
        q = 1.0 / np.sqrt(nx * nx + ny * ny + nz * nz + 1e-20)
        nx, ny, nz = nx * q, ny * q, nz * q
        q = 1.0 / np.sqrt(rx * rx + ry * ry + 1.0)
        vx, vy, vz = -rx * q, -ry * q, q
        nv = nx * vx + ny * vy + nz * vz
        if nv < 0.0:
            nx, ny, nz, nv = -nx, -ny, -nz, -nv

        # albedo, bilinear
        u = b0 * uv[k, 0, 0] + b1 * uv[k, 1, 0] + b2 * uv[k, 2, 0] - 0.5
        v = b0 * uv[k, 0, 1] + b1 * uv[k, 1, 1] + b2 * uv[k, 2, 1] - 0.5
        iu, iv = min(max(int(u), 0), width - 2), min(max(int(v), 0), height - 2)
        fu, fv = min(max(u - iu, 0.0), 1.0), min(max(v - iv, 0.0), 1.0)
        w00, w01, w10, w11 = (1 - fu) * (1 - fv), fu * (1 - fv), (1 - fu) * fv, fu * fv
        label = labels[iv + (1 if fv > 0.5 else 0), iu + (1 if fu > 0.5 else 0)]
        red = w00 * linear[texture[iv, iu, 0]] + w01 * linear[texture[iv, iu + 1, 0]]
        red += w10 * linear[texture[iv + 1, iu, 0]] + w11 * linear[texture[iv + 1, iu + 1, 0]]
        green = w00 * linear[texture[iv, iu, 1]] + w01 * linear[texture[iv, iu + 1, 1]]
        green += w10 * linear[texture[iv + 1, iu, 1]] + w11 * linear[texture[iv + 1, iu + 1, 1]]
        blue = w00 * linear[texture[iv, iu, 2]] + w01 * linear[texture[iv, iu + 1, 2]]
        blue += w10 * linear[texture[iv + 1, iu, 2]] + w11 * linear[texture[iv + 1, iu + 1, 2]]
        gloss = w00 * texture[iv, iu, 3] + w01 * texture[iv, iu + 1, 3]
        gloss = (gloss + w10 * texture[iv + 1, iu, 3] + w11 * texture[iv + 1, iu + 1, 3]) / 255.0
        occ = b0 * occlusion[ia] + b1 * occlusion[ib] + b2 * occlusion[ic]

        # key light
        nl = nx * lx + ny * ly + nz * lz
        hx, hy, hz = lx + vx, ly + vy, lz + vz
        q = 1.0 / np.sqrt(hx * hx + hy * hy + hz * hz + 1e-20)
        hx, hy, hz = hx * q, hy * q, hz * q
        nh = max(nx * hx + ny * hy + nz * hz, 0.0)
        fresnel = 1.0 - nv
        fresnel = fresnel * fresnel * fresnel
        visible = 1.0
        if shadow_map.shape[0] > 1 and nl > -0.35:
            px = b0 * points[ia, 0] + b1 * points[ib, 0] + b2 * points[ic, 0]
            py = b0 * points[ia, 1] + b1 * points[ib, 1] + b2 * points[ic, 1]
            pz = b0 * points[ia, 2] + b1 * points[ib, 2] + b2 * points[ic, 2]
            visible = lit(
                shadow_map,
                scale,
                to_light[0, 0] * px + to_light[0, 1] * py + to_light[0, 2] * pz,
                to_light[1, 0] * px + to_light[1, 1] * py + to_light[1, 2] * pz,
                to_light[2, 0] * px + to_light[2, 1] * py + to_light[2, 2] * pz,
            )
        if m in (SKIN, LIP):
            # Light that scatters under the skin reaches beyond the terminator, red farthest.
            dr, dg, db = max((nl + 0.34) / 1.34, 0.0), max((nl + 0.20) / 1.20, 0.0), max((nl + 0.14) / 1.14, 0.0)
            dr, dg, db = dr * (0.4 + 0.6 * dr), dg * (0.4 + 0.6 * dg), db * (0.4 + 0.6 * db)
            sr, sg, sb = 0.22 + 0.78 * visible, 0.12 + 0.88 * visible, 0.09 + 0.91 * visible
            dr, dg, db = dr * sr, dg * sg, db * sb
            specular = gloss * (0.30 + 0.70 * fresnel) * square_times(nh, 5 if m == LIP else 4) * visible
        elif m == HAIR:
            # Kajiya and Kay, "Rendering fur with three dimensional textures" (1989)
            tx = b0 * tangents[ia, 0] + b1 * tangents[ib, 0] + b2 * tangents[ic, 0]
            ty = b0 * tangents[ia, 1] + b1 * tangents[ib, 1] + b2 * tangents[ic, 1]
            tz = b0 * tangents[ia, 2] + b1 * tangents[ib, 2] + b2 * tangents[ic, 2]
            # Strands tilt a little at random; gloss carries the noise.
            shift = (gloss - 0.5) * 0.5
            tx, ty, tz = tx + shift * nx, ty + shift * ny, tz + shift * nz
            th = (tx * hx + ty * hy + tz * hz) / np.sqrt(tx * tx + ty * ty + tz * tz + 1e-20)
            band = max(1.0 - th * th, 0.0)
            tl = tx * lx + ty * ly + tz * lz
            d = (0.30 * np.sqrt(max(1.0 - tl * tl, 0.0)) + 0.70 * max((nl + 0.25) / 1.25, 0.0)) * (
                0.12 + 0.88 * visible
            )
            dr = dg = db = d
            facing = max(nl + 0.3, 0.0) * visible
            specular = (
                0.030 * square_times(band, 5) + 0.06 * gloss * square_times(band, 3) * (red + green + blue)
            ) * facing
        elif m == EYE:
            d = (0.35 + 0.65 * max(nl, 0.0)) * visible * occ
            dr = dg = db = d
            ex, ey, ez = CATCH[0] + vx, CATCH[1] + vy, CATCH[2] + vz
            q = 1.0 / np.sqrt(ex * ex + ey * ey + ez * ez)
            ch = max((nx * ex + ny * ey + nz * ez) * q, 0.0)
            specular = gloss * (0.9 * square_times(nh, 8) * visible + 0.75 * min(square_times(ch, 8) * 2.0, 1.0))
        else:
            if m == TEETH:
                visible = 0.5 + 0.5 * visible
            d = max((nl + 0.1) / 1.1, 0.0) * (0.1 + 0.9 * visible)
            dr = dg = db = d
            specular = gloss * (0.25 + 0.75 * fresnel) * square_times(nh, 6 if m == TEETH else 4) * visible
        scale_all = mouth_light if m == INNER else 0.5 + 0.5 * mouth_light if m == TEETH else 1.0
        keyed = scale_all * (0.45 + 0.55 * occ) if m != EYE else scale_all
        shine = scale_all * specular * (0.3 + 0.7 * occ)
        ar = b0 * ambient[ia, 0] + b1 * ambient[ib, 0] + b2 * ambient[ic, 0]
        ag = b0 * ambient[ia, 1] + b1 * ambient[ib, 1] + b2 * ambient[ic, 1]
        ab = b0 * ambient[ia, 2] + b1 * ambient[ib, 2] + b2 * ambient[ic, 2]
        rgb[s, 0] = red * (scale_all * ar + keyed * color[0] * dr) + shine * color[0]
        rgb[s, 1] = green * (scale_all * ag + keyed * color[1] * dg) + shine * color[1]
        rgb[s, 2] = blue * (scale_all * ab + keyed * color[2] * db) + shine * color[2]
        label_out[s] = label
