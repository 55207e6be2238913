"""Motions of a fitted mesh, one at a time and some together."""

from __future__ import annotations

import numpy as np

from lipbench.faces.morphable import load_model
from lipbench.nerf.relief.mesh import AT_ONCE, HeadMesh, Motions


def test_motions_made_together_are_those_of_single_expressions():
    model = load_model("procedural")
    rng = np.random.default_rng(0)
    mesh = HeadMesh(model, rng.standard_normal(model.n_identity), rng.standard_normal(model.n_expression))
    expressions = rng.standard_normal((AT_ONCE + 3, model.n_expression))
    motions = Motions(mesh, expressions)
    assert len(motions) == len(expressions)
    for t in (0, 1, AT_ONCE - 1, AT_ONCE, AT_ONCE + 2, 0):  # on, past a block's end, and back
        np.testing.assert_allclose(motions[t], mesh.moved(expressions[t]), atol=1e-12)
    turned = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    placed = mesh.placed(motions[2], turned, np.array([0.0, 1, -8]))
    np.testing.assert_allclose(placed, (mesh.neutral + mesh.moved(expressions[2])) @ turned.T + [0, 1, -8], atol=1e-12)
    assert placed.flags.c_contiguous
