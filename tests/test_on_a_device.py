"""Methods, networks and trainers on a device that is not the CPU: a forgotten `.to(device)` fails here.

`fake_device` stands for the graphics card; it computes on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lipbench import media
from lipbench.core import registry
from lipbench.core.method import ClipInput, DubInput, DubJob, FitJob, PrepareJob
from lipbench.datasets import demo
from lipbench.datasets.annotations import Annotations
from lipbench.lipnerf.fitting import landmark_stage
from lipbench.lipnerf.fitting.options import PRESETS
from lipbench.nerf.scene import Scene
from lipbench.nerf.training.presets import preset
from lipbench.nerf.training.trained import rays_at_once
from lipbench.nerf.training.trainer import FieldTraining
from tests import fake_device

N = 25  # the fewest that a field is trained on
SAID = 6  # the frames of the dub


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A second of a packaged clip, and its first words as a dub."""
    root, clips = tmp_path_factory.mktemp("device"), demo.manifest().parent / "clips" / "demo-en"
    frames = media.load_frames(clips / "demo-en.mp4")[:N]
    sound = media.read_audio(clips / "demo-en.mp4")[: N * 640]
    for name, n in (("clip", N), ("dub", SAID)):
        media.write_wav(root / f"{name}.wav", sound[: n * 640])
        media.write_video(root / f"{name}.mp4", frames[:n], 25, sound[: n * 640])
    Annotations.load(clips / "annotations_en.npz").face_track().take(range(N)).save(root / "faces.npz")
    clip = ClipInput("c", root / "clip.mp4", root / "clip.wav", 25.0, N, 256, 256, "en", root / "faces.npz")
    dub = DubInput("d", "fr", root / "dub.mp4", root / "dub.wav", tuple(range(SAID)), SAID)
    return {"clip": clip, "dub": dub}


#: Every kind of step of a fit, few of each.
FEW = {"focal_frames": 3, "identity_frames": 3, "iterations": 2, "keyframes": 3, "photo_steps": 1, "vertices": 600}
#: `fit` begins as "landmarks" does; one for all, so that it is made once.
TINY = {"field": "triplane", "steps": 2, "size": 32, "fit": "demo", "parser": "color"}
FIELD = {**TINY, "expression_from": "audio", "settings": {"rays": 64, "frames": 2}}
METHODS = {
    "wav2lip": {"weights": "wav2lip-demo"},
    "speech2vid": {"weights": "speech2vid-demo"},
    "pc-avs": {"weights": "pcavs-demo"},
    "makeittalk": {"weights": "makeittalk-demo"},
    "lipnerf": FIELD,
    "lipnerf relief": {**FIELD, "field": "relief", "settings": {"rays": 64}},
    "lipnerf mlp": {**FIELD, "field": "mlp"},
    "ad-nerf": TINY,
    "ad-nerf with a torso": {**TINY, "torso": "field", "torso_steps": 2},
    "ad-nerf on phones": {**TINY, "features": "phones29"},
}


def test_every_method_that_computes_on_a_device_stands_here() -> None:
    """Those of the package; external ones hand the card's number to their own program."""
    specs = {name: registry.method_spec(name) for name in registry.sources("methods")}
    ours = {name for name, spec in specs.items() if spec.uses_gpu and spec.implementation.startswith("lipbench.")}
    assert ours == {name.split()[0] for name in METHODS}


@pytest.fixture(scope="module")
def prepared(
    given: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Any, dict[str, Any]], Path]]:
    """What a method prepares of the clip: once for those that say that they share it, as in a run."""
    made: dict[str, Path] = {}

    def prepare(method: Any, said: dict[str, Any]) -> Path:
        code = method.stage_code("prepare")
        named = repr((code.shared or method.spec.id, code.modules, method.stage_inputs("prepare", said["params"])))
        if named not in made:
            folder = tmp_path_factory.mktemp("prepare")
            method.prepare(PrepareJob(out=folder, clip=given["clip"], **said))
            made[named] = folder
        return made[named]

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "demo", FEW)
        patch.setattr(landmark_stage, "FOCALS", landmark_stage.FOCALS[3:6])
        yield prepare


@pytest.mark.parametrize("name", METHODS)
def test_a_method_dubs(
    name: str, given: dict[str, Any], prepared: Callable[[Any, dict[str, Any]], Path], tmp_path: Path
) -> None:
    method = registry.load("methods", name.split()[0])
    params = method.spec.params(**METHODS[name])
    clip, said = given["clip"], {"params": params, "log": lambda _: None, "device": fake_device.DEVICE}
    fitted, out = (tmp_path / stage for stage in ("fit", "out"))
    for folder in (fitted, out):
        folder.mkdir()
    with fake_device.card():
        start = prepared(method, said) if "prepare" in method.spec.stages else None
        if "fit" in method.spec.stages:
            method.fit(FitJob(out=fitted, clip=clip, prepare_folder=start, **said))
        job = DubJob(out=out, clip=clip, dub=given["dub"], prepare_folder=start, fit_folder=fitted, **said)
        made = method.synthesize(job)
    assert len(media.load_frames(made.files["video"])) == SAID


def test_the_fake_device_is_as_strict_as_a_real_one() -> None:
    with fake_device.card() as device:
        net = torch.nn.Linear(3, 2)
        x = torch.ones(4, 3, device=device)
        with pytest.raises(RuntimeError, match="same device"):
            net(x)
        with pytest.raises(RuntimeError):
            x.numpy()
        with pytest.raises(RuntimeError):
            np.asarray(x)
        assert net.to(device)(x).device.type == device
        assert (x + torch.tensor(1.0)).cpu().numpy().tolist() == [[2.0] * 3] * 4


def test_it_computes_what_the_cpu_does() -> None:
    def trained(device: str) -> torch.Tensor:
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1)).to(device)
        optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
        x = torch.arange(12.0).reshape(4, 3).to(device)
        for _ in range(3):
            optimizer.zero_grad()
            net(x).square().sum().backward()
            optimizer.step()
        return net(x).detach().cpu()

    with fake_device.card() as device:
        found = trained(device)
    assert torch.equal(found, trained("cpu"))


def _scene() -> Scene:
    t = 6
    c2w = np.tile(np.concatenate([np.eye(3), [[0], [0], [0.7]]], 1).astype(np.float32), (t, 1, 1))
    return Scene(
        frames=np.zeros((t, 32, 32, 3), np.uint8),
        head=np.ones((t, 32, 32), bool),
        plates=np.zeros((1, 32, 32, 3), np.uint8),
        shot=np.zeros(t, np.int64),
        c2w=c2w,
        focal=60.0,
        center=(16.0, 16.0),
        near_far=np.tile(np.float32([0.5, 1.1]), (t, 1)),
        condition=np.zeros((t, 79), np.float32),
        mouth=np.tile([10, 10, 20, 20], (t, 1)),
        bounds=np.float32([[-0.1] * 3, [0.1] * 3]),
    )


def test_a_step_launches_as_often_whatever_its_rays(monkeypatch: pytest.MonkeyPatch) -> None:
    views = ("view", "transpose", "t", "slice", "select", "unsqueeze", "expand", "detach", "alias", "split", "empty")
    calls, run = [0], fake_device.on_card

    def counted(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        calls[0] += func.name().split("::")[1].split(".")[0].strip("_") not in views
        return run(func, args, kwargs)

    found = []
    monkeypatch.setattr(fake_device, "on_card", counted)
    for rays in (8, 128):  # more than the 64 of `micro`
        with fake_device.card() as device:
            training = FieldTraining(_scene(), preset("paper", "mlp", {"rays": rays}), 0, device)
            training.step(0, 0.0)
            calls[0] = 0
            training.step(1, 0.0)
        found.append(calls[0])
    assert found[0] == found[1] < 3000  # 2639 with torch 2.4, fewer than 2000 with newer ones


@pytest.mark.parametrize("name", ["paper", "adnerf"])
def test_rendering_holds_a_bounded_number_of_samples(name: str) -> None:
    field = preset(name, "mlp").field
    rays = rays_at_once(field, torch.device("cuda"))
    widest = 63 + field.condition + field.latent  # what enters, once more at the skip, and two layers of the trunk
    held = rays * (field.coarse + field.fine) * 4 * (2 * widest + 3 * field.width)
    assert rays > 2048
    assert held < 16e9
    assert rays_at_once(field, torch.device("cpu")) == 2048
