"""Networks of the user: layouts, class order, geometry, refusal of other files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lipbench.core.errors import UsageError, WeightsError, WeightsMissing
from lipbench.faces.parsing import HeadGuide, Label, parser
from lipbench.faces.parsing.bisenet import BiSeNet
from lipbench.faces.parsing.celebamask import BISENET_CLASSES
from lipbench.faces.parsing.celebamask_unet import CelebAMaskUNet


def _bn(name: str) -> set[str]:
    return {f"{name}.{k}" for k in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")}


def _bisenet_keys() -> set[str]:
    """Written out from the published module tree (model.py, resnet.py of face-parsing.PyTorch)."""
    keys = {"cp.resnet.conv1.weight"} | _bn("cp.resnet.bn1")
    for layer in (1, 2, 3, 4):
        for block in (0, 1):
            stem = f"cp.resnet.layer{layer}.{block}"
            for k in (1, 2):
                keys |= {f"{stem}.conv{k}.weight"} | _bn(f"{stem}.bn{k}")
        if layer > 1:
            keys |= {f"cp.resnet.layer{layer}.0.downsample.0.weight"} | _bn(f"cp.resnet.layer{layer}.0.downsample.1")
    for arm in ("cp.arm16", "cp.arm32"):
        keys |= {f"{arm}.conv.conv.weight", f"{arm}.conv_atten.weight"} | _bn(f"{arm}.conv.bn") | _bn(f"{arm}.bn_atten")
    for conv in ("cp.conv_head32", "cp.conv_head16", "cp.conv_avg", "ffm.convblk"):
        keys |= {f"{conv}.conv.weight"} | _bn(f"{conv}.bn")
    keys |= {"ffm.conv1.weight", "ffm.conv2.weight"}
    for out in ("conv_out", "conv_out16", "conv_out32"):
        keys |= {f"{out}.conv.conv.weight", f"{out}.conv_out.weight"} | _bn(f"{out}.conv.bn")
    return keys


def test_bisenet_has_the_published_layout() -> None:
    state = BiSeNet().state_dict()
    assert set(state) == _bisenet_keys()
    assert state["ffm.convblk.conv.weight"].shape == (256, 256, 1, 1)
    assert state["cp.conv_avg.conv.weight"].shape == (128, 512, 1, 1)
    assert state["conv_out.conv_out.weight"].shape == (19, 256, 1, 1)
    assert state["conv_out32.conv.conv.weight"].shape == (64, 128, 3, 3)
    # The published file has 53,289,463 bytes: these tensors and its own bookkeeping.
    size = sum(v.numel() * v.element_size() for v in state.values())
    assert 53_200_000 < size < 53_289_463


def test_the_unet_has_the_published_layout() -> None:
    state = CelebAMaskUNet().state_dict()
    assert state["conv1.conv1.0.weight"].shape == (16, 3, 3, 3)
    assert state["center.conv2.1.running_var"].shape == (256,)
    assert state["up_concat4.up.weight"].shape == (256, 128, 2, 2)
    assert state["up_concat4.conv.conv1.0.weight"].shape == (128, 256, 3, 3)
    assert state["final.bias"].shape == (19,)
    assert len(state) == 2 * 9 * 7 + 4 * 2 + 2


@pytest.mark.parametrize(("net", "step"), [(BiSeNet, 32), (CelebAMaskUNet, 16)])
def test_forward_keeps_the_size(net: type[torch.nn.Module], step: int) -> None:
    with torch.inference_mode():
        assert net().eval()(torch.zeros(1, 3, 2 * step, 3 * step)).shape == (1, 19, 2 * step, 3 * step)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    state = {f"module.{key}": value for key, value in BiSeNet().state_dict().items()}
    torch.save(state, tmp_path / "79999_iter.pth")
    return tmp_path / "79999_iter.pth"


class ByColor(torch.nn.Module):
    """Says "hair" for red, "neck" for green, "cloth" for blue pixels, "background" for dark ones."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = torch.full((len(x), 19, *x.shape[2:]), -99.0)
        for k, name in enumerate(("hair", "neck", "cloth")):
            scores[:, BISENET_CLASSES.index(name)] = 20 * x[:, k]
        scores[:, 0] = 0
        return scores


@pytest.mark.parametrize("size", [(96, 160), (160, 96), (128, 128)])
def test_labels_lie_where_the_image_shows_them(checkpoint: Path, size: tuple[int, int]) -> None:
    height, width = size
    frames = np.zeros((2, height, width, 3), np.uint8)
    frames[:, : height // 2, : width // 2, 0] = 255
    frames[:, : height // 2, width // 2 :, 1] = 255
    frames[:, height // 2 :, : width // 4, 2] = 255
    made = parser("bisenet", file=checkpoint)
    made.net = ByColor()  # type: ignore[attr-defined]
    labels = made.parse(frames).labels
    expected = np.zeros((2, height, width), np.uint8)
    expected[:, : height // 2, : width // 2] = Label.HEAD
    expected[:, : height // 2, width // 2 :] = Label.NECK
    expected[:, height // 2 :, : width // 4] = Label.TORSO
    assert (labels == expected).mean() > 0.985  # edges may move by half a pixel


def test_a_real_network_answers_for_every_frame(checkpoint: Path) -> None:
    made = parser("bisenet", file=checkpoint, batch=2)
    # A quarter of the size: the test is of the plumbing.
    made.net = torch.nn.Sequential(torch.nn.AvgPool2d(4), made.net, torch.nn.Upsample(scale_factor=4))  # type: ignore[attr-defined]
    found = made.parse(np.random.default_rng(0).integers(0, 255, (3, 40, 64, 3), dtype=np.uint8))
    assert found.labels.shape == (3, 40, 64)
    assert found.parser == "bisenet"
    assert found.labels.max() <= 3


def test_with_a_guide_somebody_elses_head_does_not_count(checkpoint: Path) -> None:
    frames = np.zeros((2, 128, 128, 3), np.uint8)
    frames[:, 30:90, 10:60, 0] = 255
    frames[:, 20:50, 90:120, 0] = 255  # another head
    made = parser("bisenet", file=checkpoint)
    made.net = ByColor()  # type: ignore[attr-defined]
    silhouette = np.zeros((2, 128, 128), bool)
    silhouette[:, 34:86, 14:56] = True
    assert (made.parse(frames).labels[:, 25:45, 95:115] == Label.HEAD).all()
    found = made.parse(frames, HeadGuide(silhouette)).labels
    assert (found[:, 25:45, 95:115] == Label.BACKGROUND).all()
    assert (found[:, 40:80, 20:50] == Label.HEAD).all()
    with pytest.raises(UsageError, match="1 frames, the clip 2"):
        made.parse(frames, HeadGuide(silhouette[:1]))


def test_other_files_are_refused(tmp_path: Path, checkpoint: Path) -> None:
    with pytest.raises(WeightsError, match="CelebAMaskUNet"):
        parser("celebamask", file=checkpoint)
    (tmp_path / "page.html").write_text("<html>")
    with pytest.raises(WeightsError, match="web page"):
        parser("bisenet", file=tmp_path / "page.html")


@pytest.mark.parametrize("name", ["bisenet", "celebamask"])
def test_missing_weights_say_where_they_are(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsMissing, match=r"weights add (bisenet_face|celebamask_unet)"):
        parser(name)
