"""A light field for machines without a GPU: tri-plane features and a small conditional MLP (`field: triplane`).

Not the paper's network. A point is projected onto three axis-aligned planes of learned features at several resolutions
(EG3D, Chan et al. 2022, section 3.2); a 3-layer MLP turns the features and the frame's code into density and color.
Some of the planes are blended per frame with weights that depend on the code, as NeRFBlendShape (Gao et al. 2022) does
with hash tables: that is where the mouth's shapes live.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipbench.nerf.compositing import SampleMask
from lipbench.nerf.encoding import encoded_size, positional_encoding
from lipbench.nerf.planes import OneFrame, channels_last, features, shapes_last, uses_kernels
from lipbench.nerf.told_layers import told_layers

BLOCK = 2048  # samples that are computed at once where no gradient is asked for: what they need stays in the cache
START = 0.5  # standard deviation of the features at the start; Adam's steps have to be in proportion (`planes_lr`)


class TriPlaneField(nn.Module):
    """The same interface as `MLPField`.

    Args:
        condition: length of the code of a frame.
        bounds: (2, 3) corners of the box the planes span, meters.
        resolutions: of the planes that are the same in every frame.
        channels: of each plane.
        blended: resolution of the frontal planes that are mixed per frame, a quarter of it for the two across; blend:
            how many are mixed, 0 for none.
        width: of the MLP.
        depth: of the MLP.
    """

    bounds: Tensor

    def __init__(
        self,
        condition: int,
        bounds: Tensor,
        *,
        resolutions: Sequence[int] = (24, 64, 128),
        channels: int = 8,
        blended: int = 128,
        blend: int = 0,
        width: int = 64,
        depth: int = 3,
        direction_frequencies: int = 4,
    ) -> None:
        super().__init__()
        self.condition, self.direction_frequencies = condition, direction_frequencies
        self.register_buffer("bounds", torch.as_tensor(bounds, dtype=torch.float32).clone())
        self.channels = channels
        self.planes = nn.ParameterList(
            [nn.Parameter(channels_last(START * torch.randn(3, channels, r, r))) for r in resolutions]
        )
        # A face is nearly an image in x and y: that plane needs the resolution, the two across it do not.
        across = max(2, blended // 4)
        self.shapes_front = nn.Parameter(shapes_last(START * torch.randn(blend, channels, blended, blended)))
        self.shapes_across = nn.Parameter(shapes_last(START * torch.randn(blend, 2, channels, across, across)))
        self.mix = nn.Linear(condition, blend) if blend else None
        features = 3 * channels * (len(resolutions) + (1 if blend else 0)) + 3
        self.inp = nn.Linear(features, width)
        self.inp_code = nn.Linear(condition, width, bias=False)
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(depth - 1)])
        self.again_code = nn.Linear(condition, width, bias=False)
        self.alpha = nn.Linear(width, 1)
        self.rgb = nn.Linear(width, 3)
        self.view = nn.Linear(encoded_size(direction_frequencies), width, bias=False)
        nn.init.zeros_(self.view.weight)

    def forward(
        self,
        points: Tensor,
        directions: Tensor,
        condition: Tensor,
        color: bool = True,
        active: SampleMask | None = None,
    ) -> tuple[Tensor | None, Tensor]:
        """As `MLPField.forward`: raw color (F, R, S, 3) or None, raw density (F, R, S)."""
        f, r, s, _ = points.shape
        middle, half = self.bounds.mean(0), 0.5 * (self.bounds[1] - self.bounds[0])
        q = ((points - middle) / half).reshape(f, r * s, 3)
        if f == 1 and not torch.is_grad_enabled() and uses_kernels(q, self.channels):
            found = self._in_blocks(q[0], condition)
        else:
            found = self._together(q, condition)
        density = found[..., 3].reshape(f, r, s)
        if not color:
            return None, density
        # The direction's share of a hidden layer that goes into colors alone, taken through their weights: once a ray.
        seen = self.view(positional_encoding(directions, self.direction_frequencies)) @ self.rgb.weight.t()
        return found[..., :3].reshape(f, r, s, 3) + seen[:, :, None], density

    def _together(self, q: Tensor, condition: Tensor) -> Tensor:
        """(F, N, 3) points in [-1, 1] -> (F, N, 4) raw color without the direction's share, and raw density."""
        f, n, _ = q.shape
        if uses_kernels(q, self.channels):
            weight, bias = self._last()
            weights = [self.inp.weight, *(layer.weight for layer in self._later()), weight]
            read = self.features(q, condition).view(f, n, -1)
            return told_layers(read, self._told(condition), weights, bias)
        h = self.inp(self.features(q, condition)).view(f, n, -1)
        h = F.relu_(h + self.inp_code(condition)[:, None])
        for k, layer in enumerate(self.layers):
            h = layer(h)
            if k == 0:
                h = h + self.again_code(condition)[:, None]
            h = F.relu_(h)
        return F.linear(h, *self._last())

    def _later(self) -> list[nn.Linear]:
        """The hidden layers after the first."""
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    def _told(self, condition: Tensor) -> list[Tensor]:
        """(F, W) of each hidden layer: its bias, and what the frames' codes add to the first two."""
        first = self.inp.bias + self.inp_code(condition)
        rest = [layer.bias.expand(len(condition), -1) for layer in self._later()]
        return [first, *(b + self.again_code(condition) if k == 0 else b for k, b in enumerate(rest))]

    def _last(self) -> tuple[Tensor, Tensor]:
        """Weights (4, W) and biases (4,) of color and density."""
        return torch.cat([self.rgb.weight, self.alpha.weight]), torch.cat([self.rgb.bias, self.alpha.bias])

    def _in_blocks(self, q: Tensor, condition: Tensor) -> Tensor:
        """As `_together`, of one frame's points (N, 3), a part of them after the other: (1, N, 4)."""
        frame = OneFrame(tuple(self.planes))
        if self.mix is not None:
            frame.blend(self.shapes_front, self.shapes_across, self.mix(condition)[0])
        weight, bias = self._last()
        layers = [self.inp, *self._later()]
        steps = [(layer.weight.t(), told[0]) for layer, told in zip(layers, self._told(condition), strict=True)]
        read, hidden = q.new_empty(BLOCK, frame.width + 3), q.new_empty(2, BLOCK, len(weight[0]))
        out = q.new_empty(1, len(q), 4)
        for start in range(0, len(q), BLOCK):
            part = q[start : start + BLOCK]
            x = read[: len(part)]
            frame.read(part, x)
            for k, (w, b) in enumerate(steps):
                x = torch.mm(x, w, out=hidden[k % 2, : len(part)]).add_(b).relu_()
            torch.addmm(bias, x, weight.t(), out=out[0, start : start + BLOCK])
        return out

    def features(self, q: Tensor, condition: Tensor) -> Tensor:
        """(F, N, 3) points in [-1, 1] -> (F N, features)."""
        shares = None if self.mix is None else self.mix(condition)
        return features(tuple(self.planes), self.shapes_front, self.shapes_across, shares, q)
