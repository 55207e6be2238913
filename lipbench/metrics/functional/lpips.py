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
#: Pixels that go through the network together: alone a small picture is too little work for a product of matrices.
BATCH = 8 * 256 * 256


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
        self._count()
        levels = torch.arange(256).float()[:, None] / 127.5 - 1
        shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
        # What the network sees of each gray level, by channel: a look-up is a tenth of the arithmetic on every pixel.
        self.register_buffer("seen", (levels - shift) / scale)
        self.shelf = Shelf(KEPT)

    def forward(self, frame: Frame) -> Features:
        """(H, W, 3) uint8 RGB -> its features, without the channels that the linear layers weigh with 0."""
        return self.features_of([frame])[0]

    @torch.no_grad()  # the loops for CPUs know no gradients
    def features_of(self, frames: Sequence[Frame]) -> list[Features]:
        """What `forward` gives for each of several frames of one size."""
        seen = np.empty((len(frames), *frames[0].shape), np.float32)
        levels = self.seen.cpu().numpy()[None]
        for frame, place in zip(frames, seen, strict=True):
            cv2.LUT(np.ascontiguousarray(frame), levels, dst=place)
        x = torch.from_numpy(seen).to(self.seen.device).permute(0, 3, 1, 2)  # channels_last in memory
        found: list[Tensor] = []
        for i, layer in enumerate(self.quick if x.device.type == "cpu" else [*self.features]):
            x = layer(x)
            if i in TAPPED[self.net]:
                found.append(self._unit(x.permute(0, 2, 3, 1).flatten(1, 2), self.counting[len(found)]))
        return [[tap[i] for tap in found] for i in range(len(frames))]

    @staticmethod
    def _unit(places: Tensor, counting: Tensor) -> Tensor:
        """The channels that count of (N, h w, C), of unit length over all channels."""
        if places.device.type != "cpu":
            length = places.square().sum(dim=2, keepdim=True).sqrt() + 1e-10
            return places.index_select(2, counting) / length
        from lipbench.metrics.functional.lpips_loops import unit_length  # needs numba, which a cached run does not

        found = torch.empty(*places.shape[:2], len(counting))
        unit_length(places.flatten(0, 1).numpy(), counting.numpy(), found.flatten(0, 1).numpy())
        return found

    @cached_property
    def quick(self) -> list[Callable[[Tensor], Tensor]]:
        """The same layers for a CPU."""
        quick = with_winograd([*self.features])
        return [_halve if isinstance(layer, nn.MaxPool2d) and layer.kernel_size == 3 else layer for layer in quick]

    def distance(self, a: Features, b: Features) -> float:
        """LPIPS of two pictures of one size by their features."""
        taps = zip(a, b, self.weights, strict=True)
        if self.seen.device.type != "cpu":
            return float(torch.stack([torch.mv((x - y).square_(), w).mean() for x, y, w in taps]).sum())
        from lipbench.metrics.functional.lpips_loops import distance

        return float(sum(distance(x.numpy(), y.numpy(), w.numpy()) for x, y, w in taps))

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
        self._count()
        self.__dict__.pop("quick", None)  # it has other weights
        for layer in self.features:
            if isinstance(layer, nn.Conv2d):  # the memory order of the images, which is faster on CPU
                layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
        return self.eval().requires_grad_(False)

    def _count(self) -> None:
        """Note the channels that count at each tap, and their weights."""
        self.counting = [torch.nonzero(w.data).flatten() for w in self.linear]
        self.weights = [w.data[counting] for w, counting in zip(self.linear, self.counting, strict=True)]

    def to_device(self, device: str) -> Lpips:
        """Move it, what is noted of its channels included."""
        self.counting, self.weights = ([one.to(device) for one in noted] for noted in (self.counting, self.weights))
        return self.to(device)


def _halve(x: Tensor) -> Tensor:
    """`nn.MaxPool2d(3, stride=2)` on a CPU, which would note where each largest pixel was: a fifth of its time."""
    from lipbench.metrics.functional.lpips_loops import halve

    n, channels, height, width = x.shape
    y = torch.empty(n, (height - 1) // 2, (width - 1) // 2, channels)
    halve(x.permute(0, 2, 3, 1).numpy(), y.numpy())
    return y.permute(0, 3, 1, 2)


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


class Later:
    """A number that is computed when somebody asks for it, or before.

    Args:
        compute: sets `value`.
    """

    def __init__(self, compute: Callable[[], None]) -> None:
        self._compute = compute
        self.value: float | None = None

    def __float__(self) -> float:
        if self.value is None:
            self._compute()
        assert self.value is not None
        return self.value


class Comparisons:
    """LPIPS of many pictures, several at a time.

    Args:
        keep: leave the features of the pictures that others are compared to on the net's shelf, and take from it what
            lies there. On a GPU they are computed sooner than read.
    """

    def __init__(self, net: Lpips, *, keep: bool = False) -> None:
        self._net, self._keep = net, keep and net.seen.device.type == "cpu"
        self._waiting: dict[tuple[int, ...], list[tuple[Frame, list[tuple[Frame, Later]]]]] = {}

    def ask(self, prediction: Frame, others: Sequence[Frame]) -> list[Later]:
        """LPIPS of one (H, W, 3) uint8 frame to each of the others, all of one size that the net admits.

        Each frame goes through the trunk once, and not at all where the two are equal: that is 0. What is small waits
        for more of its size, so that the frames have to stay as they are.
        """
        size = prediction.shape
        found = [Later(lambda: self._compute(size)) for _ in others]
        differing = []
        for other, later in zip(others, found, strict=True):
            if np.array_equal(prediction, other):
                later.value = 0.0
            else:
                differing.append((other, later))
        if differing:
            waiting = self._waiting.setdefault(size, [])
            waiting.append((prediction, differing))
            if len(waiting) * size[0] * size[1] >= BATCH:
                self._compute(size)
        return found

    @torch.inference_mode()
    def _compute(self, size: tuple[int, ...]) -> None:
        """All distances of pictures of one size that wait."""
        asked = self._waiting.pop(size)
        others = [other for _, pairs in asked for other, _ in pairs]
        found = self._features([*others, *(prediction for prediction, _ in asked)], len(others))
        theirs, mine = iter(found[: len(others)]), iter(found[len(others) :])
        for (_, pairs), features in zip(asked, mine, strict=True):
            for _, later in pairs:
                later.value = self._net.distance(features, next(theirs))

    def _features(self, pictures: Sequence[Frame], others: int) -> list[Features]:
        """Of pictures of one size, from the shelf where they lie there; those of the first `others` stay there."""
        kept = [self._net.shelf.get(picture) if self._keep else None for picture in pictures]
        missing = [picture for picture, arrays in zip(pictures, kept, strict=True) if arrays is None]
        at_once = max(BATCH // (pictures[0].shape[0] * pictures[0].shape[1]), 1)
        made: list[Features] = []
        # TF32, the default for convolutions on recent GPUs, would move the third digit.
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            for first in range(0, len(missing), at_once):
                made += self._net.features_of(missing[first : first + at_once])
        rest = iter(made)
        found = [next(rest) if arrays is None else [torch.from_numpy(tap) for tap in arrays] for arrays in kept]
        if self._keep:
            for picture, arrays, features in zip(pictures[:others], kept, found, strict=False):
                if arrays is None:
                    self._net.shelf.put(picture, [tap.numpy() for tap in features])
        return found


def distances(net: Lpips, prediction: Frame, others: Sequence[Frame], *, keep: bool = False) -> list[float]:
    """LPIPS of one frame to each of the others; see `Comparisons`."""
    return [float(distance) for distance in Comparisons(net, keep=keep).ask(prediction, others)]


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
    comparisons = Comparisons(load(device, net))
    found = [comparisons.ask(x, [y])[0] for x, y in zip(a, b, strict=True)]
    return np.array([float(distance) for distance in found])


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
