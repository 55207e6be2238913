"""Lip vertex error: how far the lips of a known mesh are from where they should be.

Needs the mesh of the prediction, which a method that renders a morphable model hands over as its output "annotations"
(npz with `lip_vertices`), and the mesh of the truth, which generated clips have. Videos without a mesh have no value.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.core.metric import MetricFamily, MetricSpec, Pair, Score, none_for
from lipbench.metrics.functional.mesh import lip_vertex_error

#: Annotations keep lip vertices in decimeters of model space.
MM_PER_UNIT = 100.0


class MeshFamily(MetricFamily):
    """lve_truth."""

    id = "mesh"
    metrics = (
        MetricSpec(
            "lve_truth",
            "1",
            "LVE (truth)",
            "mm^2",
            "lower",
            frozenset({"truth", "mesh"}),
            "mouth",
            tolerance=1e-3,
            decimals=2,
            source="Richard et al., MeshTalk, ICCV 2021: mean over frames of the largest squared L2",
            convention="lve[max over lip vertices of squared L2,mm^2,model space,vs the generator's mesh]",
            description="How far the worst lip vertex is from where it should be, on the mesh that the method drew.",
            good="near 0",
        ),
    )

    def uses_gpu(self, options: Mapping[str, Any]) -> bool:
        return False

    def score(self, pair: Pair) -> Mapping[str, Score]:
        truth = _lips(pair.truth_annotations)
        if truth is None:
            return none_for(self.metrics, "no_truth: no mesh of the correct video: only generated clips have one")
        mine = _lips(pair.prediction_annotations)
        if mine is None:
            return none_for(self.metrics, "no_mesh: the method does not hand over a mesh of its video")
        n, m = len(mine), len(truth)
        if abs(n - m) > 1 or mine.shape[1:] != truth.shape[1:]:
            return none_for(
                self.metrics, f"length_mismatch: lip vertices of shape {mine.shape}, the truth has {truth.shape}"
            )
        frames = min(n, m)
        error = lip_vertex_error(mine[:frames], truth[:frames])
        return {"lve_truth": Score(float(error.mean()), per_frame=error, n_valid=frames, n_total=max(n, m))}


def _lips(path: Path | None) -> NDArray[np.float64] | None:
    if path is None:
        return None
    with np.load(path, allow_pickle=False) as z:
        return z["lip_vertices"].astype(np.float64) * MM_PER_UNIT if "lip_vertices" in z else None
