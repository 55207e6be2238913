"""AD-NeRF's audio networks against the golden vectors, and the windows around each frame."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from lipbench.baselines.adnerf.audionet import AudioAttNet, AudioNet, codes, neighbors, spread_out

HEAD_KEYS = {
    "encoder_conv.0.weight": (32, 29, 3),
    "encoder_conv.2.weight": (32, 32, 3),
    "encoder_conv.4.weight": (64, 32, 3),
    "encoder_conv.6.weight": (64, 64, 3),
    "encoder_fc1.0.weight": (64, 64),
    "encoder_fc1.2.weight": (64, 64),
}


def _filled(rule: ModuleType) -> tuple[AudioNet, AudioAttNet]:
    net, attention = AudioNet().eval(), AudioAttNet().eval()
    rule.fill(net.state_dict(), "audio.")
    rule.fill(attention.state_dict(), "attention.")
    return net, attention


def test_keys_are_the_published_ones() -> None:
    state = AudioNet().state_dict()
    assert {k: tuple(v.shape) for k, v in state.items() if k.endswith("weight")} == HEAD_KEYS
    assert len(state) == 12
    assert sum(v.numel() for v in state.values()) == 32_800
    attention = AudioAttNet().state_dict()
    assert [tuple(v.shape) for k, v in attention.items() if k.startswith("attentionConvNet") and v.dim() == 3] == [
        (16, 32, 3),
        (8, 16, 3),
        (4, 8, 3),
        (2, 4, 3),
        (1, 2, 3),
    ]
    assert "attentionNet.0.weight" in attention
    assert len(attention) == 12
    assert sum(v.numel() for v in attention.values()) == 2_149


@torch.no_grad()
def test_golden(rule: ModuleType, golden: Path) -> None:
    net, attention = _filled(rule)
    with np.load(golden / "adnerf.npz") as want:
        x = torch.from_numpy(rule.array("n/deepspeech", 8, 16, 29))
        feature = net(x)
        np.testing.assert_allclose(feature, want["audio_feature"], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(attention(feature), want["attended_feature"], rtol=1e-4, atol=1e-5)


def test_neighbors_are_four_before_and_three_after() -> None:
    windows = torch.arange(1.0, 7).reshape(6, 1, 1).expand(6, 16, 29)
    got = neighbors(windows, torch.tensor([0, 3, 5]))[:, :, 0, 0]
    assert got.tolist() == [[0, 0, 0, 0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5, 6, 0], [2, 3, 4, 5, 6, 0, 0, 0]]


@torch.no_grad()
def test_smoothed_codes_of_all_frames_are_those_of_each(rule: ModuleType) -> None:
    net, attention = _filled(rule)
    windows = torch.from_numpy(rule.array("t/windows", 11, 16, 29))
    every = codes(net, windows, attention)
    one_by_one = torch.stack([attention(net(neighbors(windows, torch.tensor([i]))[0])) for i in range(11)])
    torch.testing.assert_close(every, one_by_one)
    torch.testing.assert_close(codes(net, windows), net(windows))
    assert every.shape == (11, 64)
    assert (every - codes(net, windows)).abs().max() > 0.01


@torch.no_grad()
def test_attention_is_a_weighted_mean_of_all_64_channels(rule: ModuleType) -> None:
    _, attention = _filled(rule)
    same = torch.from_numpy(rule.array("t/code", 64)).expand(8, 64)
    torch.testing.assert_close(attention(same), same[0])
    x = torch.from_numpy(rule.array("t/eight", 8, 64))
    changed = x.clone()
    changed[:, 32:] *= 2  # the last 32 channels have no say in the weights
    torch.testing.assert_close(attention(changed)[:32], attention(x)[:32])
    torch.testing.assert_close(attention(changed)[32:], 2 * attention(x)[32:])


def test_batches_of_neighborhoods() -> None:
    x = torch.randn(3, 8, 64, generator=torch.Generator().manual_seed(0))
    attention = AudioAttNet().eval()
    torch.testing.assert_close(attention(x), torch.stack([attention(one) for one in x]))


def test_checkpoint_of_the_published_layout(rule: ModuleType, tmp_path: Path) -> None:
    net, attention = _filled(rule)
    file = tmp_path / "300000_head.tar"
    torch.save(
        {
            "network_audnet_state_dict": net.state_dict(),
            "network_audattnet_state_dict": attention.state_dict(),
            "global_step": 300_000,
        },
        file,
    )
    held = torch.load(file, weights_only=True)
    AudioNet().load_state_dict(held["network_audnet_state_dict"], strict=True)
    AudioAttNet().load_state_dict(held["network_audattnet_state_dict"], strict=True)
    with pytest.raises(RuntimeError):
        AudioNet(32).load_state_dict(held["network_audnet_state_dict"])


def test_attention_starts_at_the_frame_itself() -> None:
    torch.manual_seed(0)
    x = torch.randn(50, 8, 64)
    mixed = AudioAttNet()(x).detach()
    assert float((mixed - x[:, 4]).square().mean()) < 0.1 * float((mixed - x[:, 3]).square().mean())


def test_codes_begin_with_the_deviation_that_is_asked_for() -> None:
    torch.manual_seed(0)
    net, windows = AudioNet(), torch.randn(60, 16, 29)
    before = net(windows).detach()
    spread_out(net, windows, 0.5)
    after = net(windows).detach()
    assert float(before.std(0).mean()) < 0.05
    torch.testing.assert_close(after.std(0).mean(), torch.tensor(0.5), rtol=1e-3, atol=0)
    torch.testing.assert_close(after.mean(0), torch.zeros(64), rtol=0, atol=1e-3)
    spread_out(net, torch.zeros(5, 16, 29), 0.5)  # silence: there is nothing to stretch
    torch.testing.assert_close(net(windows).detach(), after)
