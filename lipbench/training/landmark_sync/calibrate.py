"""What is fitted after the training: how sure similarities make, and what lips a sound asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from lipbench.metrics.sync.landmark.mouth import FPS
from lipbench.metrics.sync.landmark.network import REACH, LandmarkSync
from lipbench.metrics.sync.landmark.similarity import belief, curve, evidence, offset, similarities
from lipbench.metrics.sync.protocol import VSHIFT
from lipbench.training.landmark_sync.mouths import smooth

Pair = tuple[NDArray[np.float32], NDArray[np.float32]]
WINDOWS_S = (1, 2, 5)
_EXPONENTS = np.linspace(0.1, 1.0, 10)
_RIDGE = 1e-2
#: Of the fit of the credit: rounds over the held-out clips, seconds of windows, clips in a row for longer ones, share
#: of the mouths that are disturbed, and by how many usual deviations at most.
_ROUNDS, _SECONDS, _IN_A_ROW, _DISTURBED, _MOST = 3, (1, 2, 3, 5), (2, 4), 0.67, 4.0


def windows(net: LandmarkSync, pairs: Sequence[Pair], seconds: float) -> Iterator[NDArray[np.float64]]:
    """(31,) mean similarities of every half-overlapping window of each pair of (T, 12) measures and (4 T, 40) mels."""
    rows = round(seconds * FPS) - 2 * REACH
    for measures, bands in pairs:
        found = similarities(*net.embed(measures, bands))
        for start in range(VSHIFT, len(found) - rows - VSHIFT + 1, max(1, round(seconds * FPS) // 2)):
            yield curve(found[start : start + rows])


def hits(net: LandmarkSync, pairs: Sequence[Pair]) -> dict[str, float]:
    """Share of the windows of 1 and 2 s whose best shift is within a frame of the true one."""
    found = {}
    for seconds in WINDOWS_S[:2]:
        away = [abs(int(np.nanargmax(means)) - VSHIFT) for means in windows(net, pairs, seconds)]
        found[f"hits_{seconds}s"] = float(np.mean(np.asarray(away) <= 1))
    return found


@torch.no_grad()
def fit_certainty(net: LandmarkSync, pairs: Sequence[Pair]) -> None:
    """Set scale and exponent of `belief` to the likeliest ones: most mass within a frame of the truth, held-out."""
    lengths = [(round(seconds * FPS) - 2 * REACH, list(windows(net, pairs, seconds))) for seconds in WINDOWS_S]
    seen = [(n, np.stack(rows)) for n, rows in lengths if rows]  # short clips have no long windows

    def likelihood(scale: float, exponent: float) -> float:
        each = []
        for n, means in seen:
            p = np.stack([belief(row, n, np.array([scale, exponent])) for row in means[:: max(1, len(means) // 100)]])
            each.append(np.log(p[:, VSHIFT - 1 : VSHIFT + 2].sum(1) + 1e-6).mean())
        return float(np.mean(each))

    # the scale counts at 40 frames, so that the two do not fight
    best = max(
        ((scale / 40**exponent, exponent) for scale in np.geomspace(10, 1000, 25) for exponent in _EXPONENTS),
        key=lambda pair: likelihood(*pair),
    )
    net.certainty.copy_(torch.tensor(best))


@torch.no_grad()
def fit_credit(net: LandmarkSync, pairs: Sequence[Pair], seed: int = 0) -> None:
    """Set the weights of the evidence that an offset is right, by logistic regression; `certainty` must be set.

    Of every held-out mouth with its own audio and with another's, for which no offset is right. Mouths are disturbed,
    up to beyond what the training knew: else own audio would stand out more than it does on people.
    """
    rng = np.random.default_rng([seed, 2])
    highest, frames, given, right, kinds = [], [], [], [], []

    def add(rows: NDArray[np.floating], own: bool, kind: float) -> None:
        means = curve(rows)
        told = offset(belief(means, len(rows), net.certainty.cpu().numpy()))
        highest.append(np.nanmax(means))
        frames.append(len(rows))
        given.append(told.given)
        right.append(own and abs(told.frames) <= 1)
        kinds.append(2 * kind + own)

    for _ in range(_ROUNDS):
        for own in (True, False):
            whole = []
            for i, (measures, bands) in enumerate(pairs):
                heard = bands if own else pairs[(i + 1 + int(rng.integers(len(pairs) - 1))) % len(pairs)][1]
                strength = rng.uniform(0, _MOST) * (rng.uniform() < _DISTURBED)
                noise = smooth(rng, len(measures), float(rng.uniform(2, 12)), measures.shape[1])
                seen = (measures + net.usual.cpu().numpy() * strength * noise).astype(np.float32)
                rows = similarities(*net.embed(seen, heard))[VSHIFT:-VSHIFT]
                whole.append((strength, rows))
                for seconds in _SECONDS:
                    size = round(seconds * FPS) - 2 * REACH
                    for start in range(0, len(rows) - size + 1, max(1, round(seconds * FPS) // 2)):
                        add(rows[start : start + size], own, seconds)
            whole.sort(key=lambda pair: pair[0])
            for k in _IN_A_ROW:  # clips of about the same disturbance as one that is longer
                for start in range(0, len(whole) - k + 1, k):
                    add(np.concatenate([rows for _, rows in whole[start : start + k]]), own, 100 * k)
    x, y = evidence(highest, np.asarray(frames), np.asarray(given)), np.asarray(right, np.float64)
    _, kind, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    weight = 1 / counts[kind]
    spread = np.maximum(x.std(0), 1e-6)
    spread[0] = 1.0

    def loss(b: NDArray[np.float64]) -> float:
        logits = (x / spread) @ b
        return float((weight * (np.logaddexp(0, logits) - y * logits)).sum() / len(counts))

    net.credit.copy_(torch.from_numpy((minimize(loss, np.zeros(4), method="BFGS").x / spread).astype(np.float32)))


@torch.no_grad()
def fit_readout(net: LandmarkSync, pairs: Sequence[Pair]) -> None:
    """Set the linear map from embeddings of audio to the measures of the usual speaker, by ridge regression."""
    inputs, targets = [], []
    for measures, bands in pairs:
        _, sound = net.embed(measures, bands)
        away = (measures - measures.mean(0)) / net.usual.cpu().numpy()
        inputs.append(np.concatenate([sound, np.ones((len(sound), 1), np.float32)], 1))
        targets.append(away[REACH : len(measures) - REACH])
    x, y = np.concatenate(inputs).astype(np.float64), np.concatenate(targets).astype(np.float64)
    solved = np.linalg.solve(x.T @ x + _RIDGE * len(x) * np.eye(x.shape[1]) * x.var(), x.T @ y)
    net.readout.copy_(torch.from_numpy(solved.astype(np.float32)))
