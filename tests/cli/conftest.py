"""A data set of two tiny clips with one dub each and a run file, in a folder of its own; no weights on this machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lipbench import media
from lipbench.core import keys
from lipbench.core.code import closure
from lipbench.faces.track import FaceTrack

N = 20
MANIFEST = """schema: 1
name: tiny
version: "1"
licence: {id: CC0-1.0}
clips:
"""


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with one.mp4, two.mp4 (20 frames, 64x48), fr.wav, tiny.yaml (the manifest) and run.yaml."""
    root = tmp_path_factory.mktemp("tiny")
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 3000, N * 640).astype(np.int16)
    media.write_wav(root / "fr.wav", sound)
    points = np.tile(rng.uniform(14, 40, (68, 3)).astype(np.float32), (N, 1, 1))
    boxes, ones = np.tile(np.float32([10, 4, 54, 46]), (N, 1)), np.ones(N, np.float32)
    clips, dubs = "", "dubs:\n"
    for name, base in (("one", 40), ("two", 90)):
        stripes = [base + 3 * i + (np.arange(64) + 3 * i) % 16 for i in range(N)]  # brighter and to the left
        frames = np.stack([np.broadcast_to(row[None, :, None], (48, 64, 3)).astype(np.uint8) for row in stripes])
        video = media.write_video(root / f"{name}.mp4", frames, fps=25, audio=sound, synthetic=False)
        FaceTrack("file", 25.0, 64, 48, boxes, ones, ones.astype(np.int16), points).save(root / f"{name}.npz")
        clips += (
            f"- {{id: {name}, video: {name}.mp4, sha256: {keys.sha256_file(video)}, speaker: {name}, language: en, "
            f"consent: none needed, landmarks: {name}.npz}}\n"
        )
        dubs += (
            f"- {{id: {name}/fr, clip: {name}, language: fr, kind: synthetic, audio: fr.wav, "
            f"sha256: {keys.sha256_file(root / 'fr.wav')}}}\n"
        )
    (root / "tiny.yaml").write_text(MANIFEST + clips + dubs)
    (root / "run.yaml").write_text(
        "name: tiny-run\nmanifest: tiny.yaml\nmethods: [dubbed, still-mouth]\nmetrics: [psnr_full, psnr_mouth]\n"
    )
    return root


@pytest.fixture(scope="session")
def fake() -> Path:
    """The program behind the example of an external method."""
    return Path(__file__).parents[2] / "examples" / "external_fake" / "fake.py"


@pytest.fixture(autouse=True)
def _no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = closure.cache_file()  # what is known of lipbench's code stays, else each test reads all of it again
    monkeypatch.setattr(closure, "cache_file", lambda: known)
    for name in ("LIPBENCH_WEIGHTS", "TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("LIPBENCH_TRACEBACK", raising=False)


@pytest.fixture(autouse=True, scope="module")
def _here(module_in_process: None) -> None:
    """Commands that are called here run their stages here; those of `program` start workers."""


@pytest.fixture
def program():
    """Runs `lipbench ...` as a process of its own: what a shell sees."""

    def call(*args: object, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "lipbench", *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)  # type: ignore[call-overload]

    return call
