"""DISTS: the published code's numbers on weights that a seed makes, and the family's regions."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from lipbench import media
from lipbench.core import registry, weights
from lipbench.core.errors import Unsupported, WeightsMismatch
from lipbench.metrics import dists, dists_per_frame
from lipbench.metrics.functional import dists as structure
from lipbench.metrics.functional.lpips_trunk import layers

#: What DISTS_pt.py of the wheel DISTS-pytorch 0.1 gave on the images and weights below (torch 2.15, CPU).
PUBLISHED = {"blurred": 0.11638248, "inverted": 0.18411511}


def made_weights() -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """A random VGG-16 and random weights of its channels; numpy's RandomState never changes its numbers."""
    draw = np.random.RandomState(0)
    trunk = {}
    for i, layer in enumerate(layers("vgg")):
        if isinstance(layer, torch.nn.Conv2d):
            shape = tuple(layer.weight.shape)
            kernel = draw.standard_normal(shape).astype(np.float32) * (2 / (9 * shape[1])) ** 0.5
            trunk[f"features.{i}.weight"] = torch.from_numpy(kernel.astype(np.float32))
            trunk[f"features.{i}.bias"] = torch.from_numpy(draw.uniform(-0.1, 0.1, shape[0]).astype(np.float32))
    own = {n: torch.from_numpy(draw.uniform(0, 1, (1, 1475, 1, 1)).astype(np.float32)) for n in ("alpha", "beta")}
    return trunk, own


def images() -> dict[str, np.ndarray]:
    frame = np.random.RandomState(1).randint(0, 256, (37, 50, 3)).astype(np.uint8)
    frame[8:30, 10:30] = 200
    blurred = ((frame.astype(int) + np.roll(frame, 1, axis=0) + np.roll(frame, 1, axis=1)) // 3).astype(np.uint8)
    return {"frame": frame, "blurred": blurred, "inverted": 255 - frame}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The random weights as if they were the pinned ones."""
    trunk, own = made_weights()
    torch.save(trunk, tmp_path / "vgg16.pth")
    (tmp_path / "dists").mkdir()
    torch.save(own, tmp_path / "dists" / "weights.pt")
    files = {"vgg16": tmp_path / "vgg16.pth", "dists": tmp_path / "dists"}
    monkeypatch.setattr(weights, "path", lambda name: files[name])
    monkeypatch.setattr(weights, "sha256", lambda name: {"vgg16": "ab" * 32, "dists": "cd" * 32}[name])
    structure._load.cache_clear()
    yield files
    structure._load.cache_clear()


def test_the_published_code_gives_the_same(installed):
    made = images()
    for name, want in PUBLISHED.items():
        assert dists(made[name], made["frame"]) == pytest.approx(want, abs=2e-6)
    both = np.stack([made["frame"], made["blurred"]])
    per_frame = dists_per_frame(both, np.stack([made["frame"], made["frame"]]))
    assert per_frame[0] == 0
    assert per_frame[1] == pytest.approx(PUBLISHED["blurred"], abs=2e-6)


def test_small_frames_and_other_weights_are_refused(installed):
    made = images()
    with pytest.raises(Unsupported, match="VGG-16 needs 16 x 16 px"):
        dists(made["frame"][:15], made["frame"][:15])
    torch.save({"alpha": torch.ones(4), "beta": torch.ones(4)}, installed["dists"] / "weights.pt")
    structure._load.cache_clear()
    with pytest.raises(WeightsMismatch, match="not the weights of DISTS"):
        dists(made["frame"], made["blurred"])


def test_larger_images_are_brought_to_256_px():
    assert structure.as_seen(np.zeros((720, 1280, 3), np.uint8)).shape == (256, 455, 3)
    assert structure.as_seen(np.zeros((300, 200, 3), np.uint8)).shape == (300, 200, 3)


def test_the_family_measures_the_boxes(scene, installed, face_track):
    blurred = np.stack([cv2.GaussianBlur(frame, (0, 0), 1) for frame in scene.frames])[:2]
    made = {"prediction": scene.video("p", blurred), "reference": scene.video("r", scene.frames[:2])}
    truth, points = scene.video("t", scene.frames[1::-1]), scene.track.points68()[:2]
    family = registry.load("metrics", "dists")
    scores = family.score(scene.pair(**made, truth=truth, faces=scene.faces(face_track(points))))
    whole = [media.load_frames(path) for path in made.values()]
    assert scores["dists_full"].value == pytest.approx(dists(*whole), abs=1e-6)
    assert scores["dists_full_truth"].value != scores["dists_full"].value
    assert scores["dists_mouth"].value > 0
    assert set(family.identity({})) == {"regions", "vgg16", "dists"}
