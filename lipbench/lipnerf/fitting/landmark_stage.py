"""From a face track to pose, expression, identity and focal length: AD-NeRF's phases A and B with another solver."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipbench.faces.morphable import MorphableModel
from lipbench.lipnerf.fitting import temporal
from lipbench.lipnerf.fitting.landmark_solver import LandmarkProblem
from lipbench.lipnerf.fitting.options import FOCALS, FitOptions, Log
from lipbench.lipnerf.fitting.points import Points
from lipbench.lipnerf.fitting.state import FitState, Free, Weights, exp_rotation

Array = NDArray[np.float64]
POSE_ALONE = 10  # iterations with the mean face, before anything else is free


def weights_of(options: FitOptions) -> Weights:
    """The solver's precisions under these options."""
    base = Weights()
    return replace(
        base,
        sigma=options.landmark_sigma,
        expression=options.expression_prior,
        identity=options.identity_prior,
        smooth_expression=base.smooth_expression * options.smooth,
        smooth_rotation=base.smooth_rotation * options.smooth,
        smooth_translation=base.smooth_translation * options.smooth,
    )


def problem(
    model: MorphableModel,
    points: Points,
    seen: Array,
    found: NDArray[np.bool_],
    size: Array,
    frame_size: tuple[int, int],
    options: FitOptions,
    expression_mean: Tensor | None = None,
) -> LandmarkProblem:
    """The landmark problem of the found frames.

    Args:
        seen: (T, L, 2) px.
        size: (T,) px.
        frame_size: (width, height).
    """
    device = torch.device(options.device)
    return LandmarkProblem(
        model,
        points,
        torch.from_numpy(seen[found]).to(device),
        torch.from_numpy(size[found]).to(device),
        (frame_size[0] / 2, frame_size[1] / 2),
        torch.from_numpy(temporal.runs(found)),
        weights_of(options),
        expression_mean,
    )


def start(p: LandmarkProblem, model: MorphableModel, points: Points, focal: float) -> FitState:
    """The mean face where the landmarks are, looking at the camera, rolled as they are."""
    n, device = len(p.seen), p.seen.device
    shape = torch.from_numpy(np.asarray(model.mean[points.vertices][points.at], np.float64)).to(device)  # (L, 3)
    w = (p.weight / p.weight.sum())[:, None]
    model_center = (w * shape).sum(0)
    image_center = (w * p.seen).sum(1)
    a = (shape - model_center)[:, :2] * torch.tensor([1.0, -1.0], dtype=torch.float64, device=device)
    b = p.seen - image_center[:, None]
    # Similarity in the image: scale and roll that lay the mean face onto the landmarks.
    dot = (w * (a * b)).sum((1, 2))
    cross = (w[:, 0] * (a[:, 0] * b[..., 1] - a[:, 1] * b[..., 0])).sum(1)
    scale = torch.sqrt(dot**2 + cross**2) / (w * a**2).sum()  # px per dm
    roll = torch.atan2(cross, dot)
    zero = torch.zeros_like(roll)
    rotation = exp_rotation(torch.stack([zero, zero, -roll], -1))
    z = -focal / scale
    cx, cy = p.center
    center = torch.stack([(image_center[:, 0] - cx) / focal * -z, (cy - image_center[:, 1]) / focal * -z, z], -1)
    return FitState(
        identity=torch.zeros(model.n_identity, dtype=torch.float64, device=device),
        expression=p.expression_mean.expand(n, -1).clone(),
        rotation=rotation,
        translation=center - torch.einsum("tij,j->ti", rotation, model_center),
        focal=torch.tensor(float(focal), dtype=torch.float64, device=device),
    )


def spread(n: int, wanted: int) -> Tensor:
    """Up to `wanted` of n frames, evenly spread."""
    return torch.linspace(0, n - 1, min(wanted, n)).round().long().unique()


def search_focal(p: LandmarkProblem, model: MorphableModel, points: Points, options: FitOptions, log: Log) -> float:
    """The focal length, in px, with which some frames fit best.

    A landmark fit knows it badly, for a longer lens and a flatter face look alike; the costs are said.
    """
    frames = spread(len(p.seen), options.focal_frames)
    some = p.subset(frames)
    side = 2 * min(p.center)
    costs = []
    for factor in FOCALS:
        state = start(some, model, points, factor * side)
        state = some.solve(state, Free(expression=False), POSE_ALONE)
        state = some.solve(state, Free(identity=True), options.iterations)
        costs.append(float(some.cost(state)) / len(frames))
    log("focal search: " + ", ".join(f"{f * side:.0f} px {c:.2f}" for f, c in zip(FOCALS, costs, strict=True)))
    return _parabola(np.log(FOCALS), np.asarray(costs), side)


def fit_landmarks(p: LandmarkProblem, model: MorphableModel, points: Points, options: FitOptions, log: Log) -> FitState:
    """Focal length and identity from frames spread over the clip, then pose and expression of all frames."""
    focal = search_focal(p, model, points, options, log) if options.focal is None else options.focal
    some = p.subset(spread(len(p.seen), options.identity_frames))
    state = some.solve(start(some, model, points, focal), Free(expression=False), POSE_ALONE)
    identity = some.solve(state, Free(identity=True), options.iterations).identity
    state = replace(start(p, model, points, focal), identity=identity)
    state = p.solve(state, Free(expression=False), POSE_ALONE)
    return p.solve(state, Free(), options.iterations)


def _parabola(x: Array, y: Array, side: float) -> float:
    """The minimum of the parabola through the best three of the tried ones."""
    k = int(np.clip(y.argmin(), 1, len(y) - 2))
    a, b, _ = np.polyfit(x[k - 1 : k + 2], y[k - 1 : k + 2], 2)
    best = -b / (2 * a) if a > 0 else x[y.argmin()]
    return float(np.exp(np.clip(best, x[0], x[-1])) * side)
