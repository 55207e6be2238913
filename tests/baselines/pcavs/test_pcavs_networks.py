"""PC-AVS's four networks against the golden vectors and key lists of the reference implementation."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lipbench.baselines.pcavs import AudioEncoder, IdentityEncoder, PcAvsGenerator, PoseMouthEncoder
from lipbench.baselines.pcavs.generator import ModulatedConv, Sizes

LISTS = {
    AudioEncoder: "pcavs_netA_sync_ressesync.txt",
    PoseMouthEncoder: "pcavs_netE_fan.txt",
    IdentityEncoder: "pcavs_netV_resnext.txt",
    PcAvsGenerator: "pcavs_netG_modulate.txt",
}
#: Parts of the published files that take no part in inference, so filling them costs time only.
IDLE = ("style.", "fc.", "classifier.", "mouth_fc.", "headpose_fc.")


def filled(kind: type[nn.Module], rule: ModuleType, gain: float) -> nn.Module:
    with torch.device("meta"):
        net = kind()
    net = net.to_empty(device="cpu").eval()
    rule.fill({k: v for k, v in net.state_dict().items() if not k.startswith(IDLE)}, gain=gain)
    return net


def close(mine: Tensor, reference: np.ndarray) -> None:
    assert mine.shape == reference.shape
    assert np.abs(mine.numpy() - reference).max() < 1e-4 * np.abs(reference).max()


@pytest.mark.parametrize("kind", LISTS)
def test_keys_and_shapes_are_the_published_ones(kind: type[nn.Module], golden: Path) -> None:
    lines = (golden / LISTS[kind]).read_text().splitlines()
    published = [tuple(line.split("\t")[:2]) for line in lines if not line.startswith("#")]
    with torch.device("meta"):
        net = kind()
    assert [(k, str(tuple(v.shape))) for k, v in net.state_dict().items()] == published


def test_audio_is_golden(rule: ModuleType, golden: Path) -> None:
    net = filled(AudioEncoder, rule, 0.6)
    with torch.inference_mode():
        out = net(torch.from_numpy(rule.uniform("p/mel", 1, 1, 80, 20)))
    close(out, np.load(golden / "pcavs_audio.npz")["out0"])


def test_pose_and_mouth_are_golden(rule: ModuleType, golden: Path) -> None:
    net = filled(PoseMouthEncoder, rule, 0.6)
    with torch.inference_mode():
        out = net(torch.from_numpy(rule.uniform("p/image", 1, 3, 224, 224)))
    close(out, np.load(golden / "pcavs_pose_mouth.npz")["out0"])


def test_identity_is_golden(rule: ModuleType, golden: Path) -> None:
    net = filled(IdentityEncoder, rule, 0.6)
    with torch.inference_mode():
        vector, where = net(torch.from_numpy(rule.uniform("p/image", 1, 3, 224, 224)))
    reference = np.load(golden / "pcavs_identity.npz")
    close(vector, reference["out0"])
    close(where, reference["out1"])


def test_generator_is_golden(rule: ModuleType, golden: Path) -> None:
    net = filled(PcAvsGenerator, rule, 1.0)
    style, identity = rule.array("p/style", 1, 2560, scale=0.5), rule.array("p/identity", 1, 512, 7, 7, scale=0.5)
    with torch.inference_mode():
        for name, weight in net.named_parameters():
            if name.endswith("noise.weight"):
                weight.zero_()
        out = net(torch.from_numpy(style), torch.from_numpy(identity))
    assert out.shape == (1, 3, 224, 224)
    close(out[:, :, ::4, ::4], np.load(golden / "pcavs_generator.npz")["out0"])


@pytest.mark.parametrize("up", [False, True])
def test_modulation_is_one_weight_per_sample(up: bool) -> None:
    torch.manual_seed(0)
    conv = ModulatedConv(6, 5, 3, 7, up=up)
    x, style = torch.randn(3, 6, 4, 4), torch.randn(3, 7)
    with torch.inference_mode():
        together = conv(x, style)
        for i in range(3):
            weight = conv.weight[0] * conv.scale * conv.modulation(style[i : i + 1])[0, None, :, None, None]
            weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
            if up:
                alone = conv.blur(nn.functional.conv_transpose2d(x[i : i + 1], weight.transpose(0, 1), stride=2))
            else:
                alone = nn.functional.conv2d(x[i : i + 1], weight, padding=1)
            assert torch.allclose(together[i : i + 1], alone, atol=1e-5)


def test_narrow_networks_have_the_same_names_and_fit_together() -> None:
    torch.manual_seed(0)
    width = 1 / 16
    sizes = Sizes(width)
    nets = {kind: kind(width).eval() for kind in LISTS}
    with torch.device("meta"):
        for kind, net in nets.items():
            assert net.state_dict().keys() == kind().state_dict().keys()
    image = torch.rand(2, 3, 224, 224)
    with torch.inference_mode():
        vector, where = nets[IdentityEncoder](image)
        fan: PoseMouthEncoder = nets[PoseMouthEncoder]
        style = torch.cat([vector, fan.mouth(nets[AudioEncoder](torch.rand(2, 1, 80, 20))), fan.pose(image)], 1)
        assert style.shape == (2, sizes.style)
        drawn = nets[PcAvsGenerator](style, where)
    assert drawn.shape == (2, 3, 224, 224)
    assert not torch.allclose(drawn[0], drawn[1])
    assert Sizes().style == 2560
