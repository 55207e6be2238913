"""Speech2Vid's networks: the published layers and sizes, MatConvNet files, our own files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
import torch.nn.functional as F

from lipbench.baselines.speech2vid import DeblurNet, Speech2VidNet, load, load_deblur, read_mat
from lipbench.baselines.speech2vid.checkpoint import save
from lipbench.core.errors import WeightsError, WeightsMismatch, WeightsMissing

WriteMat = Callable[..., Path]


def test_parameters_are_as_many_as_published() -> None:
    with torch.device("meta"):
        net, deblur = Speech2VidNet(), DeblurNet()
    assert sum(p.numel() for p in net.parameters()) == 28_046_275
    assert sum(p.numel() for p in deblur.parameters()) == 298_947


def test_the_maps_are_those_of_the_published_graph(small_net: Speech2VidNet) -> None:
    face, x3, x4, x7 = small_net.look(torch.zeros(2, 15, 112, 112))
    assert [tuple(x.shape) for x in (face, x3, x4, x7)] == [
        (2, 32, 1, 1),
        (2, 12, 53, 53),
        (2, 12, 26, 26),
        (2, 32, 12, 12),
    ]
    assert small_net.hear(torch.zeros(2, 1, 12, 35)).shape == (2, 32, 1, 1)
    assert small_net(torch.zeros(2, 1, 12, 35), torch.zeros(2, 15, 112, 112)).shape == (2, 3, 109, 109)


def test_sound_and_stills_both_show(small_net: Speech2VidNet) -> None:
    torch.manual_seed(0)
    sound, stills = torch.randn(2, 1, 12, 35) * 5, torch.rand(2, 15, 112, 112) * 255
    drawn = small_net(sound, stills)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert (drawn - small_net(sound.flip(0), stills)).abs().mean() > 1e-4
    assert (drawn - small_net(sound, stills.flip(0))).abs().mean() > 1e-3
    torch.testing.assert_close(drawn[:1], small_net(sound[:1], stills[:1]), rtol=1e-4, atol=1e-5)


def test_deblurring_adds_to_its_input(small_deblur: DeblurNet) -> None:
    drawn = torch.rand(1, 3, 20, 20)
    x = drawn
    for i in range(9):
        part = getattr(small_deblur, f"supr{i}")
        x = F.relu(F.conv2d(x, part.weight, part.bias, padding=1))
    last = small_deblur.supr9
    torch.testing.assert_close(small_deblur(drawn), drawn + F.conv2d(x, last.weight, last.bias, padding=1))


@pytest.mark.parametrize("face_first", [False, True])
def test_a_matconvnet_file(small_net: Speech2VidNet, mat_file: WriteMat, tmp_path: Path, face_first: bool) -> None:
    drawer = load(mat_file(small_net, tmp_path / "v201.mat", face_first=face_first))
    assert (drawer.sound, drawer.framing, drawer.net.width) == ("htk", "eyes-nose", 0.125)
    for key, value in drawer.net.state_dict().items():
        torch.testing.assert_close(value, small_net.state_dict()[key], rtol=1e-5, atol=1e-6)
    sound, stills = torch.randn(1, 1, 12, 35), torch.rand(1, 15, 112, 112) * 255
    torch.testing.assert_close(drawer.net(sound, stills), small_net(sound, stills), rtol=1e-4, atol=1e-5)


def test_a_matconvnet_filter_by_hand(mat_file: WriteMat, tmp_path: Path, small_deblur: DeblurNet) -> None:
    file = mat_file(small_deblur, tmp_path / "v114.mat")
    raw = scipy.io.loadmat(file)["net"][0, 0]["params"][0]
    value = next(p["value"] for p in raw if p["value"].shape == (3, 3, 3, 8))  # height, width, in, out
    assert read_mat(file)["supr0.weight"][5, 2, 0, 1] == value[0, 1, 2, 5]
    for key, weight in load_deblur(file).state_dict().items():
        torch.testing.assert_close(weight, small_deblur.state_dict()[key])


def test_our_own_file(small_net: Speech2VidNet, tmp_path: Path) -> None:
    path = save(small_net, tmp_path / "own.npz", "psf", "box", {"steps": 3})
    drawer = load(path)
    assert (drawer.sound, drawer.framing, drawer.net.width) == ("psf", "box", 0.125)
    assert not drawer.net.training
    sound, stills = torch.randn(1, 1, 12, 35), torch.rand(1, 15, 112, 112) * 255
    torch.testing.assert_close(drawer.net(sound, stills), small_net(sound, stills), atol=5e-3, rtol=0)


def test_files_that_are_something_else(
    small_net: Speech2VidNet, small_deblur: DeblurNet, mat_file: WriteMat, tmp_path: Path
) -> None:
    with pytest.raises(WeightsMissing):
        load(tmp_path / "nothing.mat")
    with pytest.raises(WeightsMismatch, match=r"conv1_face\.weight"):
        load(mat_file(small_deblur, tmp_path / "v114.mat"))
    with pytest.raises(WeightsMismatch, match=r"supr0\.weight"):
        load_deblur(mat_file(small_net, tmp_path / "v201.mat"))
    (tmp_path / "text.mat").write_text("no weights")
    with pytest.raises(WeightsError, match=r"v201\.mat"):
        load(tmp_path / "text.mat")
    scipy.io.savemat(tmp_path / "other.mat", {"x": np.zeros(3)})
    with pytest.raises(WeightsError, match=r"v201\.mat"):
        load(tmp_path / "other.mat")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(WeightsError):
        load(tmp_path / "other.npz")
