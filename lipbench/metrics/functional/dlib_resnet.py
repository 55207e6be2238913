"""dlib's face recognition: a ResNet of 29 convolutions whose 128 numbers lie near each other for one person.

He et al.'s network with half the filters, no biases behind its units, strided convolutions without padding, and sums of
layers of two sizes, in which the smaller one counts as zero where it ends. Read are the numbers in dlib's own file;
dlib itself is not needed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lipbench.core import weights
from lipbench.core.errors import WeightsMismatch
from lipbench.core.weights.opening import reading
from lipbench.metrics.arrays import Frame

#: In the weights registry.
NAME = "dlib-resnet"
#: Channels of the units in order, and whether a unit halves the picture.
UNITS = (
    *((32, False),) * 3,
    *((64, down) for down in (True, False, False, False)),
    *((128, down) for down in (True, False, False)),
    *((256, down) for down in (True, False, False)),
    (256, True),
)
#: Of what it was trained on, gray levels; its input is (pixel - MEAN) / 256.
MEAN = (122.782, 117.001, 104.298)
_LAYER = re.compile(rb"\x01[\x04\x05\x07](con_4|affine_|fc_2)")


class Affine(nn.Module):
    """A factor and a shift of each channel: what is left of a batch normalization."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(channels, 1, 1))
        self.shift = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor + self.shift


class Unit(nn.Module):
    """Two convolutions beside the way around them; (N, before, H, W) -> (N, channels, H', W')."""

    def __init__(self, before: int, channels: int, down: bool) -> None:
        super().__init__()
        self.down = down
        self.first = nn.Conv2d(before, channels, 3, stride=2 if down else 1, padding=0 if down else 1)
        self.first_affine = Affine(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.second_affine = Affine(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first_affine(self.first(x)).relu()
        y = self.second_affine(self.second(y))
        around = nn.functional.avg_pool2d(x, 2) if self.down else x
        shape = [max(a, b) for a, b in zip(y.shape[1:], around.shape[1:], strict=True)]
        return (_grown(y, shape) + _grown(around, shape)).relu()


def _grown(x: Tensor, shape: list[int]) -> Tensor:
    """Zeros behind the last channel, row and column."""
    c, h, w = (to - have for to, have in zip(shape, x.shape[1:], strict=True))
    return nn.functional.pad(x, (0, w, 0, h, 0, c))


class DlibResnet(nn.Module):
    """(N, 150, 150, 3) uint8 RGB faces -> (N, 128) embeddings."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.first = nn.Conv2d(3, 32, 7, stride=2)
        self.first_affine = Affine(32)
        before = (32, *(channels for channels, _ in UNITS))
        self.units = nn.Sequential(*(Unit(b, c, down) for b, (c, down) in zip(before, UNITS, strict=False)))
        self.last = nn.Linear(256, 128, bias=False)

    def forward(self, faces: NDArray[np.uint8]) -> Tensor:
        x = torch.from_numpy(np.ascontiguousarray(faces)).to(self.mean.device).permute(0, 3, 1, 2)
        x = (x.float() - self.mean) / 256
        x = nn.functional.max_pool2d(self.first_affine(self.first(x)).relu(), 3, stride=2)
        return self.last(self.units(x).mean(dim=(2, 3)))


def read(path: Path) -> dict[str, NDArray[np.float32]]:
    """The state dict in dlib's file: its layers in the order of the network, each name followed by its numbers.

    Raises:
        WeightsMissing: no such file.
        WeightsMismatch: it holds other layers.
    """
    fix = f"run `lipbench weights get {NAME} --again`"
    with reading(path, fix) as path:
        data = path.read_bytes()
        net = DlibResnet()
        state: dict[str, NDArray[np.float32]] = {}
        at = 0
        try:
            for kind, name in _order(net):
                found = _LAYER.search(data, at)
                if found is None or found[1] != kind:
                    raise ValueError(f"{name} is not where it should be")
                numbers, at = _tensor(data, found.end() if kind != b"fc_2" else _after(data, found.end(), 2))
                state |= _entries(net.get_submodule(name), name, numbers)
        except (ValueError, IndexError) as error:
            raise WeightsMismatch(f"{path} does not hold dlib's face recognition network", str(error), fix) from error
    return state


def _order(net: DlibResnet) -> list[tuple[bytes, str]]:
    """Kind in the file and name here of every layer with numbers, from the image on."""
    kinds = {nn.Conv2d: b"con_4", Affine: b"affine_", nn.Linear: b"fc_2"}
    return [(kinds[type(m)], name) for name, m in net.named_modules() if type(m) in kinds]


def _entries(layer: nn.Module, name: str, numbers: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    if isinstance(layer, nn.Linear):  # inputs first in the file
        return {f"{name}.weight": numbers.reshape(layer.in_features, -1).T.copy()}
    one, other = ("weight", "bias") if isinstance(layer, nn.Conv2d) else ("factor", "shift")
    shape, rest = (getattr(layer, part).shape for part in (one, other))
    split = shape.numel()
    return {f"{name}.{one}": numbers[:split].reshape(shape), f"{name}.{other}": numbers[split:].reshape(rest)}


def _number(data: bytes, at: int) -> tuple[int, int]:
    """dlib's whole number: how many bytes, then those, the lowest first; and where it ends."""
    n = data[at] & 0x0F
    return int.from_bytes(data[at + 1 : at + 1 + n], "little"), at + 1 + n


def _after(data: bytes, at: int, count: int) -> int:
    for _ in range(count):
        _, at = _number(data, at)
    return at


def _tensor(data: bytes, at: int) -> tuple[NDArray[np.float32], int]:
    """dlib's tensor: 2, samples, channels, rows, columns, and the numbers as float32; and where it ends."""
    sizes = []
    for _ in range(5):
        size, at = _number(data, at)
        sizes.append(size)
    end = at + 4 * int(np.prod(sizes[1:], dtype=np.int64))
    if sizes[0] != 2 or end > len(data):
        raise ValueError("it is cut off, or of another version")
    return np.frombuffer(data[at:end], "<f4").copy(), end


@lru_cache(maxsize=2)
def _load(path: str, device: str) -> DlibResnet:
    net = DlibResnet()
    given = {key: torch.from_numpy(value) for key, value in read(Path(path)).items()}
    net.load_state_dict({**given, "mean": net.mean})
    return net.eval().requires_grad_(False).to(device)


def load(device: str = "cpu") -> DlibResnet:
    """The network with its published weights.

    Raises:
        WeightsMissing, WeightsMismatch: they are not on this machine, or not the pinned ones.
    """
    return _load(str(weights.path(NAME)), device)


@torch.inference_mode()
def embed(net: DlibResnet, face: Frame) -> NDArray[np.float32]:
    """(128,) of one (150, 150, 3) uint8 RGB face.

    Examples:
        >>> import numpy as np
        >>> embed(DlibResnet(), np.zeros((150, 150, 3), np.uint8)).shape
        (128,)
    """
    found: NDArray[np.float32] = net(face[None])[0].cpu().numpy()
    return found
