"""Convolutions by Winograd's minimal filtering: a quarter of the multiplications, to single precision.

A tile of m x m outputs of an r x r kernel takes n^2 multiplications for each pair of channels, n = m + r - 1, instead
of (m r)^2: 36 instead of 144 for the 4 x 4 outputs of a 3 x 3 kernel. Tiles and kernels are evaluated at the points
0, 1, -1, 1/2, -2, ... and infinity, multiplied there (one product of matrices for each of the n^2 points) and
interpolated. Sums run in another order than a direct convolution's.

Source:
    Lavin, Gray, "Fast algorithms for convolutional neural networks", CVPR 2016; the points: Barabasz, Anderson,
    Soodhalter, Gregg, "Error analysis and improving the accuracy of Winograd convolution for DNNs", TOMS 46(4), 2020.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

#: Where polynomials are evaluated, beside infinity: the first n - 1 of them.
POINTS = (0, 1, -1, Fraction(1, 2), -2, 2, Fraction(-1, 2))
#: About so many tiles at a time: what is made of them on the way then stays in the cache.
STRIP = 160
#: Products of matrices with few rows sum in another order: a picture's features would hang on its company.
FEWEST_TILES = 16
#: Terms that `winograd_tiles` adds in one go.
TERMS = 4
#: Of a layer that is worth it.
FEWEST_CHANNELS = 32


def matrices(m: int, r: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """A (m, n), G (n, r), B (n, n): A ((G g) * (B d)) is the correlation of d (n,) with g (r,).

    Examples:
        >>> a, g, b = matrices(2, 3)
        >>> d, kernel = np.array([1.0, 2, 3, 4]), np.array([1.0, 0, -1])
        >>> (a @ ((g @ kernel) * (b @ d))).tolist()
        [-2.0, -2.0]
    """
    at = [Fraction(point) for point in POINTS[: m + r - 2]]

    def product(roots: Sequence[Fraction]) -> list[Fraction]:
        """Coefficients of the polynomial with these roots, the constant first."""
        made = [Fraction(1)]
        for root in roots:
            made = [low - root * high for low, high in zip([Fraction(0), *made], [*made, Fraction(0)], strict=True)]
        return made

    others = [[p for p in at if p != point] for point in at]
    scale = [math.prod(point - p for p in rest) for point, rest in zip(at, others, strict=True)]
    a = [[point**i for point in at] + [Fraction(i == m - 1)] for i in range(m)]
    g = [[point**j / s for j in range(r)] for point, s in zip(at, scale, strict=True)]
    g.append([Fraction(j == r - 1) for j in range(r)])
    b = [[*product(rest), Fraction(0)] for rest in others] + [product(at)]
    return np.array(a, np.float64), np.array(g, np.float64), np.array(b, np.float64)


class Winograd:
    """A convolution with a square kernel, and the ReLU behind it, of one picture or several.

    One of stride s is one of stride 1 on the s x s pixels of each output as channels, where it is worth it.

    Args:
        weight: (K, C, r, r).
        bias: (K,).
        stride: px from one output to the next.
        padding: px of zeros on each side.
        tile: outputs of a tile, down and across.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor, stride: int = 1, padding: int = 0, tile: tuple[int, int] = (4, 4)
    ) -> None:
        self.padding, self.stride, self.size = padding, stride, weight.shape[-1]
        rows = -(-self.size // stride)  # of the kernel on pixels as channels
        spare = rows * stride - self.size
        a, g, b = zip(*(matrices(m, rows) for m in tile), strict=True)
        self.tile, self._evaluate, self._interpolate = tile, tuple(map(_filled, b)), tuple(map(_filled, a))
        weight = functional.pad(weight.detach().double().cpu(), (0, spare, 0, spare))
        # (K, C, r, r) -> (r' r', s s C, K)
        parts = weight.unflatten(3, (rows, stride)).unflatten(2, (rows, stride)).permute(2, 4, 3, 5, 1, 0)
        kernels = torch.from_numpy(np.kron(*g)) @ parts.flatten(2, 4).flatten(0, 1).flatten(1)
        self._kernels = kernels.unflatten(1, (-1, len(bias))).float()  # (n n', s s C, K)
        self._bias = bias.detach().float().cpu().numpy()

    def __call__(self, images: Tensor) -> Tensor:
        """(N, C, H, W) float32 -> (N, K, H', W'); both channels last in memory."""
        height, width = ((side + 2 * self.padding - self.size) // self.stride + 1 for side in images.shape[2:])
        y = torch.empty(len(images), height, width, len(self._bias))
        # Few at a time: padded they are copies, which then stay in the cache and take little memory.
        tiles = -(-height // self.tile[0]) * -(-width // self.tile[1])
        groups = max(round(len(images) * tiles / max(tiles, STRIP)), 1)
        for some, made in zip(images.tensor_split(groups), y.tensor_split(groups), strict=True):
            self._fill(made, some)
        return y.permute(0, 3, 1, 2)

    def _fill(self, y: Tensor, images: Tensor) -> None:
        """The outputs y (N, H', W', K) of images (N, C, H, W)."""
        from lipbench.metrics.functional import winograd_tiles  # needs numba, which a cached run does not

        points, channels, _ = self._kernels.shape
        n = [len(b) for b in self._evaluate]
        down, across = (-(-side // m) for side, m in zip(y.shape[1:3], self.tile, strict=True))
        x = self._pixels(images, (down - 1) * self.tile[0] + n[0], (across - 1) * self.tile[1] + n[1])
        strip = -(-len(x) * down // max(round(len(x) * down * across / STRIP), 1))
        for first in range(0, len(x) * down, strip):
            rows = min(strip, len(x) * down - first)
            evaluated = torch.empty(points, max(rows * across, FEWEST_TILES), channels)
            evaluated[:, rows * across :] = 0
            place = evaluated.unflatten(0, n).numpy()
            winograd_tiles.evaluate(x.numpy(), self._evaluate, self.tile, first, rows, place)
            products = torch.bmm(evaluated, self._kernels).unflatten(0, n).numpy()
            winograd_tiles.interpolate(products, self._interpolate, self._bias, first, rows, y.numpy())

    def _pixels(self, images: Tensor, height: int, width: int) -> Tensor:
        """(N, height, width, s s C), padded: whole tiles."""
        s, pad = self.stride, self.padding
        below, right = height * s - images.shape[2] - pad, width * s - images.shape[3] - pad
        # Less than nothing is cut off: what no output sees.
        x = functional.pad(images.permute(0, 2, 3, 1), (0, 0, pad, right, pad, below))
        return x.unflatten(2, (width, s)).unflatten(1, (height, s)).transpose(2, 3).flatten(3).contiguous()


def _filled(matrix: NDArray[np.float64]) -> NDArray[np.float32]:
    """Rows filled up with zeros, as `winograd_tiles` takes them."""
    return np.pad(matrix, ((0, 0), (0, -matrix.shape[1] % TERMS))).astype(np.float32)


def with_winograd(layers: Sequence[nn.Module], m: int = 4) -> list[Callable[[Tensor], Tensor]]:
    """Layers with every convolution of stride 1 and the ReLU behind it replaced; places stay.

    Few channels, such as those of a picture, are no work for products of matrices: such a layer stays.
    """
    made: list[Callable[[Tensor], Tensor]] = list(layers)
    for i, (layer, after) in enumerate(pairwise(layers)):
        if not (isinstance(layer, nn.Conv2d) and isinstance(after, nn.ReLU)):
            continue
        if layer.stride == (1, 1) and layer.in_channels >= FEWEST_CHANNELS:
            assert layer.bias is not None
            assert isinstance(layer.padding[0], int)
            made[i : i + 2] = Winograd(layer.weight, layer.bias, padding=layer.padding[0], tile=(m, m)), nn.Identity()
    return made
