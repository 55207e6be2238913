"""LipNeRF's stages on a second of a generated clip: what they write, what they keep, what they refuse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipbench import media
from lipbench.core import registry, weights
from lipbench.core.errors import TooShort, Unsupported, UsageError
from lipbench.core.method import ClipInput, DubInput, DubJob, FitJob, PrepareJob
from lipbench.datasets.annotations import Annotations
from lipbench.faces.track import FaceTrack
from lipbench.lipnerf import driving, turned
from lipbench.lipnerf import method as module
from lipbench.lipnerf.params import LipNerfParams
from lipbench.nerf.relief.trained import TrainedRelief

DEMO = Path(module.__file__).parents[1] / "datasets" / "demo" / "clips" / "demo-en"
N = 26


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[DubJob, module.LipNerf]:
    """A clip of 26 frames, prepared and fitted for a few steps, and a dub two frames longer than it."""
    root = tmp_path_factory.mktemp("lipnerf")
    frames = media.load_frames(DEMO / "demo-en.mp4")[:N]
    sound = media.read_audio(DEMO / "demo-en.mp4")[: N * 640]
    media.write_video(root / "clip.mp4", frames, 25, sound)
    media.write_wav(root / "clip.wav", sound)
    Annotations.load(DEMO / "annotations_en.npz").face_track().take(range(N)).save(root / "faces.npz")
    index = (*range(N), N - 2, N - 3)
    dub_sound = media.read_audio(DEMO / "truth_fr.mp4")[: len(index) * 640]
    media.write_wav(root / "dub.wav", dub_sound)
    media.write_video(root / "dub.mp4", frames[list(index)], 25, dub_sound)
    clip = ClipInput("c", root / "clip.mp4", root / "clip.wav", 25.0, N, 256, 256, "en", root / "faces.npz")
    dub = DubInput("d", "fr", root / "dub.mp4", root / "dub.wav", index, len(index))
    params = LipNerfParams(
        field="triplane", steps=12, size=64, fit="landmarks", expression_from="audio", faces="demo-face"
    )
    method = module.LipNerf()
    common: dict[str, Any] = {"clip": clip, "params": params, "log": lambda _: None}
    first, second = root / "prepare", root / "fit"
    first.mkdir()
    method.prepare(PrepareJob(out=first, **common))
    second.mkdir()
    method.fit(FitJob(out=second, prepare_folder=first, **common))
    return DubJob(out=root, dub=dub, prepare_folder=first, fit_folder=second, **common), method


def synthesize(made: tuple[DubJob, module.LipNerf], out: Path, **changes: object) -> tuple[Path, dict[str, object]]:
    job, method = made
    params = LipNerfParams(**{**job.params.model_dump(), **changes})
    got = method.synthesize(replace(job, out=out, params=params))
    return got.files["video"], dict(got.info)


def test_only_the_head_changes(made: tuple[DubJob, module.LipNerf], tmp_path: Path) -> None:
    job, _ = made
    video, info = synthesize(made, tmp_path)
    frames, shown = media.load_frames(video), media.load_frames(job.dub.video)
    assert frames.shape == (N + 2, 256, 256, 3)
    assert info["articulation"] == "articulation-demo"
    away = np.abs(frames.astype(int) - shown).mean(3)
    assert away[:, :, :8].max() < 12  # background at the border: only the codec
    points = FaceTrack.load(job.clip.faces).points68()  # type: ignore[arg-type]
    assert points is not None
    x, y = points[:, 48:68].mean((0, 1)).astype(int)
    assert away[:, y - 5 : y + 5, x - 10 : x + 10].mean() > 4  # a field after 12 steps is no mouth
    with np.load(tmp_path / "lips.npz") as z:
        assert z["lip_vertices"].shape == (N + 2, 64, 3)


@pytest.mark.parametrize("paste", ["moved", "change"])
def test_what_is_not_pasted_stays_as_filmed(paste: str, made: tuple[DubJob, module.LipNerf], tmp_path: Path) -> None:
    job, method = made
    params = LipNerfParams(**{**job.params.model_dump(), "paste": paste})
    for stage in ("prepare", "fit"):  # only rendering reads it
        assert method.stage_inputs(stage, params) == method.stage_inputs(stage, job.params)
    video, _ = synthesize(made, tmp_path, paste=paste)
    shown = media.load_frames(job.dub.video)
    away = np.abs(media.load_frames(video).astype(int) - shown).mean((0, 3))
    points = FaceTrack.load(job.clip.faces).points68()  # type: ignore[arg-type]
    assert points is not None
    eyes = int(points[:, 36:48, 1].max())
    assert away[: eyes - 2].max() < 8  # hair, forehead, lids: only the codec
    lips = points[:, 48:68].mean((0, 1)).astype(int)
    assert away[lips[1] - 5 : lips[1] + 5, lips[0] - 10 : lips[0] + 10].mean() > 4  # twelve steps are no mouth


def test_a_relief_goes_through_the_stages(
    made: tuple[DubJob, module.LipNerf], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten steps of it show the person: it begins with the frames' colors. Turned heads are remarked before it does."""
    monkeypatch.setattr(turned, "FARTHEST", 1.0)
    said: list[str] = []
    job, method = made
    changes = {"field": "relief", "steps": 10, "size": 128, "settings": {"rays": 1024, "views": 20}}
    params = LipNerfParams(**{**job.params.model_dump(), **changes})
    (tmp_path / "fit").mkdir()
    prepared = job.prepare_folder
    common: dict[str, Any] = {"clip": job.clip, "params": params, "log": said.append}
    got = method.fit(FitJob(out=tmp_path / "fit", prepare_folder=prepared, **common))
    assert got.info["field"] == "relief"
    assert "frames turn the head by more than 1 degrees" in said[0]
    assert got.info["remarks"] == [said[0], next(text for text in said if "trained on" in text)]
    assert f"trained on 20 of {N} frames" in got.info["remarks"][1]
    assert got.info["frames"] == N
    assert not (tmp_path / "fit" / "training" / "samples").exists()  # of so brief a training
    frames = TrainedRelief.load(tmp_path / "fit" / "field.pt").frames
    assert len(frames) == 20
    assert (frames[0], frames[-1]) == (0, N - 1)  # numbers of the clip's frames
    first = 4  # frames of the dub
    sound, shown = media.read_audio(job.dub.audio)[: first * 640], media.load_frames(job.dub.video)[:first]
    media.write_wav(tmp_path / "dub.wav", sound)
    media.write_video(tmp_path / "dub.mp4", shown, 25, sound)
    dub = DubInput("d", "fr", tmp_path / "dub.mp4", tmp_path / "dub.wav", job.dub.index[:first], first)
    told = replace(job, dub=dub, fit_folder=tmp_path / "fit")
    for paste in ("head", "moved", "change"):
        (tmp_path / paste).mkdir()
        video, _ = synthesize((told, method), tmp_path / paste, **changes, paste=paste)
        away = np.abs(media.load_frames(video).astype(int) - shown).mean(3)
        assert away[:, :, :8].max() < 12
        assert away[:, 60:150, 90:160].mean() < 8  # eyes, nose and cheeks of this person, in their place
        assert away.mean() > 0.05
    (tmp_path / "plain").mkdir()
    plain, _ = synthesize((told, method), tmp_path / "plain", **changes, paste="moved", residuals=False)
    one, other = (media.load_frames(x).astype(int) for x in (tmp_path / "moved" / "video.mp4", plain))
    points = FaceTrack.load(job.clip.faces).points68()  # type: ignore[arg-type]
    assert points is not None
    x, y = points[:, 48:68].mean((0, 1)).astype(int)
    added = np.abs(one - other).mean((0, 3))
    assert added[y - 4 : y + 4, x - 10 : x + 10].mean() > 1  # ten steps leave something to put right
    assert added[: int(points[:, 36:48, 1].max())].max() < 4  # lids and above: only the codec


def test_the_field_that_nobody_named() -> None:
    assert {LipNerfParams(preset=name).field for name in ("demo", "quick")} == {"relief"}
    assert LipNerfParams(preset="paper", model="procedural").field == "mlp"
    assert LipNerfParams(condition="audio").field == "mlp"
    assert LipNerfParams(condition="audio", field="triplane").field == "triplane"
    assert LipNerfParams(field="mlp").field == "mlp"
    pastes = [LipNerfParams(), LipNerfParams(preset="paper", model="procedural"), LipNerfParams(condition="audio")]
    assert [params.paste for params in pastes] == ["moved", "head", "head"]


def test_what_a_relief_cannot_do_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="which audio does not tell"):
        LipNerfParams(field="relief", condition="audio")
    with pytest.raises(ValueError, match="follows the mesh"):
        LipNerfParams(condition="audio", paste="moved")
    with pytest.raises(ValueError, match="the paper's field"):
        LipNerfParams(field="relief", preset="paper", model="procedural")


def test_a_lip_source_is_any_method(
    made: tuple[DubJob, module.LipNerf], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, method = made
    asked: list[Any] = []
    follow = driving.track_faces
    monkeypatch.setattr(driving, "track_faces", lambda video, **said: asked.append(video) or follow(video, **said))
    (tmp_path / "lips").mkdir()
    lips = registry.load("methods", "still-mouth").synthesize(replace(job, out=tmp_path / "lips", params=None))
    told = replace(job, driver_video=lips.files["video"]), method
    _, info = synthesize(told, tmp_path, expression_from="lip_source", lip_source="still-mouth")
    assert info["expression_from"] == "still-mouth"
    assert asked == [lips.files["video"]]  # a file: in a run its face was followed before, or is soon
    assert info["lip_frames_found"] == N + 2
    assert 0 < float(str(info["expression_centered"])) < 1.1 / 3.1  # a second is little to know a mean from
    assert method.driver(LipNerfParams(lip_source="still-mouth")) == ("still-mouth", {})
    assert method.driver(job.params) is None
    with pytest.raises(UsageError, match="its own lip source"):
        method.weights(LipNerfParams(lip_source="lipnerf"))


def test_truth_is_refused_where_there_is_none(made: tuple[DubJob, module.LipNerf], tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="no true video"):
        synthesize(made, tmp_path, expression_from="truth")


def test_a_second_is_the_least(made: tuple[DubJob, module.LipNerf], tmp_path: Path) -> None:
    job, method = made
    with pytest.raises(TooShort, match="too little to train on"):
        method.fit(replace(job, out=tmp_path, train_seconds=0.5))


def test_what_only_rendering_reads_does_not_train_again() -> None:
    method: module.LipNerf = registry.load("methods", "lipnerf")
    one, other = LipNerfParams(), LipNerfParams(smoothing=False, inpainter="none", lip_source="dubbed", residuals=False)
    for stage in ("prepare", "fit"):
        assert method.stage_inputs(stage, one) == method.stage_inputs(stage, other)
    assert method.stage_inputs("synthesize", one) != method.stage_inputs("synthesize", other)
    assert method.stage_inputs("prepare", one) == method.stage_inputs("prepare", LipNerfParams(latent=0))
    assert method.stage_inputs("fit", one) != method.stage_inputs("fit", LipNerfParams(latent=0))


def test_it_says_which_weights_it_needs() -> None:
    method = module.LipNerf()
    assert method.weights(LipNerfParams(parser="color")) == ("wav2lip", "mediapipe-face")
    assert method.weights(LipNerfParams(parser="color", expression_from="audio")) == ("articulation-demo",)
    assert method.weights(LipNerfParams(parser="color", condition="audio")) == ()
    named = LipNerfParams(parser="color", lip_source_params={"weights": "wav2lip-demo"}, faces="demo-face")
    assert method.weights(named) == ("wav2lip-demo", "demo-face")
    assert set(method.identity(named, "c", "fr")) == {"faces"}
    assert method.identity(named, "c", "") == {}
    assert set(method.weights(LipNerfParams(parser="bisenet", inpainter="gated"))) >= {
        "bisenet_face",
        "deepfill_celeba",
    }
    assert method.stage_inputs("prepare", LipNerfParams(parser="bisenet"))[1] == ("bisenet_face",)


def test_optional_person_segmentation_is_part_of_the_key_where_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    method: module.LipNerf = registry.load("methods", "lipnerf")
    for there in (True, False):
        monkeypatch.setattr(weights, "available", lambda name, there=there: there)
        used = method.stage_inputs("prepare", LipNerfParams())[1]
        assert used == (("mediapipe-selfie",) if there else ())
        assert method.stage_inputs("prepare", LipNerfParams(parser="color"))[1] == ()
