"""DeepFill v2's generator (Yu et al., "Free-Form Image Inpainting with Gated Convolution", ICCV 2019) in torch.

Two stages of gated convolutions, the second with a branch of contextual attention. Layers and names follow
JiahuiYu/generative_inpainting (inpaint_model.py); module paths are those of its weights converted to torch
(nipponjo/deepfillv2-pytorch, networks_tf.py), so that such a file loads.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CNUM = 48


class GatedConv(nn.Module):
    """ELU(a) * sigmoid(b), a and b from one convolution; TensorFlow's SAME padding (the odd pixel right and down)."""

    def __init__(
        self, n_in: int, n_out: int, kernel: int = 3, stride: int = 1, rate: int = 1, activation: str | None = "elu"
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.rate, self.activation = kernel, stride, rate, activation
        self.conv = nn.Conv2d(n_in, n_out if activation is None else 2 * n_out, kernel, stride, 0, rate)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(same(x, self.rate * (self.kernel - 1) + 1, self.stride))
        if self.activation is None:
            return y
        value, gate = y.chunk(2, 1)
        return (F.elu(value) if self.activation == "elu" else F.relu(value)) * torch.sigmoid(gate)


class GatedUp(nn.Module):
    """Doubling by nearest neighbor, then a gated convolution."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.conv = GatedConv(n_in, n_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


def same(x: Tensor, reach: int, stride: int) -> Tensor:
    """x padded so that a window of `reach` px gives ceil(size / stride) outputs."""
    pads: list[int] = []
    for size in (x.shape[3], x.shape[2]):
        total = max((-(-size // stride) - 1) * stride + reach - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


class GatedGenerator(nn.Module):
    """x (N, 5, H, W): image in [-1, 1] with its hole zeroed, ones, the hole; H and W multiples of 8.

    Args:
        cnum: width; 48 in the published weights.
        fuse: whether attention scores of neighboring patches support each other, as published.
    """

    def __init__(self, cnum: int = CNUM, fuse: bool = True) -> None:
        super().__init__()
        c, g = cnum, GatedConv
        self.fuse = fuse
        # stage 1: a coarse image
        self.conv1 = g(5, c // 2, 5)
        self.conv2_downsample, self.conv3 = g(c // 2, c, 3, 2), g(c, c)
        self.conv4_downsample, self.conv5, self.conv6 = g(c, 2 * c, 3, 2), g(2 * c, 2 * c), g(2 * c, 2 * c)
        self.conv7_atrous, self.conv8_atrous = g(2 * c, 2 * c, rate=2), g(2 * c, 2 * c, rate=4)
        self.conv9_atrous, self.conv10_atrous = g(2 * c, 2 * c, rate=8), g(2 * c, 2 * c, rate=16)
        self.conv11, self.conv12 = g(2 * c, 2 * c), g(2 * c, 2 * c)
        self.conv13_upsample, self.conv14 = GatedUp(2 * c, c), g(c, c)
        self.conv15_upsample, self.conv16 = GatedUp(c, c // 2), g(c // 2, c // 4)
        self.conv17 = g(c // 4, 3, activation=None)
        # stage 2: convolutions ...
        self.xconv1, self.xconv2_downsample, self.xconv3 = g(3, c // 2, 5), g(c // 2, c // 2, 3, 2), g(c // 2, c)
        self.xconv4_downsample, self.xconv5, self.xconv6 = g(c, c, 3, 2), g(c, 2 * c), g(2 * c, 2 * c)
        self.xconv7_atrous, self.xconv8_atrous = g(2 * c, 2 * c, rate=2), g(2 * c, 2 * c, rate=4)
        self.xconv9_atrous, self.xconv10_atrous = g(2 * c, 2 * c, rate=8), g(2 * c, 2 * c, rate=16)
        # ... and patches of the image itself
        self.pmconv1, self.pmconv2_downsample, self.pmconv3 = g(3, c // 2, 5), g(c // 2, c // 2, 3, 2), g(c // 2, c)
        self.pmconv4_downsample, self.pmconv5 = g(c, 2 * c, 3, 2), g(2 * c, 2 * c)
        self.pmconv6 = g(2 * c, 2 * c, activation="relu")
        self.pmconv9, self.pmconv10 = g(2 * c, 2 * c), g(2 * c, 2 * c)
        self.allconv11, self.allconv12 = g(4 * c, 2 * c), g(2 * c, 2 * c)
        self.allconv13_upsample, self.allconv14 = GatedUp(2 * c, c), g(c, c)
        self.allconv15_upsample, self.allconv16 = GatedUp(c, c // 2), g(c // 2, c // 4)
        self.allconv17 = g(c // 4, 3, activation=None)

    def _run(self, prefix: str, x: Tensor, numbers: range) -> Tensor:
        """x through `<prefix>conv<number>...` one after the other."""
        for number in numbers:
            stem = f"{prefix}conv{number}"
            name = next(
                n for n in (stem, f"{stem}_downsample", f"{stem}_atrous", f"{stem}_upsample") if hasattr(self, n)
            )
            x = getattr(self, name)(x)
        return x

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """mask (N, 1, H, W), 1 in the hole -> (N, 3, H, W) in [-1, 1]."""
        coarse = torch.tanh(self._run("", x, range(1, 18)))
        pasted = coarse * mask + x[:, :3] * (1 - mask)
        convolved = self._run("x", pasted, range(1, 11))  # (N, 2c, H/4, W/4)
        patches = self._run("pm", pasted, range(1, 7))
        patches = self._run("pm", contextual_attention(patches, mask[..., ::4, ::4], fuse=self.fuse), range(9, 11))
        return torch.tanh(self._run("all", torch.cat([convolved, patches], 1), range(11, 18)))


def contextual_attention(x: Tensor, mask: Tensor, *, scale: float = 10.0, fuse: bool = True) -> Tensor:
    """Features rebuilt from patches outside of the hole (inpaint_ops.py: kernel 3, stride 1, rate 2).

    Patches are compared at half the resolution (3 x 3, cosine against the candidates) and pasted at the full one
    (4 x 4, overlapping by 2, averaged).

    Args:
        x: (N, C, H, W), H and W even.
        mask: (N, 1, H, W), 1 in the hole.
    """
    height, width = x.shape[2:]
    small = x[..., ::2, ::2]
    h, w = small.shape[2:]
    look = F.unfold(small, 3, padding=1)  # (N, 9C, L)
    norm = look.square().sum(1, keepdim=True).sqrt().clamp(min=1e-4)
    score = (look / norm).transpose(1, 2) @ look  # (N, L candidates, L places)
    if fuse:
        score = _turn(_diagonal(_turn(_diagonal(score), h, w)), w, h)
    usable = (F.unfold(mask[..., ::2, ::2].float(), 3, padding=1).mean(1) == 0).to(x.dtype)[..., None]  # (N, L, 1)
    weight = torch.softmax(score * usable * scale, 1) * usable
    paste = F.unfold(x, 4, padding=1, stride=2)  # (N, 16C, L)
    return F.fold(paste @ weight, (height, width), 4, padding=1, stride=2) / 4


def _diagonal(score: Tensor) -> Tensor:
    """Each score plus those of the next and of the previous candidate at the next and the previous place."""
    padded = F.pad(score, (1, 1, 1, 1))
    return score + padded[:, :-2, :-2] + padded[:, 2:, 2:]


def _turn(score: Tensor, h: int, w: int) -> Tensor:
    """(N, h*w, h*w), both counted row by row -> counted column by column."""
    n = len(score)
    return score.reshape(n, h, w, h, w).permute(0, 2, 1, 4, 3).reshape(n, h * w, h * w)
