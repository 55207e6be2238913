"""MakeItTalk's networks: published keys, golden vectors, checkpoints in the published layout."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from lipbench.baselines.makeittalk.autovc import AutoVC
from lipbench.baselines.makeittalk.checkpoint import KEYS, NET, load, load_demo, numbers, voice
from lipbench.baselines.makeittalk.image_net import ImageTranslator
from lipbench.baselines.makeittalk.landmark_nets import ContentBranch, Positions, SpeakerBranch
from lipbench.core.errors import WeightsError, WeightsMismatch, WeightsMissing

#: network -> entries, parameters, some published keys with their shapes.
PUBLISHED: dict[type[torch.nn.Module], tuple[int, int, dict[str, tuple[int, ...]]]] = {
    ContentBranch: (
        37,
        1_965_677,
        {
            "fc_prior.3.weight": (161, 256),
            "fc.0.weight": (512, 460),
            "fc.6.bias": (204,),
            "bilstm.weight_ih_l0": (1024, 161),
            "fc.4.running_var": (256,),
        },
    ),
    SpeakerBranch: (
        118,
        3_000_908,
        {
            "audio_content_encoder.weight_hh_l2": (1024, 256),
            "encoder.embed.embed.weight": (64, 512),
            "encoder.pe.pe": (1, 512, 64),
            "encoder.layers.1.ff.linear_1.weight": (2048, 64),
            "encoder.norm.alpha": (64,),
            "decoder.layers.0.attn_2.out.bias": (64,),
            "decoder.embed.embed.weight": (64, 204),
            "out.4.bias": (204,),
        },
    ),
    AutoVC: (
        62,
        14_320_960,
        {
            "encoder.convolutions.0.0.conv.weight": (512, 336, 5),
            "encoder.lstm.weight_ih_l1_reverse": (64, 32),
            "decoder.lstm.weight_ih_l0": (2048, 545),
            "decoder.linear_projection.linear_layer.weight": (80, 512),
            "postnet.convolutions.4.1.bias": (80,),
        },
    ),
    ImageTranslator: (
        321,
        69_860_736,
        {
            "model.model.0.weight": (64, 6, 3, 3),
            "model.model.6.weight": (3, 128, 3, 3),
            "model.model.4.model.5.model.5.model.5.model.5.model.9.block.3.weight": (512, 512, 3, 3),
            "model.model.4.model.7.weight": (64, 256, 3, 3),
            "model.model.4.model.1.running_mean": (128,),
        },
    ),
}


def tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array)


@pytest.mark.parametrize("kind", PUBLISHED, ids=lambda kind: kind.__name__)
def test_keys_are_the_published_ones(kind: type[torch.nn.Module]) -> None:
    entries, parameters, some = PUBLISHED[kind]
    with torch.device("meta"):
        net = kind()
    state = net.state_dict()
    assert len(state) == entries
    assert sum(p.numel() for p in net.parameters()) == parameters
    assert {k: tuple(state[k].shape) for k in some} == some


@torch.inference_mode()
def test_content_branch_golden(rule: ModuleType, golden: Path) -> None:
    net = ContentBranch().eval()
    rule.fill(net.state_dict(), gain=1.0)
    out = net(tensor(rule.array("m/audio", 12, 18, 80)), tensor(rule.array("m/face", 1, 204, scale=0.3)))
    with np.load(golden / "makeittalk_content.npz") as want:
        np.testing.assert_allclose(out, want["out0"], rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_speaker_branch_golden(rule: ModuleType, golden: Path) -> None:
    net = SpeakerBranch().eval()
    rule.fill(net.state_dict(), gain=1.0)
    sound, owner = rule.array("m/audio", 12, 18, 80), rule.array("m/speaker", 12, 256, scale=0.1)
    out = net(tensor(sound), tensor(owner))
    with np.load(golden / "makeittalk_speaker.npz") as want:
        np.testing.assert_allclose(out, want["out0"], rtol=1e-4, atol=1e-5)
    assert (net(tensor(sound), tensor(owner), torch.ones(12, 128)) - out).abs().max() > 1e-3


@torch.inference_mode()
def test_autovc_golden(rule: ModuleType, golden: Path) -> None:
    net = AutoVC().eval()
    rule.fill(net.state_dict(), gain=1.0)
    owner = tensor(rule.array("m/speaker1", 1, 256, scale=0.1))
    made = net(tensor(rule.array("m/mel", 1, 64, 80)), owner, tensor(rule.uniform("m/f0", 1, 64, 257)), owner)
    with np.load(golden / "makeittalk_autovc.npz") as want:
        for k, out in enumerate(made):
            np.testing.assert_allclose(out, want[f"out{k}"], rtol=1e-4, atol=2e-5)


@pytest.mark.slow
@torch.inference_mode()
def test_image_translation_golden(rule: ModuleType, golden: Path) -> None:
    net = ImageTranslator().eval()
    rule.fill(net.state_dict(), gain=0.5)
    out = net(tensor(rule.uniform("m/image", 1, 6, 256, 256)))[:, :, ::4, ::4]
    with np.load(golden / "makeittalk_image2image.npz") as want:
        np.testing.assert_allclose(out, want["out0"], rtol=1e-4, atol=1e-5)


def test_positions_are_sines_of_the_frame() -> None:
    table = Positions(64).pe[0]
    assert table[0, :4].tolist() == [0, 1, 0, 1]
    assert float(table[7, 0]) == pytest.approx(np.sin(7))


def saved(net: torch.nn.Module, path: Path, prefix: str = "", **more: Any) -> Path:
    state = {prefix + k: v for k, v in net.state_dict().items()}
    torch.save({KEYS[type(net)]: state, **more}, path)
    return path


class Options:
    """A class of upstream's that is not here when its checkpoint is read."""

    lr = 1e-4


@pytest.mark.parametrize("kind", [ContentBranch, SpeakerBranch], ids=lambda kind: kind.__name__)
def test_checkpoints_in_the_published_layout(kind: Any, tmp_path: Path, rule: ModuleType) -> None:
    net = kind()
    rule.fill(net.state_dict(), gain=1.0)
    got = load(saved(net, tmp_path / "ckpt.pth", epoch=3), kind)
    assert not got.training
    assert all(torch.equal(a, b) for a, b in zip(got.state_dict().values(), net.state_dict().values(), strict=True))


def test_pickled_options_and_prefixes_do_no_harm(tmp_path: Path) -> None:
    """The published image translation file holds an optimizer object; a speaker file holds layers to drop."""
    net = SpeakerBranch()
    state = {f"module.{k}": v for k, v in net.state_dict().items()} | {"comb_mlp.0.weight": torch.zeros(2, 2)}
    options = Options()
    options.optimizer = torch.optim.Adam(net.out.parameters())  # type: ignore[attr-defined]
    torch.save({"G": state, "opt": options, "epoch": 116}, tmp_path / "ckpt.pth")
    got = load(tmp_path / "ckpt.pth", SpeakerBranch)
    assert torch.equal(got.out[0].weight, net.out[0].weight)


class Evil:
    def __reduce__(self) -> Any:
        import os

        return os.mkdir, ("evil-was-here",)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model_g_face_id": ContentBranch().state_dict(), "opt": Evil()}, tmp_path / "ckpt.pth")
    load(tmp_path / "ckpt.pth", ContentBranch)
    assert not (tmp_path / "evil-was-here").exists()


def test_wrong_files(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing):
        load(tmp_path / "none.pth", ContentBranch)
    (tmp_path / "page.pth").write_text("<html>")
    with pytest.raises(WeightsError, match="cannot read"):
        load(tmp_path / "page.pth", ContentBranch)
    other = saved(SpeakerBranch(), tmp_path / "speaker.pth")
    with pytest.raises(WeightsMismatch, match="model_g_face_id"):
        load(other, ContentBranch)
    with pytest.raises(WeightsMismatch, match="entries differ"):
        load(other, ImageTranslator)
    torch.save([1], tmp_path / "list.pth")
    with pytest.raises(WeightsError, match="list"):
        load(tmp_path / "list.pth", ContentBranch)


def test_small_content_branch(tmp_path: Path) -> None:
    net = ContentBranch(0.25)
    half = {NET + k: (v.half() if v.is_floating_point() else v).numpy() for k, v in net.state_dict().items()}
    np.savez(tmp_path / "c.npz", **half, mean=np.zeros(80), std=np.ones(80))
    got = load_demo(tmp_path / "c.npz")
    assert got.net.width == 0.25
    assert got.net.fc[6].weight.dtype == torch.float32
    with pytest.raises(WeightsError, match="lipbench train"):
        load_demo(saved(net, tmp_path / "published.pth"))
    with pytest.raises(WeightsMissing):
        load_demo(tmp_path / "none.npz")


def test_files_of_numbers(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "v.txt", np.arange(256))
    np.save(tmp_path / "v.npy", np.arange(256.0))
    assert voice(tmp_path / "v.txt").tolist() == voice(tmp_path / "v.npy").tolist() == list(range(256))
    with pytest.raises(WeightsMismatch, match="256 numbers, wanted 204"):
        numbers(tmp_path, "v.txt", 204)
    with pytest.raises(WeightsMissing, match="git clone"):
        numbers(tmp_path, "src/x.txt", 204)
