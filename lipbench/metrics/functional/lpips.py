"""LPIPS v0.1 with the AlexNet or the VGG-16 trunk: Zhang, Isola, Efros, Shechtman, Wang, "The unreasonable
effectiveness of deep features as a perceptual metric", CVPR 2018; github.com/richzhang/PerceptualSimilarity.

The trunk is defined here and takes torchvision's weights by key, and the linear layers are read from the installed
`lpips` package without importing it: both packages fail to import beside a torch build that theirs does not match.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
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
from lipbench.metrics.functional.winograd import with_winograd
from lipbench.metrics.lpips_weights import FILES, Net, linear_file
from lipbench.metrics.shelf import Shelf

#: Of one picture: five (h w, C) arrays, for each place the channels that count, of unit length over all channels.
Features = list[Tensor]
#: What the features of references may take on disk, bytes: twelve seconds of 720p, or a minute of every fifth frame.
KEPT = 8 << 30
#: Pictures of more pixels have enough tiles for Winograd's convolutions, which then take half the time on a CPU.
LARGE = 256 * 256


class Lpips(nn.Module):
    """Distance of two images in the features of a network; 0 for equal ones, lower is closer.

    Attributes:
        shelf: features of pictures that will be compared again, for `distances` to use.
    """

    seen: Tensor

    def __init__(self, net: Net = "alex") -> None:
        super().__init__()
        self.net = net
        self.features = layers(net)
        # One weight per channel and tap: the 1x1 convolutions `lin0` .. `lin4` of the published model.
        self.linear = nn.ParameterList(nn.Parameter(torch.zeros(c)) for c in TAPPED[net].values())
        self.counting = [torch.zeros(0, dtype=torch.long)] * len(self.linear)
        levels = torch.arange(256).float()[:, None] / 127.5 - 1
        shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
        # What the network sees of each gray level, by channel: a look-up is a tenth of the arithmetic on every pixel.
        self.register_buffer("seen", (levels - shift) / scale)
        self.shelf = Shelf(KEPT)

    def forward(self, frame: Frame) -> Features:
        """(H, W, 3) uint8 RGB -> its features, without the channels that the linear layers weigh with 0."""
        seen = cv2.LUT(np.ascontiguousarray(frame), self.seen.cpu().numpy()[None])
        x = torch.from_numpy(seen).to(self.seen.device)[None].permute(0, 3, 1, 2)  # channels_last in memory
        found: Features = []
        large = frame.shape[0] * frame.shape[1] > LARGE and x.device.type == "cpu"
        for i, layer in enumerate(self.quick if large else [*self.features]):
            x = layer(x)
            if i in TAPPED[self.net]:
                places = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])  # (h w, C)
                length = places.square().sum(dim=1, keepdim=True).sqrt() + 1e-10
                found.append(places.index_select(1, self.counting[len(found)]) / length)
        return found

    @cached_property
    def quick(self) -> list[Callable[[Tensor], Tensor]]:
        """The same layers for large pictures."""
        return with_winograd([*self.features])

    def distance(self, a: Features, b: Features) -> float:
        """LPIPS of two pictures of one size by their features."""
        total = torch.zeros((), device=self.seen.device)
        for x, y, w, counting in zip(a, b, self.linear, self.counting, strict=True):
            total += torch.mv((x - y).square_(), w[counting]).mean()
        return float(total)

    def load(self, trunk: Mapping[str, Tensor], linear: Mapping[str, Tensor]) -> Lpips:
        """Take torchvision's state dict (its classifier is ignored) and the package's `lin{k}.model.1.weight`.

        Raises:
            WeightsMismatch: a key is missing or has another shape.
        """
        last = max(TAPPED[self.net])
        try:
            held = {k.removeprefix("features."): v for k, v in trunk.items() if k.startswith("features.")}
            self.features.load_state_dict({k: v for k, v in held.items() if int(k.split(".")[0]) <= last})
            for k, w in enumerate(self.linear):
                w.data.copy_(linear[f"lin{k}.model.1.weight"].reshape(w.shape))
        except (KeyError, RuntimeError, ValueError) as error:
            title, name = FILES[self.net].title, FILES[self.net].trunk
            raise WeightsMismatch(
                f"these are not the weights of LPIPS with {title}",
                str(error).splitlines()[0],
                f"run `lipbench weights get {name}` and reinstall the `lpips` package",
            ) from error
        self.counting = [torch.nonzero(w.data).flatten() for w in self.linear]
        self.__dict__.pop("quick", None)  # it has other weights
        for layer in self.features:
            if isinstance(layer, nn.Conv2d):  # the memory order of the images, which is faster on CPU
                layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
        return self.eval().requires_grad_(False)

    def to_device(self, device: str) -> Lpips:
        """Move it, the lists of channels included."""
        self.counting = [counting.to(device) for counting in self.counting]
        return self.to(device)


def load(device: str = "cpu", net: Net = "alex") -> Lpips:
    """The published model; kept in memory, so later calls are free.

    Raises:
        WeightsMissing: the message names the command that gets the trunk.
        WeightsMismatch: a file is there but is not the pinned one.
    """
    return _load(weights.path(FILES[net].trunk), linear_file(net), device, net)


@lru_cache(maxsize=2)
def _load(trunk: Path, linear: Path, device: str, net: Net) -> Lpips:
    layers_of_lpips = torch_file.state_dict(linear, "install the package lpips again")
    return Lpips(net).load(read_trunk(trunk, net), layers_of_lpips).to_device(device)


@torch.inference_mode()
def distances(net: Lpips, prediction: Frame, others: Sequence[Frame], *, keep: bool = False) -> list[float]:
    """LPIPS of one (H, W, 3) uint8 frame to each of the others, all of one size, none smaller than the net admits.

    Each frame goes through the trunk alone and once, and not at all where the two are equal: that is 0.

    Args:
        keep: leave the others' features on the net's shelf, and take from it what lies there. On a GPU they are
            computed sooner than read.
    """
    keep = keep and net.seen.device.type == "cpu"

    def features(frame: Frame) -> Features:
        kept = net.shelf.get(frame) if keep else None
        # TF32, the default for convolutions on recent GPUs, would move the third digit.
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            return net(frame) if kept is None else [torch.from_numpy(tap) for tap in kept]

    found = [0.0] * len(others)
    mine: Features | None = None
    for i, other in enumerate(others):
        if np.array_equal(prediction, other):
            continue
        theirs = features(other)
        if keep:
            net.shelf.put(other, [tap.numpy() for tap in theirs])
        # After the other: what is to be compared to several may itself be one of them.
        mine = mine or features(prediction)
        found[i] = net.distance(mine, theirs)
    return found


def lpips_per_frame(prediction: Frame, reference: Frame, device: str = "cpu", net: Net = "alex") -> NDArray[np.float64]:
    """LPIPS of every frame.

    Args:
        prediction: uint8 RGB, (H, W, 3) or (T, H, W, 3), at least 31 x 31 px (VGG-16: 16 x 16).
        reference: the same of what it is compared to.
        device: where to compute, "cpu" or "cuda:N".
        net: "alex", which papers mean by LPIPS, or "vgg", whose numbers are larger and of their own.

    Returns:
        (T,), 0 where the frames are equal.

    Raises:
        UsageError: other dtype or shape, or the two differ in shape.
        Unsupported: frames that are too small.
        WeightsMissing, WeightsMismatch: run `lipbench weights get alexnet` (or vgg16).
    """
    a, b = as_clips(prediction, reference)
    if min(a.shape[1:3]) < (smallest := FILES[net].smallest):
        raise Unsupported(
            f"frames of {a.shape[2]} x {a.shape[1]} px have no LPIPS",
            f"{FILES[net].title} needs {smallest} x {smallest} px",
            "compare larger frames, or use PSNR",
        )
    loaded = load(device, net)
    return np.array([distances(loaded, x, [y])[0] for x, y in zip(a, b, strict=True)])


def lpips(prediction: Frame, reference: Frame, device: str = "cpu", net: Net = "alex") -> float:
    """LPIPS v0.1 ("lpips_alex_v0.1" unless `net` says otherwise), mean over frames as they are, without resizing.

    Args:
        prediction: uint8 RGB, (H, W, 3) or (T, H, W, 3), at least 31 x 31 px (VGG-16: 16 x 16).
        reference: the same of what it is compared to.
        device: where to compute, "cpu" or "cuda:N".
        net: "alex", which papers mean by LPIPS, or "vgg", whose numbers are larger and of their own.

    Returns:
        0 when equal, lower is closer; rarely above 1.

    Raises:
        UsageError: other dtype or shape, or the two differ in shape.
        Unsupported: frames that are too small.
        WeightsMissing, WeightsMismatch: run `lipbench weights get alexnet` (or vgg16).

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
    return float(lpips_per_frame(prediction, reference, device, net).mean())
