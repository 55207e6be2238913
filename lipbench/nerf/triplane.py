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
        self.planes = nn.ParameterList([nn.Parameter(START * torch.randn(3, channels, r, r)) for r in resolutions])
        # A face is nearly an image in x and y: that plane needs the resolution, the two across it do not.
        across = max(2, blended // 4)
        self.shapes_front = nn.Parameter(START * torch.randn(blend, channels, blended, blended))
        self.shapes_across = nn.Parameter(START * torch.randn(blend, 2, channels, across, across))
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
        h = self.inp(self.features(q, condition)).view(f, r * s, -1)
        h = F.relu_(h + self.inp_code(condition)[:, None])  # (F, R S, W)
        for k, layer in enumerate(self.layers):
            h = layer(h)
            if k == 0:
                h = h + self.again_code(condition)[:, None]
            h = F.relu_(h)
        density = self.alpha(h).view(f, r, s)
        if not color:
            return None, density
        seen = self.view(positional_encoding(directions, self.direction_frequencies))  # (F, R, W)
        return self.rgb(h.view(f, r, s, -1) + seen[:, :, None]), density

    def features(self, q: Tensor, condition: Tensor) -> Tensor:
        """(F, N, 3) points in [-1, 1] -> (F N, features)."""
        f, n, _ = q.shape
        x, y, z = q.unbind(-1)
        sides = torch.stack([torch.stack(pair, -1) for pair in ((x, y), (z, y), (x, z))])  # (3, F, N, 2)
        grid = sides.view(3, 1, f * n, 2)
        # Channels first throughout: the one transposed view at the end costs nothing in a matrix product.
        found = [_sample(p, grid).reshape(-1, f * n) for p in self.planes]
        if self.mix is not None:
            share = self.mix(condition)  # (F, K)
            front = (share @ self.shapes_front.flatten(1)).view(f, *self.shapes_front.shape[1:])
            found.append(_sample(front, sides[0][:, None]).transpose(0, 1).reshape(-1, f * n))
            across = (share @ self.shapes_across.flatten(1)).view(f * 2, *self.shapes_across.shape[2:])
            grid = sides[1:].transpose(0, 1).reshape(f * 2, 1, n, 2)
            seen = _sample(across, grid).view(f, -1, n)  # (F, 2 C, N)
            found.append(seen.transpose(0, 1).reshape(-1, f * n))
        return torch.cat([*found, q.permute(2, 0, 1).reshape(3, f * n)]).t()


def _sample(planes: Tensor, grid: Tensor) -> Tensor:
    """(B, C, H, W) planes at (B, 1, N, 2) points -> (B, C, N)."""
    return F.grid_sample(planes, grid, align_corners=True, padding_mode="border")[:, :, 0]
