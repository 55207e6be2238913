"""The relief field's inner loops on the CPU: where rays sample, what grids hold there, how samples add up.

Each has a twin in `dense.py`, the same in torch for other devices. Coordinates of a sample are (u, v, s) in [0, 1]: u
and v across the relief (v downward), s from its back to its front.
"""

from __future__ import annotations

import math

import numpy as np

from lipbench.faces.raster.kernel import inlined, kernel

ONE, NONE = np.float32(1), np.float32(0)
#: Indices are unsigned: of others numba asks at every access whether they count from the end, and vectorizes nothing.
NEXT = np.uint64(1)
STEEP = np.float32(15)  # beyond it softplus(x) is x
EDGE = np.float32(8)  # the outer eighth of a box of eyes or mouth blends into the face


@inlined
def turned_back(a, b, c, rotation, t):  # type: ignore[no-untyped-def]
    """A direction of frame t's camera space in head space."""
    return (
        rotation[t, 0, 0] * a + rotation[t, 1, 0] * b + rotation[t, 2, 0] * c,
        rotation[t, 0, 1] * a + rotation[t, 1, 1] * b + rotation[t, 2, 1] * c,
        rotation[t, 0, 2] * a + rotation[t, 1, 2] * b + rotation[t, 2, 2] * c,
    )


@inlined
def head_point(rx, ry, depth, rotation, translation, shift, t, y, x):  # type: ignore[no-untyped-def]
    """Canonical head space (dm) of the point at a depth on the ray (rx, ry) through pixel (y, x) of frame t."""
    a, b, c = rx * depth - translation[t, 0], ry * depth - translation[t, 1], -depth - translation[t, 2]
    px, py, pz = turned_back(a, b, c, rotation, t)
    return px - shift[t, y, x, 0], py - shift[t, y, x, 1], pz - shift[t, y, x, 2]


@inlined
def cell(value, n):  # type: ignore[no-untyped-def]
    """[0, 1] -> the lower one of the two texels about it, of n, and the share of the upper one."""
    at = min(max(value * n - 0.5, 0.0), n - 1.001)
    low = int(at)
    return np.uint64(low), np.float32(at - low)


@inlined
def layer(value, layers):  # type: ignore[no-untyped-def]
    """[0, 1] -> the lower one of the two layers about it, and the share of the upper one."""
    at = min(value * (layers - 1), layers - 1.001)
    low = int(at)
    return np.uint64(low), np.float32(at - low)


@inlined
def back_and_front(u, v, inner, outer):  # type: ignore[no-untyped-def]
    """Depths (dm) of a relief's back and front, two maps (h, w), at a place of [0, 1]."""
    iu, au = cell(u, inner.shape[1])
    iv, av = cell(v, inner.shape[0])
    w00, w01, w10, w11 = (1 - au) * (1 - av), au * (1 - av), (1 - au) * av, au * av
    ju, jv = iu + NEXT, iv + NEXT
    return (
        w00 * inner[iv, iu] + w01 * inner[iv, ju] + w10 * inner[jv, iu] + w11 * inner[jv, ju],
        w00 * outer[iv, iu] + w01 * outer[iv, ju] + w10 * outer[jv, iu] + w11 * outer[jv, ju],
    )


@inlined
def height(z, back, front):  # type: ignore[no-untyped-def]
    """The coordinate s of a depth z (dm): 0 at the back and behind it, 1 at the front."""
    return min(max((z - back) / (front - back), 0.0), 1.0)


@inlined
def softplus(x):  # type: ignore[no-untyped-def]
    """log(1 + exp(x)), in single precision."""
    return x if x > STEEP else math.log(ONE + math.exp(x))


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
    """Samples along rays, where the fine grid's density says that something may be, up to where all is opaque.

    Args:
        frames: (R,) row of `rotation`, `translation` and the maps.
        columns: (R,) px, pixel x covers [x, x + 1).
        rows: (R,) px.
        rotation: (F, 3, 3) head to camera.
        translation: (F, 3) dm.
        shift: (F, H, W, 3) dm, how far the mesh has moved what a pixel sees.
        near: (F, H, W) dm along the axis.
        far: the same; rays that leave where they enter have no samples.
        jitter: (R,) in [0, 1): where in its bin each sample of a ray lies.
        keep: (R,) bool, rays that leave nothing out.
        inner: (h, w) dm, depth of the relief's back in head space.
        outer: the same of its front.
        place: left, top, width, height of the relief, dm.
        density: (L, n, m) raw density as the grid alone has it.
        opacity: see `ReliefConfig`.
        threshold: raw density under which a sample is left out.
        opaque: optical depth at which a ray ends.
        points: (R * S, 3) takes (u, v, s).
        lengths: (R * S,) takes the step as a share of the relief's thickness.
        starts: (R + 1,) takes the number of each ray's first sample.

    Returns:
        How many samples there are.
    """
    layers, n, m = density.shape
    count = np.uint64(0)
    for i in range(np.uint64(frames.shape[0])):
        starts[i] = count
        t, x, y = np.uint64(frames[i]), np.uint64(columns[i]), np.uint64(rows[i])
        rx, ry = (columns[i] - cx) / focal, (cy - rows[i]) / focal
        first = near[t, y, x]
        step = (far[t, y, x] - first) / samples
        if step <= 0.0:
            continue
        length = step * math.sqrt(1 + rx * rx + ry * ry)
        passed = 0.0
        # A ray is straight in the head, too: one place, and how much farther each candidate is.
        px, py, pz = head_point(rx, ry, first + jitter[i] * step, rotation, translation, shift, t, y, x)
        qx, qy, qz = turned_back(rx * step, ry * step, -step, rotation, t)
        for k in range(samples):
            u = min(max((px + k * qx - place[0]) / place[2], 0.0), 1.0)
            v = min(max((place[1] - py - k * qy) / place[3], 0.0), 1.0)
            back, front = back_and_front(u, v, inner, outer)
            s = height(pz + k * qz, back, front)
            ku, kv, kl = min(int(u * m), m - 1), min(int(v * n), n - 1), int(s * (layers - 1) + 0.5)
            raw = density[np.uint64(kl), np.uint64(kv), np.uint64(ku)]
            if raw > threshold or keep[i]:
                points[count, 0], points[count, 1], points[count, 2] = u, v, s
                lengths[count] = length / (front - back)
                count += NEXT
                passed += softplus(raw) * opacity * length / (front - back)
                if passed > opaque:
                    break
    starts[frames.shape[0]] = count
    return count


@kernel
def lookup(grid, points, out, offset):  # type: ignore[no-untyped-def]
    """Trilinear values of a grid (L, n, m, C) at points (M, 3), into columns offset .. offset + C of `out` (M, ...)."""
    layers, n, m, channels = grid.shape
    for i in range(np.uint64(points.shape[0])):
        iu, au = cell(points[i, 0], m)
        iv, av = cell(points[i, 1], n)
        il, al = layer(points[i, 2], layers)
        bl, bu, bv = ONE - al, ONE - au, ONE - av
        ju, jv, jl = iu + NEXT, iv + NEXT, il + NEXT
        w00, w01, w10, w11 = bu * bv, au * bv, bu * av, au * av
        for c in range(np.uint64(channels)):
            low = (
                w00 * grid[il, iv, iu, c]
                + w01 * grid[il, iv, ju, c]
                + w10 * grid[il, jv, iu, c]
                + w11 * grid[il, jv, ju, c]
            )
            high = (
                w00 * grid[jl, iv, iu, c]
                + w01 * grid[jl, iv, ju, c]
                + w10 * grid[jl, jv, iu, c]
                + w11 * grid[jl, jv, ju, c]
            )
            out[i, np.uint64(offset) + c] = bl * low + al * high


@kernel
def scatter(gradient, touched, points, given, offset):  # type: ignore[no-untyped-def]
    """Backward of `lookup`: adds to `gradient` (L, n, m, C) and marks texels in `touched` (L, n, m)."""
    layers, n, m, channels = gradient.shape
    for i in range(np.uint64(points.shape[0])):
        iu, au = cell(points[i, 0], m)
        iv, av = cell(points[i, 1], n)
        il, al = layer(points[i, 2], layers)
        for corner in range(8):
            dl, dv, du = corner >> 2, (corner >> 1) & 1, corner & 1
            share = (al if dl else ONE - al) * (av if dv else ONE - av) * (au if du else ONE - au)
            if share == NONE:
                continue
            k, v, u = il + np.uint64(dl), iv + np.uint64(dv), iu + np.uint64(du)
            if channels == 4:  # the fine grid's: with a number that the compiler knows it takes half the time
                for c in range(np.uint64(4)):
                    gradient[k, v, u, c] += share * given[i, np.uint64(offset) + c]
            else:
                for c in range(np.uint64(channels)):
                    gradient[k, v, u, c] += share * given[i, np.uint64(offset) + c]
            touched[k, v, u] = 1


@kernel
def adam(values, gradient, first, second, touched, rate, beta1, beta2, correction1, correction2, floor):  # type: ignore[no-untyped-def]
    """One step of Adam (Kingma and Ba 2015) for the texels of (P, C) that were touched; clears their gradients."""
    for i in range(np.uint64(values.shape[0])):
        if not touched[i]:
            continue
        touched[i] = 0
        for c in range(np.uint64(values.shape[1])):
            g = gradient[i, c]
            gradient[i, c] = 0
            a = beta1 * first[i, c] + (1 - beta1) * g
            b = beta2 * second[i, c] + (1 - beta2) * g * g
            first[i, c], second[i, c] = a, b
            values[i, c] -= rate * (a * correction1) / (math.sqrt(b * correction2) + floor[i])


@kernel
def composite(shown, passed, starts, out, weights):  # type: ignore[no-untyped-def]
    """Volume rendering: (M, 4) colors and (M,) shares of light that samples let pass -> (R, 4) premultiplied color and
    opacity.

    Args:
        shown: (M, 4), of which the first three are colors in [0, 1].
        passed: (M,).
        starts: (R + 1,) see `march`.
        out: (R, 4).
        weights: (M,) takes the samples' weights.
    """
    for i in range(np.uint64(starts.shape[0] - 1)):
        left, r, g, b = ONE, NONE, NONE, NONE
        for j in range(np.uint64(starts[i]), np.uint64(starts[i + 1])):
            weight = left * (ONE - passed[j])
            left *= passed[j]
            weights[j] = weight
            r += weight * shown[j, 0]
            g += weight * shown[j, 1]
            b += weight * shown[j, 2]
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = r, g, b, ONE - left


@kernel
def composite_backward(shown, lengths, starts, opacity, out, weights, given, gradient):  # type: ignore[no-untyped-def]
    """Backward of `composite`: gradients (R, 4) of its answer -> (M, 4) of the logits whose sigmoids `shown` holds.

    d color / d tau_j = T_j+1 c_j - (color behind j); d opacity / d tau_j = T_end, with tau the optical depth.
    """
    for i in range(np.uint64(starts.shape[0] - 1)):
        left, r, g, b = ONE, NONE, NONE, NONE
        g0, g1, g2, g3 = given[i, 0], given[i, 1], given[i, 2], given[i, 3]
        end = ONE - out[i, 3]
        for j in range(np.uint64(starts[i]), np.uint64(starts[i + 1])):
            weight = weights[j]
            c0, c1, c2 = shown[j, 0], shown[j, 1], shown[j, 2]
            r, g, b = r + weight * c0, g + weight * c1, b + weight * c2
            left -= weight
            depth = g0 * (left * c0 - out[i, 0] + r) + g1 * (left * c1 - out[i, 1] + g)
            depth += g2 * (left * c2 - out[i, 2] + b) + g3 * end
            gradient[j, 0] = weight * g0 * c0 * (ONE - c0)
            gradient[j, 1] = weight * g1 * c1 * (ONE - c1)
            gradient[j, 2] = weight * g2 * c2 * (ONE - c2)
            gradient[j, 3] = depth * opacity * lengths[j] * shown[j, 3]  # the sigmoid is softplus's derivative
