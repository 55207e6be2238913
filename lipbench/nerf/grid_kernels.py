"""What a grid of densities says of rays, on the CPU: where they enter the hull, and where their samples go.

The same as `HeadField._tightened` and `HeadField.propose` with `sampling.sample_pdf` in torch, one ray after the other.
"""

from __future__ import annotations

import math

import numpy as np

from lipbench.faces.raster.kernel import inlined, kernel

ONE, NONE = np.float32(1), np.float32(0)


@inlined
def cell(start, slope, f, i, depth, n):  # type: ignore[no-untyped-def]
    """Number of the grid's cell at a depth on ray i of frame f; outside of the grid the nearest one."""
    last = np.float32(n - 1)
    x = np.uint64(min(max(start[f, 0] + slope[f, i, 0] * depth, NONE), last))
    y = np.uint64(min(max(start[f, 1] + slope[f, i, 1] * depth, NONE), last))
    z = np.uint64(min(max(start[f, 2] + slope[f, i, 2] * depth, NONE), last))
    return (x * np.uint64(n) + y) * np.uint64(n) + z


@kernel
def tighten(start, slope, hull, n, probes, missed, near, far):  # type: ignore[no-untyped-def]
    """From where rays enter the hull to where they leave it for good, in place.

    Args:
        start: (F, 3) the rays' origins in cells.
        slope: (F, R, 3) their directions, cells per unit of depth.
        hull: (n^3,) bool.
        n: cells along a side.
        probes: readings along a ray.
        missed: length of a ray that never enters.
        near: (F, R) depths.
        far: the same.
    """
    for f in range(near.shape[0]):
        for i in range(near.shape[1]):
            first, step = near[f, i], (far[f, i] - near[f, i]) / np.float32(probes)
            entered, left = -1, -1
            for k in range(probes):
                if hull[cell(start, slope, f, i, first + (np.float32(k) + np.float32(0.5)) * step, n)]:
                    entered = k
                    break
            if entered < 0:
                far[f, i] = first + missed
                continue
            for k in range(probes - 1, -1, -1):
                if hull[cell(start, slope, f, i, first + (np.float32(k) + np.float32(0.5)) * step, n)]:
                    left = k
                    break
            # A bin whose middle lies outside may touch the hull: one more on either side.
            near[f, i] = first + np.float32(max(entered - 1, 0)) * step
            far[f, i] = first + np.float32(min(left + 2, probes)) * step


@kernel
def place(start, slope, near, far, length, density, n, bins, floors, inside, depths, seen):  # type: ignore[no-untyped-def]
    """Samples of rays by the weights that a grid's density has along them.

    Args:
        start: see `tighten`.
        slope: see `tighten`.
        near: (F, R).
        far: (F, R).
        length: (F, R) of a unit of depth.
        density: (n^3,) per meter.
        n: cells along a side.
        bins: readings along a ray.
        floors: added to every density, to every factor of the transmittance, to every weight.
        inside: (F, R, S) in [0, 1), where in its step of probability each sample lies.
        depths: (F, R, S + 1) takes the samples' and, last, `far`.
        seen: (F, R) takes the sum of the weights.
    """
    count = inside.shape[2]
    weights, wide, total = np.empty(bins, np.float32), np.empty(bins, np.float32), np.empty(bins + 1, np.float32)
    for f in range(near.shape[0]):
        for i in range(near.shape[1]):
            first, step = near[f, i], (far[f, i] - near[f, i]) / np.float32(bins)
            left, sums = ONE, NONE
            for k in range(bins):
                found = density[cell(start, slope, f, i, first + (np.float32(k) + np.float32(0.5)) * step, n)]
                alpha = ONE - np.float32(math.exp(-(found + floors[0]) * step * length[f, i]))
                weights[k] = alpha * left if found > NONE else NONE
                sums += weights[k]
                left *= ONE - alpha + floors[1]
            seen[f, i] = sums
            # Neighboring bins lend each other weight: the surface may lie on either side of an edge.
            every = NONE
            for k in range(bins):
                before, after = weights[max(k - 1, 0)], weights[min(k + 1, bins - 1)]
                wide[k] = np.float32(0.5) * (max(before, weights[k]) + max(weights[k], after)) + floors[2]
                every += wide[k]
            total[0] = NONE
            for k in range(bins):
                total[k + 1] = total[k] + wide[k] / every
            k = 0
            for j in range(count):
                u = (np.float32(j) + inside[f, i, j]) / np.float32(count)
                while k < bins - 1 and total[k + 1] <= u:
                    k += 1
                span = total[k + 1] - total[k]
                share = (u - total[k]) / (span if span >= np.float32(1e-5) else ONE)
                depths[f, i, j] = first + (np.float32(k) + share) * step
            depths[f, i, count] = far[f, i]
