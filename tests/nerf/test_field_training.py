"""Training fields: they learn, resume exactly, notice their own collapse, pool shots, render at full size."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from lipbench.core.errors import TooShort, UnknownName, UsageError, WeightsError
from lipbench.core.training import CHECKPOINT, SAMPLES, Budget
from lipbench.core.training import train as run
from lipbench.nerf.grid import OccupancyGrid, carve
from lipbench.nerf.model import HeadField
from lipbench.nerf.scene import pool
from lipbench.nerf.training import guard
from lipbench.nerf.training.guard import FieldCollapsed
from lipbench.nerf.training.presets import PRESETS, preset
from lipbench.nerf.training.trained import TrainedField, render_frames
from lipbench.nerf.training.trainer import FieldTraining, train

SMALL = {"condition": 6, "latent": 4, "rays": 128, "frames": 2, "size": 0, "warmup": 5, "micro": 0}
TRIPLANE = {**SMALL, "resolutions": (8, 16), "channels": 4, "blended": 16, "blend": 2, "width": 32, "fine": 6}
MLP = {**SMALL, "width": 32, "depth": 6, "coarse": 9, "fine": 8, "lr": 3e-3, "lr_end": 1e-3}


def small(kind: str, **changes):
    return preset("demo", kind, {**(TRIPLANE if kind == "triplane" else MLP), **changes})


def psnr(model, scene) -> float:
    """Over the plate (transparent: 6 dB, evenly gray: 14 dB), in the head's pixels of all frames."""
    error = []
    for t, shown in enumerate(render_frames(model, scene, scene.condition, None, np.arange(len(scene)))):
        over = shown.rgb + (1 - shown.alpha[..., None]) * scene.plates[scene.shot[t]] / 255
        error.append(((over - scene.frames[t] / 255)[scene.head[t]] ** 2).mean())
    return float(-10 * np.log10(np.mean(error)))


@pytest.mark.parametrize(("kind", "steps", "least"), [("triplane", 90, 20.0), ("mlp", 90, 18.5)])
def test_learns_the_ball(kind, steps, least, tmp_path, ball_scene):
    scene = ball_scene()
    model = train(scene, small(kind, steps=steps), tmp_path, previews=1)
    assert psnr(model, scene) > least
    shown = next(render_frames(model, scene, scene.condition[:1], None, [0]))
    assert shown.alpha[scene.head[0]].mean() > 0.75
    assert shown.alpha[0].max() < 0.05  # nothing at the image's border
    assert (shown.rgb <= shown.alpha[..., None] + 1e-5).all()
    log = [json.loads(x) for x in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[-1]["head_psnr"] > log[0]["psnr"]
    assert len(list((tmp_path / SAMPLES).iterdir())) == 1
    again = TrainedField.load(tmp_path / "field.pt")
    np.testing.assert_array_equal(next(render_frames(again, scene, scene.condition[:1], None, [0])).rgb, shown.rgb)


class Killed(Exception):
    pass


@pytest.mark.parametrize("kind", ["triplane", "mlp"])
def test_resume_is_exact(kind, tmp_path, ball_scene):
    scene, budget = ball_scene(), Budget(steps=12, validate_every=4, report_every=4, image_every=0)
    settings = small(kind, steps=12, rays=64)
    whole = FieldTraining(scene, settings)
    run(whole, tmp_path / "whole", budget)

    class Broken(FieldTraining):
        def step(self, number, progress):
            if number == 6:
                raise Killed
            return super().step(number, progress)

    with pytest.raises(Killed):
        run(Broken(scene, settings), tmp_path / "cut", budget)
    assert torch.load(tmp_path / "cut" / CHECKPOINT, weights_only=True)["progress"]["step"] == 4
    rest = FieldTraining(scene, settings)
    run(rest, tmp_path / "cut", budget)
    for a, b in zip(whole.field.state_dict().values(), rest.field.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(whole.latents, rest.latents)


def test_micro_batches_change_nothing(ball_scene):
    """The gradients of 64 rays at once are those of four times 16."""
    scene, grads = ball_scene(), []
    for micro in (0, 8):
        training = FieldTraining(scene, small("mlp", micro=micro, rays=64, frames=1, latent_penalty=0.0))
        torch.manual_seed(0)
        batch = training.drawer.draw(training.field)
        torch.manual_seed(1)
        colors = training.field.render(batch.rays, batch.background, training.codes(batch.frames))
        del colors
        training.optimizer.zero_grad()
        jitterless = training.field.render
        training.field.render = lambda *a, train, f=jitterless: f(*a)  # same samples in both
        training._backward(batch)
        grads.append([p.grad.clone() for p in training.field.fine.parameters()])
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_collapse_is_noticed(tmp_path, ball_scene, monkeypatch):
    """A field whose density is dead from the start is begun again, and given up after the last restart."""
    scene = ball_scene()
    dead = small("mlp", steps=40, activation="relu", density_bias=-50.0, random_background=False, rays=32)
    with pytest.raises(FieldCollapsed, match="transparent") as caught:
        train(scene, dead, tmp_path / "dead", previews=0)
    assert caught.value.reason == "field_collapsed"
    assert "attempt 2" in str(caught.value)

    training = FieldTraining(scene, small("mlp", steps=40, rays=32, activation="relu"))
    before = [p.clone() for p in training.field.parameters()]
    monkeypatch.setattr(training, "opacity", lambda: 0.1 if training.attempt == 0 else 0.9)
    for k in range(40):
        training.step(k, k / 40)
    assert training.attempt == 1
    state = training.state_dict()
    other = FieldTraining(scene, training.preset)
    other.load_state_dict(state)
    assert other.attempt == 1
    assert not all(torch.equal(a, b) for a, b in zip(before, training.field.parameters(), strict=True))


def test_a_dead_coarse_network_is_noticed(ball_scene):
    training = FieldTraining(ball_scene(), small("mlp", rays=32, density_bias=1.0))
    alive = training.opacity()
    with torch.no_grad():
        training.field.coarse.alpha_linear.bias.fill_(-1e4)
    assert training.opacity() < 0.01 < alive


def test_when_the_guard_looks():
    assert guard.check_steps(1000, 50) == (100, 200, 500, 1000)
    assert guard.check_steps(600_000, 0)[:3] == (1000, 5000, 30_000)
    assert guard.check_steps(4, 50) == (4,)


def test_held_out_frames(tmp_path, ball_scene):
    scene = pool([ball_scene(), ball_scene()])
    model = train(scene, small("triplane", steps=20, held_out=0.4), tmp_path, previews=0)
    assert model.frames.tolist() == list(range(10))
    np.testing.assert_array_equal(model.latent([15]), model.latent([9]))
    assert "held_out_psnr" in json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert len(list(render_frames(model, scene, scene.condition[-2:], None, [14, 15]))) == 2


def test_shots_keep_their_plates(ball_scene):
    scene = pool([ball_scene(plate_value=40), ball_scene(plate_value=200)])
    training = FieldTraining(scene, small("triplane", random_background=False, near_mask=False, box_share=0.2))
    frames = torch.tensor([0, 15])
    corner = training.drawer.batch(training.field, frames, torch.zeros(2, 1, dtype=torch.long))
    assert (corner.background[:, 0, 0] * 255).round().tolist() == [40, 200]
    assert not corner.head.any()


def test_rays_are_drawn_where_they_should(ball_scene):
    """Rows against rows: AD-NeRF's released sampler transposes the rectangle."""
    scene = ball_scene()
    training = FieldTraining(scene, small("mlp", rays=512, mouth_share=0.25, near_mask=True, box_share=1.0))
    torch.manual_seed(0)
    batch = training.drawer.draw(training.field)
    middle = training.drawer.c2w[batch.frames][:, :, :3]
    local = batch.rays.direction @ middle
    column = local[..., 0] * scene.focal + scene.center[0]
    row = -local[..., 1] * scene.focal + scene.center[1]
    x0, y0, x1, y1 = scene.mouth[0]
    assert (column[:, :64] > x0 - 0.1).all() and (column[:, :64] < x1).all()  # noqa: PT018
    assert (row[:, :64] > y0 - 0.1).all() and (row[:, :64] < y1).all()  # noqa: PT018
    assert batch.head[:, 64:].float().mean() > 0.6


def test_random_backgrounds_leave_the_head_alone(ball_scene):
    training = FieldTraining(ball_scene(), small("triplane"))
    batch = training.drawer.draw(training.field)
    assert torch.equal(batch.color[~batch.head], batch.background[~batch.head])
    assert batch.background.std() > 0.2


def test_hull_holds_the_ball_and_not_more(ball_scene):
    scene = ball_scene()
    grid = OccupancyGrid(torch.from_numpy(scene.bounds), 24)
    carve(grid, scene)
    points = grid.centers(torch.arange(24**3), jitter=False)
    inside = points.norm(dim=1) < 0.099
    assert grid.hull[inside].float().mean() > 0.97
    assert not grid.hull[(points[:, :2].norm(dim=1) > 0.125)].any()
    assert (grid.cells(points) == torch.arange(24**3)).all()


def test_rendering_at_another_scale(tmp_path, ball_scene):
    scene = ball_scene(96, 128)
    model = train(scene, small("triplane", steps=60, size=64), tmp_path, previews=0)
    assert model.scale == 0.5
    half = next(render_frames(model, scene, scene.condition[:1], None, [0]))
    full = next(render_frames(model, scene, scene.condition[:1], None, [0], scale=1.0))
    assert half.rgb.shape == full.rgb.shape == (96, 128, 3)
    assert np.abs(half.alpha - full.alpha).mean() < 0.02  # the same place, not half a pixel off
    x0, y0, x1, y1 = half.box
    outside = half.alpha.copy()
    outside[y0:y1, x0:x1] = 0
    assert not outside.any()


def test_without_latents(ball_scene):
    training = FieldTraining(ball_scene(), small("triplane", latent=0, steps=3))
    training.step(0, 0.0)
    assert training.latents.shape == (8, 0)
    assert training.validate()["latent_norm"] == 0.0


def test_presets_and_refusals(tmp_path, ball_scene):
    for name, kind in PRESETS:
        found = preset(name, kind)
        assert (found.name, found.field.field) == (name, kind)
        assert found.rays % found.frames == 0
    paper = preset("paper")
    assert (paper.steps, paper.rays, paper.lr, paper.lr_end, paper.latent_penalty) == (600_000, 2048, 5e-4, 5e-5, 0.01)
    with pytest.raises(UnknownName):
        preset("papr")
    with pytest.raises(UnknownName):
        preset("demo", "voxels")
    with pytest.raises(UsageError, match="no setting"):
        preset("demo", "mlp", {"stepz": 3})
    with pytest.raises(UsageError, match="codes have 6"):
        FieldTraining(ball_scene(), preset("demo", "mlp"))
    with pytest.raises(TooShort):
        ball_scene().take([0, 1])
    (tmp_path / "x.pt").write_bytes(b"nothing")
    with pytest.raises(WeightsError):
        TrainedField.load(tmp_path / "x.pt")
    model = FieldTraining(ball_scene(), small("triplane")).trained({})
    with pytest.raises(UsageError, match="one row per output frame"):
        list(render_frames(model, ball_scene(), np.zeros((3, 5)), None, [0, 1, 2]))
    with pytest.raises(UsageError, match="frame 99"):
        list(render_frames(model, ball_scene(), np.zeros((1, 6)), np.zeros((1, 4)), [99]))


def test_paper_field_runs(ball_scene):
    """The paper's preset is heavy but the same code: one step of it with few rays."""
    scene = ball_scene()
    settings = preset("paper", "mlp", {"condition": 6, "rays": 16, "micro": 8, "steps": 10})
    training = FieldTraining(scene, settings)
    assert isinstance(training.field, HeadField)
    assert training.field.grid is None
    assert training.opacity() > 0.8  # from a thin start it turns transparent
    found = training.step(0, 0.0)
    assert 0 < float(found["photo"]) < 1


def test_bfloat16_is_asked_for_and_ends_where_sums_begin(ball_scene):
    assert not any(each.bf16 for each in PRESETS.values())
    found = {}
    for bf16 in (False, True):
        changes = {"rays": 16, "bf16": bf16, "condition": 6, "width": 16, "coarse": 8, "fine": 8}
        training = FieldTraining(ball_scene(), preset("paper", "mlp", changes), 3)
        torch.manual_seed(0)
        colors = training._render(training.drawer.draw(training.field))
        assert colors.coarse is not None
        assert colors.fine.rgb is not None
        kinds = {x.dtype for x in (colors.fine.rgb, colors.fine.weights, colors.coarse.transmittance)}
        assert kinds == {torch.float32}
        found[bf16] = colors.fine.rgb.detach()
        assert np.isfinite(float(training.step(0, 0.0)["photo"]))
    assert not torch.equal(found[True], found[False])
    torch.testing.assert_close(found[True], found[False], rtol=0, atol=0.05)
