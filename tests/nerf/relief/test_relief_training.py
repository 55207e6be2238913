"""The relief learns, on the CPU's loops and on torch's; it resumes exactly, moves with the mesh, is refused early."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch

from lipbench.core.errors import UnknownName, UsageError, WeightsError
from lipbench.core.training import CHECKPOINT, SAMPLES, Budget
from lipbench.core.training import train as run
from lipbench.faces.morphable import load_model
from lipbench.faces.morphable.semantic import SEMANTIC, semantic_to_expression
from lipbench.faces.raster import Camera
from lipbench.media import held
from lipbench.nerf.relief import grid, ops, rendering
from lipbench.nerf.relief import training as training_module
from lipbench.nerf.relief.config import RELIEF_PRESETS, relief_preset
from lipbench.nerf.relief.draw import NECK
from lipbench.nerf.relief.mesh import HeadMesh, canonical
from lipbench.nerf.relief.rendering import render_frames
from lipbench.nerf.relief.scene import ReliefScene, pool
from lipbench.nerf.relief.surface import extent, relief_of, widened
from lipbench.nerf.relief.trained import TrainedRelief
from lipbench.nerf.relief.training import ReliefTraining, train
from lipbench.nerf.training.guard import FieldCollapsed

SMALL = {"condition": 4, "latent": 3, "directions": 3, "rays": 512, "frames": 4, "channels": 4, "width": 16}


PLAIN = {"registration": False, "appearances": 0}  # which have tests of their own, and take the longest to begin


def small(**changes):
    return relief_preset("demo", {**SMALL, **PLAIN, **changes})


def full(**changes):
    return relief_preset("demo", {**SMALL, **changes})


def psnr(model: TrainedRelief, scene: ReliefScene) -> float:
    """Over the plate, in the head's pixels of all frames."""
    error = []
    for t, shown in enumerate(render_frames(model, scene, scene.condition, np.arange(len(scene)))):
        over = shown.rgb + (1 - shown.alpha[..., None]) * scene.scene.plates[scene.scene.shot[t]] / 255
        error.append(((over - scene.filmed[t] / 255)[scene.scene.head[t]] ** 2).mean())
    return float(-10 * np.log10(np.mean(error)))


def gray(field, *_) -> None:
    """In place of `start`: a thin fog without color."""
    field.fine.values[..., 3] = -0.3
    field.refresh()


@pytest.mark.parametrize("device", ["kernels", "torch"])
def test_learns_the_ball(device, tmp_path, ball_scene, monkeypatch):
    monkeypatch.setattr(training_module, "start", gray)
    if device == "torch":  # as on a GPU
        for module in (ops, grid):
            monkeypatch.setattr(module, "uses_kernels", lambda _: False)
    scene = ball_scene()
    # Appearances belong to a relief that begins with the frames' mean: not to a fog.
    model = train(scene, full(steps=60, rays=1024, appearances=0), tmp_path, previews=1)
    assert psnr(model, scene) > 17.0  # evenly gray: 14
    shown = next(render_frames(model, scene, scene.condition[:1], [0]))
    assert shown.alpha[scene.scene.head[0]].mean() > 0.9
    assert shown.alpha[0].max() < 0.05  # nothing at the image's border
    assert (shown.rgb <= shown.alpha[..., None] + 1e-5).all()
    outside = shown.alpha.copy()
    x0, y0, x1, y1 = shown.box
    outside[y0:y1, x0:x1] = 0
    assert not outside.any()
    log = [json.loads(x) for x in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[-1]["head_psnr"] > log[0]["psnr"]
    assert len(list((tmp_path / SAMPLES).iterdir())) == 1
    again = TrainedRelief.load(tmp_path / "field.pt")
    np.testing.assert_array_equal(next(render_frames(again, scene, scene.condition[:1], [0])).rgb, shown.rgb)


def test_it_begins_with_the_frames_colors(ball_scene):
    scene = ball_scene()
    assert psnr(ReliefTraining(scene, full()).trained({}), scene) > 25.0


def test_lips_are_the_mean_of_four_rays_in_their_place(ball_scene, monkeypatch):
    scene = ball_scene()
    model = ReliefTraining(scene, full()).trained({})
    x0, y0, x1, y1 = lips = 23, 33, 33, 40  # the ball has none
    monkeypatch.setattr(rendering, "_lips", lambda *_: lips)
    four = next(render_frames(model, scene, scene.condition[1:2], [1]))
    monkeypatch.setattr(rendering, "_lips", lambda *_: (0, 0, 1, 1))
    one = next(render_frames(model, scene, scene.condition[1:2], [1]))
    away = np.abs(four.rgb - one.rgb)
    inside = away[y0:y1, x0:x1].copy()
    assert inside.max() > 1e-4
    assert inside.mean() < 0.008  # half a pixel away would be .01, and more where the mouth is told upside down
    away[y0:y1, x0:x1] = 0
    assert away[1:, 1:].max() < 1e-6
    monkeypatch.setattr(rendering, "_lips", lambda *_: (lips[0] - 1, lips[1] - 1, lips[2] + 1, lips[3] + 1))
    wider = next(render_frames(model, scene, scene.condition[1:2], [1]))
    np.testing.assert_allclose(wider.rgb[y0:y1, x0:x1], four.rgb[y0:y1, x0:x1], atol=2e-2)


def test_four_rays_go_where_the_dubs_lips_part():
    model = load_model("procedural")
    mesh = HeadMesh(model, np.zeros(model.n_identity), np.zeros(model.n_expression))
    weights = np.zeros((2, len(SEMANTIC)))
    weights[1, SEMANTIC.index("jawOpen")] = 0.6
    shut, open_ = semantic_to_expression(weights)
    camera = Camera(600.0, 250, 250)

    def box(expression, x=0.0):
        points = mesh.placed(mesh.moved(expression), np.eye(3), np.array([x, 0.0, -8.0]))[mesh.mark_rows]
        return rendering._lips(camera, points), camera.project(points)

    (x0, y0, x1, y1), pixels = box(open_)
    inner, outer = pixels[60:68], pixels[48:60]
    assert x0 + 2 < inner[:, 0].min() < inner[:, 0].max() < x1 - 2
    assert y0 + 2 < inner[:, 1].min() < inner[:, 1].max() < y1 - 2
    assert y1 < outer[:, 1].max() + 2  # no chin
    (_, above, _, below), _ = box(shut)
    assert y1 - y0 > 1.5 * (below - above) > 6
    for x, place in ((-50.0, 0), (50.0, 249)):  # out of the image: one column of it
        beside, _ = box(shut, x)
        assert beside[::2] == (place, place + 1)


def test_only_what_is_wanted_is_rendered(ball_scene):
    scene = ball_scene()
    model = ReliefTraining(scene, full()).trained({})
    whole = next(render_frames(model, scene, scene.condition[1:2], [1]))
    wanted = np.zeros(scene.scene.size, bool)
    wanted[20:45, 10:30] = True
    some = next(render_frames(model, scene, scene.condition[1:2], [1], lambda k: wanted if k == 0 else ~wanted))
    assert whole.alpha[wanted].mean() > 0.5
    np.testing.assert_allclose(some.rgb[wanted], whole.rgb[wanted], atol=1e-5)
    np.testing.assert_allclose(some.alpha[wanted], whole.alpha[wanted], atol=1e-5)
    assert not some.alpha[~wanted].any()


def test_it_moves_with_the_mesh(ball_scene):
    """Expressions that no frame had: the colors go where the mesh takes them, without displacements of frames."""
    scene = ball_scene()
    model = ReliefTraining(scene, small()).trained({})
    other = ball_scene(seed=5)  # other expressions and poses
    taken = ReliefScene(other.scene, other.filmed, other.other, scene.model, scene.identity)
    found = psnr(model, taken)
    still = [scene.condition.mean(0)] * len(taken)
    standing = []
    for t, shown in enumerate(render_frames(model, taken, still, np.arange(len(taken)))):
        over = shown.rgb + (1 - shown.alpha[..., None]) * other.scene.plates[0] / 255
        standing.append(((over - other.filmed[t] / 255)[other.scene.head[t]] ** 2).mean())
    assert found > 22.0
    assert found > -10 * np.log10(np.mean(standing)) + 2.0


class Killed(Exception):
    pass


def test_resume_is_exact(tmp_path, ball_scene):
    scene, budget = ball_scene(), Budget(steps=12, validate_every=5, report_every=4, image_every=0)
    settings = full(steps=12, rays=64)
    uncut = ReliefTraining(scene, settings)
    run(uncut, tmp_path / "whole", budget)

    class Broken(ReliefTraining):
        def step(self, number, progress):
            if number == 7:
                raise Killed
            return super().step(number, progress)

    with pytest.raises(Killed):
        run(Broken(scene, settings), tmp_path / "cut", budget)
    assert torch.load(tmp_path / "cut" / CHECKPOINT, weights_only=True)["progress"]["step"] == 5
    rest = ReliefTraining(scene, settings)
    run(rest, tmp_path / "cut", budget)
    for a, b in zip(uncut.field.state_dict().values(), rest.field.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(uncut.latents, rest.latents)


def test_seeds_decide_the_weights(ball_scene):
    one, same, other = (ReliefTraining(ball_scene(), full(), seed) for seed in (0, 0, 1))
    assert torch.equal(one.field.coarse.values, same.field.coarse.values)
    assert not torch.equal(one.field.coarse.values, other.field.coarse.values)
    assert not torch.equal(one.latents, other.latents)


def test_collapse_is_noticed(ball_scene, monkeypatch):
    training = ReliefTraining(ball_scene(), full(steps=40, rays=64))
    alive = training.opacity()
    training.field.fine.values[..., 3] = -50.0
    training.field.refresh()
    assert training.opacity() < 0.01 < 0.5 < alive
    with pytest.raises(FieldCollapsed, match="attempt 1"):
        training._check_opacity(0.35, restart=False)
    monkeypatch.setattr(training, "opacity", lambda: 0.1 if training.attempt == 0 else 0.9)
    training._check_opacity(0.35, restart=True)
    assert training.attempt == 1
    other = ReliefTraining(ball_scene(), training.preset)
    other.load_state_dict(training.state_dict())
    assert other.attempt == 1
    assert torch.equal(other.latents, training.latents)


def test_the_relief_holds_what_the_masks_show(ball_scene):
    scene = ball_scene()
    training = ReliefTraining(scene, small())
    left, top, width, _ = training.relief.place
    assert -1.2 < left < -0.98
    assert 0.98 < left + width < 1.2
    assert 0.98 < top < 1.2
    masks = scene.scene.head.copy()
    masks[:, :, 6:20] |= masks.any(2)[:, :, None]  # hair on the image's left
    views = [
        training.mesh.view(scene.condition[t], scene.rotation[t], scene.translation[t], scene.camera) for t in range(8)
    ]
    wider = extent(views, list(masks), scene.rotation, scene.translation, scene.camera)
    assert wider[0] < left - 0.1
    assert abs(wider[0] + wider[2] - left - width) < 0.1
    relief, face = relief_of(training.mesh, wider)
    assert (relief.inner < relief.middle).all()
    assert (relief.middle < relief.outer).all()
    assert face.max() > 0.9
    h, w = relief.middle.shape
    assert abs(relief.middle[h // 2, int(-wider[0] / wider[2] * w)] - 1.0) < 0.02  # the ball's front


def test_the_relief_reaches_what_a_narrow_fit_leaves_out(ball_scene):
    """Masks two pixels wider than the mesh: the front reaches their pixels, and stays where nothing is beside it."""
    scene = ball_scene()
    mesh = ReliefTraining(scene, small()).mesh
    twice = np.r_[0:8, 0:8]  # what one frame alone shows beside the mesh counts for nothing
    poses = (scene.rotation[twice], scene.translation[twice], scene.camera)
    views = [mesh.view(scene.condition[t], scene.rotation[t], scene.translation[t], scene.camera) for t in twice]
    masks = [cv2.dilate(view.hit.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0 for view in views]
    relief, face = relief_of(mesh, extent(views, masks, *poses))

    def left_out(found) -> float:
        h, w = found.middle.shape
        left, top, width, height = found.place
        behind, count = 0, 0
        for t, (view, mask) in enumerate(zip(views, masks, strict=True)):
            x, y, z = canonical(view, poses[0][t], poses[1][t], poses[2])[mask & ~view.hit].T
            row, column = ((top - y) / height * h).astype(int), ((x - left) / width * w).astype(int)
            behind += int((z > found.outer[row.clip(0, h - 1), column.clip(0, w - 1)]).sum())
            count += len(z)
        return behind / count

    wider, still_face = widened(relief, face, views, masks, *poses)
    assert left_out(relief) > 0.2
    assert left_out(wider) < 0.08
    h, w = relief.middle.shape
    assert wider.outer[h // 2, w // 2] == relief.outer[h // 2, w // 2]
    assert still_face[h // 2, w // 2] == face[h // 2, w // 2] > 0.9
    assert not still_face[wider.outer > relief.outer].any()
    same, _ = widened(relief, face, views, [view.hit for view in views], *poses)
    assert (same.outer == relief.outer).all()


def test_rays_are_drawn_where_they_should(ball_scene):
    scene = ball_scene()
    training = ReliefTraining(scene, small(frames=8, mouth_share=0.25, upper_share=0.25))
    torch.manual_seed(0)
    batch = training.drawer.draw()
    x0, y0, x1, y1 = scene.scene.mouth[0]
    mouth_rows, mouth_columns = batch.rows[:2], batch.columns[:2]
    assert y0 < mouth_rows.min()
    assert mouth_rows.max() < y1
    assert x0 < mouth_columns.min()
    assert mouth_columns.max() < x1
    assert batch.rows[2:4].max() < y0
    assert batch.rows[4:].max() > y1
    head = batch.kinds & 1 > 0
    soft = batch.kinds & 2 > 0
    truth = torch.from_numpy(scene.filmed)[batch.frames[:, None], batch.rows.long(), batch.columns.long()] / 255
    assert torch.equal(batch.color[head], truth[head])
    assert torch.equal(batch.color[soft], truth[soft])
    assert (batch.background[soft] * 255).round().unique().tolist() == [40]
    assert batch.background[~soft].std() > 0.2
    neither = ~head & ~soft
    assert torch.equal(batch.color[neither], batch.background[neither])


def test_what_stands_before_the_neck_has_its_colors(ball_scene):
    scene = ball_scene()
    other = scene.other.copy()
    other[0] |= ~scene.scene.head[0]
    training = ReliefTraining(ReliefScene(scene.scene, scene.filmed, other, scene.model, scene.identity), small())
    edge = np.flatnonzero(training.drawer.kinds[0] & NECK)
    assert len(edge)
    frames = torch.zeros(1, dtype=torch.long)
    batch = training.drawer.batch(frames, torch.from_numpy(edge)[None])
    filmed = torch.from_numpy(scene.filmed[0].reshape(-1, 3)[edge]) / 255
    assert torch.equal(batch.color[0], filmed)
    assert torch.equal(batch.background[0], filmed)  # transparent or of these colors: nothing to learn from either
    code = training.codes(frames, training.told, training.latents[frames])
    error = training._error(batch, code).detach()
    assert float(error.max()) > 0
    training.field.fine.values.data[..., 3] = -100.0  # nothing stands there
    training.field.refresh()
    assert float(training._error(batch, code).detach().max()) < 1e-9
    assert not (training.drawer.kinds[0] & 2).any()  # the plate is behind none of it


def test_held_out_frames_and_other_sizes(tmp_path, ball_scene):
    scene = pool([ball_scene(64), ball_scene(64)])
    model = train(scene, full(steps=6, held_out=0.4, size=32), tmp_path, previews=0)
    assert model.frames.tolist() == list(range(10))
    assert torch.equal(model.latent([15]), model.latent([9]))
    assert "held_out_psnr" in json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert model.scale == 0.5
    shown = list(render_frames(model, scene, scene.condition[-2:], [14, 15]))
    assert shown[0].rgb.shape == (64, 64, 3)
    assert shown[0].alpha[scene.scene.head[14]].mean() > 0.8  # in its place, enlarged


def test_a_frame_between_training_frames_is_between_them():
    latents = torch.tensor([[0.0, 4.0], [8.0, 0.0], [1.0, 1.0]])
    warps = np.arange(24, dtype=np.float32).reshape(3, 2, 2, 2)
    model = TrainedRelief(None, latents, np.array([2, 6, 7]), 1.0, np.zeros(4), warps, latents + 1, {})
    found = model.latent([0, 2, 3, 4, 6, 7, 9])
    expected = [[0, 4], [0, 4], [2, 3], [4, 2], [8, 0], [1, 1], [1, 1]]
    assert found.tolist() == expected
    assert torch.equal(model.slip([0, 2, 3, 4, 6, 7, 9]), found + 1)
    np.testing.assert_array_equal(model.warp([6, 2, 9]), warps[[1, 0, 2]])
    np.testing.assert_array_equal(model.warp([3])[0], warps[0] + 2)


def test_maps_of_a_long_training_lie_in_a_file(ball_scene, monkeypatch):
    scene, learned, made = ball_scene(), [], []
    for limit in (held.IN_MEMORY, 20_000):
        monkeypatch.setattr(held, "IN_MEMORY", limit)
        monkeypatch.setattr(rendering, "room", lambda *how: made.append(held.room(*how)) or made[-1])
        training = ReliefTraining(scene.take(range(0, 8)), full(steps=1))
        torch.manual_seed(0)
        training.step(0, 0.0)
        learned.append(training.field.fine.values.clone())
    assert torch.equal(*learned)
    in_files = [isinstance(array, np.memmap) for array in made if len(array) == len(scene)]
    half = len(in_files) // 2
    assert half >= 1  # one array holds all maps
    assert in_files == [False] * half + [True] * half


def test_without_latents(ball_scene):
    training = ReliefTraining(ball_scene(), full(latent=0, steps=3))
    training.step(0, 0.0)
    assert training.latents.shape == (8, 0)
    assert training.validate()["latent_norm"] == 0.0


def test_presets_and_refusals(tmp_path, ball_scene):
    assert set(RELIEF_PRESETS) == {"quick", "demo"}
    with pytest.raises(UnknownName):
        relief_preset("paper")
    with pytest.raises(UsageError, match="no setting"):
        relief_preset("demo", {"stepz": 3})
    with pytest.raises(UsageError, match="behind: 2 is no width"):
        relief_preset("demo", {"behind": 2})
    with pytest.raises(UsageError, match="codes have 4"):
        ReliefTraining(ball_scene(), relief_preset("demo"))
    with pytest.raises(UsageError, match="cannot share"):
        ReliefTraining(ball_scene(), small(rays=510))
    scene = ball_scene()
    with pytest.raises(UsageError, match="moved by the mesh"):
        ReliefScene(
            scene.scene.with_condition(np.zeros((8, 7))), scene.filmed, scene.other, scene.model, scene.identity
        )
    with pytest.raises(UsageError, match="filmed has the shape"):
        ReliefScene(scene.scene, scene.filmed[:3], scene.other, scene.model, scene.identity)
    other = ReliefScene(scene.scene, scene.filmed, scene.other, scene.model, np.ones(1))
    with pytest.raises(UsageError, match="two persons"):
        pool([scene, other])
    (tmp_path / "x.pt").write_bytes(b"nothing")
    with pytest.raises(WeightsError):
        TrainedRelief.load(tmp_path / "x.pt")
    model = ReliefTraining(scene, small()).trained({})
    with pytest.raises(UsageError, match="one row per output frame"):
        list(render_frames(model, scene, np.zeros((3, 5)), [0, 1, 2]))
    with pytest.raises(UsageError, match="frame 99"):
        list(render_frames(model, scene, np.zeros((1, 4)), [99]))
