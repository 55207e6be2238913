"""The U-Net that CelebAMask-HQ (MaskGAN's data set) ships as its face parser; module names as in face_parsing/unet.py.

Widths are a quarter of the U-Net paper's, convolutions are padded, upsampling is a transposed convolution.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

WIDTHS = (16, 32, 64, 128, 256)


def _conv(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, 1, 1), nn.BatchNorm2d(n_out), nn.ReLU())


class DoubleConv(nn.Module):
    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.conv1 = _conv(n_in, n_out)
        self.conv2 = _conv(n_out, n_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x))


class Up(nn.Module):
    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.conv = DoubleConv(n_in, n_out)
        self.up = nn.ConvTranspose2d(n_in, n_out, 2, 2)

    def forward(self, skip: Tensor, x: Tensor) -> Tensor:
        return self.conv(torch.cat([skip, self.up(x)], 1))


class CelebAMaskUNet(nn.Module):
    """x (N, 3, H, W) in [-1, 1], H and W multiples of 16 -> logits (N, n_classes, H, W)."""

    def __init__(self, n_classes: int = 19) -> None:
        super().__init__()
        a, b, c, d, e = WIDTHS
        self.conv1, self.conv2, self.conv3 = DoubleConv(3, a), DoubleConv(a, b), DoubleConv(b, c)
        self.conv4, self.center = DoubleConv(c, d), DoubleConv(d, e)
        self.up_concat4, self.up_concat3 = Up(e, d), Up(d, c)
        self.up_concat2, self.up_concat1 = Up(c, b), Up(b, a)
        self.final = nn.Conv2d(a, n_classes, 1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        x1 = self.conv1(x)  # (N, 16, H, W)
        x2 = self.conv2(self.pool(x1))
        x3 = self.conv3(self.pool(x2))
        x4 = self.conv4(self.pool(x3))
        y = self.center(self.pool(x4))  # (N, 256, H/16, W/16)
        y = self.up_concat2(x2, self.up_concat3(x3, self.up_concat4(x4, y)))
        return self.final(self.up_concat1(x1, y))
