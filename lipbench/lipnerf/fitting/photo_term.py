"""The photometric term: colors of the person against the pixels they project to.

Which vertices are seen, and how the light falls on them, is fixed between refreshes; where they project to moves, and
the gradient of the image carries that to pose and expression:

    r = (I(u(v)) - texture_v * shade_v) / sigma        dr = grad I . du

The error per vertex passes through rho(|r|) = c^2 log(1 + |r|^2 / c^2): no square root, so nothing is undefined where
colors agree (the cause of the NaN poses of AD-NeRF's tracker), and occluders count little.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from lipbench.lipnerf.fitting.state import FitState, Free, skew

CHUNK = 20  # frames
ROBUST = 2.0
FLAT = 1e-5  # squared slope, sigmas per px, of an image that tells nothing


class PhotoTerm:
    """Colors of V vertices in T frames.

    Args:
        frames: (T, 3, h, w) uint8 at the working resolution, `zoom` = its size over that of the full frames; they may
            be cut out of the frames, each elsewhere.
        mean: (V, 3) and bases (K, V, 3), sigmas folded in, float32.
        target: (T, V, 3) expected colors, 0..1.
        weight: (T, V) >= 0, 0 where not seen.
        center: principal point at full resolution, counted from the corner of the cut: (2,), or (T, 2).
    """

    def __init__(
        self,
        frames: Tensor,
        zoom: tuple[float, float],
        center: tuple[float, float] | Tensor,
        mean: Tensor,
        identity_basis: Tensor,
        expression_basis: Tensor,
        target: Tensor,
        weight: Tensor,
        sigma: float,
    ) -> None:
        self.frames, self.zoom = frames, zoom
        self.center = torch.as_tensor(center, dtype=torch.float32, device=frames.device).expand(len(frames), 2)
        self.mean, self.identity_basis, self.expression_basis = mean, identity_basis, expression_basis
        self.target, self.weight, self.sigma = target, weight, sigma

    def _images(self, part: slice) -> Tensor:
        """(t, 9, h, w): colors in 0..1, and their derivatives by x and y per px."""
        x = self.frames[part].float() / 255
        out = x.new_zeros(len(x), 9, *x.shape[2:])
        out[:, :3] = x
        out[:, 3:6, :, 1:-1] = (x[..., 2:] - x[..., :-2]) / 2
        out[:, 6:, 1:-1] = (x[..., 2:, :] - x[..., :-2, :]) / 2
        return out

    def _sample(self, images: Tensor, uv: Tensor) -> Tensor:
        """(t, V, 9) at (t, V, 2) px of the full frames, counted from the corner of the cut."""
        h, w = images.shape[2:]
        size = uv.new_tensor([w / self.zoom[0], h / self.zoom[1]])  # of the cut, px of the full frames
        grid = 2 * uv / size - 1
        return functional.grid_sample(images, grid[:, :, None], padding_mode="border", align_corners=False)[..., 0].mT

    def _project(self, state: FitState, part: slice) -> tuple[Tensor, Tensor, Tensor]:
        """(t, V, 2) px as for `_sample`, (t, V, 3) camera space, (t, V, 3) model turned but not shifted."""
        expression, rotation = state.expression[part].float(), state.rotation[part].float()
        shape = self.mean + torch.tensordot(state.identity.float(), self.identity_basis, 1)
        shape = shape + (expression @ self.expression_basis.flatten(1)).unflatten(-1, (-1, 3))
        turned = shape @ rotation.mT
        x = turned + state.translation[part].float()[:, None]
        f = state.focal.float()
        uv = torch.stack([-f * x[..., 0] / x[..., 2], f * x[..., 1] / x[..., 2]], -1) + self.center[part, None]
        return uv, x, turned

    def cost(self, state: FitState) -> Tensor:
        """() sum over frames and vertices."""
        total = state.focal.new_zeros(())
        for k in range(0, len(self.frames), CHUNK):
            part = slice(k, k + CHUNK)
            r = self.residual(state, part)[0]
            total = total + (self.weight[part] * ROBUST**2 * torch.log1p(r.pow(2).sum(-1) / ROBUST**2)).sum().double()
        return total

    def residual(self, state: FitState, part: slice) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(t, V, 3) r, its derivatives (t, V, 3, 2) per px of the full frame, camera-space and turned points."""
        uv, x, turned = self._project(state, part)
        colors = self._sample(self._images(part), uv)
        r = (colors[..., :3] - self.target[part]) / self.sigma
        zoom = uv.new_tensor(self.zoom)
        slope = torch.stack([colors[..., 3:6], colors[..., 6:9]], -1) * zoom / self.sigma
        return r, slope, x, turned

    def error(self, state: FitState) -> Tensor:
        """(T,) weighted mean absolute color difference, 0..1."""
        out = []
        for k in range(0, len(self.frames), CHUNK):
            part = slice(k, k + CHUNK)
            r = self.residual(state, part)[0].abs().mean(-1) * self.sigma
            w = self.weight[part]
            out.append((r * w).sum(1) / w.sum(1).clamp_min(1e-9))
        return torch.cat(out)

    def normal(self, state: FitState, free: Free) -> tuple[Tensor, Tensor]:
        """(T, P, P), (T, P): normal equations of pose and expression, to be added to those of the landmarks."""
        left, right = [], []
        for k in range(0, len(self.frames), CHUNK):
            part = slice(k, k + CHUNK)
            r, slope, x, turned = self.residual(state, part)
            w = self.weight[part] / (1 + r.pow(2).sum(-1) / ROBUST**2)
            f, z = state.focal.float(), x[..., 2]
            zero = torch.zeros_like(z)
            d = torch.stack([-f / z, zero, f * x[..., 0] / z**2, zero, f / z, -f * x[..., 1] / z**2], -1)
            root, pull = _whiten(slope, r)
            rows = root.mT @ d.unflatten(-1, (2, 3)) * w.sqrt()[..., None, None]  # (t, V, 2, 3) by camera space
            blocks = [rows @ -skew(turned), rows] if free.pose else []
            if free.expression:
                by_model = rows @ state.rotation[part].float()[:, None]  # (t, V, 2, 3)
                basis = self.expression_basis.permute(1, 2, 0)  # (V, 3, K)
                # One product per vertex for all frames, not one per vertex and frame.
                n, v = by_model.shape[:2]
                product = by_model.transpose(0, 1).reshape(v, 2 * n, 3) @ basis
                blocks.append(product.unflatten(1, (n, 2)).transpose(0, 1))
            j = torch.cat(blocks, -1).flatten(1, 2)  # (t, 2V, P)
            e = (pull * w.sqrt()[..., None]).flatten(1)
            left.append((j.mT @ j).double())
            right.append(torch.einsum("tnp,tn->tp", j, e).double())
        return torch.cat(left), torch.cat(right)


def _whiten(slope: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
    """Two equations per vertex that replace those of its three colors: slope (..., 3, 2) and r (..., 3) -> lower
    triangular L (..., 2, 2) and e (..., 2) with L L' = slope' slope and L e = slope' r.

    A flat piece of image has no slope; the small number on the diagonal keeps L invertible there.
    """
    gx, gy = slope.unbind(-1)
    xx, xy, yy = (gx * gx).sum(-1), (gx * gy).sum(-1), (gy * gy).sum(-1)
    bx, by = (gx * r).sum(-1), (gy * r).sum(-1)
    a = (xx + FLAT).sqrt()
    b = xy / a
    c = ((yy - b * b).clamp_min(0) + FLAT).sqrt()
    ex = bx / a
    ey = (by - b * ex) / c
    zero = torch.zeros_like(a)
    return torch.stack([a, zero, b, c], -1).unflatten(-1, (2, 2)), torch.stack([ex, ey], -1)
