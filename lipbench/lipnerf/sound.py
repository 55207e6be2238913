"""The ablation of the paper's title: the field conditioned on features of the audio instead of expressions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipbench.lipnerf.expression.articulation import PER_FRAME, features

WINDOW = 16  # columns of 10 ms around a frame
DIMENSIONS = 64


def windows(audio: NDArray[np.int16], n_frames: int) -> NDArray[np.float64]:
    """(n_frames, 640) windows of 0.16 s of 40 log mel bands, around the middle of each frame."""
    bands = features(audio, n_frames).astype(np.float64)
    half = (WINDOW - PER_FRAME) // 2
    padded = np.pad(bands, ((0, 0), (half, WINDOW - PER_FRAME - half)), mode="edge")
    return np.stack([padded[:, PER_FRAME * t : PER_FRAME * t + WINDOW].ravel() for t in range(n_frames)])


def fit_features(audio: NDArray[np.int16], n_frames: int, path: Path) -> NDArray[np.float64]:
    """(n_frames, 64) principal components of a clip's windows in standard deviations; what they are goes to `path`."""
    rows = windows(audio, n_frames)
    mean = rows.mean(0)
    _, sigma, axes = np.linalg.svd(rows - mean, full_matrices=False)
    k = min(DIMENSIONS, len(rows) - 1)
    scale = np.maximum(sigma[:k] / np.sqrt(len(rows)), 1e-6)
    np.savez(path, mean=mean, axes=axes[:k], scale=scale)
    return project(rows, path)


def project(rows: NDArray[np.float64], path: Path) -> NDArray[np.float64]:
    """Windows of any audio in the clip's components, held within 3 standard deviations."""
    with np.load(path) as z:
        out: NDArray[np.float64] = np.clip((rows - z["mean"]) @ z["axes"].T / z["scale"], -3, 3)
    return out
