"""Wav2Lip's networks and spectrogram against the golden vectors of the reference implementation."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from lipbench.baselines.wav2lip.mel import basis, melspectrogram, window_starts
from lipbench.baselines.wav2lip.networks import QualityDiscriminator, SyncExpert, Wav2LipGenerator, folded
from lipbench.core.errors import TooShort


def filled(net: torch.nn.Module, rule: ModuleType, gain: float) -> torch.nn.Module:
    rule.fill(net.state_dict(), gain=gain)
    return net.eval()


@pytest.fixture(scope="module")
def generator(rule: ModuleType) -> torch.nn.Module:
    return filled(Wav2LipGenerator(), rule, 0.8)


def close(mine: torch.Tensor, reference: np.ndarray, relative: float = 1e-4) -> None:
    assert mine.shape == reference.shape
    error = np.abs(mine.detach().numpy() - reference).max() / np.abs(reference).max()
    assert error < relative


@pytest.mark.parametrize("fold", [False, True])
def test_generator_is_golden(generator: torch.nn.Module, rule: ModuleType, golden: Path, fold: bool) -> None:
    net = folded(generator) if fold else generator
    mel, face = rule.array("w/mel", 2, 1, 80, 16), rule.uniform("w/face", 2, 6, 96, 96)
    with torch.inference_mode():
        close(net(torch.from_numpy(mel), torch.from_numpy(face)), np.load(golden / "wav2lip_generator.npz")["out0"])


def test_generator_windows_are_single_frames_in_order(rule: ModuleType) -> None:
    net = filled(Wav2LipGenerator(1 / 8), rule, 1.5)
    torch.manual_seed(0)
    mel, face = torch.randn(2, 3, 1, 80, 16), torch.rand(2, 6, 3, 96, 96)
    with torch.inference_mode():
        together = net(mel, face)
        assert together.shape == (2, 3, 3, 96, 96)
        for t in range(3):
            assert torch.allclose(together[:, :, t], net(mel[:, t], face[:, :, t]), atol=1e-5)
        assert not torch.allclose(together[:, :, 0], together[:, :, 1], atol=1e-2)


def test_expert_is_golden(rule: ModuleType, golden: Path) -> None:
    net = filled(SyncExpert(), rule, 0.8)
    reference = np.load(golden / "wav2lip_expert.npz")
    with torch.inference_mode():
        mel, mouth = rule.array("w/mel", 2, 1, 80, 16), rule.uniform("w/mouth", 2, 15, 48, 96)
        audio, video = net(torch.from_numpy(mel), torch.from_numpy(mouth))
    close(audio, reference["out0"])
    close(video, reference["out1"])


def test_quality_is_golden(rule: ModuleType, golden: Path) -> None:
    net = filled(QualityDiscriminator(), rule, 2.0)
    with torch.inference_mode():
        out = net(torch.from_numpy(rule.uniform("w/seq", 2, 3, 5, 96, 96)))
    close(out, np.load(golden / "wav2lip_quality.npz")["out0"])


@pytest.mark.parametrize(
    ("net", "entries", "parameters", "first", "last"),
    [
        (Wav2LipGenerator, 352, 36_298_035, "face_encoder_blocks.0.0.conv_block.0.weight", "output_block.1.bias"),
        (
            SyncExpert,
            217,
            16_435_072,
            "face_encoder.0.conv_block.0.weight",
            "audio_encoder.13.conv_block.1.num_batches_tracked",
        ),
        (QualityDiscriminator, 28, 14_113_793, "face_encoder_blocks.0.0.conv_block.0.weight", "binary_pred.0.bias"),
    ],
)
def test_sizes_and_names(net: type[torch.nn.Module], entries: int, parameters: int, first: str, last: str) -> None:
    with torch.device("meta"):
        built = net()
    keys = list(built.state_dict())
    assert (len(keys), keys[0], keys[-1]) == (entries, first, last)
    assert sum(p.numel() for p in built.parameters()) == parameters


@pytest.mark.parametrize("width", [0.0625, 0.25])
def test_narrow_networks_have_the_same_names_and_run(width: float) -> None:
    with torch.inference_mode():
        out = Wav2LipGenerator(width).eval()(torch.randn(1, 1, 80, 16), torch.rand(1, 6, 96, 96))
        audio, video = SyncExpert(width).eval()(torch.randn(1, 1, 80, 16), torch.rand(1, 15, 48, 96))
        real = QualityDiscriminator(width).eval()(torch.rand(1, 3, 2, 96, 96))
    assert out.shape == (1, 3, 96, 96)
    assert audio.shape == video.shape
    assert torch.allclose(audio.norm(dim=1), torch.ones(1), atol=1e-5)
    assert real.shape == (2, 1)
    assert Wav2LipGenerator(width).state_dict().keys() == Wav2LipGenerator(1.0).state_dict().keys()


def test_mel_is_golden(rule: ModuleType, golden: Path) -> None:
    speech = rule.speech("syncnet/audio", 40 / 25 + 0.013)
    mine, reference = melspectrogram(speech), np.load(golden / "wav2lip_mel.npz")["mel"]
    assert mine.shape == reference.shape
    assert np.abs(mine - reference).max() < 1e-6
    assert np.array_equal(melspectrogram((speech / 32768).astype(np.float32)), mine)


def test_mel_of_silence_and_of_long_sound() -> None:
    assert (melspectrogram(np.zeros(16000, np.int16)) == -4).all()
    noise = np.random.default_rng(0).normal(0, 0.1, 4200 * 200)  # more than one block of columns
    whole = melspectrogram(noise)
    assert whole.shape == (80, 4201)
    part = melspectrogram(noise[4050 * 200 : 4150 * 200])
    assert np.abs(whole[:, 4060:4140] - part[:, 10:90]).max() < 1e-9


def test_mel_refuses_what_it_cannot_hear() -> None:
    with pytest.raises(TooShort, match="25 ms"):
        melspectrogram(np.zeros(400, np.int16))
    with pytest.raises(ValueError, match="mono"):
        melspectrogram(np.zeros((2, 16000)))
    with pytest.raises(ValueError, match="NaN"):
        melspectrogram(np.full(16000, np.nan))
    with pytest.raises(ValueError):
        basis()[0, 0] = 1  # shared by everybody


def test_windows_follow_the_video(golden: Path, rule: ModuleType) -> None:
    mel = np.load(golden / "wav2lip_mel.npz")["mel"]
    chunks = np.load(golden / "wav2lip_inference.npz")["chunks"]
    starts = window_starts(mel.shape[1], 25, 12)
    assert np.array_equal(np.stack([mel[:, s : s + 16] for s in starts]), chunks)
    assert starts[:6] == [0, 3, 6, 9, 12, 16]


def test_upstream_drops_the_last_frames_and_a_count_keeps_them() -> None:
    upstream = window_starts(801, 25)  # 10 s, 250 frames
    assert len(upstream) == 247
    assert upstream[-1] == 801 - 16
    kept = window_starts(801, 25, 250)
    assert kept[:247] == upstream
    assert kept[247:] == [785, 785, 785]
    assert window_starts(801, 25, 5) == [0, 3, 6, 9, 12]
    with pytest.raises(TooShort):
        window_starts(15, 25)
