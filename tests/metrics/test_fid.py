"""FID: pytorch-fid's features on weights that a seed makes, the distance against scipy, and the family."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from lipbench import media
from lipbench.core import registry
from lipbench.core.errors import WeightsMismatch
from lipbench.metrics import frechet_distance
from lipbench.metrics.functional import inception

#: The first features that InceptionV3 of pytorch-fid 0.3.0 gave of `images()` with `made_weights()` (torch, CPU).
PUBLISHED = [[13.5594482, 0.01806, 0.0, 0.3079122], [14.8977652, 0.0335965, 0.0037247, 0.2876384]]


def made_weights() -> dict[str, torch.Tensor]:
    """Random entries of the network; numpy's RandomState never changes its numbers."""
    draw, state = np.random.RandomState(0), {}
    for key, value in inception.Inception().state_dict().items():
        shape = tuple(value.shape)
        if key.endswith("num_batches_tracked"):
            continue
        if key.endswith("conv.weight"):
            made = draw.standard_normal(shape) * (2 / np.prod(shape[1:])) ** 0.5
        elif key.endswith(("bn.weight", "running_var")):
            made = draw.uniform(0.5, 1.5, shape)
        else:
            made = draw.uniform(-0.1, 0.1, shape)
        state[key] = torch.from_numpy(made.astype(np.float32))
    return state


def images() -> np.ndarray:
    noise = np.random.RandomState(1).randint(0, 256, (2, 60, 83, 3)).astype(np.uint8)
    noise[0, 10:40, 20:60] = (220, 40, 90)
    noise[1, 25:, :30] //= 4
    return noise


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The random weights as pytorch-fid's file has them, with the classifier that is not used."""
    path = tmp_path_factory.mktemp("fid") / "inception.pth"
    torch.save({**made_weights(), "fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}, path)
    return path


def test_features_are_those_of_pytorch_fid(file):
    found = inception.features(inception._load(str(file), "cpu"), images())
    assert found.shape == (2, 2048)
    assert found[:, :4] == pytest.approx(np.array(PUBLISHED), abs=1e-4)


def test_another_file_is_refused(tmp_path):
    state = made_weights()
    del state["Mixed_7c.branch_pool.conv.weight"]
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(WeightsMismatch, match="no Inception"):
        inception._load(str(tmp_path / "other.pth"), "cpu")


@pytest.mark.parametrize(("n", "d"), [(40, 16), (10, 16), (16, 16), (3, 50)])
def test_the_distance_is_that_of_scipys_root(n, d):
    draw = np.random.default_rng(n)
    a, b = draw.normal(size=(n, d)), 1.3 * draw.normal(size=(n + 3, d)) + 0.2
    cov = [np.cov(x, rowvar=False) for x in (a, b)]
    root = np.real(sqrtm(cov[0] @ cov[1] + 1e-12 * np.eye(d)))
    want = np.square(a.mean(axis=0) - b.mean(axis=0)).sum() + np.trace(cov[0] + cov[1] - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(want, rel=1e-8 if n > d else 1e-4)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


@pytest.fixture
def pair(scene):
    made = {"prediction": scene.video("p", 255 - scene.frames[:3]), "reference": scene.video("r", scene.frames[:3])}
    return scene.pair(**made, faces=scene.faces(scene.track.take([0, 1, 2])))


@pytest.fixture
def simple(monkeypatch):
    """A network whose features are the means of 3 x 3 parts; returns its function."""

    def features(net, frames):
        return np.array([cv2.resize(f, (3, 3), interpolation=cv2.INTER_AREA).reshape(-1) for f in frames], float)

    monkeypatch.setattr(inception, "load", lambda device: None)
    monkeypatch.setattr(inception, "features", features)
    return features


def test_the_family_measures_the_clouds_of_frames(pair, scene, simple):
    family = registry.load("metrics", "fid")
    assert family.on_request
    scores = family.score(pair)
    mine, theirs = (simple(None, media.load_frames(v)) for v in (pair.prediction, pair.reference))
    assert scores["fid_full"].value == pytest.approx(frechet_distance(mine, theirs), rel=1e-6)
    assert scores["fid_full"].n_valid == 3
    assert scores["fid_face"].value > 0
    assert scores["fid_face"].value != scores["fid_full"].value
    assert scores["fid_full_truth"].reason.startswith("no_truth: ")
    nobody = replace(pair, faces=None, faces_reason="no_face: nobody looked", prediction=pair.reference)
    alone = family.score(nobody)
    assert alone["fid_full"].value == pytest.approx(0, abs=1e-6)
    assert alone["fid_face"].reason == "no_face: nobody looked"
    one = {name: scene.video(f"one {name}", scene.frames[:1]) for name in ("prediction", "reference")}
    assert family.score(replace(nobody, **one))["fid_full"].reason.startswith("too_short: ")
