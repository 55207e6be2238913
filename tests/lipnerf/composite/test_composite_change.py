"""Laying over a frame what two drawings differ in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lipbench.faces.morphable import load_model
from lipbench.lipnerf.composite.change import LowerFace, lower_face, transfer_change
from lipbench.lipnerf.fitting import Fit

H, W, UNIT = 90, 80, 50.0


def image(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 190, (H, W, 3)).astype(np.uint8)


def everywhere(lips: float = 0.0) -> LowerFace:
    return LowerFace(np.ones((H, W), np.float32), np.full((H, W), lips, np.float32), UNIT)


def test_what_both_drawings_get_wrong_cancels() -> None:
    source, soft = image(), np.full((H, W, 3), 120, np.uint8)
    np.testing.assert_array_equal(transfer_change(source, soft, soft, everywhere()), source)


def test_on_the_skin_shade_changes_and_detail_stays() -> None:
    source, own = image(), np.full((H, W, 3), 120, np.uint8)
    np.testing.assert_array_equal(transfer_change(source, own - 5, own, everywhere()), source - 5)
    freckled = own.copy()
    freckled[::9, ::9] += 40
    away = np.abs(transfer_change(source, freckled, own, everywhere()).astype(int) - source)
    assert away.max() < 6


def test_the_lips_are_drawn_in_the_sources_light() -> None:
    source, own = image(), np.full((H, W, 3), 120, np.uint8)
    drawn = own.copy()
    drawn[40:] = 60
    out = transfer_change(source, drawn, own, everywhere(1.0)).astype(float)
    assert out.std((0, 1))[0] < 45
    assert out[:40].std() < 0.5 * source[:40].std()  # the source's detail is gone
    assert abs(out[:35].mean() - source[:35].mean()) < 1.5  # its light is not
    assert abs(out[39].mean() - out[40].mean()) > 50  # what was drawn is sharp


def test_nothing_changes_outside_of_the_region() -> None:
    source, face = image(), everywhere(1.0)
    face.region[:] = 0
    np.testing.assert_array_equal(transfer_change(source, image(1), image(2), face), source)
    face.region[40:50, 30:40] = 1
    out = transfer_change(source, np.full_like(source, 200), np.full_like(source, 20), face)
    assert (out != source).any(2)[40:50, 30:40].mean() > 0.9
    out[40:50, 30:40] = source[40:50, 30:40]
    np.testing.assert_array_equal(out, source)


def test_the_region_follows_the_jaw_and_leaves_the_eyes() -> None:
    model = load_model("procedural")
    still = np.zeros((1, model.n_expression))
    fit = Fit(
        model="procedural",
        model_name=model.name,
        basis_hash=model.basis_hash,
        width=200,
        height=200,
        fps=25.0,
        focal=500.0,
        identity=np.zeros(model.n_identity),
        albedo=np.zeros(0),
        expression=still,
        rotation=np.eye(3)[None],
        translation=np.array([[0.0, 0.0, -8.0]]),
        light=np.zeros((1, 9, 3)),
        texture=np.zeros((0, 3), np.float32),
        found=np.ones(1, bool),
        landmark_error_px=np.zeros(1),
        photometric_error=np.zeros(1),
    )
    marks = model.require_landmarks().points
    at = fit.camera.project(fit.vertices(model, 0)[marks])
    face = lower_face(fit, model, 0, still[0], (200, 200))
    assert face.unit == np.linalg.norm(at[8] - at[36:48].mean(0))

    def there(mask: np.ndarray, k: int) -> float:
        return float(mask[tuple(np.floor(at[k]).astype(int)[::-1])])

    assert min(there(face.region, k) for k in (3, 8, 13, 30, 57)) > 0.8  # jaw, chin, nose, lip
    assert max(there(face.region, k) for k in (19, 37, 44)) == 0  # brow, eyes
    assert there(face.lips, 57) > 0.8
    assert max(there(face.lips, k) for k in (3, 13, 27)) < 0.4  # jaw, bridge of the nose
    # The combination of expressions that moves the chin down most takes the region with it.
    down = -model.expression_basis[:, marks[8], 1] * model.expression_sigma
    dub = 4.0 * down / np.linalg.norm(down)
    wide = lower_face(fit, model, 0, dub, (200, 200)).region
    assert (wide > face.region - 0.2).all()  # 3 x 3 distances are rough
    assert wide.sum() > 1.02 * face.region.sum()
    back = lower_face(replace(fit, expression=dub[None]), model, 0, still[0], (200, 200)).region
    np.testing.assert_allclose(back, wide, atol=0.2)
