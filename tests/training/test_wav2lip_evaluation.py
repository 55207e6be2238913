"""Wav2Lip's evaluation: rows, figures, strips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lipbench.baselines.wav2lip.networks import Wav2LipGenerator
from tools import evaluate_wav2lip as ev


@pytest.fixture(scope="module")
def dubbing() -> ev.Dubbing:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = Wav2LipGenerator(1 / 64, gated=True).eval()
    with torch.no_grad():
        net.output_block[1].bias[3] = -30.0  # the gate is shut: what is drawn is the reference
    spec = replace(ev.specs(0, 1, 2.0)[0], width=96, height=96, supersample=1)
    return ev.dubbings(net, spec)[0]


def test_specs_are_new_people_in_every_language():
    specs = ev.specs(3, 2, 1.0)
    assert {s.source for s in specs} == set(ev.LANGUAGES)
    assert {tag for s in specs for tag in s.dubs} == set(ev.LANGUAGES)
    assert len({s.identity for s in specs}) == 10
    assert all(s.identity >= 1_303_000 for s in specs)
    assert {s.identity for s in specs}.isdisjoint(s.identity for s in ev.specs(4, 2, 1.0))


def test_a_shut_gate_scores_as_the_untouched_video(dubbing: ev.Dubbing):
    row = ev.score(dubbing)
    assert row["truth"]["mouth_psnr"] is None
    # 96 px, through the crop and back and through a codec once more.
    assert row["drawn"]["mouth_psnr"] == pytest.approx(row["dubbed"]["mouth_psnr"], abs=1.5)
    assert row["drawn"]["opening_corr"] == pytest.approx(row["dubbed"]["opening_corr"], abs=0.15)
    assert row["truth"]["opening_corr"] > 0.8
    assert row["truth"]["opening_corr"] > row["dubbed"]["opening_corr"] + 0.2


def test_summary_and_strip(dubbing: ev.Dubbing):
    row = ev.score(dubbing)
    found = ev.summary([row, row])
    assert set(found) == {"all", dubbing.language}
    assert found["all"]["dubbings"] == 2
    assert found["all"]["drawn"]["mouth_psnr"] == pytest.approx(row["drawn"]["mouth_psnr"], abs=1e-3)
    image = ev.strip(dubbing, columns=5, edge=32)
    assert image.shape == (96, 160, 3)
    truth = image[64:].astype(int)
    assert np.abs(truth - image[:32]).mean() > np.abs(image[32:64].astype(int) - image[:32]).mean()
