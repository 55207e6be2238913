"""What lies behind the lips: teeth, tongue and dark, drawn by a small network of its own.

Where a mesh has teeth a person has none to a pixel, and what ends where changes with every sound. But teeth are rigid:
the upper row stays with the skull, the lower one goes with the jaw. So the network is told where a point between the
lips lies on both, and the expression, and draws one color:

    c = sigmoid(F(waves(x_skull), waves(x_jaw), e, d))

Waves are sines and cosines of 2^k pi x, as fine as a gap between teeth.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lipbench.nerf.relief.dense import Views
from lipbench.nerf.relief.perceptron import Perceptron
from lipbench.nerf.relief.surface import Relief

OCTAVES = 5
SLIP = 0.02  # dm
REACH = 0.3  # dm, half a wave of the longest one


class Between(NamedTuple):
    """Points that rays see between the lips, those of a group of rays one after the other.

    Attributes:
        groups: (N,) number of each one's group.
        rays: (N,) number of its ray there.
        places: (N, 4) dm, x and y of where the skull has it at rest, and of where the jaw has it.
        counts: how many each group has.
    """

    groups: Tensor
    rays: Tensor
    places: Tensor
    counts: list[int]


class Mouth(nn.Module):
    """The network.

    Args:
        relief: of the field.
        directions: numbers that it is told of an expression.
        width: of its hidden layers.
    """

    middle: Tensor

    def __init__(self, relief: Relief, directions: int, width: int) -> None:
        super().__init__()
        self.network = Perceptron(4 + 8 * OCTAVES, directions, 3, width, 3)
        (left, top, across, down), (x, y, w, h) = relief.lips, relief.place
        middle = x + w * (left + across / 2), y - h * (top + down / 2)
        self.register_buffer("middle", torch.tensor(middle * 2))

    def forward(self, seen: Between, told: Tensor, direction: Tensor) -> Tensor:
        """(N, 3) colors of points, given what is told of each group's expression (G, D) and camera (G, 3)."""
        at = (seen.places - self.middle) / REACH
        waves = [at * (math.pi * 2**k) for k in range(OCTAVES)]
        features = torch.cat([at, *(f(wave) for wave in waves for f in (torch.sin, torch.cos))], 1)
        return self.network(features, seen.counts, told, direction).sigmoid()


def look(views: Views, frames: Tensor, columns: Tensor, rows: Tensor) -> Between:
    """What the rays of `ReliefField.render` see between the lips."""
    x, y = columns.to(torch.int64), rows.to(torch.int64)
    at = frames[:, None].expand_as(x)
    groups, rays = torch.nonzero(views.far[at, y, x] <= views.near[at, y, x], as_tuple=True)
    at, x, y, columns, rows = (each[groups, rays] for each in (at, x, y, columns, rows))
    depth = views.near[at, y, x].to(views.rotation.dtype)
    ray = torch.stack(
        [(columns - views.center[0]) / views.focal, (views.center[1] - rows) / views.focal, -torch.ones_like(rows)], -1
    )
    seen = ray * depth[:, None] - views.translation[at]
    skull = torch.einsum("ri,rij->rj", seen, views.rotation[at]) - views.shift[at, y, x]
    assert views.jaw is not None
    assert views.slip is not None
    skull = skull - torch.nn.functional.pad(SLIP * views.slip[at], (0, 1))
    turn, move = views.jaw[at].split((3, 1), 2)
    jaw = (turn @ skull[..., None] + move)[..., 0]
    counts = torch.bincount(groups, minlength=len(frames)).tolist()
    return Between(groups, rays, torch.cat([skull[:, :2], jaw[:, :2]], 1).float(), counts)
