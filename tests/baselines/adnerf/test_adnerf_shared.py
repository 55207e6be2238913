"""AD-NeRF and LipNeRF start from one fitted and parsed head."""

from __future__ import annotations

from lipbench.core import registry
from lipbench.core.code import current


def test_the_same_fit_has_the_same_key() -> None:
    ours, theirs = registry.load("methods", "ad-nerf"), registry.load("methods", "lipnerf")
    a, b = (m.spec.params(fit="landmarks", parser="color") for m in (ours, theirs))
    assert ours.stage_code("prepare") == theirs.stage_code("prepare")
    assert ours.stage_code("prepare").shared
    assert ours.stage_inputs("prepare", a) == theirs.stage_inputs("prepare", b)
    assert ours.stage_inputs("prepare", a) != ours.stage_inputs(
        "prepare", ours.spec.params(fit="paper", parser="color")
    )
    assert ours.stage_code("fit") != theirs.stage_code("fit")
    fit = current().code(*ours.stage_code("fit").modules)
    assert "lipbench.nerf.training.trainer" in fit.modules
