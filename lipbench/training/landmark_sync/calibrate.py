"""What is fitted after the training: how sure a similarity makes, and what lips a sound asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from lipbench.metrics.sync.landmark.mouth import FPS
from lipbench.metrics.sync.landmark.network import REACH, LandmarkSync
from lipbench.metrics.sync.landmark.similarity import belief, curve, similarities
from lipbench.metrics.sync.protocol import VSHIFT

Pair = tuple[NDArray[np.float32], NDArray[np.float32]]
WINDOWS_S = (1, 2, 5)
_EXPONENTS = np.linspace(0.1, 1.0, 10)
_RIDGE = 1e-2


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
