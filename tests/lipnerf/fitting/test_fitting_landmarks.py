"""The landmark fit: rotations, smoothness, the solver, gaps; on landmarks projected from the model itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lipbench.core.errors import NoFace, Unsupported, UsageError
from lipbench.faces.files import from_landmarks
from lipbench.faces.morphable import MorphableModel, load_model
from lipbench.faces.raster import Camera, euler_to_matrix
from lipbench.faces.track import FaceTrack
from lipbench.lipnerf.fitting import Fit, FitOptions, fit_clip, refit, report, temporal
from lipbench.lipnerf.fitting.points import correspondence, face_size, table_for
from lipbench.lipnerf.fitting.state import Weights, exp_rotation, log_rotation, skew
from lipbench.lipnerf.fitting.temporal import Smoothness

LANDMARKS = FitOptions.preset("landmarks")


@pytest.fixture(scope="module")
def model() -> MorphableModel:
    return load_model()


class Scene:
    """T frames of a random person: truth, and the landmarks that a perfect tracker would see."""

    def __init__(self, model: MorphableModel, n: int = 14, size: tuple[int, int] = (256, 256), focal: float = 640.0):
        rng = np.random.default_rng(5)
        t = np.linspace(0, 1, n)[:, None]
        self.identity = rng.normal(0, 0.7, model.n_identity)
        waves = np.sin(2 * np.pi * (t * rng.uniform(0.5, 2, 79) + rng.random(79)))
        self.expression = 0.7 * waves * np.exp(-np.arange(79) / 12)
        self.rotation = euler_to_matrix(np.concatenate([0.1 * np.sin(5 * t), 0.25 * np.cos(4 * t), 0.06 * t], 1))
        self.translation = np.concatenate([0.15 * t - 0.05, 0.1 - 0.1 * t, -7.2 + 0.3 * t], 1)
        self.camera = Camera(focal, *size)
        self.model = model
        shapes = model.vertices(self.identity, self.expression).astype(np.float64)
        posed = np.einsum("tij,tnj->tni", self.rotation, shapes) + self.translation[:, None]
        marks = model.require_landmarks()
        points = [self.camera.project(p[marks.visible(self.camera.project(p)[:, 0])]) for p in posed]
        self.track = from_landmarks(np.asarray(points), fps=25, size=size, backend="corpus")
        self.frames = np.zeros((n, size[1], size[0], 3), np.uint8)

    def lip_motion(self, expression: np.ndarray) -> np.ndarray:
        """(T, V, 3) mm of the lips, without what all frames share."""
        m = self.model
        basis = (m.expression_basis[:, m.lips] * m.expression_sigma[:, None, None]).reshape(m.n_expression, -1)
        moved = 100 * (expression @ basis).reshape(len(expression), -1, 3)
        return moved - moved.mean(0)


@pytest.fixture(scope="module")
def scene(model: MorphableModel) -> Scene:
    return Scene(model)


def degrees(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    trace = np.einsum("tij,tij->t", a, b)
    return np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1)))


def test_rotation_logarithm_undoes_exponential() -> None:
    v = torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    v = v * (2.5 / v.norm(dim=1, keepdim=True).clamp_min(2.5))  # below 180 degrees
    v[0] = 0
    v[1] = 1e-9
    r = exp_rotation(v)
    torch.testing.assert_close(r @ r.mT, torch.eye(3, dtype=torch.float64).expand(50, 3, 3))
    torch.testing.assert_close(log_rotation(r), v, atol=1e-9, rtol=1e-7)
    x = torch.randn(50, 3, dtype=torch.float64)
    torch.testing.assert_close(skew(v) @ x[..., None], torch.linalg.cross(v, x)[..., None])


def test_smoothness_solves_the_coupled_system_exactly() -> None:
    n, p = 9, 4
    g = torch.Generator().manual_seed(1)
    j = torch.randn(n, 6, p, dtype=torch.float64, generator=g)
    a, right = j.mT @ j + torch.eye(p, dtype=torch.float64), torch.randn(n, p, dtype=torch.float64, generator=g)
    next_to = torch.ones(n, dtype=torch.bool)
    next_to[[0, 5]] = False  # a gap before frame 5
    smooth = Smoothness(next_to, Weights())
    weight = torch.tensor([3.0, 0.5, 20.0, 1.0], dtype=torch.float64)
    d = torch.zeros(n, n, dtype=torch.float64)
    for t in (1, 2, 3, 6, 7):  # frames 4 and 5 lie at the gap
        d[t, t - 1], d[t, t], d[t, t + 1] = -0.5, 1.0, -0.5
    residual = torch.randn(n, p, dtype=torch.float64, generator=g) * smooth.known
    dense = torch.block_diag(*a) + torch.kron(d.T @ d, torch.diag(weight))
    expected = torch.linalg.solve(dense, -(right + d.T @ (weight * residual)).flatten()).view(n, p)
    torch.testing.assert_close(smooth.solve(a, right, residual, weight), expected, atol=1e-4, rtol=1e-3)


def test_finds_pose_expression_and_focal_length(scene: Scene) -> None:
    said: list[str] = []
    fit = fit_clip(scene.frames, scene.track, LANDMARKS, said.append)
    assert fit.found.all()
    assert fit.landmark_error_px.max() < 0.6
    assert abs(np.log(fit.focal / scene.camera.focal)) < 0.25
    assert degrees(fit.rotation, scene.rotation).mean() < 4
    lips, true = scene.lip_motion(fit.expression), scene.lip_motion(scene.expression)
    assert np.linalg.norm(lips - true, axis=2).mean() < 0.4 * np.linalg.norm(true, axis=2).mean()
    assert any(line.startswith("focal search") for line in said)
    assert report(fit).n_found == len(fit)
    assert not len(fit.texture)
    with pytest.raises(UsageError, match="no colors"):
        fit.colors(np.zeros((3, 3)), 0)


@pytest.mark.parametrize("size", [(320, 180), (180, 320)])
def test_frames_need_not_be_square(model: MorphableModel, size: tuple[int, int]) -> None:
    """AD-NeRF's renderer takes the wrong image side here; the pose would come out wrong."""
    scene = Scene(model, n=6, size=size, focal=430.0)
    fit = fit_clip(scene.frames, scene.track, replace(LANDMARKS, focal=430.0))
    assert fit.landmark_error_px.max() < 0.6
    assert degrees(fit.rotation, scene.rotation).mean() < 4
    np.testing.assert_allclose(fit.translation[:, :2], scene.translation[:, :2], atol=0.08)


def test_lost_frames_are_interpolated_and_flagged(scene: Scene) -> None:
    points = scene.track.landmarks
    assert points is not None
    points = points.copy()
    points[[0, 6, 7]] = np.nan
    track = from_landmarks(points, fps=25, size=(256, 256))
    fit = fit_clip(scene.frames, track, replace(LANDMARKS, focal=640.0))
    assert np.flatnonzero(~fit.found).tolist() == [0, 6, 7]
    assert np.isnan(fit.landmark_error_px[[0, 6, 7]]).all()
    np.testing.assert_allclose(fit.translation[6], (2 * fit.translation[5] + fit.translation[8]) / 3)
    np.testing.assert_allclose(fit.expression[0], fit.expression[1])
    np.testing.assert_allclose(fit.rotation @ np.swapaxes(fit.rotation, 1, 2), np.eye(3)[None].repeat(14, 0), atol=1e-9)
    assert report(fit).suspicious[:1] == (0,)


def test_what_cannot_be_fitted_says_why(scene: Scene) -> None:
    nothing = from_landmarks(np.full((14, 68, 2), np.nan), fps=25, size=(256, 256))
    with pytest.raises(NoFace, match="no face was found"):
        fit_clip(scene.frames, nothing, LANDMARKS)
    with pytest.raises(Unsupported, match="boxes without landmarks"):
        fit_clip(scene.frames, replace(scene.track, landmarks=None), LANDMARKS)
    with pytest.raises(UsageError, match="another video"):
        fit_clip(scene.frames[:5], scene.track, LANDMARKS)
    with pytest.raises(UsageError, match="uint8"):
        fit_clip(scene.frames.astype(np.float32), scene.track, LANDMARKS)  # type: ignore[arg-type]


def test_refit_keeps_the_person_and_finds_other_expressions(model: MorphableModel, scene: Scene) -> None:
    fit = fit_clip(scene.frames, scene.track, replace(LANDMARKS, focal=640.0))
    other = Scene(model)
    other.expression = other.expression[::-1].copy()
    shapes = model.vertices(other.identity, other.expression).astype(np.float64)
    posed = np.einsum("tij,tnj->tni", other.rotation, shapes) + other.translation[:, None]
    marks = model.require_landmarks()
    seen = np.asarray([scene.camera.project(p[marks.visible(scene.camera.project(p)[:, 0])]) for p in posed])
    dub = refit(fit, scene.frames, from_landmarks(seen, fps=25, size=(256, 256)), LANDMARKS)
    for name in ("identity", "rotation", "translation", "albedo", "focal"):
        np.testing.assert_array_equal(getattr(dub, name), getattr(fit, name))
    lips, true = scene.lip_motion(dub.expression), scene.lip_motion(other.expression)
    assert np.linalg.norm(lips - true, axis=2).mean() < 0.4 * np.linalg.norm(true, axis=2).mean()
    with pytest.raises(UsageError, match=r"fit\.take"):
        refit(fit.take([0, 1]), scene.frames, scene.track, LANDMARKS)


def test_round_trip_and_wrong_model(scene: Scene, tmp_path: object) -> None:
    fit = fit_clip(scene.frames, scene.track, replace(LANDMARKS, focal=640.0))
    back = Fit.load(fit.save(f"{tmp_path}/fit.npz"))
    for name in fit.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(back, name), getattr(fit, name))
    assert back.take([3, 3, 1]).expression.shape == (3, 79)
    np.testing.assert_array_equal(back.take([3, 1]).rotation[1], fit.rotation[1])
    with pytest.raises(UsageError, match="fit the clip again"):
        replace(fit, basis_hash="0" * 16).load_model()
    (broken := tmp_path / "x.npz").write_bytes(b"no")  # type: ignore[operator]
    with pytest.raises(UsageError, match="cannot read the fit"):
        Fit.load(broken)
    # c2w takes the camera's origin to where the head sees it
    np.testing.assert_allclose(fit.c2w[2, :, 3], -fit.rotation[2].T @ fit.translation[2])


def test_mesh_points_lie_on_the_right_parts(model: MorphableModel) -> None:
    table = table_for(model)
    assert table is not None
    assert len(np.unique(table.track)) == len(table.track)
    place = dict(zip(table.track.tolist(), model.mean[table.vertex], strict=True))
    assert place[61][0] < -0.2 < 0.2 < place[291][0]  # mouth corners
    assert place[13][1] == pytest.approx(place[14][1], abs=0.02)  # the lips meet at rest
    assert place[0][1] > place[17][1] + 0.12  # upper above lower border
    assert place[33][0] < place[133][0] < 0 < place[362][0] < place[263][0]  # eye corners
    assert place[159][1] > place[145][1]
    assert place[4][2] == max(p[2] for p in place.values())  # the tip of the nose
    points = correspondence(model, 478)
    assert set(points.vertices[points.at[17:]]) <= set(table.vertex)
    with pytest.raises(Unsupported, match="5 points"):
        correspondence(model, 5)


def test_face_size_survives_a_turned_head(scene: Scene) -> None:
    frontal = face_size(scene.track)
    assert frontal.min() > 0.85 * frontal.max()
    lost: FaceTrack = replace(scene.track, landmarks=None)
    assert np.isnan(face_size(lost)).all()


def test_gaps_of_a_single_frame() -> None:
    found = np.array([False, True, False])
    np.testing.assert_array_equal(temporal.fill(np.ones((1, 2, 2)), found), np.ones((3, 2, 2)))
    np.testing.assert_array_equal(temporal.fill_rotations(np.eye(3)[None], found), np.eye(3)[None].repeat(3, 0))
    assert temporal.runs(np.array([True, True, False, True])).tolist() == [False, True, False]
