"""LPIPS v0.1 with the AlexNet trunk: Zhang, Isola, Efros, Shechtman, Wang, "The unreasonable effectiveness of deep
features as a perceptual metric", CVPR 2018; github.com/richzhang/PerceptualSimilarity.

The trunk is defined here and takes torchvision's weights by key, and the linear layers are read from the installed
`lpips` package without importing it: both packages fail to import beside a torch build that theirs does not match.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lipbench.core import weights
from lipbench.core.errors import Unsupported, WeightsMismatch
from lipbench.core.weights import torch_file
from lipbench.metrics.arrays import Frame, as_clips
from lipbench.metrics.lpips_weights import TRUNK, linear_file

#: Of the five tapped layers.
CHANNELS = (64, 192, 384, 256, 256)
#: Below this the trunk's last pooling has nothing to pool.
SMALLEST = 31


class Lpips(nn.Module):
    """Distance of two images in AlexNet's features; 0 for equal ones, lower is closer."""

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        # torchvision's `alexnet().features`: the indices are the keys of its state dict.
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2),  # 0   (H, W) -> about (H, W) / 4
            nn.ReLU(inplace=True),  # 1   tapped
            nn.MaxPool2d(3, stride=2),  # 2
            nn.Conv2d(64, 192, 5, padding=2),  # 3
            nn.ReLU(inplace=True),  # 4   tapped
            nn.MaxPool2d(3, stride=2),  # 5
            nn.Conv2d(192, 384, 3, padding=1),  # 6
            nn.ReLU(inplace=True),  # 7   tapped
            nn.Conv2d(384, 256, 3, padding=1),  # 8
            nn.ReLU(inplace=True),  # 9   tapped
            nn.Conv2d(256, 256, 3, padding=1),  # 10
            nn.ReLU(inplace=True),  # 11  tapped
        )
        self.tapped = (1, 4, 7, 9, 11)
        # One weight per channel and tap: the 1x1 convolutions `lin0` .. `lin4` of the published model.
        self.linear = nn.ParameterList(nn.Parameter(torch.zeros(c)) for c in CHANNELS)
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1))

    def taps(self, frames: Tensor) -> list[Tensor]:
        """(B, H, W, 3) uint8 RGB -> five (B, C, h, w) feature maps, unit length over C."""
        x = frames.permute(0, 3, 1, 2).float() / 127.5 - 1  # stays channels_last in memory
        x = (x - self.shift) / self.scale
        found = []
        for i, layer in enumerate(self.features):
            x = layer(x)
            if i in self.tapped:
                found.append(x / (x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10))
        return found

    def forward(self, frames: Tensor) -> Tensor:
        """(B, H, W, 3) uint8 RGB -> (B - 1,) distances of the others to the first."""
        total = torch.zeros(len(frames) - 1, device=frames.device)
        for tap, w in zip(self.taps(frames), self.linear, strict=True):
            squared = (tap[1:] - tap[:1]).square()  # (B - 1, C, h, w)
            total += torch.einsum("bchw,c->bhw", squared, w).mean(dim=(1, 2))
        return total

    def load(self, trunk: Mapping[str, Tensor], linear: Mapping[str, Tensor]) -> Lpips:
        """Take torchvision's alexnet state dict (its classifier is ignored) and the package's `lin{k}.model.1.weight`.

        Raises:
            WeightsMismatch: a key is missing or has another shape.
        """
        try:
            self.features.load_state_dict(
                {k.removeprefix("features."): v for k, v in trunk.items() if k.startswith("features.")}
            )
            for k, w in enumerate(self.linear):
                w.data.copy_(linear[f"lin{k}.model.1.weight"].reshape(w.shape))
        except (KeyError, RuntimeError) as error:
            raise WeightsMismatch(
                "these are not the weights of LPIPS with AlexNet",
                str(error).splitlines()[0],
                f"run `lipbench weights get {TRUNK}` and reinstall the `lpips` package",
            ) from error
        for layer in self.features:
            if isinstance(layer, nn.Conv2d):  # the memory order of the images, which is faster on CPU
                layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
        return self.eval().requires_grad_(False)


def load(device: str = "cpu") -> Lpips:
    """The published model; kept in memory, so later calls are free.

    Raises:
        WeightsMissing: the message names the command that gets the trunk.
        WeightsMismatch: a file is there but is not the pinned one.
    """
    return _load(weights.path(TRUNK), linear_file(), device)


@lru_cache(maxsize=2)
def _load(trunk: Path, linear: Path, device: str) -> Lpips:
    fixes = (f"`lipbench weights get {TRUNK} --again`", "install the package lpips again")
    states = (torch_file.read(path, fix) for path, fix in zip((trunk, linear), fixes, strict=True))
    return Lpips().load(*states).to(device)


@torch.inference_mode()
def distances(net: Lpips, prediction: Frame, others: Sequence[Frame]) -> list[float]:
    """LPIPS of one (H, W, 3) uint8 frame to each of the others, all of one size, at least 31 x 31 px.

    The prediction goes through the trunk once for all of them, and not at all where it equals the other: that is 0.
    """
    different = [i for i, other in enumerate(others) if not np.array_equal(prediction, other)]
    found = [0.0] * len(others)
    if different:
        batch = torch.from_numpy(np.stack([prediction, *(others[i] for i in different)]))
        # TF32, the default for convolutions on recent GPUs, would move the third digit.
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            for i, distance in zip(different, net(batch.to(net.shift.device)).tolist(), strict=True):
                found[i] = distance
    return found


def lpips_per_frame(prediction: Frame, reference: Frame, device: str = "cpu") -> NDArray[np.float64]:
    """LPIPS of every frame.

    Args:
        prediction: uint8 RGB, (H, W, 3) or (T, H, W, 3), at least 31 x 31 px.
        reference: the same of what it is compared to.
        device: where to compute, "cpu" or "cuda:N".

    Returns:
        (T,), 0 where the frames are equal.

    Raises:
        UsageError: other dtype or shape, or the two differ in shape.
        Unsupported: frames that are too small.
        WeightsMissing, WeightsMismatch: run `lipbench weights get alexnet`.
    """
    a, b = as_clips(prediction, reference)
    if min(a.shape[1:3]) < SMALLEST:
        raise Unsupported(
            f"frames of {a.shape[2]} x {a.shape[1]} px have no LPIPS",
            f"AlexNet needs {SMALLEST} x {SMALLEST} px",
            "compare larger frames, or use PSNR",
        )
    net = load(device)
    return np.array([distances(net, x, [y])[0] for x, y in zip(a, b, strict=True)])


def lpips(prediction: Frame, reference: Frame, device: str = "cpu") -> float:
    """LPIPS v0.1 with AlexNet ("lpips_alex_v0.1"), mean over frames, frames as they are, without resizing.

    Args:
        prediction: uint8 RGB, (H, W, 3) or (T, H, W, 3), at least 31 x 31 px.
        reference: the same of what it is compared to.
        device: where to compute, "cpu" or "cuda:N".

    Returns:
        0 when equal, lower is closer; rarely above 1.

    Raises:
        UsageError: other dtype or shape, or the two differ in shape.
        Unsupported: frames that are too small.
        WeightsMissing, WeightsMismatch: run `lipbench weights get alexnet`.

    Source:
        Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric", CVPR 2018.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics import lpips
        >>> noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        >>> lpips(noise, noise)
        0.0
        >>> lpips(255 - noise, noise) > 0.01
        True
    """
    return float(lpips_per_frame(prediction, reference, device).mean())
