"""The three encoders of PC-AVS: who it is (ResNeXt-50), where the head points (FAN), what is said (SE-ResNet-34).

Layers, names: github.com/Hangz-nju-cuhk/Talking-Face_PC-AVS: netV `resnext`, netE `fan`, netA_sync `ressesync`.
Heads that only its training uses (`fc`, `classifier`, `mouth_fc`, `headpose_fc`) are there because the files hold them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipbench.baselines.pcavs.generator import POSE, SIZE, Sizes

CLASSES = 5830  # speakers of the training set
AUDIO_GAIN = 1.2  # upstream makes mouths livelier by this much


def _conv(n_in: int, n_out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, groups=groups, bias=False)


def _down(n_in: int, n_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(_conv(n_in, n_out, 1, stride), nn.BatchNorm2d(n_out))


class Bottleneck(nn.Module):
    """ResNeXt block: 1 x 1, grouped 3 x 3, 1 x 1 (Xie et al., CVPR 2017)."""

    def __init__(self, n_in: int, n_mid: int, n_out: int, stride: int, groups: int, down: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(n_in, n_mid, 1), nn.BatchNorm2d(n_mid)
        self.conv2, self.bn2 = _conv(n_mid, n_mid, 3, stride, groups), nn.BatchNorm2d(n_mid)
        self.conv3, self.bn3 = _conv(n_mid, n_out, 1), nn.BatchNorm2d(n_out)
        self.downsample = _down(n_in, n_out, stride) if down else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class _ResNeXt(nn.Module):
    def __init__(self, sizes: Sizes, depths: Sequence[int]) -> None:
        super().__init__()
        groups = sizes.of(32)
        n = 2 * groups
        self.conv1, self.bn1 = nn.Conv2d(3, n, 7, 2, 3, bias=False), nn.BatchNorm2d(n)
        self.layers = len(depths)
        for layer, blocks in enumerate(depths):
            mid, out = groups * 4 * 2**layer, groups * 8 * 2**layer
            row = [
                Bottleneck(n if i == 0 else out, mid, out, 2 if i == 0 and layer > 0 else 1, groups, i == 0)
                for i in range(blocks)
            ]
            setattr(self, f"layer{layer + 1}", nn.Sequential(*row))
            n = out
        self.fc = nn.Linear(n, 1000)

    def forward(self, x: Tensor) -> list[Tensor]:
        """What comes out of the first convolution and of every layer, finest first."""
        found = [F.relu(self.bn1(self.conv1(x)))]
        x = F.max_pool2d(found[0], 3, 2, 1)
        for layer in range(self.layers):
            x = getattr(self, f"layer{layer + 1}")(x)
            found.append(x)
        return found


class IdentityEncoder(nn.Module):
    """(B, 3, 224, 224) in [-1, 1] -> who: a vector (B, 2048 w) and a map (B, 512 w, 7, 7).

    Args:
        depths: blocks of each layer; with three layers images are 112 px wide, for a map of 7 x 7.
        channels: of the map.
    """

    def __init__(
        self, width: float = 1.0, classes: int = CLASSES, *, depths: Sequence[int] = (3, 4, 6, 3), channels: int = 0
    ) -> None:
        super().__init__()
        sizes = Sizes(width)
        self.width = width
        self.model = _ResNeXt(sizes, depths)
        n = self.model.fc.in_features
        self.conv1x1 = nn.Conv2d(n, channels or sizes.of(512), 1)
        self.fc = nn.Linear(n, classes)

    def look(self, x: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Vector, map, and the maps before the last, from coarse to fine: what `Generator(finer=...)` takes."""
        *finer, x = self.model(x)  # (B, 2048, 7, 7)
        return x.mean((2, 3)), F.adaptive_avg_pool2d(self.conv1x1(x), (7, 7)), finer[::-1]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        vector, where, _ = self.look(x)
        return vector, where


class ConvBlock(nn.Module):
    """FAN's block (Bulat and Tzimiropoulos, ICCV 2017): three convolutions, each one's output kept and joined."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        half, quarter = n_out // 2, n_out // 4
        self.bn1, self.conv1 = nn.BatchNorm2d(n_in), _conv(n_in, half, 3)
        self.bn2, self.conv2 = nn.BatchNorm2d(half), _conv(half, quarter, 3)
        self.bn3, self.conv3 = nn.BatchNorm2d(quarter), _conv(quarter, quarter, 3)
        same = n_in == n_out
        self.downsample = None if same else nn.Sequential(nn.BatchNorm2d(n_in), nn.ReLU(), _conv(n_in, n_out, 1))

    def forward(self, x: Tensor) -> Tensor:
        a = self.conv1(F.relu(self.bn1(x)))
        b = self.conv2(F.relu(self.bn2(a)))
        c = self.conv3(F.relu(self.bn3(b)))
        return torch.cat([a, b, c], 1) + (x if self.downsample is None else self.downsample(x))


class Hourglass(nn.Module):
    def __init__(self, n: int, depth: int = 4) -> None:
        super().__init__()
        self.depth, self.drop = depth, 0.5
        for level in range(depth, 0, -1):
            self.add_module(f"b1_{level}", ConvBlock(n, n))
            self.add_module(f"b2_{level}", ConvBlock(n, n))
        self.add_module("b2_plus_1", ConvBlock(n, n))
        for level in range(1, depth + 1):
            self.add_module(f"b3_{level}", ConvBlock(n, n))

    def forward(self, x: Tensor, level: int | None = None) -> Tensor:
        level = self.depth if level is None else level
        up = F.dropout(self.get_submodule(f"b1_{level}")(x), self.drop, self.training)
        low = self.get_submodule(f"b2_{level}")(F.max_pool2d(x, 2))
        low = self.forward(low, level - 1) if level > 1 else self.get_submodule("b2_plus_1")(low)
        low = self.get_submodule(f"b3_{level}")(low)
        return up + F.interpolate(low, size=up.shape[-2:], mode="bilinear", align_corners=False)


class _Fan(nn.Module):
    def __init__(self, sizes: Sizes, features: int, size: int, depth: int) -> None:
        super().__init__()
        c64, c128, c256 = (4 * sizes.of(c // 4) for c in (64, 128, 256))
        self.conv1, self.bn1 = nn.Conv2d(3, c64, 7, 2, 3), nn.BatchNorm2d(c64)
        self.conv2, self.conv3, self.conv4 = ConvBlock(c64, c128), ConvBlock(c128, c128), ConvBlock(c128, c256)
        self.m0 = Hourglass(c256, depth)
        self.top_m_0 = ConvBlock(c256, c256)
        self.conv_last0, self.l0 = nn.Conv2d(c256, c256, 1), nn.Conv2d(c256, 68, 1)
        self.bn_end0 = nn.BatchNorm2d(c256)
        self.conv6 = nn.Conv2d(68, 1, 3, 2, 1)
        self.fc = nn.Linear((size // 8) ** 2, features)
        self.bn5 = nn.BatchNorm2d(68)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))  # (B, 64, 112, 112)
        x = F.max_pool2d(self.conv2(x), 2)
        x = self.top_m_0(self.m0(self.conv4(self.conv3(x))))  # (B, 256, 56, 56)
        x = self.l0(F.relu(self.bn_end0(self.conv_last0(x))))  # (B, 68, 56, 56)
        x = F.relu(self.conv6(F.relu(self.bn5(x))))  # (B, 1, 28, 28)
        out: Tensor = self.fc(x.flatten(1))
        return out


class PoseMouthEncoder(nn.Module):
    """(B, 3, 224, 224) in [-1, 1] -> features (B, 512 w); heads that make pose and mouth of features.

    Args:
        features: length instead of 512 w.
        mouth: length instead of 500 w.
        size: of the images, px.
        depth: of the hourglass; the image is `size` / 4 wide there and halved so often.
    """

    def __init__(
        self,
        width: float = 1.0,
        classes: int = CLASSES,
        *,
        features: int = 0,
        mouth: int = 0,
        size: int = SIZE,
        depth: int = 4,
    ) -> None:
        super().__init__()
        sizes = Sizes(width)
        n, mouth = features or sizes.of(512), mouth or sizes.of(500)
        self.width = width
        self.model = _Fan(sizes, n, size, depth)
        self.classifier = nn.Sequential(nn.Linear(n, n), nn.ReLU(), nn.Linear(n, classes))
        self.to_mouth = nn.Sequential(nn.Linear(n, n), nn.ReLU(), nn.Linear(n, n))
        self.mouth_embed = nn.Sequential(nn.ReLU(), nn.Linear(n, mouth))
        self.mouth_fc = nn.Sequential(nn.ReLU(), nn.Linear(n, classes))
        self.to_headpose = nn.Sequential(nn.Linear(n, n), nn.ReLU(), nn.Linear(n, n))
        self.headpose_embed = nn.Sequential(nn.ReLU(), nn.Linear(n, POSE))
        self.headpose_fc = nn.Sequential(nn.ReLU(), nn.Linear(POSE, classes))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.model(x)
        return out

    def pose(self, x: Tensor) -> Tensor:
        """(B, 3, 224, 224) -> (B, 12)."""
        out: Tensor = self.headpose_embed(self.to_headpose(self.model(x)))
        return out

    def mouth(self, heard: Tensor) -> Tensor:
        """(B, 512 w) of the audio encoder -> (B, 500 w)."""
        out: Tensor = self.mouth_embed(heard * AUDIO_GAIN)
        return out


class _Gate(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, n: int) -> None:
        super().__init__()
        small = max(1, n // 8)
        self.fc = nn.Sequential(nn.Linear(n, small), nn.ReLU(), nn.Linear(small, n), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc(x.mean((2, 3)))[:, :, None, None]


class SeBlock(nn.Module):
    def __init__(self, n_in: int, n_out: int, stride: int, down: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(n_in, n_out, 3, stride), nn.BatchNorm2d(n_out)
        self.conv2, self.bn2 = _conv(n_out, n_out, 3), nn.BatchNorm2d(n_out)
        self.se = _Gate(n_out)
        self.downsample = _down(n_in, n_out, stride) if down else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(F.relu(self.conv1(x)))  # ReLU before the norm
        y = self.se(self.bn2(self.conv2(y)))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class _SeResNet(nn.Module):
    def __init__(self, sizes: Sizes, features: int) -> None:
        super().__init__()
        channels = [sizes.of(c) for c in (32, 64, 128, 256)]
        n = channels[0]
        self.conv1, self.bn1 = nn.Conv2d(1, n, 3, 1, 1), nn.BatchNorm2d(n)
        for layer, (out, blocks) in enumerate(zip(channels, (3, 4, 6, 3), strict=True)):
            first = SeBlock(n, out, 2 if layer else 1, layer > 0)
            setattr(
                self,
                f"layer{layer + 1}",
                nn.Sequential(first, *(SeBlock(out, out, 1, False) for _ in range(blocks - 1))),
            )
            n = out
        rows, mid = 10 * n, sizes.of(128)
        self.attention = nn.Sequential(
            nn.Conv1d(rows, mid, 1), nn.ReLU(), nn.BatchNorm1d(mid), nn.Conv1d(mid, rows, 1), nn.Softmax(dim=2)
        )
        self.fc = nn.Linear(rows, features)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn1(F.relu(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # type: ignore[operator]
        x = x.flatten(1, 2)  # (B, 256 * 10, 3)
        out: Tensor = self.fc((x * self.attention(x)).sum(2))
        return out


class AudioEncoder(nn.Module):
    """(B, 1, 80, 20) mel bands of 0.2 s -> (B, 512 w), or as many `features` as said."""

    def __init__(self, width: float = 1.0, classes: int = CLASSES, *, features: int = 0) -> None:
        super().__init__()
        sizes = Sizes(width)
        features = features or sizes.of(512)
        self.width = width
        self.model = _SeResNet(sizes, features)
        self.fc = nn.Linear(features, classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.model(x)
        return out
