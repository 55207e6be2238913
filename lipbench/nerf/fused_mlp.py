"""`MLPField` with the arithmetic that does not depend on the sample done once, and a derivative written out.

A layer that reads [encoding | condition | hidden] is the sum of three products. The product with the condition is one
vector per frame, the one with the view direction one per ray: nothing is expanded or concatenated per sample. What is
left per sample is in `fused_layers`. Both networks have the same parameters; their answers differ by rounding.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipbench.nerf.compositing import SampleMask
from lipbench.nerf.encoding import encoded_columns, positional_encoding, waves_first
from lipbench.nerf.fused_layers import FusedLayers, fused_mlp
from lipbench.nerf.mlp import SKIP, MLPField


class FusedMLPField(MLPField):
    """The same function of the same parameters as `MLPField`, faster on a CPU and in less memory everywhere.

    Inactive samples (see `forward`'s `active`) get raw color 0 and send no gradient back.
    """

    def forward(
        self,
        points: Tensor,
        directions: Tensor,
        condition: Tensor,
        color: bool = True,
        active: SampleMask | None = None,
    ) -> tuple[Tensor | None, Tensor]:
        """As `MLPField.forward`."""
        f, r, s, _ = points.shape
        with torch.no_grad():
            x = encoded_columns(points.reshape(-1, 3) * self.position_scale, self.position_frequencies)
        layers = self._layers(directions, condition)
        kind = points.device.type
        known = torch.amp.is_autocast_available(kind)  # not of every device
        if known and torch.is_autocast_enabled(kind):
            x, layers = x.to(torch.get_autocast_dtype(kind)), layers.to(torch.get_autocast_dtype(kind))

        def kept(raw: Tensor) -> Tensor:
            assert active is not None
            return active(raw.view(f, r, s)).view(-1)

        with torch.autocast(kind, enabled=False) if known else nullcontext():
            rgb, density = fused_mlp(x, layers, color, None if active is None else kept)
        return (None if rgb is None else rgb.view(f, r, s, 3)), density.view(f, r, s)

    def _layers(self, directions: Tensor, condition: Tensor) -> FusedLayers:
        """What the samples see: the parts of condition and direction are multiplied out, once per frame and ray."""
        e, skip = self.encoded, SKIP + 1 if self.depth > SKIP + 1 else 0
        trunk, views = _pairs(self.pts_linears), _pairs(self.views_linears)
        (first, first_bias), (again, again_bias), (view, view_bias) = trunk[0], trunk[skip], views[0]
        d = positional_encoding(directions, self.direction_frequencies).flatten(0, 1)  # (F R, 27)
        rest: list[tuple[Tensor, Tensor | None]] = list(trunk[1:])
        if skip:
            rest[skip - 1] = again[:, e + self.condition :], None
        return FusedLayers(
            input_bias=F.linear(condition, first[:, e : e + self.condition], first_bias),
            skip_bias=F.linear(condition, again[:, e : e + self.condition], again_bias),
            per_ray=F.linear(d, view[:, self.width :], view_bias),
            w_xyz=waves_first(first[:, :e], self.position_frequencies),
            w_skip_xyz=waves_first(again[:, :e], self.position_frequencies),
            alpha=(self.alpha_linear.weight, self.alpha_linear.bias),
            rgb=(self.rgb_linear.weight, self.rgb_linear.bias),
            view_h=view[:, : self.width],
            trunk=rest,
            views=views[1:],
        )


def _pairs(layers: nn.ModuleList) -> list[tuple[Tensor, Tensor]]:
    return [(layer.weight, layer.bias) for layer in layers if isinstance(layer, nn.Linear)]
