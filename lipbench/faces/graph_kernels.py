"""The arithmetic of small convolutional nets on one image, compiled: what `graph_program` calls, step after step.

Activations are planes (C, H, W). Nets for faces consist of many steps that are over in microseconds; a framework spends
more on calling each than on its arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.raster.kernel import kernel

#: Pixels that are convolved together: rows of as many planes as a net has stay in a near cache.
TILE = 512
#: Up to as many pixels each output is a dot product over the channels; beyond, each plane is a sum of planes.
FEW = 64


@kernel
def _sum_planes(w, x, out, at, first, last):  # type: ignore[no-untyped-def]
    """out (C, P) += w (C, K) @ x (K, P) of the pixels [first, last) of `out`, `at` and on of x; four by four planes."""
    outs, ins = w.shape
    outs4, ins4, n = outs - outs % 4, ins - ins % 4, last - first
    end = at + n
    for c in range(0, outs4, 4):
        o0, o1, o2, o3 = out[c, first:last], out[c + 1, first:last], out[c + 2, first:last], out[c + 3, first:last]
        for k in range(0, ins4, 4):
            x0, x1, x2, x3 = x[k, at:end], x[k + 1, at:end], x[k + 2, at:end], x[k + 3, at:end]
            a0, a1, a2, a3 = w[c, k], w[c, k + 1], w[c, k + 2], w[c, k + 3]
            b0, b1, b2, b3 = w[c + 1, k], w[c + 1, k + 1], w[c + 1, k + 2], w[c + 1, k + 3]
            d0, d1, d2, d3 = w[c + 2, k], w[c + 2, k + 1], w[c + 2, k + 2], w[c + 2, k + 3]
            e0, e1, e2, e3 = w[c + 3, k], w[c + 3, k + 1], w[c + 3, k + 2], w[c + 3, k + 3]
            for p in range(n):
                o0[p] += a0 * x0[p] + a1 * x1[p] + a2 * x2[p] + a3 * x3[p]
                o1[p] += b0 * x0[p] + b1 * x1[p] + b2 * x2[p] + b3 * x3[p]
                o2[p] += d0 * x0[p] + d1 * x1[p] + d2 * x2[p] + d3 * x3[p]
                o3[p] += e0 * x0[p] + e1 * x1[p] + e2 * x2[p] + e3 * x3[p]
        for k in range(ins4, ins):
            x0, a0, b0, d0, e0 = x[k, at:end], w[c, k], w[c + 1, k], w[c + 2, k], w[c + 3, k]
            for p in range(n):
                o0[p] += a0 * x0[p]
                o1[p] += b0 * x0[p]
                o2[p] += d0 * x0[p]
                o3[p] += e0 * x0[p]
    for c in range(outs4, outs):
        o0 = out[c, first:last]
        for k in range(ins):
            x0, a0 = x[k, at:end], w[c, k]
            for p in range(n):
                o0[p] += a0 * x0[p]


@kernel
def _dot_pixels(w, x, out):  # type: ignore[no-untyped-def]
    """out (C, P) += w (C, K) @ x (P, K) turned, four pixels at a time."""
    outs, ins = w.shape
    pixels = len(x)
    pixels4 = pixels - pixels % 4
    for c in range(outs):
        row = w[c]
        for p in range(0, pixels4, 4):
            x0, x1, x2, x3 = x[p], x[p + 1], x[p + 2], x[p + 3]
            s0 = s1 = s2 = s3 = np.float32(0)
            for k in range(ins):
                a = row[k]
                s0 += a * x0[k]
                s1 += a * x1[k]
                s2 += a * x2[k]
                s3 += a * x3[k]
            out[c, p] += s0
            out[c, p + 1] += s1
            out[c, p + 2] += s2
            out[c, p + 3] += s3
        for p in range(pixels4, pixels):
            x0, s0 = x[p], np.float32(0)
            for k in range(ins):
                s0 += row[k] * x0[k]
            out[c, p] += s0


@kernel
def _begin(bias, added, out, first, last):  # type: ignore[no-untyped-def]
    """The pixels [first, last) of out (C, P) = bias (C,) + added (A, P), A <= C."""
    for c in range(len(out)):
        b, row = bias[c], out[c, first:last]
        if c < len(added):
            more = added[c, first:last]
            for p in range(len(row)):
                row[p] = b + more[p]
        else:
            for p in range(len(row)):
                row[p] = b


@kernel
def _end(slope, limit, out, first, last):  # type: ignore[no-untyped-def]
    """Of the pixels [first, last) of out (C, P) what is below 0 is scaled, what is above the limit cut."""
    for c in range(len(slope)):
        row, s = out[c, first:last], slope[c]
        for p in range(len(row)):
            v = row[p]
            row[p] = min(v if v > 0 else v * s, limit)


@kernel
def _gather(x, rows, first, last, form):  # type: ignore[no-untyped-def]
    """The patches of the output rows [first, last): (K, pixels)."""
    high, wide, stride_h, stride, top, left, columns = form
    k = 0
    for a in range(high):
        for b in range(wide):
            before = max(0, (left - b + stride - 1) // stride)  # columns whose patch begins left of the image
            within = max(before, min(columns, (x.shape[2] - 1 + left - b) // stride + 1))
            for c in range(x.shape[0]):
                for y in range(first, last):
                    r, row = y * stride_h + a - top, rows[k, (y - first) * columns : (y - first + 1) * columns]
                    inside = 0 <= r < x.shape[1]
                    end = within if inside else 0
                    for j in range(end, columns):
                        row[j] = 0
                    if inside:
                        source, target = x[c, r, before * stride + b - left :], row[before:within]
                        for j in range(before):
                            row[j] = 0
                        for j in range(len(target)):
                            target[j] = source[j * stride]
                k += 1


@kernel
def _gather_pixels(x, rows, form):  # type: ignore[no-untyped-def]
    """The patches of all output pixels: (pixels, K)."""
    high, wide, stride_h, stride, top, left, columns = form
    for p in range(len(rows)):
        row, i, j = rows[p], p // columns, p % columns
        k = 0
        for a in range(high):
            for b in range(wide):
                r, s = i * stride_h + a - top, j * stride + b - left
                inside = 0 <= r < x.shape[1] and 0 <= s < x.shape[2]
                for c in range(x.shape[0]):
                    row[k + c] = x[c, r, s] if inside else np.float32(0)
                k += x.shape[0]


@kernel
def convolve(x, w, bias, added, slope, limit, out, form, scratch):  # type: ignore[no-untyped-def]
    """A convolution with what follows it.

    Args:
        x: (C, H, W); what lies around it is 0.
        w: (O, K), K = kernel height x width x C.
        bias: (O,).
        added: (A, P) to the first A planes of the result.
        slope: (O,) of what is below 0 then; (0,) for no activation.
        limit: of what is above 0 then.
        out: (O, P), takes the result.
        form: height and width of the kernel, stride down and across, padding above and left, columns of the result.
        scratch: floats to work in.
    """
    pixels, ins = out.shape[1], w.shape[1]
    if pixels <= FEW:
        turned = scratch[: pixels * ins].reshape(pixels, ins)
        _gather_pixels(x, turned, form)
        _begin(bias, added, out, 0, pixels)
        _dot_pixels(w, turned, out)
        _end(slope, limit, out, 0, pixels)
        return
    columns = form[6]
    simple = pixels == x.shape[1] * x.shape[2] and ins == x.shape[0]
    flat = x.reshape(x.shape[0], x.shape[1] * x.shape[2])
    step = TILE if simple else max(1, TILE // columns) * columns
    for first in range(0, pixels, step):
        last = min(pixels, first + step)
        _begin(bias, added, out, first, last)
        if simple:
            _sum_planes(w, flat, out, first, first, last)
        else:
            patches = scratch[: (last - first) * ins].reshape(ins, last - first)
            _gather(x, patches, first // columns, last // columns, form)
            _sum_planes(w, patches, out, 0, first, last)
        _end(slope, limit, out, first, last)


@kernel
def depthwise(x, weights, bias, out, form, scratch):  # type: ignore[no-untyped-def]
    """3 x 3, one a channel: x (C, H, W), weights (C, 9), bias (C,) -> out (C, H', W'); the rest as in `convolve`."""
    _, _, stride_h, stride, top, left, columns = form
    high, wide = (out.shape[1] - 1) * stride_h + 3, (columns - 1) * stride + 3
    padded = scratch[: high * wide].reshape(high, wide)
    for p in range(high * wide):
        scratch[p] = 0
    rows, across = min(x.shape[1], high - top), min(x.shape[2], wide - left)
    for c in range(len(x)):
        for y in range(rows):
            source, target = x[c, y], padded[y + top, left : left + across]
            for j in range(across):
                target[j] = source[j]
        v, w = bias[c], weights[c]
        w0, w1, w2, w3, w4, w5, w6, w7, w8 = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8]
        for y in range(out.shape[1]):
            at = y * stride_h
            a, b, d, row = padded[at], padded[at + 1], padded[at + 2], out[c, y]
            if stride == 1:  # said apart, so that neighbors are read together
                for j in range(columns):
                    upper = w0 * a[j] + w1 * a[j + 1] + w2 * a[j + 2]
                    middle = w3 * b[j] + w4 * b[j + 1] + w5 * b[j + 2]
                    row[j] = v + upper + middle + w6 * d[j] + w7 * d[j + 1] + w8 * d[j + 2]
            else:
                for j in range(columns):
                    k = j * stride
                    upper = w0 * a[k] + w1 * a[k + 1] + w2 * a[k + 2]
                    middle = w3 * b[k] + w4 * b[k + 1] + w5 * b[k + 2]
                    row[j] = v + upper + middle + w6 * d[k] + w7 * d[k + 1] + w8 * d[k + 2]


@kernel
def finish(x, bias, added, slope, limit, out):  # type: ignore[no-untyped-def]
    """out (C, P) = the activation of x (C, P) + bias + added, all as `convolve`'s."""
    pixels = out.shape[1]
    _begin(bias, added, out, 0, pixels)
    for c in range(len(x)):
        source, row = x[c], out[c]
        for p in range(pixels):
            row[p] += source[p]
    _end(slope, limit, out, 0, pixels)


@kernel
def pool(x, out):  # type: ignore[no-untyped-def]
    """The largest of 2 x 2: x (C, 2 H, 2 W) -> out (C, H, W)."""
    for c in range(out.shape[0]):
        for i in range(out.shape[1]):
            a, b, row = x[c, 2 * i], x[c, 2 * i + 1], out[c, i]
            for j in range(len(row)):
                row[j] = max(max(a[2 * j], a[2 * j + 1]), max(b[2 * j], b[2 * j + 1]))


@kernel
def sample(x, matrix, held, out):  # type: ignore[no-untyped-def]
    """Bilinear: x (C, H, W) -> out (C, H', W') at matrix (2, 4, used without its third column) of the pixels of `out`.

    Pixel centers are at half integers. Outside of the centers of x lies 0 or, when `held`, what is nearest.
    """
    last_x, last_y = x.shape[2] - 1, x.shape[1] - 1
    half = np.float32(0.5)
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            u, v = np.float32(j) + half, np.float32(i) + half
            across = matrix[0, 0] * u + matrix[0, 1] * v + matrix[0, 3] - half
            down = matrix[1, 0] * u + matrix[1, 1] * v + matrix[1, 3] - half
            if held:
                across, down = min(max(across, 0), last_x), min(max(down, 0), last_y)
            inside = 0 <= across <= last_x and 0 <= down <= last_y
            s0, r0 = (int(across), int(down)) if inside else (0, 0)
            s1, r1 = min(s0 + 1, last_x), min(r0 + 1, last_y)
            right, low = np.float32(across - s0), np.float32(down - r0)
            for c in range(x.shape[0]):
                above = x[c, r0, s0] + (x[c, r0, s1] - x[c, r0, s0]) * right
                below = x[c, r1, s0] + (x[c, r1, s1] - x[c, r1, s0]) * right
                out[c, i, j] = above + (below - above) * low if inside else np.float32(0)


def patch_matrix(points: NDArray[np.float32], options: Mapping[str, Any], out: NDArray[np.float32]) -> None:
    """`graph_custom_ops.landmarks_to_matrix` of (K, 3) points, into (4, 4); options are those of the operator."""
    left, right = points[options["left_rotation_idx"]], points[options["right_rotation_idx"]]
    turn = options["target_rotation_radians"] - np.arctan2(right[1] - left[1], right[0] - left[0])
    level = np.asarray([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]], np.float32)
    turned = points[list(options["subset_idxs"]), :2] @ level.T
    low, high = turned.min(0), turned.max(0)
    size = np.asarray([options["output_width"], options["output_height"]], np.float32)
    scale = np.asarray([options["scale_x"], options["scale_y"]], np.float32)
    out[:] = np.eye(4)
    out[:2, :2] = linear = level.T * ((high - low) * scale / size)
    out[:2, 3] = level.T @ ((low + high) / 2) - linear @ (size / 2)


def move(points: NDArray[np.float32], matrix: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """`graph_custom_ops.transform_landmarks` of (K, 2 or 3) points at a (4, 4) matrix."""
    out[:, :2] = points[:, :2] @ matrix[:2, :2].T + matrix[:2, 3]
    out[:, 2:] = points[:, 2:]
