"""Smoothing, range and articulation of the expressions that drive a dub."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipbench.core.errors import UsageError, WeightsError
from lipbench.faces.morphable import visemes
from lipbench.faces.morphable.semantic import SEMANTIC, expression_to_semantic, semantic_to_expression
from lipbench.lipnerf.expression.articulation import Articulator, features, speak
from lipbench.lipnerf.expression.centering import PATIENCE, centered
from lipbench.lipnerf.expression.expression_range import ExpressionRange
from lipbench.lipnerf.expression.smoothing import smooth

RNG = np.random.default_rng(0)


def test_smoothing_has_the_published_weights_and_keeps_parabolas() -> None:
    impulse = np.zeros((11, 1))
    impulse[5] = 1.0
    assert np.allclose(smooth(impulse)[3:8, 0] * 35, [-3, 12, 17, 12, -3])
    t = np.arange(20.0)
    parabola = np.stack([t**2 - 3 * t, 0.5 * t + 1], 1)
    assert np.allclose(smooth(parabola), parabola)


def test_smoothing_never_crosses_a_cut() -> None:
    step = np.repeat([[0.0], [1.0]], 10, axis=0)
    assert np.allclose(smooth(step, [(0, 10), (10, 20)]), step)
    assert not np.allclose(smooth(step), step)
    short = RNG.normal(size=(4, 2))
    assert np.array_equal(smooth(short, [(0, 4)]), short)
    with pytest.raises(UsageError, match="window must be odd"):
        smooth(step, window=4)


def test_a_constant_error_of_the_lip_source_goes_out_as_far_as_the_clips_are_long() -> None:
    own = RNG.normal(size=(4000, 5))
    dub = own[::-1] + np.arange(5.0)  # the same speech, each coefficient off by another constant
    for n, share in ((4000, 160 / (160 + PATIENCE)), (50, 2 / (2 + PATIENCE))):
        found, w = centered(dub[:n], own, 25.0)
        assert w == pytest.approx(share, rel=0.1)
        assert np.allclose(found, dub[:n] + w * (own.mean(0) - dub[:n].mean(0)))
    assert np.abs(centered(dub, own, 25.0)[0] - own[::-1]).max() < 0.06
    assert centered(dub, own[:50], 25.0)[1] == pytest.approx(2 / (2 + PATIENCE), rel=0.15)


def test_a_clip_in_which_nobody_speaks_says_nothing_about_the_mean_of_speech() -> None:
    dub = RNG.normal(size=(200, 5)) + 3
    found, share = centered(dub, 0.01 * RNG.normal(size=(200, 5)), 25.0)
    assert share < 0.02
    assert np.allclose(found, dub, atol=0.1)
    assert np.array_equal(centered(dub, np.zeros((200, 5)), 25.0)[0], dub)


@pytest.mark.parametrize("frames", [30, 200])
def test_expressions_in_range_pass_and_others_are_clamped(frames: int, tmp_path: Path) -> None:
    trained = RNG.normal(size=(frames, 12)) @ RNG.normal(size=(12, 79))
    box = ExpressionRange.load(ExpressionRange.of(trained).save(tmp_path / "box.npz"))
    same, lost = box.clamp(trained)
    assert np.allclose(same, trained)  # twelve directions, all of them signal
    assert lost < 1e-20
    strange = trained[:5] + 50 * RNG.normal(size=(5, 79))
    held, lost = box.clamp(strange)
    assert 0.1 < lost < 1
    along, room = (held - box.mean) @ box.axes.T, 0.16 * (box.high - box.low)
    assert (along >= box.low - room - 1e-9).all()
    assert (along <= box.high + room + 1e-9).all()
    k = box.leading
    assert np.linalg.norm(along[:, :k] / box.sigma[:k], axis=1).max() <= 1.15 * box.reach + 1e-9


def test_noise_beside_the_signal_is_held_within_its_own_size() -> None:
    trained = np.outer(RNG.normal(size=100), np.eye(79)[0]) + 0.003 * RNG.normal(size=(100, 79))
    box = ExpressionRange.of(trained)
    assert box.leading == 1
    jaw, noise = trained[:1] + 0.5 * np.eye(79)[0], trained[:1] + 0.5 * np.eye(79)[7]
    assert np.allclose(box.clamp(jaw)[0][0, 0], jaw[0, 0], atol=0.02)
    assert abs(box.clamp(noise)[0][0, 7]) < 0.1


def test_speaking_replaces_the_mouth_and_leaves_the_eyes() -> None:
    weights = np.zeros((3, len(SEMANTIC)))
    weights[:, SEMANTIC.index("blinkL")] = 0.8
    weights[:, SEMANTIC.index("jawOpen")] = 0.7
    channels = np.zeros((3, 10))
    channels[:, 0], channels[:, 1] = 0.3, 0.5
    spoken = expression_to_semantic(speak(semantic_to_expression(weights), channels))
    wanted = visemes.weights(channels)
    assert np.allclose(spoken[:, SEMANTIC.index("blinkL")], 0.8, atol=1e-6)
    assert np.allclose(spoken[:, SEMANTIC.index("jawOpen")], wanted[:, SEMANTIC.index("jawOpen")], atol=1e-6)
    assert np.allclose(spoken[:, SEMANTIC.index("pucker")], wanted[:, SEMANTIC.index("pucker")], atol=1e-6)


def test_sound_features_have_four_columns_a_frame_and_forget_the_level() -> None:
    sound = (RNG.normal(size=16000) * 800).astype(np.int16)
    found = features(sound, 25)
    assert found.shape == (40, 100)
    assert np.abs(features((sound * 4).astype(np.int16), 25) - found).max() < 0.05
    assert features(sound[:8000], 25).shape == (40, 100)  # a dub that ends early


def test_articulator_saves_and_loads(tmp_path: Path) -> None:
    net = Articulator(16).eval()
    again = Articulator.from_file(net.save(tmp_path / "a.npz", {"steps": 1}))
    sound = (RNG.normal(size=32000) * 500).astype(np.int16)
    assert np.abs(net.articulate(sound, 50) - again.articulate(sound, 50)).max() < 1e-2
    (tmp_path / "b.npz").write_bytes(b"x")
    with pytest.raises(WeightsError, match="cannot read the weights"):
        Articulator.from_file(tmp_path / "b.npz")
