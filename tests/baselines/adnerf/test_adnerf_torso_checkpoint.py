"""Published `*_body.tar` files: read, written, told from heads."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lipbench.baselines.adnerf.audionet import AudioNet
from lipbench.baselines.adnerf.checkpoint import load_head, load_torso, save_head, save_torso
from lipbench.baselines.adnerf.training import AudioCodes
from lipbench.core.errors import WeightsError, WeightsMismatch
from lipbench.nerf.model import HeadField
from lipbench.nerf.training.presets import preset

BOUNDS = torch.tensor([[-0.3, -0.3, -0.3], [0.3, 0.3, 0.3]])
SHAPES = {
    "pts_linears.0": (256, 169),
    **{f"pts_linears.{k}": (256, 256) for k in (1, 2, 3, 4, 6, 7)},
    "pts_linears.5": (256, 425),
    "views_linears.0": (128, 283),
    "views_linears.1": (128, 128),
    "views_linears.2": (128, 128),
    "feature_linear": (256, 256),
    "alpha_linear": (1, 256),
    "rgb_linear": (3, 128),
}


def network(seed: int) -> dict[str, torch.Tensor]:
    """Random weights in the published layout of one torso network: 28 entries, 683,140 numbers."""
    rng = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in SHAPES.items():
        state[f"{name}.weight"] = torch.randn(shape, generator=rng) / shape[1] ** 0.5
        state[f"{name}.bias"] = torch.randn(shape[0], generator=rng)
    return state


def body(path: Path) -> dict[str, dict[str, torch.Tensor]]:
    nets = {"network_fn_state_dict": network(1), "network_fine_state_dict": network(2)}
    values = [torch.nn.Parameter(v) for net in nets.values() for v in net.values()]
    optimizer = torch.optim.Adam(values)
    sum(v.sum() for v in values[:4]).backward()  # type: ignore[union-attr]
    optimizer.step()
    torch.save(
        {
            "global_step": 299_999,
            **nets,
            "network_audnet_state_dict": AudioNet().state_dict(),
            "optimizer_state_dict": optimizer.state_dict(),
            "optimizer_aud_state_dict": {},
        },
        path,
    )
    return nets


def test_a_published_torso_loads(tmp_path: Path) -> None:
    nets = body(tmp_path / "300000_body.tar")
    assert sum(v.numel() for v in nets["network_fn_state_dict"].values()) == 683_140
    coarse, fine, step = load_torso(tmp_path / "300000_body.tar")
    assert step == 299_999
    for ours, theirs in ((coarse, nets["network_fn_state_dict"]), (fine, nets["network_fine_state_dict"])):
        assert ours.condition == 106
        assert all(torch.equal(v, theirs[k]) for k, v in ours.state_dict().items())


def test_written_torsos_have_the_published_layout(tmp_path: Path) -> None:
    field = HeadField(preset("adnerf", "mlp", {"condition": 106}).field, BOUNDS)
    saved = save_torso(tmp_path / "400000_body.tar", field, 400_000)
    state = torch.load(saved, weights_only=True)
    assert set(state) == {
        "global_step",
        "network_fn_state_dict",
        "network_fine_state_dict",
        "network_audnet_state_dict",
        "optimizer_state_dict",
        "optimizer_aud_state_dict",
    }
    want = {k: tuple(v.shape) for k, v in network(0).items()}
    assert {k: tuple(v.shape) for k, v in state["network_fn_state_dict"].items()} == want
    # The published code hands these to optimizers over all parameters of both networks, and of its AudioNet.
    assert len(state["optimizer_state_dict"]["param_groups"][0]["params"]) == 56
    assert len(state["optimizer_aud_state_dict"]["param_groups"][0]["params"]) == 12
    AudioNet().load_state_dict(state["network_audnet_state_dict"])
    coarse, fine, step = load_torso(saved)
    assert step == 400_000
    for ours, again in ((field.coarse, coarse), (field.fine, fine)):
        assert ours is not None
        assert all(torch.equal(v, again.state_dict()[k]) for k, v in ours.state_dict().items())


def test_heads_and_torsos_are_told_apart(tmp_path: Path) -> None:
    body(tmp_path / "body.tar")
    head = HeadField(preset("adnerf", "mlp").field, BOUNDS)
    audio = AudioCodes()
    saved = save_head(tmp_path / "head.tar", head, audio, 5)
    assert torch.equal(load_head(saved)[1].state_dict()["rgb_linear.bias"], head.fine.state_dict()["rgb_linear.bias"])
    assert torch.equal(
        load_head(saved)[2].state_dict()["audattnet.attentionNet.0.bias"],
        audio.audattnet.state_dict()["attentionNet.0.bias"],
    )
    with pytest.raises(WeightsMismatch, match="takes 64 numbers"):
        load_torso(saved)
    with pytest.raises(WeightsError, match="network_audattnet"):
        load_head(tmp_path / "body.tar")
    with pytest.raises(WeightsMismatch, match="takes 64"):
        save_torso(tmp_path / "x.tar", head, 1)
    with pytest.raises(WeightsMismatch, match="no published layout"):
        save_torso(tmp_path / "x.tar", HeadField(preset("demo", "triplane").field, BOUNDS), 1)
    (tmp_path / "bad.tar").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match=r"_body\.tar"):
        load_torso(tmp_path / "bad.tar")
