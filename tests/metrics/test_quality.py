"""NIQE, BRISQUE and CPBD: the numbers of the packages' own code on an image that a seed makes, and the families."""

from __future__ import annotations

import pickle
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from lipbench import media
from lipbench.core import registry, weights
from lipbench.core.errors import LipbenchError, Unsupported, WeightsMismatch
from lipbench.metrics import brisque, cpbd, niqe
from lipbench.metrics.functional import brisque as vectors
from lipbench.metrics.functional import cpbd as edges
from lipbench.metrics.functional import niqe as natural

#: What the code of the wheels printed for `image()`: scikit-video 1.1.11 (mean over its six patches), brisque 0.2.0.
NIQE = """
2.9725 .90073469 .9295 .16905321 .09855492 .2496616 .94283333 .18740223 .08815443 .25967323 .99466667
.07217635 .15988359 .15988359 .98783333 .06797995 .16125482 .16125482 3.41666667 1.18423249 1.07166667
.16203392 .268076 .44542164 1.06583333 .18149036 .25516044 .45287152 1.045 -.00733608 .35632446 .35632446
1.03716667 -.00354568 .35319463 .35319463
"""
BRISQUE = """
2.9949696 .31056887 .9467315 .17627737 .0239965 .1662527 .9416785 .19877897 .0170633 .17317195 1.00013649
.07910929 .05067412 .11355738 .99713888 .07383227 .05272575 .11162976 3.48966923 .55270278 1.07959322
.13927057 .16810118 .36406016 1.07640409 .15841232 .15614036 .37852792 1.04114319 -.03755401 .29984884
.24502145 1.03551603 -.04056112 .30278448 .24342929
"""
#: cpbd 1.0.7 on the gray image.
CPBD = 0.47326524481826376


def image() -> np.ndarray:
    """Soft noise, a flatter patch, a stripe and a staircase; numpy's RandomState never changes its numbers."""
    noise = np.random.RandomState(3).randint(0, 256, (200, 300, 3)).astype(int)
    for axis in (0, 1, 0, 1):
        noise = (noise + np.roll(noise, 1, axis=axis) + np.roll(noise, 2, axis=axis)) // 3
    noise = np.clip((noise - 128) * 3 + 128, 0, 255)
    noise[40:120, 60:180] = noise[40:120, 60:180] // 2 + 100
    noise[:, 200:204] = 250
    noise[130:180, 20:24] = np.array([10, 60, 120, 220])[None, :, None]
    return noise.astype(np.uint8)


def numbers(text: str) -> np.ndarray:
    return np.array(text.split(), float)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Small made-up parameters as if they were the pinned ones: folders by name."""
    folders = {name: tmp_path / name for name in ("niqe", "brisque")}
    for folder in folders.values():
        folder.mkdir()
    draw = np.random.RandomState(5)
    root = draw.standard_normal((36, 36))
    savemat(folders["niqe"] / natural.FILE, {"pop_mu": draw.uniform(0, 2, (1, 36)), "pop_cov": root @ root.T / 36})
    lines = [
        f"{w:g} " + " ".join(f"{k}:{x:.6f}" for k, x in enumerate(v, 1))
        for w, v in zip((3, -2), draw.uniform(-1, 1, (2, 36)), strict=True)
    ]
    head = "svm_type epsilon_svr\nkernel_type rbf\ngamma 0.05\nnr_class 2\ntotal_sv 2\nrho -7\nSV\n"
    (folders["brisque"] / vectors.VECTORS).write_text(head + "\n".join(lines) + "\n")
    ranges = {"min_": [0.0] * 36, "max_": [float(k + 1) for k in range(36)]}
    (folders["brisque"] / vectors.RANGES).write_bytes(pickle.dumps(ranges))
    monkeypatch.setattr(weights, "path", lambda name: folders[name])
    monkeypatch.setattr(weights, "sha256", lambda name: "ab" * 32)
    for module in (natural, vectors):
        module._load.cache_clear()
    yield folders
    for module in (natural, vectors):
        module._load.cache_clear()


def test_features_are_those_of_the_published_code():
    assert natural.features(image()).mean(axis=0) == pytest.approx(numbers(NIQE), abs=2e-6)
    assert vectors.features(image()) == pytest.approx(numbers(BRISQUE), abs=1e-7)
    assert cpbd(image()) == pytest.approx(CPBD, abs=1e-12)


def test_halving_is_pillows():
    gray = image()[:192, :288, 0].astype(np.float32)
    want = np.asarray(Image.fromarray(gray).resize((144, 96), Image.Resampling.BICUBIC))
    assert natural.halved(gray.astype(float)) == pytest.approx(want, abs=1e-3)


def test_niqe_is_the_distance_of_two_clouds(installed):
    held = natural.load()
    features = natural.features(image())
    off = features.mean(axis=0) - held.mean
    joint = (held.covariance + np.cov(features, rowvar=False)) / 2
    assert niqe(image()) == pytest.approx(np.sqrt(off @ np.linalg.solve(joint, off)), rel=1e-6)
    with pytest.raises(Unsupported, match="194 x 194 px"):
        niqe(image()[:193])


def test_brisque_is_a_sum_over_support_vectors(installed):
    rows = (installed["brisque"] / vectors.VECTORS).read_text().splitlines()[7:]
    x = 2 * vectors.features(image()) / np.arange(1, 37) - 1
    want = 7.0
    for row in rows:
        weight, *entries = row.split()
        vector = np.array([float(entry.split(":")[1]) for entry in entries])
        want += float(weight) * np.exp(-0.05 * np.sum((x - vector) ** 2))
    assert brisque(image()) == pytest.approx(want, abs=1e-9)
    with pytest.raises(Unsupported, match="no shape"):
        brisque(np.zeros((40, 40, 3), np.uint8))  # not even a border


@pytest.mark.parametrize(
    ("name", "file", "content"),
    [
        ("niqe", natural.FILE, b"nothing"),
        ("brisque", vectors.VECTORS, b"svm_type c_svc\nkernel_type rbf\nSV\n1 1:2\n"),
        ("brisque", vectors.VECTORS, b"svm_type epsilon_svr\nkernel_type rbf\nrho 1\ngamma 1\nSV\n1 1:2\n"),
        ("brisque", vectors.RANGES, pickle.dumps({"min_": [1.0]})),
    ],
)
def test_other_files_are_refused(installed, name, file, content):
    (installed[name] / file).write_bytes(content)
    with pytest.raises(LipbenchError) as caught:
        {"niqe": niqe, "brisque": brisque}[name](image())
    assert isinstance(caught.value, WeightsMismatch) or caught.value.reason.startswith("weights")


def test_cpbd_falls_with_blur_and_has_no_value_without_edges():
    blurred = [cpbd(cv2.GaussianBlur(image(), (0, 0), sigma)) for sigma in (0.6, 1.0, 1.6)]
    assert CPBD > blurred[0] > blurred[1] > blurred[2]
    assert np.isnan(edges.frame_cpbd(np.full((64, 64, 3), 90, np.uint8)))
    with pytest.raises(Unsupported, match="64 x 64 px"):
        cpbd(image()[:63])


def test_families_measure_the_video_alone(scene, installed):
    frames = np.stack([image(), np.roll(image(), 7, axis=1)])
    pair = scene.pair(prediction=scene.video("p", frames), faces_reason="no_face: nobody looked")
    seen = media.load_frames(pair.prediction)
    for name, function in {"niqe": niqe, "brisque": brisque, "cpbd": cpbd}.items():
        family = registry.load("metrics", name)
        assert family.on_request
        scores = family.score(pair)
        assert scores[f"{name}_full"].value == pytest.approx(function(seen), abs=1e-9)
        assert scores[f"{name}_full"].n_valid == 2
        assert scores[f"{name}_face"].reason == "no_face: nobody looked"
        assert set(family.identity({})) == {"regions", *family.weights({})}


def test_the_face_is_measured_at_the_references_place(scene):
    family = registry.load("metrics", "cpbd")
    pair = scene.pair(prediction=scene.video("p"), faces=scene.faces())
    scores = family.score(pair)
    assert scores["cpbd_face"].value is not None, scores["cpbd_face"].reason
    assert scores["cpbd_face"].value != scores["cpbd_full"].value
    assert scores["cpbd_face"].extra["box"]
    small = family.score(replace(pair, prediction=scene.video("s", scene.frames[:, :60])))
    assert small["cpbd_full"].reason.startswith("unsupported: ")
    assert small["cpbd_face"].reason.startswith("size_mismatch: ")
    flat = family.score(replace(pair, prediction=scene.video("f", np.full_like(scene.frames, 90))))
    assert flat["cpbd_full"].reason == "unsupported: no frame has anything that it measures"
