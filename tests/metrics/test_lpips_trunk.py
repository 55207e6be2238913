"""Files of the trunks, and LPIPS with VGG-16."""

from __future__ import annotations

import pickle

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lipbench.core import weights
from lipbench.core.errors import LipbenchError, Unsupported, WeightsMismatch
from lipbench.metrics import lpips, lpips_weights
from lipbench.metrics.functional import lpips as perceptual
from lipbench.metrics.functional.lpips_trunk import layers, read_trunk
from lipbench.metrics.lpips_family import LpipsVggFamily


def arrays_of(net):
    """Random convolutions as the .ckpt holds them, (height, width, in, out), and under torchvision's keys."""
    torch.manual_seed(0)
    trunk = layers(net)
    held, state = {}, {f"features.{k}": v for k, v in trunk.state_dict().items()}
    for k, layer in enumerate(layer for layer in trunk if isinstance(layer, torch.nn.Conv2d)):
        kernel = layer.weight.detach().numpy().transpose(2, 3, 1, 0)
        held[f"Conv_{k}"] = {"kernel": np.ascontiguousarray(kernel), "bias": layer.bias.detach().numpy()}
    return held, state


@pytest.mark.parametrize(("net", "name"), [("alex", "AlexNet_0"), ("vgg", "VGG16_0")])
def test_both_forms_are_the_same_trunk(net, name, tmp_path):
    held, state = arrays_of(net)
    file = tmp_path / "net.ckpt"
    file.write_bytes(pickle.dumps({name: held}))
    found = read_trunk(file, net)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key]) for key in state)
    torch.save(state, tmp_path / "net.pth")
    assert read_trunk(tmp_path / "net.pth", net).keys() == state.keys()
    other = "vgg" if net == "alex" else "alex"
    with pytest.raises(WeightsMismatch, match=lpips_weights.FILES[other].title):
        read_trunk(file, other)


def test_a_pickle_that_asks_for_more_than_arrays_runs_nothing(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    file = tmp_path / "net.ckpt"
    file.write_bytes(pickle.dumps({"AlexNet_0": Evil()}))
    with pytest.raises(LipbenchError):
        read_trunk(file, "alex")
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def vgg(tmp_path, monkeypatch):
    """A random VGG-16 as if it were the pinned one; its state dict."""
    held, state = arrays_of("vgg")
    file = tmp_path / "vgg16.ckpt"
    file.write_bytes(pickle.dumps({"VGG16_0": held}))
    monkeypatch.setattr(weights, "path", lambda name: {"vgg16": file}[name])
    return state


def plainly(a, b, state, linear):
    """LPIPS with VGG-16 written out in double precision."""

    def features(image):
        x = torch.tensor(image.transpose(2, 0, 1)[None] / 255.0, dtype=torch.float64) * 2 - 1
        for c, (shift, scale) in enumerate([(-0.030, 0.458), (-0.088, 0.448), (-0.188, 0.450)]):
            x[:, c] = (x[:, c] - shift) / scale
        for i in range(30):
            if f"features.{i}.weight" in state:
                kernel, bias = (state[f"features.{i}.{part}"].double() for part in ("weight", "bias"))
                x = F.relu(F.conv2d(x, kernel, bias, padding=1))
            elif f"features.{i - 1}.weight" not in state:
                x = F.max_pool2d(x, 2)
            if i in (2, 7, 14, 21, 28):  # conv1_2, 2_2, 3_3, 4_3, 5_3
                yield x

    total = 0.0
    for k, (x, y) in enumerate(zip(features(a), features(b), strict=True)):
        x, y = (f / (f.norm(dim=1, keepdim=True) + 1e-10) for f in (x, y))
        total += float(F.conv2d((x - y) ** 2, linear[f"lin{k}.model.1.weight"].double()).mean())
    return total


def test_vgg_is_the_published_arithmetic(vgg):
    linear = torch.load(lpips_weights.linear_file("vgg"), map_location="cpu", weights_only=True)
    a = np.random.default_rng(0).integers(0, 256, (33, 40, 3), dtype=np.uint8)
    b = cv2.GaussianBlur(a, (0, 0), 1)
    assert lpips(a, b, net="vgg") == pytest.approx(plainly(a, b, vgg, linear), abs=1e-6)
    assert lpips(a, b, net="vgg") > 1e-3
    with pytest.raises(Unsupported, match="VGG-16 needs 16 x 16 px"):
        lpips(a[:15], b[:15], net="vgg")
    perceptual._load.cache_clear()


def test_vgg_is_a_family_of_its_own():
    family = LpipsVggFamily()
    assert [spec.id for spec in family.metrics][:3] == ["lpips_vgg_full", "lpips_vgg_face", "lpips_vgg_mouth"]
    assert {spec.weights for spec in family.metrics} == {("vgg16",)}
    assert family.metrics[0].convention.startswith("lpips_vgg[vgg,v0.1,rgb,native size,full")
    assert set(family.identity({})) == {"regions", "sides", "trunk", "linear"}
    assert family.identity({})["linear"] == lpips_weights.FILES["vgg"].linear_sha256
