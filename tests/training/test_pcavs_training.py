"""PC-AVS's trainer on a few made-up clips: exact resume, and the file it leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from lipbench.baselines.pcavs.checkpoint import load_ours
from lipbench.baselines.pcavs.layout import Layout
from lipbench.core.training import Budget, train
from lipbench.training.pcavs.clips import EDGE, PcAvsTrainingClip, load, save
from lipbench.training.pcavs.trainer import WEIGHTS, PcAvsConfig, PcAvsTraining

SMALL = Layout(
    size=112,
    channels=(8, 8, 8, 4, 4),
    depths=(1, 1, 1),
    identity=1 / 16,
    pose=1 / 16,
    audio=1 / 16,
    halvings=2,
    features=16,
    mouth=8,
    finer=True,
    pose_rows=0.53,
)


def talk(number: int) -> PcAvsTrainingClip:
    rng = np.random.default_rng(number)
    faces = {tag: rng.integers(0, 255, (5, EDGE, EDGE, 3), np.uint8) for tag in ("en", "fr")}
    sounds = {tag: rng.random((2, 80, 90), np.float32) for tag in faces}
    lips = {tag: rng.normal(size=(20, 40)).astype(np.float32) for tag in faces}
    return PcAvsTrainingClip(
        f"clip-{number}", f"speaker-{number}", np.arange(0, 20, 4), faces, sounds, lips, str(number)
    )


def training() -> PcAvsTraining:
    config = PcAvsConfig(SMALL, hearing=2, windows=4, moments=2)
    return PcAvsTraining(config, [talk(0), talk(1)], [talk(2)], seed=3)


def test_a_resumed_run_ends_with_the_same_weights_and_leaves_a_file(tmp_path: Path) -> None:
    budget = Budget(steps=5, validate_every=100, image_every=0)
    whole = training()
    train(whole, tmp_path / "whole", budget, seed=3)
    torch.manual_seed(0)
    first = training()
    step = first.step

    def killed(number: int, progress: float) -> dict[str, float]:
        if number == 4:
            raise KeyboardInterrupt
        return step(number, progress)

    first.step = killed  # type: ignore[method-assign]
    often = Budget(steps=5, validate_every=3, image_every=0)
    try:
        train(first, tmp_path / "parts", often, seed=3)
    except KeyboardInterrupt:
        pass
    second = training()
    train(second, tmp_path / "parts", often, seed=3)
    for (name, a), b in zip(whole.net.state_dict().items(), second.net.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    net = load_ours(tmp_path / "parts" / WEIGHTS)
    mel = torch.rand(2, 1, 80, 20)
    with torch.no_grad():
        assert torch.allclose(net.mouth(mel), second.net.eval().mouth(mel), atol=0.02)


def test_pose_comes_from_above_the_mouth() -> None:
    net = SMALL.networks().eval()
    image = torch.rand(1, 3, 112, 112)
    other = image.clone()
    other[:, :, 60:] = 0.3
    with torch.no_grad():
        assert torch.equal(net.pose(image), net.pose(other))
        assert not torch.equal(net.pose(image), net.pose(image.flip(2)))


def test_clips_survive_the_disk(tmp_path: Path) -> None:
    save(talk(4), tmp_path / "a.npz")
    back = load(tmp_path / "a.npz")
    assert back.languages == ("en", "fr")
    assert back.key == "4"
    assert np.array_equal(back.faces["fr"], talk(4).faces["fr"])
    assert not back.mel("en", 0, 0)[:, :8].any()  # silence before the clip
    assert np.array_equal(back.mel("en", 1, 10), back.sounds["en"][1, :, 32:52])
