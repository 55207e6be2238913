"""`preset: paper` is the paper's method: every value that the paper states, as it is resolved here."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from lipbench.core import weights
from lipbench.core.errors import WeightsMissing
from lipbench.lipnerf.expression import smoothing
from lipbench.lipnerf.method import LipNerf
from lipbench.lipnerf.params import PAPER, LipNerfParams
from lipbench.nerf.mlp import SKIP
from lipbench.nerf.training.presets import preset

#: Section of the paper -> values.
METHOD = {
    "fit": "paper",  # III-C: photo-consistency and landmarks
    "parser": "celebamask",  # III-B: MaskGAN's parser
    "field": "mlp",  # III-B, III-E
    "latent": 32,  # III-C: v in R^32
    "condition": "expression",  # III-B: F(e, v, x, d)
    "expression_from": "lip_source",  # III-D
    "lip_source": "wav2lip",  # III-D
    "smoothing": True,  # III-E: Savitzky-Golay over the driving expressions
    "smooth_training": False,
    "center_expression": False,
    "clamp_expression": False,
    "upper_face": "dub",  # III-D: the expressions as they were fitted
    "inpainter": "gated",  # III-D: a generative network on the neck
    "paste": "head",  # III-D
    "residuals": False,
}
TRAINING = {  # III-E
    "steps": 600_000,
    "rays": 2048,
    "frames": 1,
    "lr": 5e-4,
    "lr_end": 5e-5,
    "warmup": 0,
    "latent_penalty": 0.01,  # eq. 3
    "code_start": "random",  # III-C
    "mouth_codes": "own",
    "lids": "expression",
    "random_background": False,  # III-B: over the clip's background
    "size": 0,
    "bf16": False,
    "graph": False,
    "held_out": 0.0,
}
NETWORK = {  # III-E
    "condition": 79,
    "width": 128,
    "depth": 8,
    "activation": "relu",
    "position_frequencies": 10,
    "direction_frequencies": 4,
    "position_scale": 1.0,
    "coarse": 64,
    "fine": 128,
    "proposal": "network",
    "interval": "slab",
}


def test_one_word_is_the_papers_method() -> None:
    params = LipNerfParams(preset="paper", model="bfm.npz")
    assert {name: getattr(params, name) for name in METHOD} == METHOD
    assert params.model == "bfm.npz"
    assert set(PAPER) <= set(METHOD)
    assert params.steps is params.size is None
    assert not params.settings


def test_its_training_is_the_papers() -> None:
    found = preset("paper", "mlp")
    assert {name: getattr(found, name) for name in TRAINING} == TRAINING
    assert {name: getattr(found.field, name) for name in NETWORK} == NETWORK
    assert SKIP == 4
    assert (smoothing.WINDOW, smoothing.ORDER) == (5, 2)


def test_what_is_asked_for_comes_before_the_paper() -> None:
    params = LipNerfParams(preset="paper", model="procedural", parser="projection", inpainter="temporal")
    assert (params.parser, params.inpainter, params.fit) == ("projection", "temporal", "paper")
    other = LipNerfParams(preset="demo")
    assert (other.fit, other.parser, other.upper_face, other.clamp_expression) == ("demo", "projection", "source", True)


def test_what_is_missing_is_named_with_the_way_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match=r"name your file with `model`, or go on .* by `model: procedural`"):
        LipNerfParams(preset="paper")
    monkeypatch.setenv("LIPBENCH_WEIGHTS", str(tmp_path))
    needed = LipNerf().weights(LipNerfParams(preset="paper", model="procedural"))
    assert {"celebamask_unet", "deepfill_celeba", "wav2lip"} <= set(needed)
    for name in ("celebamask_unet", "deepfill_celeba"):
        with pytest.raises(WeightsMissing, match=name):
            weights.path(name)
