"""AD-NeRF with a torso as a method: what it writes, what enters the keys of its stages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from lipbench.baselines.adnerf import method as module
from lipbench.core import media
from lipbench.core.method import ClipInput, DubInput, Job
from lipbench.datasets.synthetic.annotations import Annotations
from lipbench.faces.parsing import Label, Parsing, clean_plate
from lipbench.lipnerf.fitting import Fit
from lipbench.lipnerf.prepared import Prepared, head_crop

DEMO = Path(module.__file__).parents[2] / "datasets" / "demo" / "clips" / "demo-en"
N = 25


def by_hand(truth: Annotations) -> Prepared:
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
        "procedural", "procedural", "", 256, 256, 25.0, float(truth.camera[0]), none, none, np.zeros((N, 79)),
        truth.rotation[:N], truth.translation[:N], np.zeros((N, 9, 3)), none, np.ones(N, bool), none, none,
    )  # fmt: skip
    parsing = Parsing(labels, "by hand")
    return Prepared(fit, parsing, head_crop(parsing.head))


def test_from_clip_to_video(tmp_path: Path) -> None:
    frames = media.load_frames(DEMO / "demo-en.mp4")[:N]
    sound = media.read_audio(DEMO / "demo-en.mp4")[: N * 640]
    media.write_video(tmp_path / "clip.mp4", frames, 25, sound)
    media.write_wav(tmp_path / "clip.wav", sound)
    Annotations.load(DEMO / "annotations_en.npz").face_track().take(range(N)).save(tmp_path / "faces.npz")
    index = (0, 5, 10, 11)
    media.write_video(tmp_path / "dub.mp4", frames[list(index)], 25, sound[:2560])
    media.write_wav(tmp_path / "dub.wav", sound[:2560])
    clip = ClipInput("c", tmp_path / "clip.mp4", tmp_path / "clip.wav", 25.0, N, 256, 256, "en", tmp_path / "faces.npz")
    dub = DubInput("d", "fr", tmp_path / "dub.mp4", tmp_path / "dub.wav", index, len(index))
    params = module.AdNerfParams(field="triplane", steps=2, size=64, torso="field", torso_steps=40)
    job, method = Job(tmp_path, clip, None, params, log=lambda _: None), module.AdNerf()
    prepared = by_hand(Annotations.load(DEMO / "annotations_en.npz"))
    (tmp_path / "prepare").mkdir()
    prepared.save(tmp_path / "prepare")
    (tmp_path / "fit").mkdir()
    made = method.fit(replace(job, out=tmp_path / "fit", prepared=tmp_path / "prepare"))
    assert (made.info["torso"], made.info["torso_steps"]) == ("field", 40)
    assert set(made.files) == {"field", "audio", "torso"}  # a tri-plane has no published layout
    done = replace(job, out=tmp_path, dub=dub, prepared=tmp_path / "prepare", fitted=tmp_path / "fit")
    shown = media.load_frames(method.synthesize(done).files["video"])
    assert shown.shape == (4, 256, 256, 3)
    # Background: the plate. Shirt: nearer to the source's than the plate is, which is what was behind it at the start.
    source, plate = frames[list(index)].astype(int), clean_plate(frames, prepared.parsing).frame(0).astype(int)
    assert np.abs(shown[:, :40, :20] - plate[:40, :20]).max() < 16
    shirt = prepared.parsing.torso[list(index)]
    assert np.abs(shown - source)[shirt].mean() < 0.6 * np.abs(plate - source)[shirt].mean()


def test_what_enters_the_keys() -> None:
    method = module.AdNerf()

    def key(stage: str, **params: object) -> object:
        return method.stage_inputs(stage, module.AdNerfParams(**params))

    for stage in ("fit", "synthesize"):
        assert key(stage) == key(stage, torso="source") == key(stage, torso_steps=9)  # nothing that reads them
        assert key(stage) != key(stage, torso="field") != key(stage, torso="field", torso_steps=9)
        assert key(stage, preset="adnerf") == key(stage, preset="adnerf", torso="field")
        assert key(stage, preset="adnerf") != key(stage, preset="adnerf", torso="source")
    assert key("prepare") == key("prepare", torso="field", torso_steps=9)
    assert [module.AdNerfParams(preset=p).has_torso for p in ("adnerf", "quick", "demo")] == [True, False, False]
