"""The head's outline over the source: the source's own with room for the jaw, and no ray beyond it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lipbench.baselines.adnerf.outline import JAW, OutlinedField, outlines
from lipbench.baselines.adnerf.training import AudioFieldTraining
from lipbench.nerf.training import trained as rendering
from tests.baselines.adnerf.small_preset import small_preset
from tests.baselines.adnerf.test_audio_field import talking_disc


def test_an_outline_grows_below_the_mouth_alone() -> None:
    column, row = np.meshgrid(np.arange(200), np.arange(200))
    head = np.stack([np.hypot(column - 100, row - 90) < 75, np.zeros((200, 200), bool)])
    found = outlines(head, np.array([[80, 120, 120, 135]] * 2))
    assert np.array_equal(found[0, :135], head[0, :135])
    drop = round(JAW * np.ptp(np.flatnonzero(head[0].any(1))) + JAW)
    assert np.flatnonzero(found[0, :, 100])[-1] == np.flatnonzero(head[0, :, 100])[-1] + drop
    assert not (found[0] & ~head[0])[:, [20, 180]].any()
    assert not found[1].any()


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_within_the_outline_nothing_changes_and_beyond_it_nothing_is_asked(
    scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, windows = talking_disc()
    field: Any = AudioFieldTraining(scene, windows, small_preset(steps=2)).trained({})
    field = replace(field, scale=scale)
    asked, shown = [0], rendering._shown

    def counted(net: Any, rays: Any, condition: Any) -> Any:
        asked[0] += rays.near.shape[1]
        return shown(net, rays, condition)

    monkeypatch.setattr(rendering, "_shown", counted)
    code = np.zeros((1, 64), np.float32)
    whole = next(field.render(scene, code, [3]))
    every, asked[0] = asked[0], 0
    outline = scene.head.copy()
    outline[3, :14] = False
    cut = next(OutlinedField(field, outline).render(scene, code, [3]))
    assert whole.alpha[~outline[3]].max() > 0.05
    assert not cut.alpha[~outline[3]].any()
    assert not cut.rgb[~outline[3]].any()
    np.testing.assert_allclose(cut.alpha[outline[3]], whole.alpha[outline[3]], atol=1e-5)
    np.testing.assert_allclose(cut.rgb[outline[3]], whole.rgb[outline[3]], atol=1e-5)
    assert 0 < asked[0] < 0.9 * every
