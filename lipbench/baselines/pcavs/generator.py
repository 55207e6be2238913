"""The modulated generator of PC-AVS: StyleGAN2 blocks on a 7 x 7 identity map, steered by one style vector.

Layers and names follow github.com/Hangz-nju-cuhk/Talking-Face_PC-AVS (netG `modulate`, crop 224), the operations are
those of StyleGAN2 (Karras et al., CVPR 2020, section 2.2 and appendix B).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIZE = 224
SLOPE, GAIN = 0.2, 2**0.5  # leaky ReLU that keeps the variance


class Sizes(NamedTuple):
    """Channels of everything that the four networks share, at a width multiplier (1 = published)."""

    width: float = 1.0

    def of(self, channels: int) -> int:
        """`channels` of the published size, at this width."""
        return max(1, round(channels * self.width))

    @property
    def style(self) -> int:
        """2560: identity 2048, mouth 500, head pose 12 (the pose stays 12 at every width)."""
        return self.of(2048) + self.of(500) + POSE


POSE = 12


class EqualLinear(nn.Module):
    """A linear layer whose weights are scaled at run time: W lr / sqrt(in), b lr."""

    def __init__(self, n_in: int, n_out: int, bias: float = 0.0, lr: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in).mul_(1 / lr))
        self.bias = nn.Parameter(torch.full((n_out,), bias))
        self.scale, self.lr = lr / n_in**0.5, lr

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.lr)


class Resample(nn.Module):
    """Zero-stuffing by `up`, padding, then a 4 x 4 low-pass ([1, 3, 3, 1] outer, gain 4)."""

    def __init__(self, up: int, pad: tuple[int, int]) -> None:
        super().__init__()
        taps = (1, 3, 3, 1)
        self.register_buffer("kernel", torch.tensor([[a * b / 16 for b in taps] for a in taps]))
        self.kernel: Tensor
        self.up, self.pad = up, pad

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        if self.up > 1:
            stuffed = x.new_zeros(b, c, h, self.up, w, self.up)
            stuffed[:, :, :, 0, :, 0] = x
            x = stuffed.view(b, c, h * self.up, w * self.up)
        x = F.pad(x, (*self.pad, *self.pad))
        kernel = self.kernel.flip(0, 1).to(x.dtype)  # convolution, not correlation
        return F.conv2d(x, kernel.expand(c, 1, 4, 4), groups=c)


class ModulatedConv(nn.Module):
    """A convolution whose weights are scaled per input channel by the style, and normalized again (demodulated).

    The style goes onto the input and the normalization onto the output: the same numbers as one weight per sample, and
    one plain convolution for the whole batch.
    """

    def __init__(self, n_in: int, n_out: int, kernel: int, style: int, *, up: bool = False, demodulate: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, n_out, n_in, kernel, kernel))
        if up:
            self.blur = Resample(1, (1, 1))
        self.modulation = EqualLinear(style, n_in, bias=1.0)
        self.scale, self.up, self.demodulate = 1 / (n_in * kernel**2) ** 0.5, up, demodulate

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        s = self.modulation(style)  # (B, in)
        weight = self.weight[0] * self.scale  # (out, in, k, k)
        x = x * s[:, :, None, None]
        if self.up:
            x = self.blur(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2))  # (B, out, 2h, 2w)
        else:
            x = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
        if self.demodulate:
            energy = s.square() @ weight.square().sum((2, 3)).T  # (B, out)
            x = x * torch.rsqrt(energy + 1e-8)[:, :, None, None]
        return x


class Noise(nn.Module):
    """Adds one image of noise to all channels, by a learned amount."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        return x + self.weight * noise


class Activate(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x + self.bias, SLOPE) * GAIN


class StyledConv(nn.Module):
    def __init__(self, n_in: int, n_out: int, style: int, up: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConv(n_in, n_out, 3, style, up=up)
        self.noise = Noise()
        self.activate = Activate(n_out)

    def forward(self, x: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        out: Tensor = self.activate(self.noise(self.conv(x, style), noise))
        return out


class ToRgb(nn.Module):
    """Colors of one resolution, added to the enlarged colors of the last."""

    def __init__(self, n_in: int, style: int, up: bool = True) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        if up:
            self.upsample = Resample(2, (2, 1))
        self.conv = ModulatedConv(n_in, 3, 1, style, demodulate=False)

    def forward(self, x: Tensor, style: Tensor, skip: Tensor | None = None) -> Tensor:
        out: Tensor = self.conv(x, style) + self.bias
        return out if skip is None else out + self.upsample(skip)


class _Constant(nn.Module):
    """StyleGAN2's learned input; the identity map takes its place, the published file still holds it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, 7, 7))


class PcAvsGenerator(nn.Module):
    """(B, style) and an identity map (B, 512 w, 7, 7) -> (B, 3, 224, 224) RGB in (-1, 1).

    `style` (the mapping network), `input` are in the published file and never used: the style vector is the latent.

    Args:
        channels: at 7, 14, ... px instead of the published ones; as many stages are made.
        style: length of the style vector instead of the published one.
        finer: channels of the identity encoder's finer maps, from coarse to fine (not published). They are added to
            the first stages behind the 7 px one, and `input` to the identity map. No mapping network then.
    """

    def __init__(
        self, width: float = 1.0, *, channels: Sequence[int] = (), style: int = 0, finer: Sequence[int] = ()
    ) -> None:
        super().__init__()
        sizes = Sizes(width)
        style = style or sizes.style
        channels = channels or [sizes.of(c) for c in (512, 512, 512, 512, 256, 128)]  # at 7, 14, 28, 56, 112, 224 px
        self.width = width
        if not finer:
            # Published names start at style.1: number 0 is a normalization without parameters.
            self.style = nn.ModuleDict({str(i): EqualLinear(style, style, lr=0.01) for i in range(1, 9)})
        self.input = _Constant(channels[0])
        self.conv1 = StyledConv(channels[0], channels[0], style)
        self.to_rgb1 = ToRgb(channels[0], style, up=False)
        self.convs, self.to_rgbs, self.noises = nn.ModuleList(), nn.ModuleList(), nn.Module()
        for n_in, n_out in pairwise(channels):
            self.convs.extend([StyledConv(n_in, n_out, style, up=True), StyledConv(n_out, n_out, style)])
            self.to_rgbs.append(ToRgb(n_out, style))
        for layer in range(2 * len(channels) - 1):
            side = 7 * 2 ** ((layer + 1) // 2)
            self.noises.register_buffer(f"noise_{layer}", torch.randn(1, 1, side, side))
        self.finer = nn.ModuleList(nn.Conv2d(n, c, 1) for n, c in zip(finer, channels[1:], strict=False))

    def forward(self, style: Tensor, identity: Tensor, finer: Sequence[Tensor] = ()) -> Tensor:
        """The stored noise images are used: upstream draws new ones at every call, and never repeats itself."""
        noise = [self.noises.get_buffer(f"noise_{layer}") for layer in range(2 * len(self.to_rgbs) + 1)]
        x = self.conv1(identity + self.input.input if self.finer else identity, style, noise[0])
        rgb = self.to_rgb1(x, style)
        for level, to_rgb in enumerate(self.to_rgbs):
            x = self.convs[2 * level](x, style, noise[2 * level + 1])
            if level < len(self.finer):
                x = x + self.finer[level](finer[level])
            x = self.convs[2 * level + 1](x, style, noise[2 * level + 2])
            rgb = to_rgb(x, style, rgb)
        return torch.tanh(rgb)
