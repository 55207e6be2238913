"""Lip vertex error against a plain loop, and its refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lipbench.core.metric import Pair
from lipbench.metrics.mesh import MeshFamily, lip_vertex_error

RNG = np.random.default_rng(0)


def saved(path, vertices):
    np.savez(path, lip_vertices=vertices)
    return path


@pytest.fixture
def pair(tmp_path):
    vertices = RNG.normal(size=(7, 5, 3)).astype(np.float32)
    return Pair(
        prediction=tmp_path / "p.mp4",
        reference=None,
        truth=None,
        audio=None,
        faces=None,
        faces_reason="",
        prediction_faces=None,
        truth_annotations=saved(tmp_path / "t.npz", vertices),
        fps=25,
        work=tmp_path,
        prediction_annotations=saved(tmp_path / "p.npz", vertices + np.float32(0.01)),
    )


def test_against_a_loop():
    a, b = RNG.normal(size=(4, 6, 3)), RNG.normal(size=(4, 6, 3))
    expected = [
        max(sum((x - y) ** 2 for x, y in zip(p, q, strict=True)) for p, q in zip(f, g, strict=True))
        for f, g in zip(a, b, strict=True)
    ]
    assert np.allclose(lip_vertex_error(a, b), expected)


def test_one_millimeter_along_each_axis_is_three(pair):
    score = MeshFamily().score(pair)["lve_truth"]
    assert score.value == pytest.approx(3, rel=1e-4)
    assert (score.n_valid, score.n_total) == (7, 7)


def test_refusals(pair, tmp_path):
    family = MeshFamily()
    assert family.score(replace(pair, truth_annotations=None))["lve_truth"].reason.startswith("no_truth")
    assert family.score(replace(pair, prediction_annotations=None))["lve_truth"].reason.startswith("no_mesh")
    short = saved(tmp_path / "s.npz", np.zeros((3, 5, 3)))
    score = family.score(replace(pair, prediction_annotations=short))["lve_truth"]
    assert score.value is None
    assert "length_mismatch" in score.reason
    with pytest.raises(ValueError, match="cannot be compared"):
        lip_vertex_error(np.zeros((2, 3, 3)), np.zeros((3, 3, 3)))
