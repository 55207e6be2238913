"""Per-sample shading: albedo from the atlas, ambient spherical harmonics, a key light with soft terminator, gloss."""

from __future__ import annotations

import numpy as np

from lipbench.faces.raster.kernel import kernel
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


@kernel
def square_times(x, n):  # type: ignore[no-untyped-def]
    """x ** (2 ** n)"""
    for _ in range(n):
        x = x * x
    return x


@kernel
def lit(shadow_map, scale, px, py, pz):  # type: ignore[no-untyped-def]
    """Share of the key light at light-space point (px, py, pz): 2x2 bilinear comparison against the shadow map."""
    size = shadow_map.shape[0]
    u, v = px * scale[0] + scale[1] - 0.5, py * scale[0] + scale[2] - 0.5
    iu, iv = int(np.floor(u)), int(np.floor(v))
    if iu < 0 or iv < 0 or iu > size - 2 or iv > size - 2:
        return 1.0
    fu, fv = u - iu, v - iv
    total = 0.0
    for dv in range(2):
        for du in range(2):
            weight = (fu if du else 1.0 - fu) * (fv if dv else 1.0 - fv)
            # Fades over a distance instead of a hard test: hides the map's resolution and softens the edge.
            gap = shadow_map[iv + dv, iu + du] - pz
            total += weight * min(max(1.0 - (gap - 0.04) / 0.10, 0.0), 1.0)
    return total


@kernel
def shade_sample(k, rx, ry, mesh, look, light, shadow, mouth_light, out):  # type: ignore[no-untyped-def]
    """Linear RGB of triangle `k` along the ray (rx, ry, 1) into out[0:3]; returns the label."""
    points, normals, triangles, material = mesh
    uv, texture, labels, occlusion, strand_next, linear = look
    sh, direction, color = light
    shadow_map, to_light, scale = shadow
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
    height, width = labels.shape
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
    lx, ly, lz = direction[0], direction[1], direction[2]
    nl = nx * lx + ny * ly + nz * lz
    hx, hy, hz = lx + vx, ly + vy, lz + vz
    q = 1.0 / np.sqrt(hx * hx + hy * hy + hz * hz + 1e-20)
    hx, hy, hz = hx * q, hy * q, hz * q
    nh = max(nx * hx + ny * hy + nz * hz, 0.0)
    fresnel = 1.0 - nv
    fresnel = fresnel * fresnel * fresnel
    visible = 1.0
    if shadow_map.shape[0] > 1:
        px = b0 * points[ia, 0] + b1 * points[ib, 0] + b2 * points[ic, 0]
        py = b0 * points[ia, 1] + b1 * points[ib, 1] + b2 * points[ic, 1]
        pz = b0 * points[ia, 2] + b1 * points[ib, 2] + b2 * points[ic, 2]
        visible = lit(
            shadow_map, scale,
            to_light[0, 0] * px + to_light[0, 1] * py + to_light[0, 2] * pz,
            to_light[1, 0] * px + to_light[1, 1] * py + to_light[1, 2] * pz,
            to_light[2, 0] * px + to_light[2, 1] * py + to_light[2, 2] * pz,
        )  # fmt: skip
    if m in (SKIN, LIP):
        # Light that scatters under the skin reaches beyond the terminator, red farthest.
        dr, dg, db = max((nl + 0.34) / 1.34, 0.0), max((nl + 0.20) / 1.20, 0.0), max((nl + 0.14) / 1.14, 0.0)
        dr, dg, db = dr * (0.4 + 0.6 * dr), dg * (0.4 + 0.6 * dg), db * (0.4 + 0.6 * db)
        sr, sg, sb = 0.22 + 0.78 * visible, 0.12 + 0.88 * visible, 0.09 + 0.91 * visible
        dr, dg, db = dr * sr, dg * sg, db * sb
        specular = gloss * (0.30 + 0.70 * fresnel) * square_times(nh, 5 if m == LIP else 4) * visible
    elif m == HAIR:
        # Kajiya and Kay, "Rendering fur with three dimensional textures" (1989)
        n = strand_next[ia]
        tx, ty, tz = points[n, 0] - points[ia, 0], points[n, 1] - points[ia, 1], points[n, 2] - points[ia, 2]
        q = 1.0 / np.sqrt(tx * tx + ty * ty + tz * tz + 1e-20)
        tx, ty, tz = tx * q, ty * q, tz * q
        # Strands tilt a little at random; gloss carries the noise.
        shift = (gloss - 0.5) * 0.5
        tx, ty, tz = tx + shift * nx, ty + shift * ny, tz + shift * nz
        th = (tx * hx + ty * hy + tz * hz) / np.sqrt(tx * tx + ty * ty + tz * tz + 1e-20)
        band = max(1.0 - th * th, 0.0)
        tl = tx * lx + ty * ly + tz * lz
        d = (0.30 * np.sqrt(max(1.0 - tl * tl, 0.0)) + 0.70 * max((nl + 0.25) / 1.25, 0.0)) * (0.12 + 0.88 * visible)
        dr = dg = db = d
        facing = max(nl + 0.3, 0.0) * visible
        specular = (
            0.030 * square_times(band, 5) + 0.06 * gloss * square_times(band, 3) * (red + green + blue)
        ) * facing
    elif m == EYE:
        d = (0.35 + 0.65 * max(nl, 0.0)) * visible * occ
        dr = dg = db = d
        cx, cy, cz = CATCH[0] + vx, CATCH[1] + vy, CATCH[2] + vz
        q = 1.0 / np.sqrt(cx * cx + cy * cy + cz * cz)
        ch = max((nx * cx + ny * cy + nz * cz) * q, 0.0)
        specular = gloss * (0.9 * square_times(nh, 8) * visible + 0.75 * min(square_times(ch, 8) * 2.0, 1.0))
    else:
        d = max((nl + 0.1) / 1.1, 0.0) * (0.1 + 0.9 * visible)
        dr = dg = db = d
        specular = gloss * (0.25 + 0.75 * fresnel) * square_times(nh, 6 if m == TEETH else 4) * visible
    scale_all = mouth_light if m in (INNER, TEETH) else 1.0
    for c in range(3):
        ambient = K0 * sh[0, c] + K1 * (ny * sh[1, c] + nz * sh[2, c] + nx * sh[3, c])
        ambient += K2 * (nx * ny * sh[4, c] + ny * nz * sh[5, c] + nx * nz * sh[7, c])
        ambient += K3 * (3 * nz * nz - 1) * sh[6, c] + K4 * (nx * nx - ny * ny) * sh[8, c]
        base = red if c == 0 else green if c == 1 else blue
        d = dr if c == 0 else dg if c == 1 else db
        # Occluded skin is lit by its neighbours, hence warmer than grey.
        o = occ if m != SKIN else occ + (0.10 if c == 0 else 0.02) * (1.0 - occ)
        key = color[c] * (d * (o * 0.55 + 0.45) if m != EYE else d)
        out[c] = scale_all * (base * (max(ambient, 0.0) * o + key) + specular * color[c] * (0.3 + 0.7 * occ))
    return label


@kernel
def shade_image(  # type: ignore[no-untyped-def]
    tri, inverse_depth, factor, camera, mesh, look, light, shadow, mouth_light, background, image, label_out, depth_out
):
    """Shade a (H*factor, W*factor) visibility buffer down to `image` (H, W, 3) linear, labels and depth (H, W).

    Pixels whose samples all lie on one smooth material are shaded along one diagonal; the others at every sample.
    """
    height, width = label_out.shape
    focal, cx, cy = camera
    material = mesh[3]
    rgb = np.zeros(3)
    counts = np.zeros(16, np.int32)
    for y in range(height):
        for x in range(width):
            same, n_hit, near = True, 0, 0.0
            far = 1e9
            first = -1
            for sy in range(factor):
                for sx in range(factor):
                    k = tri[y * factor + sy, x * factor + sx]
                    if k < 0:
                        continue
                    n_hit += 1
                    w = inverse_depth[y * factor + sy, x * factor + sx]
                    near, far = max(near, w), min(far, w)
                    if first < 0:
                        first = material[k]
                    elif first != material[k]:
                        same = False
            depth_out[y, x] = 1.0 / near if n_hit > 0 else np.inf
            if n_hit == 0:
                for c in range(3):
                    image[y, x, c] = background[y, x, c]
                label_out[y, x] = 0
                continue
            same = same and n_hit == factor * factor and (near - far) * 0.02 < near * far * 0.0006 * focal / focal
            counts[:] = 0
            r, g, b, n = 0.0, 0.0, 0.0, 0
            for sy in range(factor):
                for sx in range(factor):
                    if same and sx != sy:
                        continue
                    yy, xx = y * factor + sy, x * factor + sx
                    k = tri[yy, xx]
                    n += 1
                    if k < 0:
                        r += background[y, x, 0]
                        g += background[y, x, 1]
                        b += background[y, x, 2]
                        counts[0] += 1
                        continue
                    label = shade_sample(
                        k, (xx + 0.5 - cx) / focal, (cy - yy - 0.5) / focal,
                        mesh, look, light, shadow, mouth_light, rgb,
                    )  # fmt: skip
                    counts[label] += 1
                    # Clamp before averaging: a highlight must not outshine the three samples beside it.
                    r += min(rgb[0], 1.5)
                    g += min(rgb[1], 1.5)
                    b += min(rgb[2], 1.5)
            image[y, x, 0], image[y, x, 1], image[y, x, 2] = r / n, g / n, b / n
            best = 0
            for c in range(16):
                if counts[c] > counts[best]:
                    best = c
            label_out[y, x] = best


@kernel
def develop(linear_image, curve, out):  # type: ignore[no-untyped-def]
    """Tone curve and sRGB by table: (H, W, 3) linear -> uint8. The table spans [0, 2)."""
    height, width = linear_image.shape[0], linear_image.shape[1]
    top = curve.shape[0] - 1
    for y in range(height):
        for x in range(width):
            for c in range(3):
                ia = int(linear_image[y, x, c] * (top * 0.5))
                out[y, x, c] = curve[min(max(ia, 0), top)]
