"""Every training of `lipbench train` on a device that is not the CPU: steps, validation, images, resume, export.

A trainer that is new in a `spec` module fails here until it stands in `TRAINERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipbench.core import registry
from lipbench.core.training import Budget, train
from lipbench.faces.morphable.visemes import CHANNELS
from lipbench.training import articulation, demo_face, makeittalk, phones
from lipbench.training.landmark_sync import trainer as landmark_sync
from lipbench.training.pcavs.trainer import PcAvsConfig, PcAvsTraining
from lipbench.training.speech2vid import trainer as speech2vid
from lipbench.training.syncnet import cache
from lipbench.training.syncnet.trainer import SyncConfig, SyncTraining
from lipbench.training.wav2lip.expert import ExpertTraining
from lipbench.training.wav2lip.trainer import Wav2LipTraining
from tests import fake_device
from tests.training import test_makeittalk_training as spoken
from tests.training import test_pcavs_training as posed
from tests.training import test_speech2vid_training as seen
from tests.training import test_wav2lip_training as lips
from tests.training.wav2lip_clips import HELD_OUT, TALKS

STEPS = 3


def _speech(n: int, takes: int = 1, frames: int = 100) -> Any:
    """(n, takes, 40, 4 T) features, and ten channels of articulation."""
    rng = np.random.default_rng(n)
    return (
        rng.normal(0, 1, (n, takes, 40, 4 * frames)).astype(np.float16),
        rng.uniform(0, 1, (n, frames, len(CHANNELS))).astype(np.float32),
        f"speech of {n}",
    )


def _articulation(folder: Path, device: str) -> Any:
    config = articulation.ArticulationConfig(width=8, batch=2, frames=50)
    return articulation.ArticulationTraining(config, _speech(3), _speech(2), 0, device)


def _phones(folder: Path, device: str) -> Any:
    def said(n: int) -> Any:
        sound, _, digest = _speech(n)
        return sound, np.random.default_rng(n).integers(0, 29, (n, 200)).astype(np.uint8), digest

    config = phones.PhoneConfig(width=8, batch=2, rows=100)
    return phones.PhoneTraining(config, said(3), said(5), 0, device)


def _landmark_sync(folder: Path, device: str) -> Any:
    def heard(n: int) -> Any:
        sound, channels, digest = _speech(n, 2)
        return sound.transpose(0, 1, 3, 2), channels, digest

    config = replace(landmark_sync.CONFIGS["formant"], batch=2, frames=60, width=8, seconds=4.0)
    return landmark_sync.LandmarkSyncTraining(config, heard(3), heard(2), 0, device)


def _demo_face(folder: Path, device: str) -> Any:
    def faces(n: int) -> Any:
        rng = np.random.default_rng(n)
        frames = rng.integers(0, 255, (n, demo_face.SIZE, demo_face.SIZE, 3), np.uint8)
        return frames, rng.uniform(60, 130, (n, 68, 2)).astype(np.float32), frames[:1], f"faces of {n}"

    return demo_face.FaceTraining(demo_face.FaceConfig(width=4, batch=2), faces(3), faces(4), 0, device)


def _syncnet(folder: Path, device: str) -> Any:
    rng = np.random.default_rng(0)
    for k in range(3):
        frames = rng.integers(0, 256, (40, 64, 64, 3), dtype=np.uint8)
        facts = cache.CachedClipFacts(f"c{k}", f"key{k}", f"person{k}", "en", 40, ("a",), None)
        cache.write_clip(folder, facts, frames, rng.normal(size=(1, 13, 159)).astype(np.float32), None)
    clips = cache.read_clips(folder, ["c0", "c1", "c2"])
    config = SyncConfig(width=0.05, size=56, batch=2, windows=3, clean=0, harmed=1)
    return SyncTraining(config, clips[:2], clips[2:], 0, device)


def _makeittalk(folder: Path, device: str) -> Any:
    config = replace(spoken.SMALL, batch=2, width=1 / 16)
    return makeittalk.ContentTraining(config, spoken.talks(2), spoken.talks(1, 90), 0, device)


def _pcavs(folder: Path, device: str) -> Any:
    config = PcAvsConfig(posed.SMALL, hearing=1, windows=2, moments=1)
    return PcAvsTraining(config, [posed.talk(0), posed.talk(1)], [posed.talk(2)], 0, device)


def _speech2vid(folder: Path, device: str) -> Any:
    return speech2vid.Speech2VidTraining(seen.SMALL, seen.talks(2), seen.talks(1, 90), 0, device)


def _wav2lip(folder: Path, device: str) -> Any:
    judged = replace(lips.BOTH, generator=replace(lips.BOTH.generator, quality_weight=0.07))
    return Wav2LipTraining(judged, TALKS, HELD_OUT, 0, device)


def _expert(folder: Path, device: str) -> Any:
    return ExpertTraining(TALKS, HELD_OUT, lips.EXPERT, 0, device)


TRAINERS: dict[str, Callable[[Path, str], Any]] = {
    "articulation": _articulation,
    "demo-face": _demo_face,
    "landmark-sync": _landmark_sync,
    "makeittalk": _makeittalk,
    "pc-avs": _pcavs,
    "phones": _phones,
    "speech2vid": _speech2vid,
    "syncnet": _syncnet,
    "wav2lip": _wav2lip,
    "wav2lip-expert": _expert,
}


def test_every_trainer_stands_here() -> None:
    ours = {name for name, where in registry.sources("trainers").items() if "lipbench" in where}
    assert ours == set(TRAINERS)


@pytest.mark.parametrize("name", TRAINERS)
def test_a_training_runs_resumes_and_is_exported(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech2vid, "HELD_OUT_BATCHES", 1)
    for part in ("data", "run"):
        (tmp_path / part).mkdir()
    often = Budget(steps=STEPS, validate_every=2, image_every=2)
    with fake_device.card() as device:
        first = TRAINERS[name](tmp_path / "data", device)
        step = first.step

        def interrupted(number: int, progress: float) -> dict[str, float]:
            if number == STEPS - 1:
                raise KeyboardInterrupt
            return step(number, progress)

        first.step = interrupted
        with pytest.raises(KeyboardInterrupt):
            train(first, tmp_path / "run", often)
        again = TRAINERS[name](tmp_path / "data", device)
        state = train(again, tmp_path / "run", often)
    assert (state.step, state.stopped) == (STEPS, "budget")
    assert list((tmp_path / "run").glob("*.npz"))
