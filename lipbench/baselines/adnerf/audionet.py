"""AD-NeRF's two audio networks: a window of audio -> 64 numbers, and the smoothing over eight neighbors.

Shapes, names and order of the parameters are those of github.com/YudongGuo/AD-NeRF
(NeRFs/HeadNeRF/run_nerf_helpers.py), so that `network_audnet_state_dict` and `network_audattnet_state_dict` of
published checkpoints load as they are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WINDOW, LETTERS = 16, 29  # rows of 20 ms in one window, characters that a row weighs
NEIGHBORS = 8  # frames that the attention looks at: [i - 4, i + 4)
_SLOPE = 0.02
_CENTER = 4.0  # log odds of the frame itself over a neighbor when `AudioAttNet` starts


def _act() -> nn.LeakyReLU:
    return nn.LeakyReLU(_SLOPE)


class AudioNet(nn.Module):
    """(B, 16, 29) windows -> (B, dim) codes (Guo et al., ICCV 2021, sec. 3.2; 32,800 parameters)."""

    def __init__(self, dim: int = 64, letters: int = LETTERS) -> None:
        super().__init__()
        self.encoder_conv = nn.Sequential(
            nn.Conv1d(letters, 32, 3, 2, 1),
            _act(),  # (B, 32, 8)
            nn.Conv1d(32, 32, 3, 2, 1),
            _act(),  # (B, 32, 4)
            nn.Conv1d(32, 64, 3, 2, 1),
            _act(),  # (B, 64, 2)
            nn.Conv1d(64, 64, 3, 2, 1),
            _act(),  # (B, 64, 1)
        )
        self.encoder_fc1 = nn.Sequential(nn.Linear(64, 64), _act(), nn.Linear(64, dim))

    def forward(self, windows: Tensor) -> Tensor:
        x: Tensor = self.encoder_conv(windows.transpose(1, 2)).flatten(1)  # (B, 64)
        out: Tensor = self.encoder_fc1(x)
        return out


class AudioAttNet(nn.Module):
    """(..., 8, C) codes of neighboring frames -> (..., C): their mean, weighted by what the first 32 channels say.

    It starts at the frame itself (published: a nearly even mean over 0.3 s, which 200,000 iterations sharpen), so that
    a short training does not unlearn the lips in the moment that mixing begins.
    """

    def __init__(self, channels: int = 32, neighbors: int = NEIGHBORS) -> None:
        super().__init__()
        self.channels, self.neighbors = channels, neighbors
        convs: list[nn.Module] = []
        for cin, cout in ((channels, 16), (16, 8), (8, 4), (4, 2), (2, 1)):
            convs += [nn.Conv1d(cin, cout, 3, 1, 1), _act()]
        self.attentionConvNet = nn.Sequential(*convs)
        weigh = nn.Linear(neighbors, neighbors)
        with torch.no_grad():
            weigh.bias[neighbors // 2] += _CENTER
        self.attentionNet = nn.Sequential(weigh, nn.Softmax(dim=1))

    def forward(self, codes: Tensor) -> Tensor:
        flat = codes.reshape(-1, *codes.shape[-2:])  # (B, 8, C)
        y: Tensor = self.attentionConvNet(flat[..., : self.channels].transpose(1, 2))  # (B, 1, 8)
        weights: Tensor = self.attentionNet(y.flatten(1))  # (B, 8), rows sum to 1
        return (weights[..., None] * flat).sum(1).reshape(*codes.shape[:-2], codes.shape[-1])


def neighbors(windows: Tensor, index: Tensor, size: int = NEIGHBORS) -> Tensor:
    """(T, 16, 29) windows, (B,) frame numbers -> (B, size, 16, 29): frames [i - size/2, i + size/2) of each i.

    Frames before the first and after the last one are zero windows, as published: the padding happens before
    `AudioNet`, whose answer to silence is not zero.
    """
    half = size // 2
    padded = F.pad(windows, (0, 0, 0, 0, half, half))
    return padded[index[:, None] + torch.arange(size, device=windows.device)]


def codes(net: AudioNet, windows: Tensor, attention: AudioAttNet | None = None) -> Tensor:
    """(T, 16, 29) windows -> (T, dim) codes of all frames; smoothed where an attention network is given."""
    if attention is None:
        out: Tensor = net(windows)
        return out
    half = attention.neighbors // 2
    every = net(F.pad(windows, (0, 0, 0, 0, half, half)))  # (T + 8, dim), each window looked at once
    return attention(every.unfold(0, attention.neighbors, 1)[: len(windows)].transpose(1, 2))


@torch.no_grad()
def spread_out(net: AudioNet, windows: Tensor, size: float) -> None:
    """Give the codes of (T, 16, 29) windows mean 0 and a mean standard deviation of `size`, through the last layer.

    As it is made, `AudioNet` tells windows apart by 0.002, and a short training is over before that grows. Only the
    last layer is stretched: the others stay nearly linear and do not take an unknown voice for news. Silence alone
    changes nothing.
    """
    made = net(windows)
    last = net.encoder_fc1[-1]
    assert isinstance(last, nn.Linear)
    found = made.std(0).mean()
    if found < 1e-5:
        return
    scale = size / found
    last.bias.copy_((last.bias - made.mean(0)) * scale)
    last.weight.mul_(scale)
