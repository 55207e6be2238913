"""AD-NeRF with a torso as a method: what it writes, what enters the keys of its stages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lipbench import media
from lipbench.baselines.adnerf import method as module
from lipbench.baselines.adnerf import torso_training
from lipbench.baselines.adnerf.checkpoint import load_head, load_torso
from lipbench.baselines.adnerf.spec import AdNerfParams
from lipbench.core.method import ClipInput, DubInput, DubJob
from lipbench.datasets.annotations import Annotations
from lipbench.faces.parsing import Label, Parsing, clean_plate
from lipbench.lipnerf.fitting import Fit
from lipbench.lipnerf.prepared import PreparedClip, head_crop
from lipbench.nerf.training import presets
from lipbench.nerf.training.trained import TrainedField

DEMO = Path(module.__file__).parents[2] / "datasets" / "demo" / "clips" / "demo-en"
N = 25
INDEX = (0, 5, 10, 11)


def by_hand(truth: Annotations) -> PreparedClip:
    """The clip's true poses, an oval for a head, and a torso from the chin down."""
    points = truth.landmarks68[:N]
    column, row = np.meshgrid(np.arange(256), np.arange(256))
    labels = np.zeros((N, 256, 256), np.uint8)
    for t in range(N):
        (x, y), half = points[t, 27], np.ptp(points[t, :17, 0]) / 2
        labels[t][(row > points[t, 8, 1]) & (np.abs(column - x) < 1.2 * half)] = Label.TORSO
        labels[t][((column - x) / half) ** 2 + ((row - y) / (points[t, 8, 1] - y)) ** 2 < 1] = Label.HEAD
    none = np.zeros(0)
    fit = Fit(
        "procedural",
        "procedural",
        "",
        256,
        256,
        25.0,
        float(truth.camera[0]),
        none,
        none,
        np.zeros((N, 79)),
        truth.rotation[:N],
        truth.translation[:N],
        np.zeros((N, 9, 3)),
        none,
        np.ones(N, bool),
        none,
        none,
    )
    parsing = Parsing(labels, "by hand")
    return PreparedClip(fit, parsing, head_crop(parsing.head))


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> tuple[DubJob, np.ndarray, PreparedClip]:
    """A second of a generated clip, prepared, with a dub of four frames; its frames."""
    root = tmp_path_factory.mktemp("torso")
    frames = media.load_frames(DEMO / "demo-en.mp4")[:N]
    sound = media.read_audio(DEMO / "demo-en.mp4")[: N * 640]
    media.write_video(root / "clip.mp4", frames, 25, sound)
    media.write_wav(root / "clip.wav", sound)
    truth = Annotations.load(DEMO / "annotations_en.npz")
    truth.face_track().take(range(N)).save(root / "faces.npz")
    media.write_video(root / "dub.mp4", frames[list(INDEX)], 25, sound[:2560])
    media.write_wav(root / "dub.wav", sound[:2560])
    clip = ClipInput("c", root / "clip.mp4", root / "clip.wav", 25.0, N, 256, 256, "en", root / "faces.npz")
    dub = DubInput("d", "fr", root / "dub.mp4", root / "dub.wav", INDEX, len(INDEX))
    prepared = by_hand(truth)
    (root / "prepare").mkdir()
    prepared.save(root / "prepare")
    job = DubJob(out=root, clip=clip, dub=dub, params=None, prepare_folder=root / "prepare", log=lambda _: None)
    return job, frames, prepared


def test_from_clip_to_video(ready: tuple[DubJob, np.ndarray, PreparedClip], tmp_path: Path) -> None:
    job, frames, prepared = ready
    params = AdNerfParams(field="triplane", steps=2, size=64, torso="field", torso_steps=40)
    job, method = replace(job, params=params), module.AdNerf()
    (tmp_path / "fit").mkdir()
    made = method.fit(replace(job, out=tmp_path / "fit"))
    assert (made.info["torso"], made.info["torso_steps"]) == ("field", 40)
    assert set(made.files) == {"field", "audio", "torso"}  # a tri-plane has no published layout
    got = method.synthesize(replace(job, out=tmp_path, fit_folder=tmp_path / "fit"))
    shown = media.load_frames(got.files["video"])
    assert shown.shape == (4, 256, 256, 3)
    # Background: the plate. Shirt: nearer to the source's than the plate is, which is what was behind it at the start.
    source, plate = frames[list(INDEX)].astype(int), clean_plate(frames, prepared.parsing).frame(0).astype(int)
    assert np.abs(shown[:, :40, :20] - plate[:40, :20]).max() < 16
    shirt = prepared.parsing.torso[list(INDEX)]
    assert np.abs(shown - source)[shirt].mean() < 0.6 * np.abs(plate - source)[shirt].mean()


def test_the_published_preset_leaves_published_files(
    ready: tuple[DubJob, np.ndarray, PreparedClip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = presets.preset("adnerf", "mlp", {"rays": 8, "coarse": 3, "fine": 2})  # of the published networks
    monkeypatch.setitem(presets.PRESETS, ("adnerf", "mlp"), few)
    monkeypatch.setattr(torso_training, "RAYS", 8)
    params = AdNerfParams(preset="adnerf", steps=1, size=16, torso_steps=2)
    made = module.AdNerf().fit(replace(ready[0], params=params, out=tmp_path))
    assert [made.files[name].name for name in ("head_tar", "body_tar")] == ["000001_head.tar", "000002_body.tar"]
    trained = TrainedField.load(made.files["torso"])
    coarse, fine, steps = load_torso(made.files["body_tar"])
    assert steps == 2
    for ours, written in ((trained.field.coarse, coarse), (trained.field.fine, fine)):
        assert ours is not None
        assert all(torch.equal(v, written.state_dict()[k]) for k, v in ours.state_dict().items())
    assert load_head(made.files["head_tar"])[3] == 1


def test_what_enters_the_keys() -> None:
    method = module.AdNerf()

    def key(stage: str, **params: object) -> object:
        return method.stage_inputs(stage, AdNerfParams(**params))

    for stage in ("fit", "synthesize"):
        assert key(stage) == key(stage, torso="source") == key(stage, torso_steps=9)  # nothing that reads them
        assert key(stage) != key(stage, torso="field") != key(stage, torso="field", torso_steps=9)
        assert key(stage, preset="adnerf") == key(stage, preset="adnerf", torso="field")
        assert key(stage, preset="adnerf") != key(stage, preset="adnerf", torso="source")
    assert key("prepare") == key("prepare", torso="field", torso_steps=9)
    assert [AdNerfParams(preset=p).has_torso for p in ("adnerf", "quick", "demo")] == [True, False, False]
