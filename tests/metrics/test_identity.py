"""CSIM: dlib's own numbers on weights that a seed makes, its file, the crops, and the two families."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
import pytest

from lipbench import media
from lipbench.core import registry, weights
from lipbench.core.errors import UsageError, WeightsMismatch
from lipbench.metrics import cosine
from lipbench.metrics.functional import dlib_resnet, face_crop, identity

#: What dlib 20.0.1's face_recognition_model_v1 gave for `face()` with `made_layers()` written into its own file.
PUBLISHED = [-0.4548899233, 0.5038046241, -0.5782272815, 0.1228696853]


def made_layers() -> list[tuple[bytes, np.ndarray]]:
    """Kind and numbers of every layer, random; numpy's RandomState never changes its numbers."""
    draw, net, made = np.random.RandomState(0), dlib_resnet.DlibResnet(), []
    for kind, name in dlib_resnet._order(net):
        layer = net.get_submodule(name)
        if kind == b"affine_":
            n = len(layer.factor)
            values = np.concatenate([draw.uniform(0.3, 0.9, n), draw.uniform(-0.1, 0.1, n)])
        elif kind == b"con_4":
            n = layer.weight.numel()
            values = draw.standard_normal(n) * (2 / layer.weight[0].numel()) ** 0.5
            values = np.concatenate([values, draw.uniform(-0.1, 0.1, len(layer.bias))])
        else:
            values = draw.standard_normal(256 * 128) / 16
        made.append((kind, values.astype(np.float32)))
    return made


def face() -> np.ndarray:
    noise = np.random.RandomState(1).randint(0, 256, (150, 150, 3)).astype(np.uint8)
    noise[40:90, 30:120] = 210
    noise[100:120, 50:100, 1:] //= 3
    return noise


def number(n: int) -> bytes:
    """A whole number as dlib writes it."""
    length = max(1, (n.bit_length() + 7) // 8)
    return bytes([length]) + n.to_bytes(length, "little")


def dlib_file(layers) -> bytes:
    """What matters of dlib's file: names, sizes, numbers, and something else between them."""
    parts = [number(1), number(13), b"loss_metric_2"]
    for kind, values in layers:
        parts += [number(len(kind)), kind]
        shape = (256, 128, 1, 1) if kind == b"fc_2" else (len(values), 1, 1, 1)
        parts += [number(128), number(256)] if kind == b"fc_2" else []
        parts += [number(2), *map(number, shape), values.astype("<f4").tobytes(), b"\x01\x00\x05relu_"]
    return b"".join(parts)


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """The random network in a file."""
    path = tmp_path_factory.mktemp("dlib") / "net.dat"
    path.write_bytes(dlib_file(made_layers()))
    return path


def test_embeddings_are_those_of_dlib(held):
    found = dlib_resnet.embed(dlib_resnet._load(str(held), "cpu"), face())
    assert found[:4] == pytest.approx(PUBLISHED, abs=2e-5)


def test_other_files_are_refused(tmp_path):
    layers = made_layers()
    for name, content in {
        "cut": dlib_file(layers)[:-60_000],
        "swapped": dlib_file([layers[1], layers[0], *layers[2:]]),
        "other": b"\x01\x01 another file",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsMismatch, match="does not hold dlib's"):
            dlib_resnet.read(tmp_path / name)


def test_a_similarity_is_undone_by_the_crop(points68):
    """The five points of a turned, larger face lie where the network expects them."""
    points = points68(0, 0, size=90)
    turn = 1.7 * np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    moved = points @ turn.T + (160, 120)
    five = face_crop.arcface_points(moved)
    to = face_crop.similarity(five, face_crop.ARCFACE)
    straight = face_crop.similarity(face_crop.arcface_points(points), face_crop.ARCFACE)
    at = np.c_[five, np.ones(5)] @ to.T
    assert at == pytest.approx(np.c_[face_crop.arcface_points(points), np.ones(5)] @ straight.T, abs=1e-9)
    # A least-squares solution by another way: four unknowns, two equations a point.
    x, y = five.T
    one, zero = np.ones(5), np.zeros(5)
    rows = np.r_[np.c_[x, -y, one, zero], np.c_[y, x, zero, one]]
    a, b, u, v = np.linalg.lstsq(rows, face_crop.ARCFACE.T.reshape(-1), rcond=None)[0]
    assert to == pytest.approx(np.array([[a, -b, u], [b, a, v]]), abs=1e-9)


def test_crops_show_the_places_that_are_meant(points68):
    points = points68(100, 90, size=110)
    frame = np.zeros((200, 220, 3), np.uint8)
    for x, y in face_crop.arcface_points(points):
        cv2.circle(frame, (round(x), round(y)), 3, (255, 255, 255), -1)
    crop = face_crop.arcface_crop(frame, points)
    to = face_crop.similarity(face_crop.arcface_points(points), face_crop.ARCFACE)
    for x, y in np.c_[face_crop.arcface_points(points), np.ones(5)] @ to.T:
        assert crop[round(y), round(x)].min() > 150
    assert face_crop.dlib_crop(frame, points).shape == (150, 150, 3)
    # A face four times as large is halved first; the picture stays the same but for its finest parts.
    soft = cv2.GaussianBlur(frame, (0, 0), 3)
    large = cv2.resize(soft, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    small = face_crop.dlib_crop(soft, points).astype(int)
    assert np.abs(small - face_crop.dlib_crop(large, 4 * points + 1.5)).mean() < 1.5


def test_cosine_is_the_written_formula():
    a, b = np.random.default_rng(0).normal(size=(2, 128))
    assert cosine(a, b) == pytest.approx(a @ b / np.sqrt(a @ a * (b @ b)), abs=1e-12)
    assert cosine(a, -3 * a) == -1
    assert np.isnan(cosine(a, 0 * a))


@pytest.fixture
def pair(scene, face_track):
    shifted = scene.frames[:, :, ::-1].copy()
    made = {"prediction": scene.video("p"), "reference": scene.video("r"), "truth": scene.video("t", shifted)}
    faces = scene.faces()
    return scene.pair(**made, faces=faces, prediction_faces=faces, truth_faces=faces)


def test_the_dlib_family(pair, held, monkeypatch, lose, scene):
    monkeypatch.setattr(weights, "path", lambda name: {"dlib-resnet": held}[name])
    monkeypatch.setattr(weights, "sha256", lambda name: "ab" * 32)
    family = registry.load("metrics", "identity-dlib")
    assert family.on_request
    scores = family.score(pair)
    assert scores["csim_dlib"].value == pytest.approx(1)
    assert scores["csim_dlib"].n_valid == len(scene.frames)
    assert scores["csim_dlib_truth"].value < 0.9999
    net = dlib_resnet.load()
    mine, theirs = (media.load_frames(video) for video in (pair.prediction, pair.truth))
    points = scene.track.points68()
    want = [
        cosine(*(dlib_resnet.embed(net, face_crop.dlib_crop(f[t], points[t])) for f in (mine, theirs)))
        for t in range(len(mine))
    ]
    assert scores["csim_dlib_truth"].per_frame == pytest.approx(want, abs=1e-9)
    lost = scene.faces(lose(scene.track, [2]), "lost")
    assert family.score(replace(pair, prediction_faces=lost))["csim_dlib"].n_valid == len(scene.frames) - 1
    nobody = family.score(replace(pair, prediction_faces=None, prediction_faces_reason="no_face: nobody"))
    assert {s.reason for s in nobody.values()} == {"no_face: nobody."}


@pytest.fixture
def onnx(monkeypatch, tmp_path):
    """A package onnxruntime whose networks are the sums of 16 parts of the picture; the pictures that it saw."""
    seen: list[np.ndarray] = []

    class Session:
        def __init__(self, path, options, providers):
            if "broken" in path:
                raise RuntimeError("INVALID_PROTOBUF")
            size = 96 if "small" in path else 112
            self.given = SimpleNamespace(name="input.1", shape=["None", 3, size, size])

        def get_inputs(self):
            return [self.given]

        def run(self, outputs, given):
            (x,) = given.values()
            seen.append(x)
            return [x.reshape(1, 16, -1).sum(axis=2)]

    module = ModuleType("onnxruntime")
    module.InferenceSession, module.SessionOptions = Session, SimpleNamespace
    monkeypatch.setitem(sys.modules, "onnxruntime", module)
    monkeypatch.setattr(identity, "missing", lambda: None)
    identity._arcface.cache_clear()
    for name in ("net", "broken", "small"):
        (tmp_path / f"{name}.onnx").write_bytes(name.encode())
    yield SimpleNamespace(folder=tmp_path, seen=seen)
    identity._arcface.cache_clear()


def test_the_arcface_family(pair, onnx):
    family = registry.load("metrics", "identity-arcface")
    named = {"model": str(onnx.folder / "net.onnx")}
    scores = family.score(replace(pair, options=named))
    assert scores["csim_arcface"].value == pytest.approx(1)
    assert scores["csim_arcface_truth"].value < 0.999
    picture = onnx.seen[0]
    assert picture.shape == (1, 3, 112, 112)
    assert picture.dtype == np.float32
    assert -1 <= picture.min() < -0.5 < 0 < picture.max() <= 1
    family.score(replace(pair, options={**named, "raw": True}))
    assert onnx.seen[-1].max() > 100
    key = family.identity(named)["model"]
    assert key["name"] == "net.onnx"
    assert len(key["sha256"]) == 64
    for name, why in {"broken": "INVALID_PROTOBUF", "small": "96"}.items():
        with pytest.raises(UsageError, match=why):
            family.score(replace(pair, options={"model": str(onnx.folder / f"{name}.onnx")}))
    with pytest.raises(UsageError, match="there is no file"):
        family.score(replace(pair, options={"model": "/no/such.onnx"}))


def test_what_arcface_lacks_is_said(pair, monkeypatch):
    family = registry.load("metrics", "identity-arcface")
    reason = family.score(pair)["csim_arcface"].reason
    assert reason.startswith("not_asked: ")
    assert "identity-arcface.model" in reason
    monkeypatch.setattr(identity.importlib.util, "find_spec", lambda name: None)
    assert set(family.obstacles({})) == {"the option identity-arcface.model", "the package onnxruntime"}
    assert "lipbench[onnx]" in family.score(replace(pair, options={"model": "x.onnx"}))["csim_arcface"].reason
