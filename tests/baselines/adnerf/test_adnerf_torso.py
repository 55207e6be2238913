"""AD-NeRF's torso: what it is told, what it is trained on, that it learns, resumes exactly, and is put in front."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lipbench.baselines.adnerf import torso_render
from lipbench.baselines.adnerf.torso_pose import POSE_DIM, angles, pose_code
from lipbench.baselines.adnerf.torso_render import composed
from lipbench.baselines.adnerf.torso_scene import torso_scene
from lipbench.baselines.adnerf.torso_training import TORSO_DIM, Behind, TorsoTraining, torso_preset, train_torso
from lipbench.baselines.adnerf.training import DIM
from lipbench.core.errors import Refused
from lipbench.core.training import Budget
from lipbench.core.training import train as run
from lipbench.faces.parsing import Label, Parsing, Plate
from lipbench.lipnerf.prepared import PreparedClip
from lipbench.nerf.model import HeadField
from lipbench.nerf.scene import Scene
from lipbench.nerf.scene_from_fit import make_scene
from lipbench.nerf.training.presets import Preset, preset
from lipbench.nerf.training.trained import FrameRender, TrainedField, render_one
from tests.baselines.adnerf.small_preset import small_preset

T, SIZE = 12, 32
CROP = (4, 0, 28, 20)
GRAY, SKIN, SHIRT = 40, 150, 220


def moved(rotation: np.ndarray, position: tuple[float, ...]) -> np.ndarray:
    """(1, 3, 4) camera."""
    return np.concatenate([rotation, np.array(position)[:, None]], 1)[None]


def about(axis: int, angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    out = np.eye(3)
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    out[i, i] = out[j, j] = c
    out[i, j], out[j, i] = -s, s
    return out


def person() -> tuple[np.ndarray, PreparedClip, Plate, Scene]:
    """A disc over a shirt that goes along with it; the head's scene is the crop."""
    shift = np.round(2 * np.sin(np.arange(T))).astype(int)
    column, row = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    labels = np.zeros((T, SIZE, SIZE), np.uint8)
    for t in range(T):
        labels[t][(row >= 19) & (np.abs(column + 0.5 - 16 - shift[t]) < 11)] = Label.TORSO
        labels[t][np.hypot(column + 0.5 - 16 - shift[t], row + 0.5 - 12) < 7] = Label.HEAD
    frames = np.full((T, SIZE, SIZE, 3), GRAY, np.uint8)
    frames[labels == Label.HEAD], frames[labels == Label.TORSO] = SKIN, SHIRT
    frames[:, 0, 0] = 255  # background that is not the plate's
    plate = Plate.still(np.full((SIZE, SIZE, 3), GRAY, np.uint8))
    prepared = PreparedClip(None, Parsing(labels, "truth"), CROP)  # type: ignore[arg-type]
    x0, y0, x1, y1 = CROP
    translation = np.stack([0.2 * shift, np.full(T, 0.3), np.linspace(-7.4, -7.6, T)], 1)
    head = make_scene(
        frames[:, y0:y1, x0:x1],
        labels[:, y0:y1, x0:x1] == Label.HEAD,
        plate.frame(0)[y0:y1, x0:x1],
        np.stack([np.eye(3)] * T),
        translation,
        75.0,
        (16.0 - x0, 16.0 - y0),
        np.zeros((T, DIM)),
        np.tile([8, 8, 16, 16], (T, 1)),
    )
    return frames, prepared, plate, head


def published(steps: int) -> Preset:
    """Coarse and fine networks over near to far, as AD-NeRF's, but small."""
    return preset("adnerf", "mlp", {"width": 16, "coarse": 5, "fine": 4, "rays": 32, "micro": 16, "steps": steps})


def behind(head: Scene, codes: np.ndarray, settings: Preset | None = None) -> Behind:
    """A head that has not learned anything: what it shows does not matter here, only where it goes."""
    torch.manual_seed(3)
    field = HeadField((settings or small_preset(1, blend=2)).field, torch.from_numpy(head.bounds)).eval()
    trained = TrainedField(field, torch.zeros(T, 0), np.arange(T), 1.0, {})
    return Behind.of(trained, head, codes, CROP)


CODES = np.random.default_rng(0).normal(0, 0.3, (T, DIM)).astype(np.float32)


def training(steps: int, kind: str = "triplane") -> TorsoTraining:
    frames, prepared, plate, head = person()
    scene = torso_scene(prepared, frames, plate, head, CODES)
    settings = small_preset(2 * steps, rays=64, blend=2) if kind == "triplane" else published(steps)
    chosen = replace(torso_preset(settings, 1.0, scene.size, steps), rays=64)
    return TorsoTraining(scene, behind(head, CODES, settings), chosen)


# -- pose and scene -----------------------------------------------------------------------------------------------


def test_pose_code_is_the_published_one() -> None:
    still = moved(np.eye(3), (0.1, -0.2, 0.7))
    np.testing.assert_allclose(angles(still), [[np.pi / 2, 0, np.pi / 2]])
    # The three arguments of the published arctangents and arcsine, by hand for one turn each.
    np.testing.assert_allclose(angles(moved(about(1, 0.3), (0, 0, 1)))[0, 1], -0.3)
    np.testing.assert_allclose(angles(moved(about(0, 0.3), (0, 0, 1)))[0, 0], np.pi / 2 + 0.3)
    np.testing.assert_allclose(angles(moved(about(2, 0.3), (0, 0, 1)))[0, 2], np.pi / 2 - 0.3)
    code = pose_code(still)[0]
    assert code.shape == (POSE_DIM,) == (42,)
    e, t = np.array([np.pi / 2, 0, np.pi / 2]), np.array([0.1, -0.2, 0.7])
    for start, x in ((0, e), (21, t)):
        waves = [w(2.0**k * x) for k in range(3) for w in (np.sin, np.cos)]
        np.testing.assert_allclose(code[start : start + 21], np.concatenate([x, *waves]), atol=1e-6)


def test_one_camera_for_all_frames() -> None:
    frames, prepared, plate, head = person()
    scene = torso_scene(prepared, frames, plate, head.take(np.arange(8)), CODES[:8])
    assert len(scene) == 8
    assert scene.size == (SIZE, SIZE)
    assert scene.center == pytest.approx((15.5, 15.5))  # the whole image's, at AD-NeRF's pixel corners
    assert (scene.c2w == head.c2w[0]).all()
    depth = -np.linspace(-0.74, -0.76, T)[:8].mean()
    np.testing.assert_allclose(scene.near_far, np.tile([depth - 0.2, depth + 0.4], (8, 1)), atol=1e-6)
    np.testing.assert_array_equal(scene.condition[:, :DIM], CODES[:8])
    np.testing.assert_array_equal(scene.condition[:, DIM:], pose_code(head.c2w[:8]))
    assert scene.condition.shape[1] == TORSO_DIM == 106
    whole = prepared.parsing.labels[:8] != Label.BACKGROUND
    assert (scene.frames[whole] == frames[:8][whole]).all()
    assert (scene.frames[~whole] == GRAY).all()
    assert (scene.head == (prepared.parsing.labels[:8] == Label.TORSO).any(0)).all()


def test_no_torso_is_refused() -> None:
    frames, prepared, plate, head = person()
    labels = np.where(prepared.parsing.labels == Label.TORSO, Label.BACKGROUND, prepared.parsing.labels)
    alone = PreparedClip(prepared.fit, Parsing(labels.astype(np.uint8), "truth"), CROP)
    with pytest.raises(Refused, match="no torso"):
        torso_scene(alone, frames, plate, head, CODES)


def test_published_settings() -> None:
    head = preset("adnerf", "mlp")
    torso = torso_preset(head, 1.0, (450, 450), None)
    assert (torso.steps, torso.rays, torso.box_share, torso.size) == (400_000, 1024, 0.0, 0)
    assert torso.field.condition == 106
    assert torso.lr_end == pytest.approx(5e-4 * 0.1 ** (400 / 500), rel=0.01)
    assert torso_preset(head, 1.0, (450, 450), 7).steps == 7
    small = torso_preset(preset("demo", "triplane"), 0.5, (200, 256), None)
    assert (small.steps, small.size, small.random_background) == (600, 128, False)


# -- training -----------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_the_head_is_the_background() -> None:
    head = person()[3]
    made = training(4)
    x0, y0, x1, y1 = CROP
    frames = torch.tensor([0, 5])
    every = torch.arange(SIZE * SIZE).expand(2, -1)
    found = made.drawer.batch(made.field, frames, every).background.view(2, SIZE, SIZE, 3).numpy()
    for row, t in enumerate((0, 5)):
        field = behind(head, CODES)
        face = render_one(field.field, head, t, field.codes[t : t + 1])
        assert face.alpha.max() > 0.2
        want = np.full((SIZE, SIZE, 3), GRAY / 255, np.float32)
        want[y0:y1, x0:x1] = face.rgb + (1 - face.alpha[..., None]) * want[y0:y1, x0:x1]
        np.testing.assert_allclose(found[row], want, atol=2e-3)
    assert np.abs(found[0] - found[1]).max() > 0.02


def test_a_few_steps_make_it_better(tmp_path: Path) -> None:
    frames, prepared, plate, head = person()
    scene = torso_scene(prepared, frames, plate, head, CODES)
    chosen = torso_preset(small_preset(240, blend=2), 1.0, scene.size, None)
    before = TorsoTraining(scene, behind(head, CODES), chosen)
    torso = train_torso(scene, behind(head, CODES), chosen, tmp_path)
    assert torso.facts["held_out"]["photo"] < 0.25 * before.validate()["photo"]
    # It goes along with the head: shown where the shirt's side is in a frame where it is to the left.
    shown = render_one(torso.field, scene, 5, torch.from_numpy(scene.condition[5:6]))
    assert shown.alpha[26, 16] > 0.8
    assert shown.alpha[26, 1] < 0.3
    assert shown.rgb[26, 16].mean() == pytest.approx(SHIRT / 255, abs=0.15)
    assert before.image().shape == (3 * SIZE, 4 * SIZE, 3)


@pytest.mark.parametrize("kind", ["triplane", "mlp"])
def test_resume_is_exact(kind: str, tmp_path: Path) -> None:
    budget = Budget(steps=8, validate_every=4, report_every=4, image_every=0)
    whole = training(8, kind)
    head_before = {k: v.clone() for k, v in whole.drawer.behind.field.state_dict().items()}
    run(whole, tmp_path / "whole", budget)

    class Broken(TorsoTraining):
        def step(self, number: int, progress: float) -> dict[str, float]:
            if number == 6:
                raise InterruptedError
            return super().step(number, progress)

    cut = training(8, kind)
    cut.__class__ = Broken
    with pytest.raises(InterruptedError):
        run(cut, tmp_path / "cut", budget)
    rest = training(8, kind)
    run(rest, tmp_path / "cut", budget)
    for a, b in zip(whole.field.state_dict().values(), rest.field.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    # The head stays as it is, and gets no gradients.
    assert all(torch.equal(v, head_before[k]) for k, v in whole.drawer.behind.field.state_dict().items())
    assert all(p.grad is None for p in whole.drawer.behind.field.parameters())


# -- rendering ----------------------------------------------------------------------------------------------------


def test_torso_over_head_over_plate(monkeypatch: pytest.MonkeyPatch) -> None:
    _, prepared, plate, head = person()
    asked: dict[str, tuple[Any, ...]] = {}

    def rendered(model: Any, scene: Scene, conditions: Any, latents: Any, index: Any) -> Any:
        asked[model] = (scene, np.asarray(conditions), np.asarray(index))
        h, w = scene.size
        for _ in index:
            rgb, alpha = np.zeros((h, w, 3), np.float32), np.zeros((h, w), np.float32)
            if model == "head":  # half opaque red over its crop
                alpha[:], rgb[..., 0] = 0.5, 0.5
            else:  # opaque blue on the lowest 20 rows, a quarter opaque one row higher
                alpha[-20:], rgb[-20:, :, 2] = 1.0, 1.0
                alpha[-21], rgb[-21, :, 2] = 0.25, 0.25
            yield FrameRender(rgb, alpha, (0, 0, w, h))

    monkeypatch.setattr(torso_render, "render_frames", rendered)
    index = np.array([3, 4, 4])
    driven = CODES[:3]
    got = list(composed(prepared, plate, "head", "torso", head, 8, driven, index))  # type: ignore[arg-type]
    assert len(got) == 3
    image = got[0].astype(float)
    g = float(GRAY)
    assert image.shape == (SIZE, SIZE, 3)
    np.testing.assert_allclose(image[2, 0], [g, g, g], atol=1)  # plate alone
    np.testing.assert_allclose(image[2, 16], [127.5 + g / 2, g / 2, g / 2], atol=1)  # head over plate
    np.testing.assert_allclose(image[15, 16], [0, 0, 255], atol=1)  # torso over head
    np.testing.assert_allclose(image[11, 16], 0.75 * np.array([127.5 + g / 2, g / 2, g / 2]) + [0, 0, 63.75], atol=1)
    scene, told, rows = asked["torso"]
    assert (scene.c2w == head.c2w[0]).all()
    assert scene.size == (SIZE, SIZE)
    np.testing.assert_allclose(scene.near_far[0], head.near_far[:8].mean(0))
    np.testing.assert_array_equal(told[:, :DIM], driven)
    np.testing.assert_array_equal(told[:, DIM:], pose_code(head.c2w)[index])
    assert rows.tolist() == [0, 0, 0]
    assert asked["head"][2].tolist() == [3, 4, 4]
