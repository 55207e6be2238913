"""DISTS: Ding, Ma, Wang, Simoncelli, "Image quality assessment: unifying structure and texture similarity", TPAMI 2020.

VGG-16 whose pooling takes the root of a Hann-weighted sum of squares, and per channel, the image's own three among
them, a similarity of means (texture) and of covariances (structure), weighed by published weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lipbench.core import weights
from lipbench.core.errors import Unsupported, WeightsMismatch
from lipbench.core.weights import torch_file
from lipbench.metrics.arrays import Frame, as_clips
from lipbench.metrics.functional.lpips_trunk import TAPPED, layers, read_trunk

#: Of one image: (C, pixels) for the image in 0..1 and for each tapped layer, less its mean, and that mean, (C, 1).
Features = list[tuple[Tensor, Tensor]]
#: Channels of the image and of the tapped layers.
CHANNELS = (3, *TAPPED["vgg"].values())
#: Shorter side that larger images are brought to, px, as the authors advise.
SIDE = 256
#: Shorter side of the smallest image that is measured, px: one pixel is left at the last layer.
SMALLEST = 16
#: Keeps the similarities of empty channels defined.
TINY = 1e-6
#: What belongs to these numbers in the weights folder.
TRUNK, OWN, FILE = "vgg16", "dists", "weights.pt"


class RootPool(nn.Module):
    """Halves an image: root of the sum of squares under a 3 x 3 Hann window, one pixel of zeros around it."""

    window: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        side = torch.tensor([0.25, 0.5, 0.25])
        self.register_buffer("window", torch.outer(side, side).expand(channels, 1, 3, 3).clone())

    def forward(self, x: Tensor) -> Tensor:
        summed = nn.functional.conv2d(x.square(), self.window, stride=2, padding=1, groups=len(self.window))
        return (summed + 1e-12).sqrt()


class Dists(nn.Module):
    """Distance of two images of one size; 0 for equal ones, lower is closer."""

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        trunk = layers("vgg")
        channels = 3
        for i, layer in enumerate(trunk):
            if isinstance(layer, nn.Conv2d):
                channels = layer.out_channels
            elif isinstance(layer, nn.MaxPool2d):
                trunk[i] = RootPool(channels)
        self.features = trunk
        self.texture = nn.ParameterList(nn.Parameter(torch.zeros(c)) for c in CHANNELS)
        self.structure = nn.ParameterList(nn.Parameter(torch.zeros(c)) for c in CHANNELS)
        self.register_buffer("shift", torch.tensor([0.485, 0.456, 0.406])[:, None, None])
        self.register_buffer("scale", torch.tensor([0.229, 0.224, 0.225])[:, None, None])

    def forward(self, frame: Frame) -> Features:
        """(H, W, 3) uint8 RGB -> its features."""
        image = torch.from_numpy(np.ascontiguousarray(frame)).to(self.shift.device).permute(2, 0, 1).float() / 255
        found = [_about(image)]
        x = ((image - self.shift) / self.scale)[None]
        for i, layer in enumerate(self.features):
            x = layer(x)
            if i in TAPPED["vgg"]:
                found.append(_about(x[0]))
        return found

    def distance(self, a: Features, b: Features) -> float:
        """DISTS of two images of one size by their features."""
        total = torch.zeros((), device=self.shift.device)
        for (x, mx), (y, my), texture, structure in zip(a, b, self.texture, self.structure, strict=True):
            means = (2 * mx * my + TINY) / (mx.square() + my.square() + TINY)
            joint = 2 * (x * y).mean(dim=1) + TINY
            spread = x.square().mean(dim=1) + y.square().mean(dim=1) + TINY
            total += (texture * means[:, 0] + structure * joint / spread).sum()
        return 1 - float(total)

    def load(self, trunk: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> Dists:
        """Take torchvision's state dict of VGG-16 and the package's `alpha` (texture) and `beta` (structure).

        Raises:
            WeightsMismatch: a key is missing or has another shape.
        """
        try:
            held = {k.removeprefix("features."): v for k, v in trunk.items() if k.startswith("features.")}
            self.features.load_state_dict({**self._windows(), **held})
            whole = own["alpha"].sum() + own["beta"].sum()
            for parts, name in ((self.texture, "alpha"), (self.structure, "beta")):
                for part, values in zip(parts, (own[name].flatten() / whole).split(CHANNELS), strict=True):
                    part.data.copy_(values)
        except (KeyError, RuntimeError, ValueError) as error:
            raise WeightsMismatch(
                "these are not the weights of DISTS",
                str(error).splitlines()[0],
                f"run `lipbench weights get {TRUNK} --again` and `lipbench weights get {OWN} --again`",
            ) from error
        return self.eval().requires_grad_(False)

    def _windows(self) -> dict[str, Tensor]:
        return {name: value for name, value in self.features.state_dict().items() if name.endswith("window")}


def _about(x: Tensor) -> tuple[Tensor, Tensor]:
    """(C, h, w) -> (C, h w) less the mean of each channel, and the means, (C, 1)."""
    flat = x.flatten(1)
    mean = flat.mean(dim=1, keepdim=True)
    return flat - mean, mean


def as_seen(crop: Frame) -> Frame:
    """An image as the network sees it: its shorter side at most 256 px, by area averaging."""
    height, width = crop.shape[:2]
    if (shorter := min(height, width)) <= SIDE:
        return crop
    size = (round(width * SIDE / shorter), round(height * SIDE / shorter))
    return cv2.resize(crop, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def load(device: str = "cpu") -> Dists:
    """The published model; kept in memory, so later calls are free.

    Raises:
        WeightsMissing: the message names the command that gets what is missing.
        WeightsMismatch: a file is there but is not the pinned one.
    """
    return _load(weights.path(TRUNK), weights.path(OWN) / FILE, device)


@lru_cache(maxsize=1)
def _load(trunk: Path, own: Path, device: str) -> Dists:
    state = torch_file.state_dict(own, f"run `lipbench weights get {OWN} --again`")
    return Dists().load(read_trunk(trunk, "vgg"), state).to(device)


@torch.inference_mode()
def features(net: Dists, frame: Frame) -> Features:
    """Features of one (H, W, 3) uint8 RGB image, as it is, at full precision."""
    # TF32, the default for convolutions on recent GPUs, would move the third digit.
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        found: Features = net(frame)
    return found


def dists_per_frame(prediction: Frame, reference: Frame, device: str = "cpu") -> NDArray[np.float64]:
    """DISTS of every frame.

    Args:
        prediction: uint8 RGB, (H, W, 3) or (T, H, W, 3), at least 16 x 16 px; not resized.
        reference: the same of what it is compared to.
        device: where to compute, "cpu" or "cuda:N".

    Returns:
        (T,), 0 where the frames are equal.

    Raises:
        UsageError: other dtype or shape, or the two differ in shape.
        Unsupported: frames that are too small.
        WeightsMissing, WeightsMismatch: run `lipbench weights get vgg16` and `lipbench weights get dists`.
    """
    a, b = as_clips(prediction, reference)
    if min(a.shape[1:3]) < SMALLEST:
        raise Unsupported(
            f"frames of {a.shape[2]} x {a.shape[1]} px have no DISTS",
            f"VGG-16 needs {SMALLEST} x {SMALLEST} px",
            "compare larger frames, or use PSNR",
        )
    net = load(device)
    return np.array([between(net, features(net, x), y, x) for x, y in zip(a, b, strict=True)])


def between(net: Dists, mine: Features, other: Frame, frame: Frame) -> float:
    """DISTS of a frame, whose features are `mine`, to another one; exactly 0 where the two are equal."""
    if np.array_equal(frame, other):
        return 0.0
    return net.distance(mine, features(net, other))


def dists(prediction: Frame, reference: Frame, device: str = "cpu") -> float:
    """DISTS, mean over frames as they are, without resizing.

    Args:
        prediction: uint8 RGB, (H, W, 3) or (T, H, W, 3), at least 16 x 16 px. The authors bring larger images to a
            shorter side of 256 px first.
        reference: the same of what it is compared to.
        device: where to compute, "cpu" or "cuda:N".

    Returns:
        0 when equal, lower is closer.

    Raises:
        UsageError: other dtype or shape, or the two differ in shape.
        Unsupported: frames that are too small.
        WeightsMissing, WeightsMismatch: run `lipbench weights get vgg16` and `lipbench weights get dists`.

    Source:
        Ding et al., "Image quality assessment: unifying structure and texture similarity", TPAMI 2020.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics import dists
        >>> from lipbench.metrics.functional.dists import as_seen
        >>> noise = np.random.default_rng(0).integers(0, 256, (512, 1024, 3), np.uint8)
        >>> as_seen(noise).shape  # as the authors advise
        (256, 512, 3)
        >>> dists(as_seen(noise), as_seen(noise))  # doctest: +SKIP
        0.0
    """
    return float(dists_per_frame(prediction, reference, device).mean())
