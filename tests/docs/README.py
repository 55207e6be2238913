from pathlib import Path

import clip
import numpy as np
import pytest

from lipbench.cli.doctor_method import tiny
from lipbench.datasets.write import save_manifest
from lipbench.metrics.sync import SyncNet
from tests.stages_here import stages_here

stages_here(pytest.MonkeyPatch())

save_manifest(tiny(Path("clip"), clip.N_FRAMES), "clip/mine.yaml")
Path("mine-run.yaml").write_text(
    "{name: mine, manifest: clip/mine.yaml, methods: [dubbed], metrics: [psnr_mouth], faces: demo-face}"
)
SyncNet().save("syncnet_v2.model")
a, b = clip.FRAMES, clip.FRAMES[::-1].copy()
frames_bgr = np.zeros((12, 224, 224, 3), np.uint8)
audio_int16 = clip.SOUND


def afterwards():
    assert [cell["reason"] for cell in result.cells] == [None]
    assert result.cells[0]["metrics"]["psnr_mouth"]["value"] == "inf"
