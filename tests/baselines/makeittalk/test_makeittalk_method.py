"""MakeItTalk end to end, small and with random weights: both renderers, every choice, refusals, keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from pydantic import ValidationError

from lipbench import media
from lipbench.baselines.makeittalk import (
    ContentBranch,
    ImageTranslator,
    MakeItTalk,
    NetworkPainter,
    SpeakerBranch,
    Warp,
)
from lipbench.baselines.makeittalk import checkpoint as files
from lipbench.baselines.makeittalk.autovc import AutoVC
from lipbench.baselines.makeittalk.drawing import landmark_drawing, square_around
from lipbench.baselines.makeittalk.predict import Amounts, normalized_landmarks
from lipbench.core import weights
from lipbench.core.errors import NoFace, Refused, Unsupported, UsageError, WeightsMissing
from lipbench.core.method import DubJob, Method
from lipbench.core.registry import load
from lipbench.faces.track import FaceTrack

Make = Callable[..., DubJob]


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(3)
    net = ContentBranch(0.125)
    with torch.no_grad():
        for weight in net.parameters():
            if weight.dim() > 1:  # torch's own start is so weak that no sound gets through three LSTMs
                weight.normal_(0, 2 / weight.shape[1] ** 0.5)
        net.fc[6].weight *= 0.02
        net.fc[6].bias.zero_()
    file = tmp_path_factory.mktemp("weights") / "content.npz"
    state = {files.NET + k: v.numpy() for k, v in net.state_dict().items()}
    np.savez(file, **state, mean=np.zeros(80), std=np.ones(80))
    return str(file)


def params(content: str, **fields: Any) -> Any:
    return MakeItTalk.spec.params(weights="makeittalk-demo", weights_file=content, **fields)


def run(job: DubJob) -> tuple[np.ndarray, dict[str, Any]]:
    made = MakeItTalk().synthesize(job)
    info = media.probe(made.files["video"])
    assert (info.n_frames, info.width, info.height, float(info.fps)) == (20, 96, 80, 25.0)
    assert info.audio is not None
    assert media.is_synthetic(made.files["video"])
    return media.load_frames(made.files["video"]), dict(made.info)


def test_demo_weights_warp_one_image(make_job: Make, content: str, clip_files: Path, tmp_path: Path) -> None:
    frames, info = run(make_job(params(content)))
    chosen = {k: info[k] for k in ("weights", "renderer", "voice", "head", "image")}
    assert chosen == {
        "weights": "makeittalk-demo",
        "renderer": "warp",
        "voice": "own",
        "head": "still",
        "image": "open",
    }
    photo = media.load_frames(clip_files / "dub.mp4")[info["image_frame"]]
    difference = np.abs(frames.astype(int) - photo).mean((0, 3))
    assert difference[50:64, 36:58].mean() > 2  # around the mouth
    assert difference[:8].mean() < 1.5  # the background stands still
    (tmp_path / "again").mkdir()
    again, _ = run(make_job(params(content), out=tmp_path / "again"))
    np.testing.assert_array_equal(frames, again)


def test_the_sound_decides(make_job: Make, content: str, tmp_path: Path) -> None:
    frames, _ = run(make_job(params(content)))
    noise = np.random.default_rng(1).normal(0, 3000, 20 * 640).astype(np.int16)
    (tmp_path / "other").mkdir()
    job = make_job(params(content), dub={"audio": media.write_wav(tmp_path / "n.wav", noise)}, out=tmp_path / "other")
    assert np.abs(run(job)[0].astype(int) - frames).max() > 20


def test_the_open_image_is_the_one_with_an_open_mouth(make_job: Make, content: str, landmarks: np.ndarray) -> None:
    from lipbench.baselines.makeittalk.landmarks import mouth_gap

    gap = mouth_gap(landmarks)
    _, info = run(make_job(params(content)))
    assert gap[info["image_frame"]] >= np.quantile(gap, 0.8)
    assert info["rest_from_frames"] > 0
    assert run(make_job(params(content, image="first")))[1]["image_frame"] == 0


@torch.no_grad()
def test_demo_weights_leave_the_upper_face_alone(content: str) -> None:
    loaded, rng = files.load_demo(content), np.random.default_rng(0)
    face, heard = rng.normal(0, 0.1, 204).astype(np.float32), rng.normal(size=(40, 18, 80)).astype(np.float32)
    still = normalized_landmarks(heard, face, loaded, Amounts(1, 1, 0, calibrate=False, upper_face=False))
    moving = normalized_landmarks(heard, face, loaded, Amounts(1, 1, 0, calibrate=False))
    np.testing.assert_allclose(still[:, 28:48], face.reshape(1, 68, 3)[:, 28:48].repeat(40, 0), atol=1e-6)
    assert np.ptp(moving[:, 28:48], axis=0).max() > 0.01
    np.testing.assert_allclose(still[:, :17], moving[:, :17], atol=1e-6)
    twice = normalized_landmarks(heard, face, loaded, Amounts(1, 2, 0, calibrate=False))
    assert np.ptp(twice[:, 57, 1]) > 1.5 * np.ptp(moving[:, 57, 1])


@torch.no_grad()
def test_long_dubs_go_in_segments(content: str) -> None:
    loaded, rng = files.load_demo(content), np.random.default_rng(0)
    face, heard = rng.normal(0, 0.1, 204).astype(np.float32), rng.normal(size=(517, 18, 80)).astype(np.float32)
    got = normalized_landmarks(heard, face, loaded, Amounts())
    assert got.shape == (517, 68, 3)
    np.testing.assert_allclose(got[514:], got[514:515].repeat(3, 0), atol=0.02)  # five frames are too few: held
    assert np.isfinite(normalized_landmarks(heard[:3], face, loaded, Amounts())).all()


def test_nobody_there(make_job: Make, content: str, clip_files: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="without a face track"):
        MakeItTalk().synthesize(make_job(params(content), faces=False))
    track = FaceTrack.load(clip_files / "faces.npz")
    boxes = FaceTrack("s3fd", 25, 96, 80, track.boxes.copy(), track.score, track.n_faces)
    with pytest.raises(Unsupported, match="no landmarks"):
        MakeItTalk().synthesize(make_job(params(content), faces=boxes.save(tmp_path / "boxes.npz")))
    boxes.boxes[:] = np.nan
    with pytest.raises(NoFace):
        MakeItTalk().synthesize(make_job(params(content), faces=boxes.save(tmp_path / "none.npz")))


def test_what_the_params_need(content: str) -> None:
    method, make = MakeItTalk(), MakeItTalk.spec.params
    assert set(method.weights(make())) == set(MakeItTalk.spec.weights)
    assert method.weights(make(renderer="warp", voice="own", head="still")) == ("makeittalk_content",)
    assert method.weights(make(weights="makeittalk-demo")) == ("makeittalk-demo",)
    assert method.weights(params(content)) == ()
    assert set(method.identity(params(content), "c", "fr")) == {"weights_file"}
    for field, value in (("renderer", "network"), ("voice", "converted"), ("head", "speaker")):
        with pytest.raises(ValidationError, match="demo weights have no network"):
            make(weights="makeittalk-demo", **{field: value})
    with pytest.raises(ValidationError, match="goes with weights: makeittalk-demo"):
        make(weights_file=content)
    assert isinstance(load("methods", "makeittalk"), Method)


def test_published_weights_need_files_of_the_repository(tmp_path: Path) -> None:
    method, make = MakeItTalk(), MakeItTalk.spec.params
    with pytest.raises(UsageError, match="small files"):
        method.identity(make(), "c", "fr")
    with pytest.raises(UsageError, match="whose voice"):
        method.identity(make(checkout=str(tmp_path)), "c", "fr")
    with pytest.raises(WeightsMissing):
        method.identity(make(checkout=str(tmp_path), head="still", voice="own"), "c", "fr")


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Files in the published layouts with random weights: a clone's small files, a voice, all four checkpoints."""
    monkeypatch.setenv("LIPBENCH_WEIGHTS", str(tmp_path / "weights"))
    clone, rng = tmp_path / "MakeItTalk", np.random.default_rng(0)
    for name, values in (
        (files.MEAN_STD, np.concatenate([np.full(80, 0.5), np.full(80, 0.2)])),
        (files.FACE, rng.normal(size=(68, 3))),
        (files.VOICE, rng.normal(0, 0.06, 256)),
    ):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        np.savetxt(clone / name, values)
    np.save(tmp_path / "voice.npy", rng.normal(0, 0.06, 256))
    torch.manual_seed(0)
    small = [
        ("makeittalk_content", ContentBranch()),
        ("makeittalk_speaker", SpeakerBranch()),
        ("makeittalk_autovc", AutoVC()),
    ]
    for name, net in small:
        torch.save({files.KEYS[type(net)]: net.state_dict()}, tmp_path / f"{name}.pth")
        weights.add(name, tmp_path / f"{name}.pth", any_size=True)
    return {"checkout": str(clone), "speaker_embedding": str(tmp_path / "voice.npy")}


def test_all_published_landmark_networks(make_job: Make, published: dict[str, str]) -> None:
    options = MakeItTalk.spec.params(renderer="warp", **published)
    _, info = run(make_job(options))
    assert (info["voice"], info["head"], info["weights"]) == ("converted", "speaker", "published")
    assert set(MakeItTalk().identity(options, "c", "fr")) == {"mean_std", "face", "voice", "speaker_embedding"}


class Echo(torch.nn.Module):
    """Answers with the photo it was given, a little brighter where the drawing is not white."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        lines = 1 - x[:, :3].mean(1, keepdim=True)
        return torch.atanh((x[:, 3:] * 0.9 + 0.1 * lines).clamp(0, 0.99))


def test_network_painter_puts_its_square_back(ibug: np.ndarray, clip_files: Path) -> None:
    photo = media.load_frames(clip_files / "clip.mp4")[0]
    points = ibug[:, :2]
    painter = NetworkPainter(Echo(), photo, points, "cpu")
    np.testing.assert_allclose(painter.from_square(painter.to_square(points)), points)
    (frame,) = painter.frames(points[None])
    assert frame.shape == photo.shape
    x, y, side = square_around(points, 96, 80)
    assert side == round(2 * np.ptp(points[:, :2], axis=0).max())
    middle = (slice(max(y, 0) + 4, 76), slice(max(x, 0) + 4, min(x + side, 96) - 4))
    # The image comes back in place and in the right colors, 10 % darker.
    assert np.abs(frame[middle].astype(int) - 0.9 * photo[middle]).mean() < 12
    reddish = photo[middle].astype(int)[..., 0] - photo[middle][..., 2]
    assert np.corrcoef(reddish.ravel(), (frame[middle].astype(int)[..., 0] - frame[middle][..., 2]).ravel())[0, 1] > 0.9


@pytest.mark.slow
def test_image_translation_network_in_the_method(
    make_job: Make, published: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = ImageTranslator(8)
    monkeypatch.setattr(
        files, "load", lambda path, kind: net.eval() if kind is ImageTranslator else original(path, kind)
    )
    weights.add(
        "makeittalk_i2i", Path(published["speaker_embedding"]).with_name("makeittalk_content.pth"), any_size=True
    )
    frames, info = run(make_job(MakeItTalk.spec.params(**published)))
    assert (info["renderer"], info["image_frame"]) == ("network", 0)
    assert frames.std() > 0


original = files.load


def test_drawing_has_the_published_colors(ibug: np.ndarray) -> None:
    points = (ibug[:, :2] - 15) * 4
    image = landmark_drawing(points)
    assert image.shape == (256, 256, 3)
    colors = {tuple(c) for c in image.reshape(-1, 3).tolist()}
    assert colors == {(255, 255, 255), (255, 144, 25), (50, 205, 50), (208, 224, 63), (71, 99, 255), (238, 130, 238)}
    x, y = points[8].astype(int)
    assert image[y, x].tolist() == [255, 144, 25]
    x, y = points[48].astype(int)
    assert image[y, x].tolist() == [238, 130, 238]


def test_warp_moves_what_it_should(ibug: np.ndarray) -> None:
    points = ibug[:, :2].copy()
    photo = np.full((80, 96, 3), (200, 150, 130), np.uint8)
    cv2.ellipse(photo, (46, 55), (9, 5), 0, 0, 360, (120, 20, 30), -1)
    warp = Warp(photo, points)
    np.testing.assert_array_equal(warp.frame(points), photo)
    lower = points.copy()
    lower[48:, 1] += 4
    moved = warp.frame(lower)
    x = int(points[48:, 0].mean())

    def red(frame: np.ndarray) -> float:
        """Mean row of the dark red mouth."""
        column = frame[:, x - 2 : x + 3].astype(int).mean(1)
        mouth = np.clip(column[:, 0] - column[:, 1] - 60, 0, None)
        return float((mouth * np.arange(len(mouth))).sum() / mouth.sum())

    assert red(moved) - red(photo) == pytest.approx(4, abs=1.2)
    np.testing.assert_array_equal(moved[:5], photo[:5])


def test_warp_darkens_a_mouth_that_was_closed(ibug: np.ndarray) -> None:
    points = ibug[:, :2].copy()
    points[60:68, 1] = points[60:68, 1].mean()
    photo = np.full((80, 96, 3), 200, np.uint8)
    opened = points.copy()
    opened[[61, 62, 63], 1] -= 3
    opened[[65, 66, 67], 1] += 3
    frame = Warp(photo, points).frame(opened)
    x, y = points[62].astype(int)
    assert frame[y, x].max() < 120
    assert frame[y - 14, x].min() > 190


def test_warp_survives_folded_triangles(ibug: np.ndarray) -> None:
    points = ibug[:, :2].copy()
    photo = np.random.default_rng(0).integers(0, 255, (80, 96, 3)).astype(np.uint8)
    wild = points + np.random.default_rng(1).normal(0, 8, points.shape)
    assert Warp(photo, points).frame(wild).shape == photo.shape
