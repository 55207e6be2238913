"""`lipbench train makeittalk` on a few invented recordings, and one generated one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lipbench.baselines.makeittalk.checkpoint import load_demo
from lipbench.core import registry
from lipbench.core.errors import Unsupported
from lipbench.core.training import Budget, Request, train
from lipbench.synthetic.corpus.spec import ClipSpec
from lipbench.training.makeittalk import ContentConfig, ContentTraining, Speaking, speaking, specs, trainer

SMALL = ContentConfig(width=0.125, batch=32, rate=3e-3)


def talks(count: int, first: int = 0) -> list[Speaking]:
    """Recordings whose lips open with the loudness of the low bands."""
    out = []
    for k in range(first, first + count):
        rng = np.random.default_rng(k)
        loud = np.abs(np.sin(np.arange(200) * rng.uniform(0.05, 0.12)))
        mel = rng.normal(0, 0.03, (1, 201, 80))
        mel[0, :200, :20] += loud[:, None]
        moved = np.zeros((200, 68, 3))
        moved[:, 65:68, 1] = 0.2 * loud[:, None]
        face = rng.normal(0, 0.02, (68, 3))
        face[48, 0], face[54, 0] = -0.3, 0.3
        out.append(
            Speaking(
                str(k),
                face.reshape(204).astype(np.float32),
                moved.reshape(200, 204).astype(np.float32),
                mel.astype(np.float32),
            )
        )
    return out


def test_it_learns_and_exports(tmp_path: Path) -> None:
    training = ContentTraining(SMALL, talks(6), talks(2, 90))
    before = training.validate()
    train(training, tmp_path, Budget(steps=200, validate_every=100, image_every=100))
    after = training.validate()
    assert after["held_out_lips"] < 0.5 * before["held_out_lips"]
    assert after["opening"] > 0.8
    assert (tmp_path / "samples" / "0000100.png").exists()
    content = load_demo(tmp_path / "content.npz")
    assert content.net.width == 0.125
    np.testing.assert_allclose(content.mean, training.mean, rtol=1e-5)
    training.net.eval()
    sound, face = torch.randn(3, 18, 80), torch.zeros(1, 204)
    torch.testing.assert_close(content.net(sound, face), training.net(sound, face), atol=2e-3, rtol=2e-2)


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = ContentTraining(SMALL, talks(3), talks(1, 90))
    train(whole, tmp_path / "a", Budget(steps=6, validate_every=3))
    first = ContentTraining(SMALL, talks(3), talks(1, 90))
    train(first, tmp_path / "b", Budget(steps=6, validate_every=3))
    again = ContentTraining(SMALL, talks(3), talks(1, 90))
    train(again, tmp_path / "b", Budget(steps=6, validate_every=3))
    for a, b in zip(whole.net.state_dict().values(), again.net.state_dict().values(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.slow
def test_a_generated_person() -> None:
    spec = ClipSpec("one", 5, 1_400_000, source="en", dubs=("fr",), seconds=1.6, takes=2)
    found = speaking(spec, None)
    assert [s.id for s in found] == ["one/en", "one/fr"]
    one = found[0]
    face = one.face.reshape(68, 3)
    assert np.linalg.norm(face[0] - face[16]) == pytest.approx(1.6, rel=0.05)
    assert face[8, 1] > 0.5  # chin below, y down
    assert not face[:, 2].any()
    assert one.sounds.shape == (2, 101, 80)
    assert one.moved.shape == (101, 204)
    moved = one.moved.reshape(-1, 68, 3)
    # Lips move, the bridge of the nose does not.
    assert np.abs(moved[:, 66, 1]).max() > 5 * np.abs(moved[:, 28]).max()
    assert not np.array_equal(one.sounds[0], one.sounds[1])


def test_splits_share_nobody_and_the_trainer_is_registered(tmp_path: Path) -> None:
    a, b = ({s.identity for s in specs(name, 30)} for name in ("train", "held-out"))
    assert not a & b
    assert registry.sources("trainers")["makeittalk"].endswith("training.makeittalk:trainer")
    with pytest.raises(Unsupported, match="generated people only"):
        trainer(Request(tmp_path, data="x.yaml"))
