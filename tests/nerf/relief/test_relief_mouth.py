"""What a mouth holds is drawn by a network of its own, and the expression mixes how lips and chin look."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lipbench.nerf.relief import intervals, rendering, surface
from lipbench.nerf.relief.config import relief_preset
from lipbench.nerf.relief.dense import Views
from lipbench.nerf.relief.draw import RaysBetweenLips
from lipbench.nerf.relief.mesh import HeadMesh, canonical
from lipbench.nerf.relief.mouth import SLIP, look
from lipbench.nerf.relief.registration import registered
from lipbench.nerf.relief.training import ReliefTraining

SMALL = {"condition": 4, "latent": 3, "directions": 2, "rays": 64, "frames": 4, "channels": 4, "width": 16, "looks": 2}
SMALL |= {"registration": False, "appearances": 0}  # which have tests of their own


@pytest.fixture(scope="module")
def field(ball_scene):
    made = ReliefTraining(ball_scene(), relief_preset("demo", SMALL)).field
    made.mouth_box.copy_(torch.tensor([0.2, 0.6, 0.4, 0.2]))
    made.mouth.values.zero_()
    made.mouth.values[..., 0] = 2.0  # first direction: red
    made.mouth.values[-1, ..., 4 + 3] = 5.0  # second direction: density, in the first layer from the front
    return made


def added(field, u: float, v: float, s: float, told: list[float]) -> list[float]:
    points, code = torch.tensor([[u, v, s]]), torch.tensor([[*told, 9.0, 9.0, 9.0]])
    return field._with_mouth(torch.zeros(1, 4), points, torch.tensor([0, 1]), code)[0].tolist()


def test_expressions_mix_the_looks_of_lips_and_chin(field):
    assert added(field, 0.4, 0.7, 0.0, [0.5, 1.0]) == pytest.approx([1.0, 0.0, 0.0, 0.0])
    assert added(field, 0.4, 0.7, 1.0, [0.5, -1.0]) == pytest.approx([1.0, 0.0, 0.0, -5.0], abs=0.02)
    for u, v in ((0.19, 0.7), (0.61, 0.7), (0.4, 0.59), (0.4, 0.81)):
        assert added(field, u, v, 0.0, [1.0, 1.0]) == [0.0] * 4
    assert added(field, 0.2 + 0.4 / 32, 0.7, 0.0, [1.0, 0.0])[0] == pytest.approx(2.0 * 8 / 32, rel=1e-3)


def test_they_learn(ball_scene):
    training = ReliefTraining(ball_scene(), relief_preset("demo", {**SMALL, "steps": 4}))
    assert not training.field.mouth.values.any()
    for number in range(3):
        training.step(number, number / 4)
    assert training.field.mouth.values.abs().sum((0, 1, 2)).view(2, 4).sum(1).min() > 0
    without = ReliefTraining(ball_scene(), relief_preset("demo", {**SMALL, "mouth_looks": False}))
    assert without.field.mouth is None


def test_their_texels_are_as_large_as_they_should(ball_scene):
    sizes = [
        ReliefTraining(ball_scene(112), relief_preset("demo", {**SMALL, "mouth_texel": texel})).field.mouth.values.shape
        for texel in (1.0, 2.0)
    ]
    assert sizes[0][0] == sizes[1][0]
    assert [large / small for large, small in zip(sizes[0][1:3], sizes[1][1:3], strict=True)] == pytest.approx(
        [2.0, 2.0], rel=0.1
    )


@pytest.fixture(params=["kernels", "torch"])
def device(request, monkeypatch):
    if request.param == "torch":
        monkeypatch.setattr("lipbench.nerf.relief.ops.uses_kernels", lambda _: False)
    return request.param


def views_between(frames: int = 2) -> Views:
    """Straight views whose pixel (2, 1) sees 7.1 dm far between the lips, all others the surface."""
    near = torch.full((frames, 4, 4), 7.0)
    far = near + 0.3
    near[:, 2, 1] = far[:, 2, 1] = 7.1
    shift = torch.zeros(frames, 4, 4, 3)
    shift[:, 2, 1, 0] = 0.05
    turn = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])  # y' = z, z' = -y
    jaw = torch.cat([turn, torch.tensor([[0.5], [0.6], [0.0]])], 1).expand(frames, 3, 4)
    slip = torch.zeros(frames, 2)
    slip[-1] = torch.tensor([2.0, -1.0])
    pose = torch.eye(3).expand(frames, 3, 3), torch.tensor([[0.0, 0.0, -7.0]] * frames)
    return Views(50.0, (2.0, 2.0), *(x.double() for x in pose), shift, near, far, 0.0, jaw.double(), slip)


COLUMNS, ROWS = torch.tensor([[0.5, 1.5, 1.5]] * 2), torch.tensor([[0.5, 2.5, 1.5]] * 2)


def test_a_point_between_the_lips_is_where_skull_and_jaw_have_it_at_rest():
    seen = look(views_between(), torch.tensor([0, 1]), COLUMNS, ROWS)
    assert (seen.groups.tolist(), seen.rays.tolist(), seen.counts) == ([0, 1], [1, 1], [1, 1])
    x, y, z = -0.5 / 50 * 7.1 - 0.05, -0.5 / 50 * 7.1, -0.1
    assert seen.places[0].tolist() == pytest.approx([x, y, x + 0.5, z + 0.6], abs=1e-6)
    assert seen.places[1].tolist() == pytest.approx([x - 2 * SLIP, y + SLIP, x - 2 * SLIP + 0.5, z + 0.6], abs=1e-6)


def test_rays_between_the_lips_have_the_color_of_what_is_there(ball_scene, device):
    field = ReliefTraining(ball_scene(), relief_preset("demo", SMALL)).field
    torch.nn.init.normal_(field.behind.network.last.weight)
    views, code = views_between(), torch.randn(2, field.config.directions + field.config.codes)
    with torch.no_grad():
        shown = field.render(views, torch.tensor([0, 1]), COLUMNS, ROWS, code)
        seen = look(views, torch.tensor([0, 1]), COLUMNS, ROWS)
        color = field.behind(seen, code[:, :2], field.seen_from(views.rotation, views.translation))
    assert torch.equal(shown[:, 1, :3], color)
    assert (shown[:, 1, 3] == 1).all()
    assert not torch.equal(color[0], color[1])
    field.behind = None
    with torch.no_grad():
        without = field.render(views, torch.tensor([0, 1]), COLUMNS, ROWS, code)
    torch.testing.assert_close(without[:, [0, 2]], shown[:, [0, 2]])
    assert not without[:, 1].any()  # nothing else is looked for there


def test_the_jaw_turns_as_the_chin_does(ball_scene):
    scene = ball_scene()
    mesh = HeadMesh(scene.model, scene.identity, scene.condition.mean(0).astype(np.float64))
    mesh.marks[[0, 16]] = [[-0.7, 0.1, -0.1], [0.7, 0.1, -0.1]]
    mesh.marks[8] = [0.0, -0.9, 0.6]
    moved = np.zeros_like(mesh.neutral)
    assert mesh.jaw(moved) == pytest.approx(np.eye(3, 4))
    c, s = np.cos(0.2), np.sin(0.2)
    opened = np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ [0.0, -1.0, 0.7] + [0.03, 0.1, -0.1]  # down and back
    assert opened[2] < 0.5
    moved[mesh.mark_rows[8]] = opened - mesh.marks[8]
    jaw = mesh.jaw(moved)
    assert jaw[:, :3] @ opened + jaw[:, 3] == pytest.approx(mesh.marks[8])
    assert jaw[:, :3] @ [0.0, 0.1, -0.1] + jaw[:, 3] == pytest.approx([-0.03, 0.1, -0.1])


def test_what_lies_far_behind_the_lips_is_seen_where_teeth_are(ball_scene):
    scene = ball_scene()
    training = ReliefTraining(scene, relief_preset("demo", SMALL))
    pose = scene.rotation[0], scene.translation[0], scene.camera
    view = training.mesh.view(scene.condition[0], *pose)
    lips = np.zeros_like(view.hit)
    lips[26:30, 26:30] = True
    depth = view.depth.copy()
    depth[27:29] += 0.5  # a hole across the ball, behind the lips for two pixels of its height
    deep, teeth = intervals.behind_lips(training.relief, view._replace(depth=depth, mouth=lips), *pose)
    wanted = np.zeros_like(lips)
    wanted[27:29, 26:30] = True
    assert (deep == wanted).all()
    at = canonical(view._replace(depth=teeth, shift=np.zeros_like(view.shift)), *pose)[deep]
    left, top, width, height = training.relief.place
    h, w = training.relief.middle.shape
    row, column = ((top - at[:, 1]) / height * h).astype(int), ((at[:, 0] - left) / width * w).astype(int)
    assert at[:, 2] == pytest.approx(training.relief.middle[row, column] - intervals.TEETH, abs=0.01)


@pytest.mark.parametrize("in_place", [True, False])
def test_pixels_that_see_teeth_have_their_place_alone(ball_scene, monkeypatch, in_place):
    scene = ball_scene()
    training = ReliefTraining(scene, relief_preset("demo", {**SMALL, "registration": in_place}))
    deep = np.zeros((56, 56), np.bool_)
    deep[27:29, 26:30] = True
    monkeypatch.setattr(rendering, "behind_lips", lambda _, view, *__: (deep, view.depth + np.float32(0.1)))
    pose = scene.rotation[:1], scene.translation[:1], scene.camera
    plain, views = (
        rendering.views_of([training._seen(0)], training.relief, *pose, training.warps[:1], behind)
        for behind in (False, True)
    )
    seen = training._seen(0)
    assert (views.far[0] <= views.near[0]).numpy().tolist() == deep.tolist()
    assert views.near[0].numpy()[deep] == pytest.approx(seen.depth[deep] + 0.1)
    assert (views.jaw[0].numpy() == seen.jaw).all()
    # Moved as the frame's displacement says, not as the expression moves the lips.
    teeth = seen._replace(depth=seen.depth + np.float32(0.1), shift=np.zeros_like(seen.shift))
    there = registered(teeth, training.warps[0], training.relief, scene.rotation[0], scene.translation[0], scene.camera)
    assert views.shift[0].numpy()[deep] == pytest.approx(there.shift[deep], abs=1e-6)
    assert there.shift.any() == in_place
    for ours, theirs in ((views.near, plain.near), (views.far, plain.far), (views.shift, plain.shift)):
        assert torch.equal(ours[0][~torch.from_numpy(deep)], theirs[0][~torch.from_numpy(deep)])


def test_its_network_and_the_slips_learn_from_rays_between_the_lips(ball_scene):
    training = ReliefTraining(ball_scene(), relief_preset("demo", {**SMALL, "mouth_rays": 64, "steps": 40}))
    training.views.far[:] = training.views.near + 0.1
    training.views.far[:, 30:36, 24:32] = training.views.near[:, 30:36, 24:32]
    training.between = RaysBetweenLips(training.views, training.drawer, training.preset)
    frames, columns, rows, color = training.between.draw()
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (30.5, 35.5, 24.5, 31.5)
    filmed = training.shown.filmed[frames[1], int(rows[1, 2]), int(columns[1, 2])]
    assert color[1, 2] * 255 == pytest.approx(filmed.astype(float), abs=1e-3)
    assert color.shape == (4, 16, 3)
    before = float(training._error_between_lips().detach())
    for number in range(30):
        training.step(number, number / 40)
    assert float(training._error_between_lips().detach()) < 0.3 * before
    assert (training.slips != 0).all()
    found = training.trained({})
    assert torch.equal(found.slip([0, 7]), training.slips.detach()[[0, 7]])
    assert torch.equal(type(found).from_dict(found.to_dict()).slip([3]), training.slips.detach()[[3]])


def test_without_that_network_there_are_no_such_rays(ball_scene):
    training = ReliefTraining(ball_scene(), relief_preset("demo", {**SMALL, "behind": 0}))
    assert training.field.behind is None
    assert float(training._error_between_lips()) == 0


def test_the_relief_passes_before_an_open_mouth(ball_scene, monkeypatch):
    scene = ball_scene()
    mesh = HeadMesh(scene.model, scene.identity, scene.condition.mean(0).astype(np.float64))
    lips = np.array([[x, y, 0.9] for x in (-0.2, 0.0, 0.2) for y in (-0.3, -0.2)] * 4)[:20]
    mesh.marks = np.concatenate([mesh.marks[:48], lips])
    place = (-1.0, 1.0, 2.0, 2.0)
    middle = np.full((100, 100), 0.9, np.float32)
    middle[61:65, 42:59] = 0.2  # between the lips
    middle[20:24, 42:59] = 0.2  # elsewhere
    found = surface._shut(middle, mesh, place, 0.02)
    assert (found[55:70] == np.float32(0.9)).all()
    assert (found[20:24, 42:59] == np.float32(0.2)).all()
