"""The photometric term: derivatives, flat images, light and colors in closed form, and what it adds to a fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import lipbench.datasets.demo as demo
from lipbench import media
from lipbench.datasets.annotations import Annotations
from lipbench.faces.files import from_landmarks
from lipbench.faces.morphable import MorphableModel, load_model
from lipbench.faces.raster import sh9
from lipbench.lipnerf.fitting import FitOptions, appearance, fit_clip, overlay, photo_stage, refit
from lipbench.lipnerf.fitting.appearance import face_surface
from lipbench.lipnerf.fitting.photo_term import PhotoTerm
from lipbench.lipnerf.fitting.state import FitState, Free

CLIP = Path(demo.__file__).parent / "clips" / "demo-it"


def term(frames: np.ndarray, target: torch.Tensor, k: int = 4) -> tuple[PhotoTerm, FitState]:
    """30 points on a dome before a 64 px camera of focal length 80, in two frames."""
    g = torch.Generator().manual_seed(2)
    xy = torch.rand(30, 2, generator=g) * 2.4 - 1.2
    mean = torch.cat([xy, 0.3 - 0.1 * xy.pow(2).sum(1, keepdim=True)], 1)
    photo = PhotoTerm(
        torch.from_numpy(frames),
        (1.0, 1.0),
        (32.0, 32.0),
        mean,
        torch.zeros(2, 30, 3),
        0.1 * torch.randn(k, 30, 3, generator=g),
        target,
        torch.rand(2, 30, generator=g),
        0.2,
    )
    state = FitState(
        torch.zeros(2).double(),
        torch.zeros(2, k).double(),
        torch.eye(3).double().repeat(2, 1, 1),
        torch.tensor([[0.0, 0.05, -4.0], [0.1, 0.0, -4.2]]).double(),
        torch.tensor(80.0).double(),
    )
    return photo, state


def test_normal_equations_hold_the_gradient_of_the_cost() -> None:
    y, x = np.mgrid[:64, :64] / 64
    waves = [np.sin(3 * x + 2 * y), np.cos(2 * x - y), np.sin(2 * x) * np.cos(3 * y)]
    frames = (127 + 120 * np.stack([waves, waves[::-1]])).astype(np.uint8)
    photo, state = term(frames, torch.full((2, 30, 3), 0.4))
    left, right = photo.normal(state, Free())
    assert torch.linalg.eigvalsh(left).min() > -1e-3
    step = 0.02
    for column in range(6 + 4):
        costs = []
        for sign in (1, -1):
            moved = state
            if column >= 6:
                e = state.expression.clone()
                e[0, column - 6] += sign * step
                moved = replace(state, expression=e)
            elif column >= 3:
                t = state.translation.clone()
                t[0, column - 3] += sign * step
                moved = replace(state, translation=t)
            else:
                v = torch.zeros(2, 3, dtype=torch.float64)
                v[0, column] = sign * step
                moved = replace(state, rotation=torch.linalg.matrix_exp(_skew(v)) @ state.rotation)
            costs.append(float(photo.cost(moved)))
        slope = (costs[0] - costs[1]) / (2 * step)
        assert slope == pytest.approx(2 * float(right[0, column]), rel=0.15, abs=0.3), column


def _skew(v: torch.Tensor) -> torch.Tensor:
    out = torch.zeros(len(v), 3, 3, dtype=v.dtype)
    out[:, 2, 1], out[:, 0, 2], out[:, 1, 0] = v.T
    return out - out.mT


def test_flat_images_and_perfect_colors_give_no_nan() -> None:
    """A square root in the color error turned AD-NeRF's poses into NaN exactly here."""
    frames = np.full((2, 3, 64, 64), 102, np.uint8)
    photo, state = term(frames, torch.full((2, 30, 3), 0.4))
    left, right = photo.normal(state, Free())
    assert torch.isfinite(left).all()
    assert right.abs().max() < 1e-6
    assert float(photo.cost(state)) == pytest.approx(0, abs=1e-6)


def test_images_cut_around_the_face_give_the_same_equations() -> None:
    y, x = np.mgrid[:64, :64] / 64
    waves = [np.sin(6 * x + 2 * y), np.cos(5 * x - y), np.sin(4 * x) * np.cos(3 * y)]
    frames = (127 + 120 * np.stack([waves, waves[::-1]])).astype(np.uint8)
    whole, state = term(frames, torch.full((2, 30, 3), 0.4))
    uv = whole._project(state, slice(0, 2))[0].double().numpy()
    images, corner = photo_stage.cut(photo_stage.Small(frames.transpose(0, 2, 3, 1), (1.0, 1.0)), uv, 2.0)
    assert images.shape[1] < 64
    assert images.shape[2] < 64
    assert (corner[0] != corner[1]).any()
    part, _ = term(images.transpose(0, 3, 1, 2), torch.full((2, 30, 3), 0.4))
    part.center = torch.from_numpy((32 - corner).astype(np.float32))
    part.weight = whole.weight
    assert float(part.cost(state)) == pytest.approx(float(whole.cost(state)), rel=1e-5)
    for mine, theirs in zip(part.normal(state, Free()), whole.normal(state, Free()), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-2)


def test_light_is_recovered() -> None:
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(600, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    texture = rng.uniform(0.2, 0.9, (600, 3))
    light = np.zeros((9, 3))
    light[0], light[1:4] = 2.4, rng.normal(0, 0.3, (3, 3))
    colors = texture * (sh9(normals) @ light)
    found = appearance.solve_light(normals, texture, colors, np.ones(600), None)
    assert np.abs(texture * (sh9(normals) @ found) - colors).mean() < 0.04  # the prior holds it back a little
    dark = appearance.solve_light(normals, texture, colors, np.zeros(600), light)
    np.testing.assert_allclose(dark, light)  # nothing seen: as in the other frames


@pytest.fixture(scope="module")
def model() -> MorphableModel:
    return load_model()


def test_the_surface_is_the_face(model: MorphableModel) -> None:
    surface = face_surface(model, 1500)
    points = model.mean[surface.vertices]
    assert surface.weight.sum() == pytest.approx(1)
    assert 1000 < len(points) < 2200
    assert points[:, 2].min() > -0.1  # nothing of the back of the head
    assert np.isin(model.lips, surface.vertices).mean() > 0.25


def test_colors_improve_a_fit_with_noisy_landmarks(model: MorphableModel, tmp_path: Path) -> None:
    """Landmarks with the error of a tracker (1.5 px, correlated over the lips): colors bring the lips closer."""
    index = list(range(20, 44, 2))
    frames = np.stack([f for t, f in enumerate(media.read_frames(CLIP / "demo-it.mp4", end_s=1.9)) if t in index])
    truth = Annotations.load(CLIP / "annotations_it.npz")
    rng = np.random.default_rng(1)
    seen = truth.landmarks68[index] + rng.normal(0, 0.5, (len(index), 68, 2))
    seen[:, 48:] += rng.normal(0, 1.4, (len(index), 1, 2))
    track = from_landmarks(seen, fps=25, size=(256, 256))
    options = FitOptions(focal=662.0, keyframes=12, smooth=0.0)

    def lips(expression: np.ndarray) -> np.ndarray:
        basis = model.expression_basis[:, model.lips] * model.expression_sigma[:, None, None]
        moved = 100 * (expression @ basis.reshape(79, -1)).reshape(len(expression), -1, 3)
        return moved - moved.mean(0)

    def error(expression: np.ndarray) -> float:
        return float(np.linalg.norm(lips(expression) - lips(truth.expression[index]), axis=2).mean())

    landmarks = fit_clip(frames, track, replace(options, photometric=False))
    said: list[str] = []
    both = fit_clip(frames, track, options, said.append)
    assert error(both.expression) < 0.9 * error(landmarks.expression)
    assert np.isfinite(both.photometric_error).all()
    assert both.photometric_error.mean() < 0.03
    assert both.albedo.shape == (model.n_albedo,)
    assert both.texture.shape == (model.n_vertices, 3)
    assert sum(line.startswith("colors") for line in said) == options.photo_rounds
    again = refit(both, frames, track, options)
    assert error(again.expression) < 0.9 * error(landmarks.expression)
    np.testing.assert_array_equal(again.texture, both.texture)

    # The painted head looks like the frame it was fitted to, and the video has all panels.
    painted = overlay.draw_colors(frames[3], both, model, 3)
    changed = (painted != frames[3]).any(2)
    assert changed.mean() > 0.1
    face = truth.landmarks68[index[3]]
    x0, y0, x1, y1 = (int(v) for v in (*face[17:48].min(0), *face[48:].max(0)))
    difference = np.abs(painted[y0:y1, x0:x1].astype(float) - frames[3, y0:y1, x0:x1])
    assert difference.mean() < 12
    path = overlay.overlay_video(frames[:3], both.take([0, 1, 2]), tmp_path / "fit.mp4", track.take([0, 1, 2]))
    info = media.probe(path)
    assert (info.width, info.height, info.n_frames) == (768, 256, 3)
