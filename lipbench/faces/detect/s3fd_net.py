"""The S3FD network (Zhang et al., "S3FD: Single Shot Scale-invariant Face Detector", ICCV 2017), in its two builds.

Two weight files with the same tensors are in use, and they want different networks:

              "wav2lip" (s3fd-619a316812.pth)      "syncnet" (sfd_face.pth)
    fc6       padding 3, dilation 1 (map grows)    padding 6, dilation 6 (size kept)
    pool3     rounds down                          rounds up
    keys      conv1_1 ... conv7_2_mbox_loc         vgg.0 ... loc.5
    input     RGB - [104, 117, 123]                RGB - [123, 117, 104]

The first one subtracts the BGR means from RGB channels; its weights are used that way upstream, so it stays.
Sources: face-alignment / Wav2Lip `face_detection/detection/sfd/net_s3fd.py`; syncnet_python `detectors/s3fd/nets.py`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Variant = Literal["syncnet", "wav2lip"]
VARIANTS: tuple[Variant, ...] = ("syncnet", "wav2lip")

# name: (in, out, kernel, stride, padding); fc6's padding and dilation depend on the variant
_CONVS = {
    "conv1_1": (3, 64, 3, 1, 1),
    "conv1_2": (64, 64, 3, 1, 1),
    "conv2_1": (64, 128, 3, 1, 1),
    "conv2_2": (128, 128, 3, 1, 1),
    "conv3_1": (128, 256, 3, 1, 1),
    "conv3_2": (256, 256, 3, 1, 1),
    "conv3_3": (256, 256, 3, 1, 1),
    "conv4_1": (256, 512, 3, 1, 1),
    "conv4_2": (512, 512, 3, 1, 1),
    "conv4_3": (512, 512, 3, 1, 1),
    "conv5_1": (512, 512, 3, 1, 1),
    "conv5_2": (512, 512, 3, 1, 1),
    "conv5_3": (512, 512, 3, 1, 1),
    "fc6": (512, 1024, 3, 1, 3),
    "fc7": (1024, 1024, 1, 1, 0),
    "conv6_1": (1024, 256, 1, 1, 0),
    "conv6_2": (256, 512, 3, 2, 1),
    "conv7_1": (512, 128, 1, 1, 0),
    "conv7_2": (128, 256, 3, 2, 1),
}
# the six maps that are searched: (channels, scores per cell, initial scale of its normalization)
_HEADS = {
    "conv3_3_norm": (256, 4, 10.0),
    "conv4_3_norm": (512, 2, 8.0),
    "conv5_3_norm": (512, 2, 5.0),
    "fc7": (1024, 2, None),
    "conv6_2": (512, 2, None),
    "conv7_2": (256, 2, None),
}
_VGG_PLACES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28, 31, 33)  # of conv1_1 ... fc7 in syncnet_python's list


class Map(NamedTuple):
    """What the net says about one feature map: scores (B, 2, h, w) as logits, offsets (B, 4, h, w)."""

    scores: Tensor
    offsets: Tensor


class L2Norm(nn.Module):
    """Channel-wise unit length, times a learned scale per channel."""

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        # (B, C, H, W)
        return x / (x.pow(2).sum(1, keepdim=True).sqrt() + 1e-10) * self.weight[:, None, None]


def _upstream_name(name: str, variant: Variant) -> str:
    """A layer's place in the state dict of the variant's weight file."""
    if variant == "wav2lip":
        return name
    convs, heads = list(_CONVS), list(_HEADS)
    if name in _CONVS:
        number = convs.index(name)
        return f"vgg.{_VGG_PLACES[number]}" if number < len(_VGG_PLACES) else f"extras.{number - len(_VGG_PLACES)}"
    if name.endswith("_mbox_loc"):
        return f"loc.{heads.index(name.removesuffix('_mbox_loc'))}"
    if name.endswith("_mbox_conf"):
        return f"conf.{heads.index(name.removesuffix('_mbox_conf'))}"
    return f"L2Norm{name[4:7]}"  # conv3_3_norm -> L2Norm3_3


class S3FDNet(nn.Module):
    """Six feature maps with a face score and a box per cell.

    The state dict has the names of the variant's weight file, so that those files load as they are.
    """

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        self.variant = variant
        layers: dict[str, nn.Module] = {}
        for name, (channels, out, kernel, stride, padding) in _CONVS.items():
            dilation = 1
            if name == "fc6" and variant == "syncnet":
                padding, dilation = 6, 6
            layers[name] = nn.Conv2d(channels, out, kernel, stride, padding, dilation)
        for name, (channels, scores, scale) in _HEADS.items():
            if scale is not None:
                layers[name] = L2Norm(channels, scale)
            layers[f"{name}_mbox_conf"] = nn.Conv2d(channels, scores, 3, 1, 1)
            layers[f"{name}_mbox_loc"] = nn.Conv2d(channels, 4, 3, 1, 1)
        self._places = {name: _upstream_name(name, variant) for name in layers}
        for name, layer in layers.items():
            *outer, last = self._places[name].split(".")
            parent: nn.Module = self
            if outer:
                if outer[0] not in self._modules:
                    self.add_module(outer[0], nn.Module())
                parent = self.get_submodule(outer[0])
            parent.add_module(last, layer)

    def _layer(self, name: str) -> nn.Module:
        return self.get_submodule(self._places[name])

    def forward(self, x: Tensor) -> list[Map]:
        """x (B, 3, H, W), means subtracted -> six maps with strides 4 to 128."""

        def conv(name: str, y: Tensor) -> Tensor:
            return F.relu(self._layer(name)(y), inplace=True)

        x = conv("conv1_2", conv("conv1_1", x))
        x = F.max_pool2d(x, 2)
        x = conv("conv2_2", conv("conv2_1", x))
        x = F.max_pool2d(x, 2)
        f3 = conv("conv3_3", conv("conv3_2", conv("conv3_1", x)))  # stride 4
        x = F.max_pool2d(f3, 2, ceil_mode=self.variant == "syncnet")
        f4 = conv("conv4_3", conv("conv4_2", conv("conv4_1", x)))  # stride 8
        x = F.max_pool2d(f4, 2)
        f5 = conv("conv5_3", conv("conv5_2", conv("conv5_1", x)))  # stride 16
        x = F.max_pool2d(f5, 2)
        f7 = conv("fc7", conv("fc6", x))  # stride 32
        f8 = conv("conv6_2", conv("conv6_1", f7))  # stride 64
        f9 = conv("conv7_2", conv("conv7_1", f8))  # stride 128

        maps = []
        for name, feature in zip(_HEADS, (f3, f4, f5, f7, f8, f9), strict=True):
            y = self._layer(name)(feature) if _HEADS[name][2] is not None else feature
            scores, offsets = self._layer(f"{name}_mbox_conf")(y), self._layer(f"{name}_mbox_loc")(y)
            if scores.shape[1] == 4:  # the finest map has three background scores: the highest counts
                scores = torch.cat([scores[:, :3].amax(1, keepdim=True), scores[:, 3:]], 1)
            maps.append(Map(scores, offsets))
        return maps
