"""`lipbench train speech2vid` on a few invented clips."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from lipbench.baselines.speech2vid.checkpoint import load
from lipbench.baselines.speech2vid.framing import square, still
from lipbench.baselines.speech2vid.networks import Speech2VidNet
from lipbench.core import registry
from lipbench.core.errors import UsageError
from lipbench.core.training import Budget, Request, train
from lipbench.faces.track import FaceTrack
from lipbench.training.speech2vid import trainer as training_module
from lipbench.training.speech2vid.batches import draw, framed
from lipbench.training.speech2vid.norms import folded, normed
from lipbench.training.speech2vid.trainer import CONFIGS, Speech2VidConfig, Speech2VidTraining, trainer
from lipbench.training.syncnet.cache import crops_of_track
from lipbench.training.wav2lip.clips import LipTrainingClip

SMALL = Speech2VidConfig(width=0.06, batch=2, warm_up=2, hearing=2)


@pytest.fixture(autouse=True)
def short_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_module, "HELD_OUT_BATCHES", 1)


def talks(count: int, first: int = 0, languages: tuple[str, ...] = ("en", "fr")) -> list[LipTrainingClip]:
    """Faces whose mouths open with the sound's second coefficient, another way in each language."""
    out = []
    for k in range(first, first + count):
        rng = np.random.default_rng(k)
        color = rng.integers(90, 200, 3)
        faces, sounds, weights = {}, {}, {}
        for tag in languages:
            loud = np.abs(np.sin(np.arange(40) * rng.uniform(0.3, 0.6)))
            faces[tag] = np.full((40, 128, 128, 3), color, np.uint8)
            for t in range(40):
                cv2.ellipse(faces[tag][t], (64, 65), (12, 1 + round(9 * loud[t])), 0, 0, 360, (30, 20, 90), -1)
            sounds[tag] = rng.normal(0, 0.1, (1, 12, 159)).astype(np.float32)
            sounds[tag][0, 0] += 10 * np.repeat(loud, 4)[:159]
            weights[tag] = np.stack([loud, 0 * loud], 1).astype(np.float32)
        out.append(LipTrainingClip(str(k), str(k), 25.0, faces, sounds, weights if len(languages) > 1 else {}, str(k)))
    return out


def test_a_batch_shows_the_moment_in_another_language() -> None:
    batch = draw(talks(2), 12, np.random.default_rng(0))
    assert batch.sound.shape == (12, 1, 12, 35)
    assert batch.stills.shape == (12, 15, 112, 112)
    assert batch.truth.shape == (12, 3, 109, 109)
    assert 1 < batch.stills.max() <= 255
    assert batch.truth.max() <= 1
    # Same place and light, but for the lips.
    gap = (batch.first - batch.truth).abs().amax(dim=1)
    assert gap[:, :40].max() < 1 / 255
    assert sum(bool(g.max() > 0.1) for g in gap) > 6
    again = draw(talks(2), 12, np.random.default_rng(0))
    assert torch.equal(batch.sound, again.sound)
    # Every moment comes with what is said in the images too: the louder of the two mouths is the wider, darker one.
    louder = (batch.sound - batch.its_sound)[:, 0, 0, 17]
    darker = (batch.first - batch.truth).mean((1, 2, 3))
    assert np.corrcoef(louder, darker)[0, 1] > 0.8
    assert torch.equal(batch.stills, again.stills)


def test_in_one_language_no_still_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every frame of these is gray of its own number."""
    (talk,) = talks(1, languages=("en",))
    talk.faces["en"][:] = np.arange(40, dtype=np.uint8)[:, None, None, None] * 5
    batch = draw([talk], 16, np.random.default_rng(0))
    middle = batch.stills[:, ::3, 56, 56], 255 * batch.truth[:, :1, 55, 55]
    frames = [(x / middle[1].max() * 39) for x in middle]
    assert batch.stills.shape[1] == 15
    assert ((middle[0] - middle[1]).abs() / middle[1].clamp_min(1) > 1e-3).all(), frames


def test_training_frames_a_face_as_inference_does() -> None:
    """The cached crop, framed, and the frame itself, cut out, show the same square."""
    yy, xx = np.mgrid[:240, :240]
    image = np.stack([xx, yy, 127 + 90 * np.sin(xx / 17) * np.sin(yy / 13)], -1).astype(np.uint8)
    box = np.tile(np.array([88.0, 80.0, 152.0, 160.0], np.float32), (40, 1))
    track = FaceTrack("file", 25, 240, 240, box, np.ones(40, np.float32), np.ones(40, np.int16))
    crops, _ = crops_of_track(np.repeat(image[None], 40, 0), track, 112)
    seen = framed(crops[20], np.zeros(2), 1.0, False).astype(int)
    cut = still(image, square(120.0, 120.0, 40 * 1.2)).astype(int)
    assert np.abs(seen - cut)[4:-4, 4:-4].mean() < 2.5


def test_the_sound_gets_through_from_the_start() -> None:
    training = Speech2VidTraining(Speech2VidConfig(width=0.125, batch=2, hearing=0), talks(2), talks(1, 90))
    batch = draw(talks(3), 8, np.random.default_rng(5))
    seen: dict[str, float] = {}

    def note(layer: torch.nn.Module, _: object, out: torch.Tensor) -> None:
        seen[next(k for k, m in training.net.named_children() if m is layer)] = float(out.std(0).mean())

    for name in ("conv1_1", "conv1_2", "conv1_3", "conv2", "conv4", "conv5_2"):
        getattr(training.net, name).register_forward_hook(note)
    with torch.no_grad():
        training.net.train()(batch.sound, batch.stills)
    assert len(seen) == 6
    assert all(0.3 < value < 3 for value in seen.values()), seen


def test_what_is_exported_is_the_published_graph() -> None:
    torch.manual_seed(0)
    net, batch = normed(Speech2VidNet(0.06)), draw(talks(3), 8, np.random.default_rng(0))
    with torch.no_grad():
        for _ in range(3):
            net.train()(batch.sound, batch.stills)
        plain = folded(net)
        assert plain.state_dict().keys() == Speech2VidNet(0.06).state_dict().keys()
        torch.testing.assert_close(
            plain(batch.sound, batch.stills), net.eval()(batch.sound, batch.stills), atol=1e-5, rtol=0
        )


def test_a_mouth_that_follows_the_sound_is_told_from_a_deaf_one() -> None:
    training = Speech2VidTraining(SMALL, talks(3), talks(2, 90))
    training.net.conv8 = torch.nn.Sequential(Half(training.net.conv8[0]), training.net.conv8[1])
    assert training.validate()["follows"] == 0


class Half(torch.nn.Module):
    """A bottleneck that takes nothing from the ears, whose channels come first."""

    def __init__(self, conv: torch.nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = x.clone()
        kept[:, : x.shape[1] // 2] = 0
        return self.conv(kept)


def test_it_learns_and_exports(tmp_path: Path) -> None:
    training = Speech2VidTraining(SMALL, talks(3), talks(2, 90))
    before = training.validate()
    train(training, tmp_path, Budget(steps=12, validate_every=6, image_every=6))
    after = training.validate()
    assert after["held_out_loss"] < before["held_out_loss"]
    assert cv2.imread(str(tmp_path / "samples" / "0000006.png")).shape == (4 * 109, 8 * 109, 3)
    drawer = load(tmp_path / "speech2vid.npz")
    assert (drawer.sound, drawer.framing, drawer.stills, drawer.net.width) == ("psf", "box", "own", 0.06)
    training.net.eval()
    batch = draw(talks(1, 90), 2, np.random.default_rng(1))
    with torch.no_grad():
        wanted = training.net(batch.sound, batch.stills)
    torch.testing.assert_close(drawer.net(batch.sound, batch.stills), wanted, atol=1e-2, rtol=0)


def test_the_ears_learn_first() -> None:
    training = Speech2VidTraining(Speech2VidConfig(width=0.06, batch=2, hearing=60), talks(4), talks(2, 90))
    ears = training.net.conv3_audio.weight.detach().clone()
    eyes = training.net.conv3_face.weight.detach().clone()
    for number in range(60):
        training.step(number, 0.0)
    assert training.validate()["hearing"] < 0.7
    assert not torch.equal(training.net.conv3_audio.weight, ears)
    assert torch.equal(training.net.conv3_face.weight, eyes)
    assert "loss" in training.step(60, 0.1)
    assert not torch.equal(training.net.conv3_face.weight, eyes)


def test_without_known_articulation_drawing_begins_at_once() -> None:
    mono = talks(2, languages=("en",)), talks(1, 90, languages=("en",))
    training = Speech2VidTraining(SMALL, *mono)
    assert "loss" in training.step(0, 0.0)
    assert not training.facts["paired"]


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    class Killed(Speech2VidTraining):
        def step(self, number: int, progress: float) -> dict[str, float]:
            if number == 3:
                raise KeyboardInterrupt
            return super().step(number, progress)

    data, budget = (talks(2), talks(1, 90)), Budget(steps=4, validate_every=2)
    whole, again = Speech2VidTraining(SMALL, *data), Speech2VidTraining(SMALL, *data)
    train(whole, tmp_path / "a", budget)
    with pytest.raises(KeyboardInterrupt):
        train(Killed(SMALL, *data), tmp_path / "b", budget)
    train(again, tmp_path / "b", budget)
    for a, b in zip(whole.net.state_dict().values(), again.net.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_it_can_be_asked_for(tmp_path: Path) -> None:
    assert registry.sources("trainers")["speech2vid"].endswith("speech2vid.trainer:trainer")
    assert CONFIGS["official"].width == 1
    with pytest.raises(UsageError, match="demo, official"):
        trainer(Request(tmp_path, config="large"))
