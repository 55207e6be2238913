"""MakeItTalk's image translation: a photo and a drawing of landmarks -> the photo with that face.

Keys and shapes of `ckpt_116_i2i_comb.pth`, key `G` (ResUnetGenerator(6, 3, 6, ngf=64, use_dropout=False)).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SIZE = 256
_DOWNS = 6


def _conv(cin: int, cout: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(cin, cout, 3, stride, 1, bias=False)


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            _conv(channels, channels),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            _conv(channels, channels),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        return (x + y).relu()


class _Level(nn.Module):
    """One level of the U: half the size, what lies below, twice the size; the input is put on top but outermost.

    Args:
        cin: channels that come in.
        cout: channels that go out (without the skip).
        inner: channels between.
    """

    def __init__(self, cin: int, inner: int, cout: int, below: _Level | None, outermost: bool = False) -> None:
        super().__init__()
        self.outermost = outermost
        down: list[nn.Module] = [_conv(cin, inner, 2)]
        if not outermost and below is not None:
            down.append(nn.BatchNorm2d(inner))
        down += [nn.ReLU(), _Residual(inner), _Residual(inner)]
        up: list[nn.Module] = [nn.Upsample(scale_factor=2), _conv(inner if below is None else 2 * inner, cout)]
        if not outermost:
            up += [nn.BatchNorm2d(cout), nn.ReLU(), _Residual(cout), _Residual(cout)]
        self.model = nn.Sequential(*down, *([] if below is None else [below]), *up)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.model(x)
        return y if self.outermost else torch.cat([x, y], 1)


class ImageTranslator(nn.Module):
    """(B, 6, 256, 256) in [0, 1] -> (B, 3, 256, 256); tanh of it is the image (69,860,736 parameters).

    Channels: BGR drawing of the landmarks, then the BGR photo. `ngf` scales all layers; 64 is published.
    """

    def __init__(self, ngf: int = 64) -> None:
        super().__init__()
        self.ngf = ngf
        level = _Level(8 * ngf, 8 * ngf, 8 * ngf, None)
        level = _Level(8 * ngf, 8 * ngf, 8 * ngf, level)
        for outer, inner in ((4, 8), (2, 4), (1, 2)):
            level = _Level(outer * ngf, inner * ngf, outer * ngf, level)
        self.model = _Level(6, ngf, 3, level, outermost=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.model(x)
        return out
