"""The step as AD-NeRF's formula has it, written plainly: every sample gets the whole input, all rays at once.

What the package's field is compared with, for numbers and for time. Not a test module; loaded by path.
"""

from __future__ import annotations

import time

import torch
import torch.nn.functional as F
from torch import nn


def encode(x: torch.Tensor, frequencies: int) -> torch.Tensor:
    parts = [x]
    for k in range(frequencies):
        parts += [torch.sin(x * 2.0**k), torch.cos(x * 2.0**k)]
    return torch.cat(parts, -1)


class PlainField(nn.Module):
    """Same parameters as `MLPField`, its input concatenated per sample."""

    def __init__(self, condition: int, width: int, depth: int = 8) -> None:
        super().__init__()
        first = 63 + condition
        self.pts_linears = nn.ModuleList(
            [nn.Linear(first, width)] + [nn.Linear(width + first if k == 4 else width, width) for k in range(depth - 1)]
        )
        self.views_linears = nn.ModuleList(
            [nn.Linear(27 + width, width // 2)] + [nn.Linear(width // 2, width // 2) for _ in range(depth // 4)]
        )
        self.alpha_linear = nn.Linear(width, 1)
        self.rgb_linear = nn.Linear(width // 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        points, views = torch.split(x, [x.shape[-1] - 27, 27], -1)
        h = points
        for k, layer in enumerate(self.pts_linears):
            h = F.relu(layer(h))
            if k == 4:
                h = torch.cat([points, h], -1)
        alpha = self.alpha_linear(h)
        h = torch.cat([h, views], -1)
        for layer in self.views_linears:
            h = F.relu(layer(h))
        return torch.cat([self.rgb_linear(h), alpha], -1)


def ask(net, origin, direction, z, condition):
    """(R, S) depths -> raw (R, S, 4); the condition and the encoded direction are expanded to every sample."""
    points = origin[:, None] + direction[:, None] * z[..., None]
    unit = direction / direction.norm(dim=-1, keepdim=True)
    views = encode(unit, 4)[:, None].expand(-1, z.shape[1], -1)
    code = condition.expand(z.shape[0], z.shape[1], -1)
    return net(torch.cat([encode(points, 10), code, views], -1))


def blend(raw, z, direction, background):
    """AD-NeRF's raw2outputs: the last sample's color is the background's, its step 1e10."""
    step = torch.cat([z[:, 1:] - z[:, :-1], torch.full_like(z[:, :1], 1e10)], -1) * direction.norm(dim=-1, keepdim=True)
    rgb = torch.cat([torch.sigmoid(raw[:, :-1, :3]), background[:, None]], 1)
    alpha = 1.0 - torch.exp(-(F.relu(raw[..., 3]) + 1e-6) * step)
    before = torch.cumprod(torch.cat([torch.ones_like(alpha[:, :1]), 1.0 - alpha + 1e-10], -1), -1)[:, :-1]
    weights = alpha * before
    return (weights[..., None] * rgb).sum(1), weights


def draw(bins, weights, u):
    """Inverse transform sampling at the (R, N) values u."""
    weights = weights + 1e-5
    pdf = weights / weights.sum(-1, keepdim=True)
    cdf = torch.cat([torch.zeros_like(pdf[:, :1]), torch.cumsum(pdf, -1)], -1)
    above = torch.searchsorted(cdf, u.contiguous(), right=True)
    lower = torch.clamp(above - 1, min=0)
    upper = torch.clamp(above, max=cdf.shape[-1] - 1)
    c0, c1 = torch.gather(cdf, 1, lower), torch.gather(cdf, 1, upper)
    b0, b1 = torch.gather(bins, 1, lower), torch.gather(bins, 1, upper)
    span = torch.where(c1 - c0 < 1e-5, torch.ones_like(c0), c1 - c0)
    return b0 + (u - c0) / span * (b1 - b0)


def render(coarse, fine, origin, direction, near, far, background, condition, n_coarse, n_fine, train=False):
    """(R,) rays -> coarse rgb, fine rgb, fine weights (R, n_coarse + n_fine), the last of them the background's."""
    t = torch.linspace(0.0, 1.0, n_coarse)
    z = near[:, None] * (1 - t) + far[:, None] * t
    if train:
        middle = 0.5 * (z[:, 1:] + z[:, :-1])
        upper, lower = torch.cat([middle, z[:, -1:]], -1), torch.cat([z[:, :1], middle], -1)
        u = torch.rand(z.shape)
        u[:, -1] = 1.0
        z = lower + (upper - lower) * u
    rgb0, w0 = blend(ask(coarse, origin, direction, z, condition), z, direction, background)
    with torch.no_grad():
        n = (len(z), n_fine)
        u = torch.rand(n) if train else torch.linspace(0.0, 1.0, n_fine).expand(n)
        more = draw(0.5 * (z[:, 1:] + z[:, :-1]), w0[:, 1:-1], u)
        z = torch.sort(torch.cat([z, more], -1), -1).values
    rgb1, w1 = blend(ask(fine, origin, direction, z, condition), z, direction, background)
    return rgb0, rgb1, w1


def product_rate():
    """GFLOP/s of a matrix product of one layer's shape: the most that either side can reach here."""
    a, b, c = torch.randn(1024, 128), torch.randn(128, 128), torch.empty(1024, 128)
    times = []
    for _ in range(50):
        start = time.process_time()
        for _ in range(4):
            torch.mm(a, b.t(), out=c)
        times.append(time.process_time() - start)
    return 4 * 2 * 1024 * 128 * 128 / min(times) / 1e9


def products(rays, matter, train):
    """GFLOP of the products that the package's order of the arithmetic cannot do without.

    matter: shares of the coarse and fine samples with a weight on their ray.
    """
    trunk = 63 * 128 * 2 + 7 * 128 * 128 + 128
    color = 128 * 64 + 2 * 64 * 64 + 64 * 3
    back = 2 * (trunk + color) - 63 * 128 * 2  # points have no gradient
    total = 0.0
    for samples, share, shown in ((63, matter[0], train), (191, matter[1], True)):
        total += samples * (trunk + share * (color * shown + back * train))
    return 2e-9 * rays * total
