"""The field against AD-NeRF's own numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lipbench.core.errors import WeightsMismatch
from lipbench.nerf.config import FieldConfig
from lipbench.nerf.encoding import positional_encoding
from lipbench.nerf.fused_mlp import FusedMLPField
from lipbench.nerf.mlp import MLPField, from_adnerf, to_adnerf
from lipbench.nerf.model import HeadField

ADNERF = FieldConfig(condition=64, latent=0, width=256, coarse=32, fine=32)


@pytest.fixture(scope="module")
def numbers(golden):
    with np.load(golden / "adnerf.npz") as z:
        return {k: torch.from_numpy(np.asarray(z[k], np.float32)) for k in z.files}


@pytest.fixture(params=[MLPField, FusedMLPField])
def network(request):
    return request.param


def filled(rule, salt: str, network=MLPField) -> MLPField:
    net = network(64, width=256)
    state = rule.fill(to_adnerf(net), salt)
    state["alpha_linear.weight"] *= 12
    state["alpha_linear.bias"].fill_(3.0)
    return from_adnerf(net, state)


def test_network_and_encodings(rule, numbers, network):
    points = torch.from_numpy(rule.array("n/points", 64, 3, scale=0.3))
    d = torch.from_numpy(rule.array("n/dirs", 64, 3))
    d = d / d.norm(dim=-1, keepdim=True)
    condition = torch.from_numpy(rule.array("n/cond", 64))
    torch.testing.assert_close(positional_encoding(points, 10), numbers["embedding"], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(positional_encoding(d, 4), numbers["direction_embedding"], rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        rgb, alpha = filled(rule, "coarse.", network)(points[None, :, None], d[None], condition[None])
    found = torch.cat([rgb[0, :, 0], alpha[0]], -1)
    torch.testing.assert_close(found, numbers["raw"], rtol=1e-4, atol=1e-4)


def test_render(rule, numbers, network):
    field = HeadField(ADNERF, torch.zeros(2, 3))
    field.coarse, field.fine = filled(rule, "coarse.", network), filled(rule, "fine5.", network)
    row, column = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij")
    c2w = numbers["c2w"][:3, :4][None]
    near_far = torch.tensor([[0.58, 1.18]])
    rays = field.rays(c2w, row.reshape(1, -1), column.reshape(1, -1), 60.0, (11.0, 12.5), near_far)
    background = torch.from_numpy(rule.uniform("n/background", 576, 3))[None]
    condition = torch.from_numpy(rule.array("n/cond", 64))[None]
    with torch.no_grad():
        out = field.render(rays, background, condition)
    fine = out.fine
    torch.testing.assert_close(fine.rgb.reshape(-1), numbers["rgb"].reshape(-1), rtol=1e-4, atol=1e-4)
    # Rounding moves a drawn depth by up to a bin of nearly no weight: two of 576 rays differ by 1.4e-4.
    torch.testing.assert_close(fine.transmittance.reshape(-1), numbers["last_weight"].reshape(-1), rtol=1e-3, atol=3e-4)
    weights = torch.cat([fine.weights, fine.transmittance[..., None]], -1)
    torch.testing.assert_close(weights.sum(-1).reshape(-1), numbers["opacity"].reshape(-1), rtol=1e-4, atol=1e-4)
    disparity = weights.sum(-1) / (weights * out.depth).sum(-1).clamp_min(1e-10)
    torch.testing.assert_close(disparity.reshape(-1), numbers["disparity"].reshape(-1), rtol=1e-4, atol=1e-4)
    assert out.coarse.rgb is None  # no color is computed where none is needed
    with torch.no_grad():
        z = torch.linspace(0, 1, 32) * 0.6 + 0.58
        z = z.expand(1, 576, 32)
        unit = rays.direction / rays.length
        coarse = field._pass(field.coarse, rays, z, unit, rays.length, background, condition, True)
    torch.testing.assert_close(coarse.rgb.reshape(-1), numbers["rgb0"].reshape(-1), rtol=1e-4, atol=1e-4)


def test_weight_layout(rule, tmp_path):
    net = filled(rule, "coarse.")
    state = to_adnerf(net)
    assert len(state) == 28
    assert sum(v.numel() for v in state.values()) == 661_636
    torch.save({"network_fn_state_dict": state}, tmp_path / "head.tar")
    held = torch.load(tmp_path / "head.tar", weights_only=True)["network_fn_state_dict"]
    again = from_adnerf(MLPField(64, width=256), {f"module.{k}": v for k, v in held.items()})
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))
    with pytest.raises(WeightsMismatch, match="preset adnerf"):
        from_adnerf(MLPField(111, width=128), held)


def test_paper_dimensions():
    """LipNeRF's network: 178,884 parameters, condition 79 + 32 (reference table of the layers)."""
    net = MLPField(111, width=128)
    assert sum(p.numel() for p in net.parameters()) == 178_884
    assert [tuple(p.weight.shape) for p in net.pts_linears][::5] == [(128, 174), (128, 302)]
    assert [tuple(p.weight.shape) for p in net.views_linears] == [(64, 155), (64, 64), (64, 64)]
