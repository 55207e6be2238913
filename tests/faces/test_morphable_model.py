"""The morphable-model interface on a small random model: arithmetic, hash, files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lipbench.core.errors import Unsupported, UsageError, WeightsError
from lipbench.faces.morphable import LandmarkIndices, MorphableModel, load_model
from lipbench.faces.morphable.base import positive_signs

N, K_ID, K_EXP, K_ALB = 40, 3, 4, 2


@pytest.fixture
def model() -> MorphableModel:
    rng = np.random.default_rng(0)
    return MorphableModel(
        name="tiny",
        licence="none",
        mean=rng.normal(size=(N, 3)),
        identity_basis=rng.normal(size=(K_ID, N, 3)),
        identity_sigma=np.array([3.0, 2.0, 1.0]),
        expression_basis=rng.normal(size=(K_EXP, N, 3)),
        expression_sigma=np.array([0.4, 0.3, 0.2, 0.1]),
        triangles=rng.integers(0, N, (20, 3)),
        albedo_mean=rng.random((N, 3)),
        albedo_basis=rng.normal(size=(K_ALB, N, 3)),
        albedo_sigma=np.array([0.1, 0.05]),
        landmarks=LandmarkIndices(
            np.arange(68) % N, np.arange(160).reshape(8, 20) % N, np.arange(160).reshape(8, 20)[::-1] % N
        ),
        rigid=np.array([1, 2, 3]),
    )


def test_some_vertices_are_those_of_all(model: MorphableModel) -> None:
    rng = np.random.default_rng(0)
    identity, expression = rng.normal(size=model.n_identity), rng.normal(size=(3, model.n_expression))
    rows = np.arange(model.n_vertices)[::-3]
    some, every = model.vertices(identity, expression, rows), model.vertices(identity, expression)
    np.testing.assert_allclose(some, every[:, rows], rtol=1e-6, atol=1e-6)


def test_vertices_are_the_linear_sum_in_standard_deviations(model: MorphableModel) -> None:
    assert np.array_equal(model.vertices(), model.mean)
    identity, expression = np.array([1.0, -2.0, 0.5]), np.array([0.0, 0.0, 0.0, 2.0])
    expected = model.mean + 3 * model.identity_basis[0] - 4 * model.identity_basis[1] + 0.5 * model.identity_basis[2]
    expected = expected + 2 * 0.1 * model.expression_basis[3]
    np.testing.assert_allclose(model.vertices(identity, expression), expected, atol=1e-12)
    batch = model.vertices(identity, np.stack([expression, 0 * expression]))
    assert batch.shape == (2, N, 3)
    np.testing.assert_allclose(batch[1], model.vertices(identity), atol=1e-12)


def test_wrong_number_of_coefficients_is_an_error(model: MorphableModel) -> None:
    with pytest.raises(UsageError, match="4 expression dimensions"):
        model.vertices(expression=np.zeros(79))
    with pytest.raises(Unsupported, match="no albedo"):
        replace(model, albedo_mean=np.zeros(0)).albedo()
    with pytest.raises(Unsupported, match="landmark"):
        replace(model, landmarks=None).require_landmarks()


def test_hash_sees_signs_order_and_topology_but_not_the_last_bits(model: MorphableModel) -> None:
    same = replace(model, expression_basis=model.expression_basis * (1 + 1e-12), mean=model.mean + 1e-13)
    assert same.basis_hash == model.basis_hash
    flipped = model.expression_basis.copy()
    flipped[2] *= -1
    swapped = model.expression_basis[[1, 0, 2, 3]]
    others = [
        replace(model, expression_basis=flipped),
        replace(model, expression_basis=swapped),
        replace(model, triangles=model.triangles[::-1]),
        replace(model, expression_sigma=model.expression_sigma * 1.1),
        model.truncated(expression=3),
    ]
    assert len({model.basis_hash, *(other.basis_hash for other in others)}) == 6


def test_positive_signs_undo_any_flip() -> None:
    rng = np.random.default_rng(1)
    modes = rng.normal(size=(6, 10, 3))
    flips = np.array([1, -1, -1, 1, -1, 1.0])[:, None, None]
    fixed = [m * positive_signs(m)[:, None, None] for m in (modes, modes * flips)]
    np.testing.assert_array_equal(*fixed)
    flat = fixed[0].reshape(6, -1)
    assert (flat[np.arange(6), np.abs(flat).argmax(1)] > 0).all()


def test_file_round_trip(model: MorphableModel, tmp_path) -> None:
    back = MorphableModel.load(model.save(tmp_path / "m.npz"))
    assert (back.name, back.licence, back.units) == ("tiny", "none", "dm")
    assert back.basis_hash == model.basis_hash
    assert back.landmarks is not None
    np.testing.assert_array_equal(back.landmarks.left, model.require_landmarks().left)
    assert load_model(tmp_path / "m.npz").n_albedo == K_ALB
    (tmp_path / "junk.npz").write_bytes(b"PK no")
    with pytest.raises(WeightsError, match="cannot read the weights"):
        MorphableModel.load(tmp_path / "junk.npz")


def test_visible_contour_takes_the_outermost_candidate_of_each_row() -> None:
    marks = LandmarkIndices(np.full(68, 99), np.arange(160).reshape(8, 20), 200 + np.arange(160).reshape(8, 20))
    x = np.zeros(400)
    x[[3, 25, 159]] = -5  # left candidates of rows 0, 1, 7
    x[[204, 359]] = 7  # right candidates of rows 0, 7
    points = marks.visible(x)
    assert points[0] == 3
    assert points[1] == 25
    assert points[7] == 159
    assert points[9] == 204
    assert points[16] == 359
    assert points[8] == 99
    assert (points[17:] == 99).all()


def test_unknown_sources_are_errors(tmp_path) -> None:
    with pytest.raises(UsageError, match="neither a file nor a folder"):
        load_model(tmp_path / "nothing.pkl")
    (tmp_path / "model.obj").touch()
    with pytest.raises(UsageError, match="ending"):
        load_model(tmp_path / "model.obj")
