"""The procedural head: mesh, expressions, contacts, eyes, pose, landmarks, identities."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from lipbench.core.errors import UsageError
from lipbench.faces.morphable import load_model
from lipbench.faces.morphable.semantic import SEMANTIC, expression_to_semantic, semantic_to_expression
from lipbench.faces.raster import Camera, Light, Renderer, SurfaceLabel, euler_to_matrix
from lipbench.synthetic import head as procedural
from lipbench.synthetic.head import eyes, mouth
from lipbench.synthetic.head.hair_styles import STYLES
from lipbench.synthetic.head.template import template

CAMERA = Camera.portrait(160)


@pytest.fixture(scope="module")
def head() -> procedural.Head:
    return procedural.build()


@pytest.fixture(scope="module")
def others() -> list[procedural.Head]:
    return [procedural.build(procedural.sample_identity(seed)) for seed in (3, 5)]


def semantic(**weights: float) -> np.ndarray:
    return np.array([weights.get(name, 0.0) for name in SEMANTIC])


def both(name: str, value: float) -> dict[str, float]:
    return {name + "L": value, name + "R": value}


# ---- mesh ----------------------------------------------------------------------------------------


def test_skin_is_one_closed_sheet_with_known_borders() -> None:
    t = template()
    sheet = t.mask("lips", "bag", "bag_cap", "lid_l", "lid_r", "skin")
    triangles = t.triangles[sheet[t.triangles].all(1)]
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    assert count.max() == 2
    border = np.unique(unique[count == 1])
    lids = np.concatenate([t.groups[f"lid_{s}"][0] for s in "lr"])
    foot = border[~np.isin(border, lids)]
    assert set(lids) <= set(border)
    assert (t.points[foot, 1] < -1.3).all()  # all that is left is the foot of the neck


def test_triangles_face_outwards_and_have_area() -> None:
    t = template()
    a, b, c = (t.points[t.triangles[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    assert (np.linalg.norm(normal, axis=1) > 0).mean() > 0.995  # rims of collapsed parts may be degenerate
    skin = t.mask("skin")[t.triangles].all(1)
    center = (a + b + c)[skin] / 3
    outward = center - np.stack([0 * center[:, 0], np.clip(center[:, 1], -1.4, 0.4), -0.15 + 0 * center[:, 0]], -1)
    assert (np.einsum("ij,ij->i", normal[skin], outward) > 0).mean() > 0.985
    assert 15_000 < t.n_vertices < 20_000


def test_template_is_the_same_in_every_process_and_thread_count() -> None:
    code = "from lipbench.synthetic.head.model import build_model; print(build_model().basis_hash)"
    # tests/conftest.py pins this process to one thread.
    env = {**os.environ, "OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "3", "MKL_NUM_THREADS": "3"}
    other = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert other.stdout.strip() == load_model().basis_hash


# ---- expression space ----------------------------------------------------------------------------


def test_semantic_expressions_are_exact_in_the_79_dimensions(head: procedural.Head) -> None:
    rng = np.random.default_rng(0)
    weights = rng.random((4, len(SEMANTIC)))
    coefficients = semantic_to_expression(weights)
    assert coefficients.shape == (4, 79)
    model = load_model()
    for w, c in zip(weights, coefficients, strict=True):
        from lipbench.synthetic.head.expressions import semantic_shapes

        expected = model.mean + np.tensordot(w, semantic_shapes(), 1)
        np.testing.assert_allclose(model.vertices(expression=c), expected, atol=2e-5)
        np.testing.assert_allclose(head.deform(w), head.deform(c), atol=2e-5)
    assert semantic_to_expression({"jawOpen": 0.5}) == pytest.approx(semantic_to_expression(semantic(jawOpen=0.5)))


def test_coefficients_come_back_as_semantic_weights() -> None:
    w = np.random.default_rng(1).random(len(SEMANTIC))
    w[SEMANTIC.index("jawR")] = 0.0
    back = expression_to_semantic(semantic_to_expression(w))
    np.testing.assert_allclose(back, w, atol=1e-6)
    right = expression_to_semantic(semantic_to_expression({"jawR": 0.7}))
    assert right[SEMANTIC.index("jawR")] == pytest.approx(0.7)


def test_modes_are_orthonormal_signed_and_sorted() -> None:
    space = procedural.expression_space()
    flat = space.basis.reshape(79, -1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(79), atol=1e-8)
    assert (flat[np.arange(79), np.abs(flat).argmax(1)] > 0).all()
    assert (np.diff(space.sigma) <= 1e-12).all()
    assert space.sigma[-1] > 1e-4


def test_wrong_expressions_are_errors(head: procedural.Head) -> None:
    with pytest.raises(UsageError, match="jawOpn"):
        semantic_to_expression({"jawOpn": 1.0})
    with pytest.raises(UsageError, match="36 semantic"):
        head.deform(np.zeros(64))
    with pytest.raises(UsageError, match="gaze"):
        head.deform({}, gaze=(0.1, 0.2, 0.3))


# ---- contact -------------------------------------------------------------------------------------


def lip_gaps(vertices: np.ndarray) -> np.ndarray:
    """(31,) signed heights of the opening in mm along the slit."""
    inner = template().groups["lips"][0]
    k = np.arange(1, mouth.COLUMNS // 2)
    return 100 * (vertices[inner[k], 1] - vertices[inner[mouth.COLUMNS - k], 1])


@pytest.mark.parametrize("jaw", [0.0, 0.2, 0.5, 0.8])
def test_closing_the_lips_closes_them_without_overshoot(jaw: float, others: list[procedural.Head]) -> None:
    for head in others:
        vertices = head.deform({"jawOpen": jaw, "lipsTogether": jaw, "press": 0.8, "rollIn": 0.45})
        assert head.mouth_measures(vertices)["lip_gap_mm"] < 0.05
        gaps = lip_gaps(vertices)
        assert gaps.min() > -0.05
        assert gaps[4:-4].max() < 0.3


def test_lips_never_pass_through_each_other(others: list[procedural.Head]) -> None:
    rng = np.random.default_rng(0)
    lower_face = [i for i, name in enumerate(SEMANTIC) if not name.startswith(("brow", "blink", "squint", "wide"))]
    for _ in range(60):
        w = np.zeros(len(SEMANTIC))
        w[lower_face] = rng.random(len(lower_face)) * (rng.random(len(lower_face)) < 0.4)
        assert lip_gaps(others[0].deform(w)).min() > -0.05


def test_lid_margins_meet_on_every_identity() -> None:
    upper = np.arange(1, eyes.COLUMNS // 2)
    for seed in (1, 4, 7):
        head = procedural.build(procedural.sample_identity(seed))
        for weight, low, high in ((0.0, 7.0, 13.0), (1.0, -0.1, 0.3)):
            vertices = head.deform(semantic(**both("blink", weight)))
            for side in "lr":
                edge = template().groups[f"lid_{side}"][eyes.INNER_EDGE]
                gap = 100 * (vertices[edge[upper], 1] - vertices[edge[eyes.COLUMNS - upper], 1])
                assert low < gap.max() < high


def test_lids_stay_outside_the_eyeballs_during_a_blink(head: procedural.Head) -> None:
    for weight in np.linspace(0, 1, 6):
        vertices = head.deform(semantic(**both("blink", float(weight))))
        for name, side in (("l", -1), ("r", 1)):
            lid = vertices[template().groups[f"lid_{name}"][1:5]]
            assert (np.linalg.norm(lid - eyes.socket(side), axis=-1) > 0.122 + 0.005).all()


# ---- eyes and pose -------------------------------------------------------------------------------


def test_gaze_turns_the_balls_and_lids_follow(head: procedural.Head) -> None:
    ball = template().groups["eye_l"]
    pupil = ball[0, 0]
    center = eyes.socket(-1)
    for yaw, pitch in ((0.3, 0.0), (0.0, 0.2), (-0.2, -0.3)):
        vertices = head.deform({}, gaze=(yaw, pitch))
        direction = vertices[pupil] - center
        direction = direction / np.linalg.norm(direction)
        expected = [np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)]
        np.testing.assert_allclose(direction, expected, atol=1e-9)
        size = np.linalg.norm(vertices[ball] - center, axis=-1)
        np.testing.assert_allclose(size, np.linalg.norm(template().points[ball] - center, axis=-1), atol=1e-9)
    top = template().groups["lid_l"][eyes.OUTER_EDGE][eyes.COLUMNS // 4]
    height = [head.deform({}, gaze=(0, pitch))[top, 1] for pitch in (-0.4, 0.0, 0.3)]
    assert height[0] < height[1] - 0.02 < height[1] < height[2]
    crossed = head.deform({}, gaze=[(0.2, 0.0), (-0.2, 0.0)])
    right = template().groups["eye_r"][0, 0]
    assert crossed[pupil, 0] - center[0] == pytest.approx(-(crossed[right, 0] - eyes.socket(1)[0]))


def test_head_moves_rigidly_shoulders_stay_neck_bends(others: list[procedural.Head]) -> None:
    head = others[0]
    t = template()
    rotation = euler_to_matrix([0.2, 0.5, -0.1])
    still = head.pose_frame({})
    moved = head.pose_frame({}, rotation)
    cloth = t.groups["cloth"].ravel()
    np.testing.assert_allclose(moved[cloth], still[cloth], atol=1e-12)
    face = np.concatenate([t.groups["lips"].ravel(), t.groups["eye_l"].ravel()])
    a, b = still[face], moved[face]
    np.testing.assert_allclose((b - b.mean(0)), (a - a.mean(0)) @ rotation.T, atol=1e-9)
    # Along the neck the motion fades without jumps: edges keep about their length.
    skin = t.triangles[t.mask("skin")[t.triangles].all(1)]
    stretch = np.linalg.norm(moved[skin[:, 0]] - moved[skin[:, 1]], axis=1)
    stretch = stretch / np.linalg.norm(still[skin[:, 0]] - still[skin[:, 1]], axis=1)
    assert stretch.min() > 0.4
    assert stretch.max() < 1.9


def test_explicit_translation_places_the_head(head: procedural.Head) -> None:
    rotation, translation = euler_to_matrix([0.0, 0.2, 0.0]), np.array([0.1, 0.05, -7.0])
    posed = head.pose_frame(semantic(), rotation, translation)
    lips = template().groups["lips"].ravel()
    np.testing.assert_allclose(posed[lips], head.deform(semantic())[lips] @ rotation.T + translation, atol=1e-9)


# ---- measures and landmarks ----------------------------------------------------------------------


def test_mouth_measures_do_not_depend_on_pose(head: procedural.Head) -> None:
    weights = {"jawOpen": 0.6, "pucker": 0.2}
    frontal = head.mouth_measures(head.pose_frame(weights))
    turned = head.mouth_measures(head.pose_frame(weights, euler_to_matrix([0.3, -0.6, 0.4])))
    assert turned == pytest.approx(frontal, rel=1e-6)
    gaps = [head.mouth_measures(head.deform({"jawOpen": j}))["lip_gap_mm"] for j in np.linspace(0, 1, 6)]
    assert gaps[0] == pytest.approx(0, abs=0.02)
    assert (np.diff(gaps) > 1).all()
    assert 15 < gaps[-1] < 30
    widths = {
        name: head.mouth_measures(head.deform(w))["mouth_width_mm"]
        for name, w in (("rest", {}), ("oo", {"pucker": 1.0}), ("ee", both("stretch", 1.0)))
    }
    assert widths["oo"] < 0.75 * widths["rest"] < widths["rest"] < widths["ee"] - 8


def test_landmarks_lie_where_the_convention_wants_them(others: list[procedural.Head]) -> None:
    for head in others:
        points = head.landmarks68(head.pose_frame({}), CAMERA)
        assert points.shape == (68, 2)
        x, y = points.T
        assert (np.diff(x[:17]) > 0).all()  # jaw from the image's left to its right, lowest at the chin
        assert y[:17].argmax() == 8
        assert (np.diff(x[17:22]) > 0).all()
        assert (np.diff(x[22:27]) > 0).all()
        assert x[21] < x[27] < x[22]
        assert (np.diff(y[27:31]) > 0).all()
        assert (np.diff(x[31:36]) > 0).all()
        for left in (36, 42):  # corners, upper points above lower ones
            assert x[left] < x[left + 1] < x[left + 2] < x[left + 3]
            assert max(y[left + 1], y[left + 2]) < min(y[left + 4], y[left + 5])
        assert x[48] == x[48:60].min()
        assert x[54] == x[48:60].max()
        assert y[51] < y[62] <= y[66] + 1e-6 < y[57]
        assert y[17:27].max() < y[36:48].min() < y[33] < y[48:68].min()


def test_mouth_landmarks_open_with_the_jaw_and_jaw_follows_the_contour(head: procedural.Head) -> None:
    closed = head.landmarks68(head.pose_frame({}), CAMERA)
    opened = head.landmarks68(head.pose_frame({"jawOpen": 1.0}), CAMERA)
    assert opened[66, 1] - opened[62, 1] > closed[66, 1] - closed[62, 1] + 5
    turned = head.pose_frame({}, euler_to_matrix([0.0, 0.6, 0.0]))
    points = head.landmarks68(turned, CAMERA)
    labels = Renderer(head.surface).render(turned, CAMERA).labels
    # On the far side the contour is the silhouette: just outside of it there is no face any more.
    for i in (12, 13):
        x, y = points[i]
        assert labels[int(y), int(x) + 4] != SurfaceLabel.SKIN or labels[int(y), int(x) + 8] != SurfaceLabel.SKIN


# ---- identities and looks ------------------------------------------------------------------------


def test_identities_are_reproducible_distinct_and_serializable() -> None:
    people = [procedural.sample_identity(seed) for seed in range(40)]
    assert people[7] == procedural.sample_identity(7)
    assert len({p.skin for p in people}) == 40
    assert len({p.hair_style for p in people}) >= 8
    luminance = np.array([np.dot(p.skin, (0.21, 0.72, 0.07)) for p in people])
    assert luminance.min() < 0.15 < 0.4 < luminance.max()
    for p in people[:5]:
        assert procedural.Identity.from_dict(json.loads(json.dumps(p.to_dict()))) == p
    shapes = np.array([p.shape for p in people])
    assert (shapes.std(0) > 0.5).all()
    assert np.abs(shapes).max() < 3.5


def test_model_and_head_agree_on_an_identity(others: list[procedural.Head]) -> None:
    model = load_model()
    for head in others:
        np.testing.assert_allclose(model.vertices(head.identity.coefficients()), head.neutral(), atol=1e-5)


@pytest.mark.parametrize("name", sorted(STYLES))
def test_every_hair_style_builds_and_renders(name: str) -> None:
    head = procedural.build(replace(procedural.sample_identity(2), hair_style=name))
    vertices = head.pose_frame({})
    assert np.isfinite(vertices).all()
    labels = Renderer(head.surface).render(vertices, Camera.portrait(96), Light(), supersample=1).labels
    share = (labels == SurfaceLabel.HAIR).mean()
    assert share < 0.01 if name == "bald" else share > 0.002
    for part in (SurfaceLabel.SKIN, SurfaceLabel.LIP, SurfaceLabel.EYE, SurfaceLabel.NECK, SurfaceLabel.CLOTH):
        assert (labels == part).any()


def test_an_open_mouth_shows_teeth_and_cavity(head: procedural.Head) -> None:
    renderer, camera = Renderer(head.surface), Camera.portrait(256)
    closed = renderer.render(head.pose_frame({}), camera).labels
    opened = renderer.render(head.pose_frame({"jawOpen": 0.8, "part": 0.5}), camera).labels
    inside = (SurfaceLabel.TEETH, SurfaceLabel.MOUTH)
    assert np.isin(closed, inside).sum() < 10
    assert (opened == SurfaceLabel.TEETH).sum() > 40
    assert (opened == SurfaceLabel.MOUTH).sum() > 100


def test_unknown_hair_style_is_an_error() -> None:
    with pytest.raises(UsageError, match="mohawk"):
        procedural.build(procedural.Identity(hair_style="mohawk"))
