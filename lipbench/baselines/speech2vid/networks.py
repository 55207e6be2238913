"""Speech2Vid's two networks: the generator v201 and the deblurring network v114.

Layers are those of the MatConvNet graphs published with github.com/joonson/yousaidthat (Chung et al., "You said that?",
BMVC 2017; Jamaludin et al., IJCV 2019); state-dict keys are the graph's layer names. No torch version was ever
published, so `convert` reads the `.mat` files. `width` scales every channel count between input and output; 1.0 is the
published size.

Images are RGB. The stills go in as 0..255, five of them stacked; the answer is in [0, 1].
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZE, DRAWN = 112, 109  # px: edge of the stills and of the answer, which shows rows and columns 1 to 109 of them
STILLS = 5
COEFFICIENTS, COLUMNS = 12, 35  # of a sound window, 10 ms each column
#: Padding of the last convolutions in F.pad's order: left 2, right 1, top 2, bottom 1.
UNEVEN = (2, 1, 2, 1)


class Speech2VidNet(nn.Module):
    """v201: what a face looks like while it says a sound, from five images of that face.

    Args:
        width: multiplier of the channel counts, never below 4 channels.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.width = width

        def c(channels: int) -> int:
            return max(4, round(channels * width))

        def block(name: str, cin: int, cout: int, kernel: int | tuple[int, int], stride: int = 1, pad: int = 0) -> None:
            stem, stream = name.split("_")
            number = stem.removeprefix("conv").removeprefix("fc")
            self.add_module(name, nn.Conv2d(cin, cout, kernel, stride, pad))
            self.add_module(f"bn{number}_{stream}", nn.BatchNorm2d(cout))

        block("conv1_audio", 1, c(64), 3, 1, 1)  # (B, 64, 12, 35)
        block("conv2_audio", c(64), c(128), 3, 1, 1)  # (B, 128, 12, 35), pooled to (11, 17)
        block("conv3_audio", c(128), c(256), 3, 1, 1)
        block("conv4_audio", c(256), c(256), 3, 1, 1)
        block("conv5_audio", c(256), c(256), 3, 1, 1)  # pooled to (5, 8)
        block("fc6_audio", c(256), c(512), (5, 8))  # (B, 512, 1, 1)
        block("fc7_audio", c(512), c(256), 1)

        block("conv1_face", 3 * STILLS, c(96), 7, 2)  # (B, 96, 53, 53), pooled to 26
        block("conv2_face", c(96), c(256), 5, 2, 1)  # (B, 256, 12, 12), pooled to 6
        block("conv3_face", c(256), c(512), 3, 1, 1)
        block("conv4_face", c(512), c(512), 3, 1, 1)
        block("conv5_face", c(512), c(512), 3, 1, 1)
        block("conv6_face", c(512), c(512), 6)  # (B, 512, 1, 1)
        block("conv7_face", c(512), c(256), 1)

        self.conv8 = nn.Conv2d(2 * c(256), c(128), 1)  # (B, 128, 1, 1)
        self.conv1_1 = nn.Conv2d(c(128), c(128), 3, 1, 1)  # 2
        self.conv1_2 = nn.Conv2d(c(128), c(256), 3, 1, 1)  # 4
        self.conv1_3 = nn.Conv2d(c(256), c(512), 3)  # 8 -> 6
        self.conv2 = nn.Conv2d(c(512), c(256), 3, 1, 1)  # 12
        self.conv3_1 = nn.Conv2d(2 * c(256), c(256), 3, 1, 1)  # 24
        self.conv3_2 = nn.Conv2d(c(256), c(96), 5, 1, 3)  # 26
        self.conv4 = nn.Conv2d(2 * c(96), c(96), 3)  # 52 -> 53
        self.conv5_1 = nn.Conv2d(2 * c(96), c(64), 3)  # 106 -> 107
        self.conv5_2 = nn.Conv2d(c(64), c(32), 3)  # 108
        self.conv5_3 = nn.Conv2d(c(32), 3, 3)  # 109

    def _block(self, name: str, x: Tensor) -> Tensor:
        """Convolution, batch norm, ReLU."""
        stem, stream = name.split("_")
        number = stem.removeprefix("conv").removeprefix("fc")
        return F.relu(getattr(self, f"bn{number}_{stream}")(getattr(self, name)(x)))

    def hear(self, sound: Tensor) -> Tensor:
        """(B, 1, 12, 35) -> (B, 256, 1, 1)."""
        x = self._block("conv2_audio", self._block("conv1_audio", sound))
        x = F.max_pool2d(F.pad(x, (0, 0, 1, 0)), 3, (1, 2))  # (B, 128, 11, 17); zeros below a ReLU change no maximum
        x = self._block("conv5_audio", self._block("conv4_audio", self._block("conv3_audio", x)))
        x = F.max_pool2d(x, 3, 2)  # (B, 256, 5, 8)
        return self._block("fc7_audio", self._block("fc6_audio", x))

    def look(self, stills: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(B, 15, 112, 112) -> (B, 256, 1, 1) and the maps that go around it: 53, 26 and 12 px."""
        x3 = self._block("conv1_face", stills)  # (B, 96, 53, 53)
        x4 = F.max_pool2d(x3, 3, 2)  # (B, 96, 26, 26)
        x7 = self._block("conv2_face", x4)  # (B, 256, 12, 12)
        x = F.max_pool2d(F.pad(x7, (0, 1, 0, 1)), 3, 2)  # (B, 256, 6, 6)
        for name in ("conv3_face", "conv4_face", "conv5_face", "conv6_face", "conv7_face"):
            x = self._block(name, x)
        return x, x3, x4, x7

    def forward(self, sound: Tensor, stills: Tensor) -> Tensor:
        """(B, 1, 12, 35) MFCC and (B, 15, 112, 112) RGB 0..255 -> (B, 3, 109, 109) RGB in [0, 1]."""
        return self.say(self.hear(sound), self.look(stills))

    def say(self, heard: Tensor, looked: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
        """The face of `look` while it says what `hear` heard."""
        face, x3, x4, x7 = looked
        x = F.relu(self.conv8(torch.cat((heard, face), dim=1)))
        x = F.relu(self.conv1_1(doubled(x)))  # (B, 128, 2, 2)
        x = F.relu(self.conv1_2(doubled(x)))  # (B, 256, 4, 4)
        x = F.relu(self.conv1_3(doubled(x)))  # (B, 512, 6, 6)
        x = F.relu(self.conv2(doubled(x)))  # (B, 256, 12, 12)
        x = F.relu(self.conv3_1(doubled(torch.cat((x7, x), dim=1))))  # (B, 256, 24, 24)
        x = F.relu(self.conv3_2(x))  # (B, 96, 26, 26)
        x = F.relu(self.conv4(F.pad(doubled(torch.cat((x4, x), dim=1)), UNEVEN)))  # (B, 96, 53, 53)
        x = F.relu(self.conv5_1(F.pad(doubled(torch.cat((x3, x), dim=1)), UNEVEN)))  # (B, 64, 107, 107)
        x = F.relu(self.conv5_2(F.pad(x, UNEVEN)))  # (B, 32, 108, 108)
        return torch.sigmoid(self.conv5_3(F.pad(x, UNEVEN)))  # (B, 3, 109, 109)


class DeblurNet(nn.Module):
    """v114: what has to be added to a drawn face to make it sharper."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        n = max(4, round(64 * width))
        self.width = width
        for i in range(10):
            self.add_module(f"supr{i}", nn.Conv2d(n if i else 3, n if i < 9 else 3, 3, 1, 1))

    def forward(self, drawn: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B, 3, H, W), the sharpened image, not clipped."""
        x = drawn
        for i in range(9):
            x = F.relu(getattr(self, f"supr{i}")(x))
        sharp: Tensor = drawn + getattr(self, f"supr{9}")(x)
        return sharp


def doubled(x: Tensor) -> Tensor:
    """Twice the size, bilinear, corners on corners: the graph's sampler on linspace(-1, 1)."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
