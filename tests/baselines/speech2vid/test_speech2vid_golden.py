"""Speech2Vid's networks against MatConvNet's own arithmetic, on the golden vectors and on files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lipbench.baselines.speech2vid import DeblurNet, Speech2VidNet, load, load_deblur

LISTS = {Speech2VidNet: "speech2vid_v201.txt", DeblurNet: "speech2vid_v114.txt"}


def filled(kind: type[nn.Module], rule: ModuleType) -> nn.Module:
    with torch.device("meta"):
        net = kind()
    net = net.to_empty(device="cpu").eval()
    rule.fill(net.state_dict())
    return net


def close(mine: Tensor, reference: np.ndarray) -> None:
    assert mine.shape == reference.shape
    assert np.abs(mine.numpy() - reference).max() < 1e-5 * np.abs(reference).max()


@pytest.mark.parametrize("kind", LISTS)
def test_keys_and_shapes_are_the_published_ones(kind: type[nn.Module], golden: Path) -> None:
    lines = (golden / LISTS[kind]).read_text().splitlines()
    listed = [tuple(line.split("\t")[:2]) for line in lines if not line.startswith("#")]
    with torch.device("meta"):
        net = kind()
    assert [(k, str(tuple(v.shape))) for k, v in net.state_dict().items()] == listed


@torch.inference_mode()
def test_the_generator_is_golden(rule: ModuleType, golden: Path, published: ModuleType) -> None:
    net, given = filled(Speech2VidNet, rule), published.inputs(rule)
    vectors = np.load(golden / "speech2vid.npz")
    heard, looked = net.hear(torch.from_numpy(given["sound"])), net.look(torch.from_numpy(given["face"]))
    close(heard, vectors["heard"])
    close(looked[0], vectors["looked"])
    close(net.say(heard, looked), vectors["drawn"])
    assert np.ptp(vectors["drawn"]) > 0.5  # of the sigmoid's range: an image of one gray would agree with much


@torch.inference_mode()
def test_deblurring_is_golden(rule: ModuleType, golden: Path, published: ModuleType) -> None:
    drawn = torch.from_numpy(published.inputs(rule)["drawn"])
    close(filled(DeblurNet, rule)(drawn), np.load(golden / "speech2vid.npz")["sharp"])


@pytest.mark.parametrize("face_first", [False, True])
@torch.inference_mode()
def test_a_loaded_file_answers_what_its_graph_answers(
    small_net: Speech2VidNet,
    small_deblur: DeblurNet,
    mat_file: Callable[..., Path],
    tmp_path: Path,
    matconvnet: ModuleType,
    published: ModuleType,
    rule: ModuleType,
    face_first: bool,
) -> None:
    given = published.inputs(rule)
    given["face"] = given["face"] * 255
    v201 = mat_file(small_net, tmp_path / "v201.mat", face_first=face_first)
    v114 = mat_file(small_deblur, tmp_path / "v114.mat")
    graphs = [published.Graph({}), published.Graph({})]
    for graph, file in zip(graphs, (v201, v114), strict=True):
        graph.layers, graph.values = matconvnet.read(file)
    answers = published.answers(*graphs, matconvnet.evaluate, matconvnet.twice, given)
    close(load(v201).net(torch.from_numpy(given["sound"]), torch.from_numpy(given["face"])), answers["drawn"])
    close(load_deblur(v114)(torch.from_numpy(given["drawn"])), answers["sharp"])


def test_matconvnets_layers_by_hand(matconvnet: ModuleType) -> None:
    x = np.arange(12.0).reshape(3, 4, 1)
    spread = {"pad": np.array([1.0, 0, 0, 1]), "stride": np.array([1.0, 2])}
    filters = np.array([[1.0, 10], [100, 1000]])[:, :, None, None]
    conv = matconvnet.KINDS["Conv"](spread, [filters, np.array([[0.5]])], x)
    # Above row 0 there is nothing: its first answer is 100 x[0, 0] + 1000 x[0, 1] + 0.5. Column 4 is outside, unread.
    assert conv[..., 0].tolist() == [[1000.5, 3200.5], [5410.5, 7632.5], [9854.5, 12076.5]]
    pool = matconvnet.KINDS["Pooling"](spread | {"method": "max", "poolSize": np.array([2.0, 2])}, [], x - 100)
    assert pool[..., 0].tolist() == [[-99, -97], [-95, -93], [-91, -89]]
    norm = matconvnet.KINDS["BatchNorm"]({}, [np.array([2.0]), np.array([1.0]), np.array([[3.0, 4.0]])], x)
    assert norm[2, 3, 0] == 2 * (11 - 3) / 4 + 1
    twice = matconvnet.KINDS["BilinearSampler"]({}, [], x[:2, :2], matconvnet.twice(2))
    np.testing.assert_allclose(twice[0, :, 0], [0, 1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(twice[:, 0, 0], [0, 4 / 3, 8 / 3, 4])
