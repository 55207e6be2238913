"""AD-NeRF's head: the field learns together with the audio networks, resumes exactly, published checkpoints load."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lipbench.baselines.adnerf.checkpoint import load_head
from lipbench.baselines.adnerf.training import AudioCodes, AudioFieldTraining, load, train
from lipbench.core.errors import WeightsError
from lipbench.core.training import Budget
from lipbench.core.training import train as run
from lipbench.nerf.mlp import MLPField, to_adnerf
from lipbench.nerf.scene import Scene
from lipbench.nerf.scene_from_fit import make_scene
from lipbench.nerf.training.trained import render_frames
from tests.baselines.adnerf.small_preset import small_preset

T, SIZE = 16, 32


def talking_disc() -> tuple[Scene, np.ndarray]:
    """A gray disc with a mouth that is white on loud frames and black on quiet ones, and the sound of it."""
    loud = (np.arange(T) // 2) % 2
    column, row = np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5)
    disc = np.hypot(column - SIZE / 2, row - SIZE / 2) < 10
    mouth = disc & (row > SIZE / 2) & (np.abs(column - SIZE / 2) < 5)
    frames = np.full((T, SIZE, SIZE, 3), 30, np.uint8)
    frames[:, disc] = 128
    frames[:, mouth] = np.where(loud, 230, 10)[:, None, None]
    scene = make_scene(
        frames,
        np.stack([disc] * T),
        np.full((SIZE, SIZE, 3), 30, np.uint8),
        np.stack([np.eye(3)] * T),
        np.tile([0.0, 0.0, -7.5], (T, 1)),
        75.0,
        (SIZE / 2, SIZE / 2),
        np.zeros((T, 1)),
        np.tile([10, 16, 22, 26], (T, 1)),
    )
    windows = np.random.default_rng(0).normal(0, 0.1, (T, 16, 29)) + np.where(loud, 1.5, -1.5)[:, None, None]
    return scene, windows.astype(np.float32)


def test_the_mouth_follows_the_sound(tmp_path: Path) -> None:
    scene, windows = talking_disc()
    train(scene, windows, small_preset(steps=220), tmp_path, smooth_after=1.0)
    field, audio, smooth = load(tmp_path)
    assert not smooth
    shown = [
        f.rgb[18:24, 13:19].mean() for f in render_frames(field, scene, audio.every(windows, smooth), None, range(T))
    ]
    loud = (np.arange(T) // 2) % 2 == 1
    assert np.mean(np.array(shown)[loud]) > np.mean(np.array(shown)[~loud]) + 0.3


@pytest.mark.parametrize("smooth_after", [0.0, 0.5])
def test_resume_is_exact(smooth_after: float, tmp_path: Path) -> None:
    scene, windows = talking_disc()
    settings, budget = (
        small_preset(steps=8, rays=64),
        Budget(steps=8, validate_every=4, report_every=4, image_every=0),
    )
    whole = AudioFieldTraining(scene, windows, settings, smooth_after=smooth_after)
    run(whole, tmp_path / "whole", budget)

    class Broken(AudioFieldTraining):
        def step(self, number: int, progress: float) -> dict[str, float]:
            if number == 6:
                raise InterruptedError
            return super().step(number, progress)

    with pytest.raises(InterruptedError):
        run(Broken(scene, windows, settings, smooth_after=smooth_after), tmp_path / "cut", budget)
    rest = AudioFieldTraining(scene, windows, settings, smooth_after=smooth_after)
    run(rest, tmp_path / "cut", budget)
    for a, b in zip(whole.audio.state_dict().values(), rest.audio.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    for a, b in zip(whole.field.state_dict().values(), rest.field.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_codes_of_single_frames_are_those_of_all() -> None:
    scene, windows = talking_disc()
    training = AudioFieldTraining(scene, windows, small_preset(steps=4), smooth_after=0.0)
    some = torch.tensor([0, 3, T - 1])
    assert torch.allclose(training.codes(some), torch.from_numpy(training.audio.every(windows))[some], atol=1e-5)


def test_published_head_checkpoints_load(tmp_path: Path) -> None:
    torch.manual_seed(0)
    nets, audio = [MLPField(64, width=256).eval() for _ in range(2)], AudioCodes()
    torch.save(
        {
            "global_step": 400_000,
            "network_fn_state_dict": to_adnerf(nets[0]),
            "network_fine_state_dict": to_adnerf(nets[1]),
            "network_audnet_state_dict": audio.audnet.state_dict(),
            "network_audattnet_state_dict": audio.audattnet.state_dict(),
        },
        tmp_path / "400000_head.tar",
    )
    coarse, fine, loaded, step = load_head(tmp_path / "400000_head.tar")
    assert step == 400_000
    for ours, theirs in zip(nets, (coarse, fine), strict=True):
        assert all(
            torch.equal(a, b) for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True)
        )
    x = torch.randn(3, 16, 29)
    assert torch.equal(audio.audnet(x), loaded.audnet(x))
    (tmp_path / "bad.tar").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match=r"_head\.tar"):
        load_head(tmp_path / "bad.tar")
