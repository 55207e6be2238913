"""SyncNet against the published key list and the golden vectors; the folded form against the plain one."""

from __future__ import annotations

import copy
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import python_speech_features
import torch

from lipbench.core.errors import TooShort, UsageError, WeightsError
from lipbench.metrics.functional.winograd import Winograd
from lipbench.metrics.sync import folded, streams
from lipbench.metrics.sync.arithmetic import pair_distances
from lipbench.metrics.sync.files import read_info
from lipbench.metrics.sync.folded import mfcc
from lipbench.metrics.sync.network import SyncNet
from tests import fake_device


@pytest.fixture(scope="module")
def full(rule: ModuleType) -> SyncNet:
    net = SyncNet()
    rule.fill(net.state_dict())
    return net.eval()


@pytest.fixture(scope="module")
def small(rule: ModuleType) -> SyncNet:
    """A quarter of the width, 112 px."""
    net = SyncNet(0.25, 112)
    rule.fill(net.state_dict())
    return net.eval()


@pytest.fixture(scope="module")
def inputs(rule: ModuleType) -> tuple[np.ndarray, np.ndarray]:
    return rule.frames("syncnet/video", 40, 224, 224), rule.speech("syncnet/audio", 40 / 25 + 0.013)


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


def test_published_keys_and_size() -> None:
    net = SyncNet()
    state = net.state_dict()
    assert len(state) == 102
    assert sum(p.numel() for p in net.parameters()) == 13_631_616
    assert state["netcnnlip.0.weight"].shape == (96, 3, 5, 7, 7)
    assert state["netcnnlip.18.weight"].shape == (512, 256, 1, 6, 6)
    assert state["netcnnaud.18.weight"].shape == (512, 256, 5, 4)
    assert state["netfcaud.3.weight"].shape == (1024, 512)


def test_small_sync_model_has_a_quarter_of_everything(small: SyncNet) -> None:
    assert sum(p.numel() for p in small.parameters()) == 868_128
    assert small.embedding_size == 256
    assert small.forward_lip(torch.zeros(1, 3, 5, 112, 112)).shape == (1, 256)
    assert small.forward_aud(torch.zeros(1, 1, 13, 20)).shape == (1, 256)
    assert set(small.state_dict()) == set(SyncNet().state_dict())


@pytest.mark.parametrize("size", [48, 64, 96, 128, 160, 192])
def test_every_input_size_ends_in_one_pixel(size: int) -> None:
    net = SyncNet(0.05, size).eval()
    x = torch.randn(2, 3, 5, size, size)
    folded = net.folded().lip(x[0].permute(1, 2, 3, 0).clamp(0, 1).mul(255).byte().numpy())
    assert net.forward_lip(x).shape == (2, net.embedding_size) == (2, folded.shape[1])


def test_too_small_an_input_is_refused() -> None:
    with pytest.raises(ValueError, match="48"):
        SyncNet(1.0, 32)


def test_mfcc_golden(golden: Path, inputs: tuple[np.ndarray, np.ndarray]) -> None:
    got = mfcc(inputs[1])
    want = np.load(golden / "syncnet.npz")["mfcc"]
    assert got.shape == want.shape == (13, 160)
    assert np.abs(got - want).max() < 1e-6


@pytest.mark.parametrize("n", [1, 400, 401, 160 * 100 + 240, 160 * 100 + 241, 160 * 350 + 7])
def test_mfcc_in_parts_is_the_packages_own(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package as a whole takes 17 kB a column, which a long film has not got."""
    monkeypatch.setattr(folded, "COLUMNS", 100)
    sound = np.random.default_rng(n).normal(0, 3000, n).astype(np.int16)
    want = python_speech_features.mfcc(sound, 16000).T
    assert np.abs(mfcc(sound) - want).max() < 1e-12 * np.abs(want).max()


def test_mfcc_counts_and_scale() -> None:
    tone = (8000 * np.sin(np.arange(640 * 30) * 0.05)).astype(np.int16)
    assert mfcc(tone).shape == (13, 4 * 30 - 1)
    silence = mfcc(np.zeros(640 * 2, np.int16))
    assert np.allclose(silence[0], -36.04, atol=0.01)
    assert np.isfinite(silence).all()
    with pytest.raises(UsageError, match="int16"):
        mfcc((tone / 32768).astype(np.float32))  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        mfcc(np.zeros(0, np.int16))


def test_golden_scores(golden: Path, full: SyncNet, inputs: tuple[np.ndarray, np.ndarray]) -> None:
    z = np.load(golden / "syncnet.npz")
    frames, audio = inputs
    folded = full.folded()
    assert relative(folded.embed_video(frames).numpy(), z["video_embedding"]) < 1e-4
    assert relative(folded.embed_audio(audio).numpy(), z["audio_embedding"]) < 1e-4
    score = folded.score(frames, audio)
    assert score.n_windows == 35
    assert np.abs(score.per_window.T / z["distances"] - 1).max() < 3e-6
    assert relative(score.distances, z["mean_distance"]) < 3e-6
    assert score.lse_d == pytest.approx(float(z["lse_d"]), rel=3e-6)
    # A difference of two numbers near 28,000: 1e-4 of those is the honest tolerance.
    assert score.lse_c == pytest.approx(float(z["lse_c"]), abs=1e-4 * float(z["lse_d"]))
    assert score.lse_c == pytest.approx(float(z["lse_c"]), rel=2e-3)
    assert score.av_offset == int(z["offset"])


def test_folded_equals_plain(small: SyncNet, rule: ModuleType) -> None:
    frames = rule.frames("small/video", 23, 112, 112)
    audio = rule.speech("small/audio", 23 / 25)
    x = torch.from_numpy(frames).float().permute(3, 0, 1, 2)  # 3, T, H, W
    features = torch.from_numpy(mfcc(audio)).float()
    with torch.no_grad():
        lip = small.forward_lip(torch.stack([x[:, v : v + 5] for v in range(18)]))
        aud = small.forward_aud(torch.stack([features[None, :, 4 * v : 4 * v + 20] for v in range(18)]))
    assert relative(small.embed_video(frames).numpy(), lip.numpy()) < 1e-5
    assert relative(small.embed_audio(audio).numpy(), aud.numpy()) < 1e-5


def by_winograd(net: folded.FoldedSyncNet) -> list[bool]:
    return [isinstance(layer, Winograd) for layer in (*net._lip.layers, *net._aud.layers)]


def test_large_layers_go_through_winograds_in_single_precision_on_a_cpu(full: SyncNet, small: SyncNet) -> None:
    assert by_winograd(full.folded()) == [True] * 5 + [False] + [True] * 4  # the sound's first has one channel
    assert not any(by_winograd(full.folded(dtype=torch.bfloat16)))
    assert not any(by_winograd(small.folded()))


@pytest.mark.parametrize("size", [48, 112])
def test_winograds_is_the_same_network(size: int, rule: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "WORTH", 0)
    net = SyncNet(0.25, size)
    rule.fill(net.state_dict())
    frames, audio = rule.frames("w/v", 16, size, size), rule.speech("w/a", 16 / 25)
    quick = net.eval().folded()
    assert all(by_winograd(quick))
    x, features = torch.from_numpy(frames).double().permute(3, 0, 1, 2), torch.from_numpy(mfcc(audio))
    exact = copy.deepcopy(net).double()
    with torch.no_grad():
        lip = exact.forward_lip(torch.stack([x[:, v : v + 5] for v in range(11)]))
        aud = exact.forward_aud(torch.stack([features[None, :, 4 * v : 4 * v + 20] for v in range(11)]))
    assert relative(quick.embed_video(frames).numpy(), lip.numpy()) < 3e-6
    assert relative(quick.embed_audio(audio).numpy(), aud.numpy()) < 3e-6
    assert np.abs(quick.score(frames, audio).per_window / pair_distances(lip, aud).numpy() - 1).max() < 3e-6
    alone = quick.lip(frames[:5])  # what a window is batched with says nothing about it
    assert relative(alone.numpy(), quick.lip(frames)[:1].numpy()) < 2e-6


def test_layers_on_a_device_stay_as_they_are(rule: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "WORTH", 0)
    net = SyncNet(0.1, 48)
    rule.fill(net.state_dict())
    frames = rule.frames("d/v", 7, 48, 48)
    expected = net.eval().folded().lip(frames).numpy()
    with fake_device.card() as device:
        on_card = net.to(device).folded(device)
        assert not any(by_winograd(on_card))
        found = on_card.lip(frames).cpu().numpy()
    assert relative(found, expected) < 1e-5


@pytest.mark.parametrize("n", [0, 4, 5, 6, 8, 9, 12, 13])
def test_streaming_does_not_depend_on_blocks(small: SyncNet, rule: ModuleType, n: int) -> None:
    frames = rule.frames("small/video", 23, 112, 112)
    folded = small.folded()
    whole = folded.lip(frames)
    part = folded.embed_video(iter(frames[:n]))
    assert part.shape == (max(0, n - 5), 256)
    assert torch.allclose(part, whole[: len(part)], rtol=1e-4, atol=1e-4 * float(whole.abs().max()))


def test_training_changes_the_next_score(rule: ModuleType) -> None:
    net = SyncNet(0.1, 48)
    rule.fill(net.state_dict())
    net.train()
    frames, audio = rule.frames("t/v", 12, 48, 48), rule.speech("t/a", 12 / 25)
    before = net.score(frames, audio)
    assert net.training  # scoring does not leave the network in another mode
    assert net.score(frames, audio).lse_d == before.lse_d
    with torch.no_grad():
        net.netfclip[3].weight.mul_(2)
    assert net.score(frames, audio).lse_d != before.lse_d


def test_scaling_of_training_is_absorbed(rule: ModuleType) -> None:
    net = SyncNet(0.1, 48).eval()
    x, m = torch.rand(2, 3, 5, 48, 48) * 255, torch.randn(2, 1, 13, 20) * 10
    with torch.no_grad():
        lip, aud = net.forward_lip((x - 127.5) / 255), net.forward_aud(m / 10)
        net.absorb_scaling(127.5, 255, 10)
        assert relative(net.forward_lip(x).numpy(), lip.numpy()) < 1e-4
        assert relative(net.forward_aud(m).numpy(), aud.numpy()) < 1e-4


def test_wrong_frames_are_named(small: SyncNet) -> None:
    folded = small.folded()
    with pytest.raises(UsageError, match="112"):
        folded.embed_video(np.zeros((8, 96, 112, 3), np.uint8))
    with pytest.raises(UsageError, match="uint8"):
        folded.embed_video(np.zeros((8, 112, 112, 3), np.float32))  # type: ignore[arg-type]


def test_five_frames_are_too_short_and_six_are_enough(small: SyncNet, rule: ModuleType) -> None:
    frames, audio = rule.frames("e/v", 8, 112, 112), rule.speech("e/a", 8 / 25)
    folded = small.folded()
    with pytest.raises(TooShort):
        folded.score(frames[:5], audio)
    with pytest.raises(TooShort):
        folded.score(frames, audio[: 640 * 6 - 1])
    with pytest.raises(TooShort):
        folded.score(frames, audio[:0])
    assert folded.score(frames[:6], audio).n_windows == 1
    assert folded.score(frames, audio[: 640 * 7]).n_windows == 2


def test_longer_sound_or_image_changes_nothing(small: SyncNet, rule: ModuleType) -> None:
    frames, audio = rule.frames("e/v", 30, 112, 112), rule.speech("e/a", 30 / 25)
    folded = small.folded()
    short = folded.score(frames[:20], audio[: 20 * 640])
    for other in (folded.score(frames[:20], audio), folded.score(frames, audio[: 20 * 640 + 100])):
        assert other.n_windows == 15
        assert relative(other.distances, short.distances) < 1e-5


def test_bfloat16_is_close_but_its_own(small: SyncNet, rule: ModuleType) -> None:
    frames, audio = rule.frames("e/v", 20, 112, 112), rule.speech("e/a", 20 / 25)
    exact = small.folded().score(frames, audio)
    fast = small.folded(dtype=torch.bfloat16).score(frames, audio)
    assert 0 < abs(fast.lse_d - exact.lse_d) / exact.lse_d < 0.02


# -- files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["syncnet.npz", "syncnet.pt"])
def test_save_and_load(small: SyncNet, tmp_path: Path, name: str) -> None:
    path = small.save(tmp_path / name, info={"steps": 3})
    back = SyncNet.from_file(path)
    assert (back.shape, back.training) == (small.shape, False)
    assert read_info(path)["info"] == {"steps": 3}
    for key, value in small.state_dict().items():
        assert torch.allclose(back.state_dict()[key].float(), value.float(), rtol=1e-3, atol=1e-4), key
    assert path.stat().st_size < 2_000_000  # float16


def test_load_reads_old_pickles_and_plain_state_dicts(full: SyncNet, tmp_path: Path) -> None:
    state = full.state_dict()
    torch.save(state, tmp_path / "old.model", _use_new_zipfile_serialization=False)
    without = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    assert len(without) == 88
    torch.save(without, tmp_path / "plain.pt")
    for name in ("old.model", "plain.pt"):
        net = SyncNet.from_file(tmp_path / name)
        assert (net.shape.width, net.shape.size) == (1.0, 224)
        assert torch.equal(net.netcnnlip[18].weight, full.netcnnlip[18].weight)


def test_load_names_what_does_not_fit(small: SyncNet, tmp_path: Path) -> None:
    state = dict(small.state_dict())
    path = tmp_path / "x.pt"

    def refused(match: str, **kwargs: float) -> None:
        with pytest.raises(WeightsError, match=match):
            SyncNet.from_file(path, **kwargs)  # type: ignore[arg-type]

    torch.save({k: v for k, v in state.items() if k != "netfcaud.3.bias"}, path)
    refused("missing netfcaud.3.bias")
    torch.save({**state, "extra.weight": torch.zeros(1)}, path)
    refused("unknown extra.weight")
    torch.save({**state, "netfclip.3.bias": torch.zeros(7)}, path)
    refused(r"netfclip.3.bias is \(7,\), expected \(256,\)")
    torch.save({"a": torch.zeros(1)}, path)
    refused("no SyncNet checkpoint")
    torch.save([1, 2], path)
    refused("state dict")
    path.write_bytes(b"<html>not found</html>")
    refused("cannot read")
    small.save(path)
    refused("another sync model", width=1.0)
    with pytest.raises(WeightsError, match="there is no file"):
        SyncNet.from_file(tmp_path / "absent.pt")


def test_load_reads_into_the_network(tmp_path: Path) -> None:
    saved, net = SyncNet(1 / 16, 112), SyncNet(1 / 16, 112)
    path = saved.save(tmp_path / "net.pt", half=False)
    assert net.load(path) is net
    assert not net.training
    for key, value in saved.state_dict().items():
        assert torch.equal(net.state_dict()[key], value), key
    with pytest.raises(WeightsError):
        SyncNet(1 / 8, 112).load(path)
