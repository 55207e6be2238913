"""The dub's mouth, the source's eyes."""

from __future__ import annotations

import numpy as np

from lipbench.faces.morphable import load_model
from lipbench.lipnerf.expression.upper_face import keep_upper_face, mouth_part

BROWS, LIDS, LIPS = slice(17, 27), slice(36, 48), slice(48, 60)


def test_eyes_follow_the_source_and_lips_the_dub() -> None:
    model = load_model("procedural")
    rng = np.random.default_rng(0)
    own, dub = 0.6 * rng.normal(size=(2, 12, model.n_expression))
    mixed = keep_upper_face(model, own, dub)
    marks = model.require_landmarks().points
    still = np.zeros(model.n_identity)

    def apart(a: np.ndarray, b: np.ndarray, part: slice) -> float:
        moved = model.vertices(still, a)[:, marks[part]] - model.vertices(still, b)[:, marks[part]]
        return float(np.sqrt((moved**2).sum(-1)).mean())

    assert apart(mixed, dub, LIPS) < 0.2 * apart(own, dub, LIPS)
    for part in (BROWS, LIDS):
        assert apart(mixed, own, part) < 0.4 * apart(own, dub, part)


def test_what_does_not_differ_stays() -> None:
    model = load_model("procedural")
    own = np.random.default_rng(1).normal(size=(3, model.n_expression))
    np.testing.assert_allclose(keep_upper_face(model, own, own), own)
    share = np.linalg.eigvals(mouth_part(model)).real
    assert share.min() > -1e-9
    assert share.max() < 1 + 1e-9
