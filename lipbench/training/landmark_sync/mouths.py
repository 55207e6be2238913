"""Articulation -> the twelve measures of a mouth as a tracker sees it: people, manners of speaking, poses, errors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from lipbench.faces.morphable import visemes
from lipbench.faces.morphable.procedural import head_parts, procedural_model
from lipbench.faces.morphable.semantic import SEMANTIC
from lipbench.metrics.sync.landmark.mouth import measures
from lipbench.synthetic.head.identity import sample_identity
from lipbench.training.landmark_sync.tracker import tracker_errors

Array = NDArray[np.floating]
Points = NDArray[np.float64]
FIRST_PERSON, PEOPLE = 100_000, 200
_AT = {name: i for i, name in enumerate(visemes.CHANNELS)}
_SHAPING = [_AT[name] for name in ("jaw", "round", "protrude", "spread", "upper", "lower")]
_SIDED = [SEMANTIC.index(name + side) for name in ("stretch", "upRaise", "loDepress") for side in "LR"]
_MOODS = [(SEMANTIC.index(name + side), most) for name, most in (("smile", 0.3), ("frown", 0.15)) for side in "LR"]


@dataclass(frozen=True)
class Faces:
    """The 68 landmarks of the procedural head, x right, y down, z away, outer eye corners 1 apart in the mean face.

    Attributes:
        neutral: (68, 3).
        people: (40, 68, 3) by one deviation of each dimension of identity.
        shapes: (36, 68, 3) by each semantic expression.
    """

    neutral: Points
    people: Points
    shapes: Points


@cache
def faces() -> Faces:
    """Of the packaged head."""
    model, parts = procedural_model(), head_parts()
    at = parts.landmarks.points
    turn = np.array([1.0, -1.0, -1.0])
    neutral = parts.points[at] * turn
    unit = np.linalg.norm(neutral[36] - neutral[45])
    expressions = model.expression_basis[:, at].astype(np.float64) * parts.sigma[:, None, None]
    people = model.identity_basis[:, at].astype(np.float64) * model.identity_sigma[:, None, None]
    shapes = np.einsum("se,ekc->skc", parts.from_semantic, expressions)
    return Faces(neutral / unit, people * turn / unit, shapes * turn / unit)


@cache
def person(number: int) -> Points:
    """(68, 3) the resting face of one of the people that training draws from."""
    return faces().neutral + np.tensordot(sample_identity(number).coefficients(), faces().people, 1)


def smooth(rng: np.random.Generator, n: int, width: float, k: int = 1) -> Array:
    """(n, k) noise of unit deviation, smooth over about `width` samples."""
    sigma = max(width / 4, 0.5)
    padded = rng.standard_normal((n + 2 * round(4 * sigma), k))
    out = gaussian_filter1d(padded, sigma, axis=0)[round(4 * sigma) :][:n] * np.sqrt(2 * np.sqrt(np.pi) * sigma)
    return np.asarray(out)


def clean(channels: Array, number: int) -> Array:
    """(T, 10) articulation -> (T, 12) measures of one person who speaks as the channels say, seen without error."""
    weights = visemes.weights(cast(Points, channels))
    return measures(person(number) + np.einsum("ts,skc->tkc", weights, faces().shapes))


def spoken(channels: Array, rng: np.random.Generator) -> Array:
    """(T, 10) articulation -> (T, 68, 3) landmarks of somebody with a manner of their own, head at rest."""
    ch = np.array(channels, np.float64)
    ch[:, _SHAPING] = np.clip(ch[:, _SHAPING] * np.exp(rng.normal(0, 0.2, len(_SHAPING))), 0, 1)
    if rng.uniform() < 0.5:  # lips that do not meet in pauses
        resting = ch[:, _AT["close"]]
        ch[:, _AT["close"]] = np.where(resting < 0.6, resting * rng.uniform(), resting)
    if rng.uniform() < 0.5:
        ch = gaussian_filter1d(ch, rng.uniform(0.2, 0.9), axis=0)
    weights = visemes.weights(ch, effort=float(rng.uniform(0.6, 1.35)))
    weights[:, _SIDED] *= 1 + rng.uniform(-0.3, 0.3, len(_SIDED))
    for column, most in _MOODS:
        slow = rng.uniform(-0.1, most) + rng.uniform(0, 0.15) * smooth(rng, len(ch), 60)[:, 0]
        weights[:, column] += np.clip(slow, 0, 1)
    at_rest = person(FIRST_PERSON + int(rng.integers(PEOPLE)))
    return at_rest + np.einsum("ts,skc->tkc", weights, faces().shapes)


def seen(points: Array, rng: np.random.Generator) -> Array:
    """(T, 68, 3) landmarks -> those of a head that turns, with the wrong depth and some jitter, as trackers give them.

    What trackers do to mouths beyond that is in `misread`.
    """
    t = len(points)
    mean = np.array([rng.uniform(-35, 35), rng.uniform(-15, 15), rng.uniform(-10, 10)])
    sway = smooth(rng, t, float(rng.uniform(20, 120)), 3) * rng.uniform(0, 6, 3)
    turned = np.einsum("tij,tkj->tki", Rotation.from_euler("YXZ", mean + sway, degrees=True).as_matrix(), points)
    turned[..., :2] /= 1 + rng.uniform(0, 0.15) * turned[..., 2:]
    turned[..., 2] *= rng.uniform(0.6, 1.3)
    jitter = np.exp(rng.uniform(np.log(0.0005), np.log(0.006)))
    turned += rng.standard_normal(turned.shape) * jitter
    region = smooth(rng, t, float(rng.uniform(3, 12)), 9).reshape(t, 3, 3) * jitter
    for part, rows in enumerate((slice(48, 68), slice(27, 48), slice(8, 9))):  # errors that a region shares
        turned[:, rows] += region[:, part, None]
    if rng.uniform() < 0.15:
        turned[..., 2] = 0.0  # a tracker without depth
    return turned


def misread(rows: Array, usual: Array, rng: np.random.Generator) -> Array:
    """(T, 12) measures -> the same with what mouths and trackers do to them besides jitter."""
    t, k = rows.shape
    mean = rows.mean(0)
    strength = float(np.exp(rng.uniform(np.log(0.3), np.log(1.5))))  # real clips are darker and blurred, or sharper
    x = tracker_errors().apply(rows - mean, rng, float(rng.uniform(0, 1.2)), strength) / usual
    x = x @ (np.eye(k) + rng.normal(0, 0.08, (k, k))) * np.exp(rng.normal(0, 0.25, k) + rng.normal(0, 0.3))
    if rng.uniform() < 0.6:
        blur, p = rng.uniform(0, 0.32), np.pad(x, ((1, 1), (0, 0)), "edge")
        x = blur * p[:-2] + (1 - 2 * blur) * p[1:-1] + blur * p[2:]
    x = x + smooth(rng, t, float(rng.uniform(12, 60)), k) * rng.uniform(0, 0.5)
    x = x + rng.standard_normal(x.shape) * rng.uniform(0, 0.15)
    if rng.uniform() < 0.3:  # narrow gaps are seen as shut
        x[:, 0] = np.maximum(x[:, 0], x[:, 0].min() + rng.uniform(0, 0.8))
    x[:, rng.uniform(size=k) < 0.08] = 0
    if rng.uniform() < 0.25:  # repeated frames
        again = rng.integers(1, t, 3)
        x[again] = x[again - 1]
    return x * usual + mean
