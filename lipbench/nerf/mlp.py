"""The paper's field: AD-NeRF's conditional MLP, with the arithmetic that does not depend on the sample done once.

The parameters have AD-NeRF's names and shapes, so its state dict is ours. Only the order of the arithmetic differs:
a layer that reads [encoding | condition | hidden] is the sum of three products, and the product with the condition is
one vector per frame, the one with the view direction one per ray. Nothing is expanded or concatenated per sample.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipbench.core.errors import WeightsMismatch
from lipbench.nerf.encoding import encoded_columns, encoded_size, positional_encoding, waves_first
from lipbench.nerf.fused_mlp import Layers, Matter, perceptron

SKIP = 4  # the input enters again after this layer


class MLPField(nn.Module):
    """(points, directions, condition) -> raw colour and raw density (AD-NeRF run_nerf_helpers.py, `FaceNeRF`).

    Args:
        condition: length of the code of a frame.
        width, depth: of the trunk; LipNeRF 128 and 8, AD-NeRF 256 and 8.
        position_frequencies, direction_frequencies: of the encodings.
        position_scale: factor on the points before they are encoded; 1 is AD-NeRF's.
        init: "torch" (`nn.Linear`'s own, as AD-NeRF) or "he" (He et al. 2015, for ReLU layers). The first shrinks
            signals by sqrt(3) a layer: after 8 layers colour and density hardly depend on the point.
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
        self, points: Tensor, directions: Tensor, condition: Tensor, color: bool = True, matter: Matter | None = None
    ) -> tuple[Tensor | None, Tensor]:
        """F frames, R rays each, S samples.

        Args:
            points: (F, R, S, 3) in head space, metres; they get no gradient. directions: (F, R, 3) of unit length.
            condition: (F, C).
            color: False leaves the colour out.
            matter: (F, R, S) raw density -> (F, R, S) bool, the samples that have a weight on their ray; the others
                need no colour and send no gradient back. None: all.

        Returns:
            (F, R, S, 3) raw colour or None; (F, R, S) raw density.
        """
        f, r, s, _ = points.shape
        with torch.no_grad():
            x = encoded_columns(points.reshape(-1, 3) * self.position_scale, self.position_frequencies)
        layers = self._layers(directions, condition)
        kind = points.device.type
        if torch.is_autocast_enabled(kind):
            x, layers = x.to(torch.get_autocast_dtype(kind)), layers.to(torch.get_autocast_dtype(kind))

        def kept(raw: Tensor) -> Tensor:
            assert matter is not None
            return matter(raw.view(f, r, s)).view(-1)

        with torch.autocast(kind, enabled=False):
            rgb, density = perceptron(x, layers, color, None if matter is None else kept)
        return (None if rgb is None else rgb.view(f, r, s, 3)), density.view(f, r, s)

    def _layers(self, directions: Tensor, condition: Tensor) -> Layers:
        """What the samples see: the parts of condition and direction are multiplied out, once per frame and ray."""
        e, skip = self.encoded, SKIP + 1 if self.depth > SKIP + 1 else 0
        trunk, views = _pairs(self.pts_linears), _pairs(self.views_linears)
        (first, first_bias), (again, again_bias), (view, view_bias) = trunk[0], trunk[skip], views[0]
        d = positional_encoding(directions, self.direction_frequencies).flatten(0, 1)  # (F R, 27)
        rest: list[tuple[Tensor, Tensor | None]] = list(trunk[1:])
        if skip:
            rest[skip - 1] = again[:, e + self.condition :], None
        return Layers(
            first=F.linear(condition, first[:, e : e + self.condition], first_bias),
            again=F.linear(condition, again[:, e : e + self.condition], again_bias),
            per_ray=F.linear(d, view[:, self.width :], view_bias),
            first_x=waves_first(first[:, :e], self.position_frequencies),
            again_x=waves_first(again[:, :e], self.position_frequencies),
            alpha=(self.alpha_linear.weight, self.alpha_linear.bias),
            rgb=(self.rgb_linear.weight, self.rgb_linear.bias),
            view_h=view[:, : self.width],
            trunk=rest,
            views=views[1:],
        )


def _pairs(layers: nn.ModuleList) -> list[tuple[Tensor, Tensor]]:
    return [(layer.weight, layer.bias) for layer in layers if isinstance(layer, nn.Linear)]


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
