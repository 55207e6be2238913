"""The paper's network: AD-NeRF's conditional NeRF MLP, the plain way. `fused_mlp` computes the same faster.

    x = [encoded point 63 | condition 79 + latent code 32]
    x -> 5 layers -> [x | h] -> 3 layers -> density
                                        \\-> [h | encoded direction 27] -> 3 half-wide layers -> color

Names and shapes of the parameters are AD-NeRF's, so its state dict is ours.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipbench.core.errors import WeightsMismatch
from lipbench.nerf.compositing import SampleMask
from lipbench.nerf.encoding import encoded_size, positional_encoding

SKIP = 4  # the input enters again after this layer


class MLPField(nn.Module):
    """(points, directions, condition) -> raw color and raw density (AD-NeRF run_nerf_helpers.py, `FaceNeRF`).

    Args:
        condition: length of the code of a frame.
        width: of the trunk; LipNeRF 128 and 8, AD-NeRF 256 and 8.
        depth: of the trunk; LipNeRF 128 and 8, AD-NeRF 256 and 8.
        position_frequencies: of the encodings.
        direction_frequencies: of the encodings.
        position_scale: factor on the points before they are encoded; 1 is AD-NeRF's.
        init: "torch" (`nn.Linear`'s own, as AD-NeRF) or "he" (He et al. 2015, for ReLU layers). The first shrinks
            signals by sqrt(3) a layer: after 8 layers color and density hardly depend on the point.
        density_bias: what the density's bias starts at; AD-NeRF's is a draw near 0.
    """

    def __init__(
        self,
        condition: int,
        *,
        width: int = 128,
        depth: int = 8,
        position_frequencies: int = 10,
        direction_frequencies: int = 4,
        position_scale: float = 1.0,
        init: str = "torch",
        density_bias: float | None = None,
    ) -> None:
        super().__init__()
        self.condition, self.width, self.depth = condition, width, depth
        self.position_frequencies, self.direction_frequencies = position_frequencies, direction_frequencies
        self.position_scale = position_scale
        self.encoded = encoded_size(position_frequencies)
        first, half = self.encoded + condition, width // 2
        sizes = [first] + [width + first if k == SKIP + 1 else width for k in range(1, depth)]
        self.pts_linears = nn.ModuleList([nn.Linear(n, width) for n in sizes])
        views = [width + encoded_size(direction_frequencies)] + [half] * (depth // 4)
        self.views_linears = nn.ModuleList([nn.Linear(n, half) for n in views])
        self.alpha_linear = nn.Linear(width, 1)
        self.rgb_linear = nn.Linear(half, 3)
        if init == "he":
            for layer in (*self.pts_linears, *self.views_linears):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        if density_bias is not None:
            nn.init.constant_(self.alpha_linear.bias, density_bias)

    def forward(
        self,
        points: Tensor,
        directions: Tensor,
        condition: Tensor,
        color: bool = True,
        active: SampleMask | None = None,
    ) -> tuple[Tensor | None, Tensor]:
        """F frames, R rays each, S samples.

        Args:
            points: (F, R, S, 3) in head space, meters; they get no gradient.
            directions: (F, R, 3) of unit length.
            condition: (F, C), a frame's expression and latent code.
            color: False leaves the color out.
            active: which samples have a weight on their ray. Here all samples are computed; `FusedMLPField` uses it.

        Returns:
            (F, R, S, 3) raw color or None; (F, R, S) raw density.
        """
        f, r, s, _ = points.shape
        points = points.detach() * self.position_scale
        x = positional_encoding(points, self.position_frequencies)  # (F, R, S, 63)
        x = torch.cat([x, condition[:, None, None].expand(f, r, s, -1)], -1)  # (F, R, S, 63 + C)
        h = x
        for k, layer in enumerate(self.pts_linears):
            if k == SKIP + 1:
                h = torch.cat([x, h], -1)  # (F, R, S, 63 + C + W)
            h = F.relu(layer(h))  # (F, R, S, W)
        density = self.alpha_linear(h)[..., 0]  # (F, R, S)
        if not color:
            return None, density

        d = positional_encoding(directions, self.direction_frequencies)  # (F, R, 27)
        h = torch.cat([h, d[:, :, None].expand(f, r, s, -1)], -1)  # (F, R, S, W + 27)
        for layer in self.views_linears:
            h = F.relu(layer(h))  # (F, R, S, W / 2)
        return self.rgb_linear(h), density


def to_adnerf(field: MLPField) -> dict[str, Tensor]:
    """AD-NeRF's state dict of this field; `feature_linear`, which its code makes and never uses, is zeros."""
    state = {k: v.detach().clone() for k, v in field.state_dict().items()}
    like = state["alpha_linear.weight"]
    state["feature_linear.weight"] = like.new_zeros(field.width, field.width)
    state["feature_linear.bias"] = like.new_zeros(field.width)
    return state


def from_adnerf(field: MLPField, state: Mapping[str, Tensor], origin: str = "the checkpoint") -> MLPField:
    """Load AD-NeRF's state dict of one network (`network_fn_state_dict` or `network_fine_state_dict`).

    Raises:
        WeightsMismatch: keys or shapes that are not this field's.
    """
    kept = {k.removeprefix("module."): v for k, v in state.items()}
    kept = {k: v for k, v in kept.items() if not k.startswith("feature_linear.")}
    ours = field.state_dict()
    for key in sorted(set(ours) | set(kept)):
        mine, theirs = ours.get(key), kept.get(key)
        if mine is None or theirs is None or mine.shape != theirs.shape:
            raise WeightsMismatch(
                f"{origin} does not fit this field",
                f"{key} is {None if theirs is None else tuple(theirs.shape)} there and "
                f"{None if mine is None else tuple(mine.shape)} here",
                "AD-NeRF's networks have width 256 and condition 64: use the preset adnerf",
            )
    field.load_state_dict(kept)
    return field
