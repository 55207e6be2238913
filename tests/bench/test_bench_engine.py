"""How long the command line takes to answer: --help, and a run whose results are all there already.

Wall seconds of whole processes; nothing here asserts a time. The last two tests are no benchmarks: they count imports
and face detections.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipbench import media
from lipbench.core import keys
from lipbench.core.store import Store
from lipbench.engine import api
from lipbench.faces.track import FaceTrack

N = 20
ROUNDS = 3
HEAVY = {"torch", "numba", "scipy", "pandas", "librosa", "matplotlib", "skimage"}
MANIFEST = """schema: 1
name: tiny
version: "1"
licence: {{id: CC0-1.0}}
clips:
- {{id: one, video: one.mp4, sha256: {video}, speaker: one, language: en, consent: none needed, landmarks: one.npz}}
dubs:
- {{id: one/fr, clip: one, language: fr, kind: synthetic, audio: fr.wav, sha256: {dub}}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tiny")
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 3000, N * 640).astype(np.int16)
    media.write_wav(root / "fr.wav", sound)
    frames = np.stack([np.full((48, 64, 3), 40 + 3 * i, np.uint8) for i in range(N)])
    media.write_video(root / "one.mp4", frames, fps=25, audio=sound, synthetic=False)
    boxes, ones = np.tile(np.float32([10, 4, 54, 46]), (N, 1)), np.ones(N, np.float32)
    points = np.tile(rng.uniform(14, 40, (68, 3)).astype(np.float32), (N, 1, 1))
    FaceTrack("file", 25.0, 64, 48, boxes, ones, ones.astype(np.int16), points).save(root / "one.npz")
    hashes = {"video": keys.sha256_file(root / "one.mp4"), "dub": keys.sha256_file(root / "fr.wav")}
    (root / "tiny.yaml").write_text(MANIFEST.format(**hashes))
    # Every metric there is: the default.
    methods = "[dubbed, still-mouth, shifted-audio, {id: shifted-audio, label: later, params: {frames: 9}}]"
    (root / "run.yaml").write_text(f"manifest: tiny.yaml\nmethods: {methods}\n")
    return root


@pytest.fixture(scope="module")
def finished(folder: Path) -> Iterator[api.RunResult]:
    """run.yaml, run once in folder/run, without any weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIPBENCH_WEIGHTS", str(folder / "weights"))
        patch.setenv("TORCH_HOME", str(folder / "weights"))
        yield api.execute(api.prepare(folder / "run.yaml", out=folder / "run"), workers=1, quiet=True)


def lipbench(*args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lipbench", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def test_bench_help(benchmark: Any) -> None:
    shown = benchmark.pedantic(lipbench, ("--help",), rounds=ROUNDS, warmup_rounds=1)
    assert "Benchmark methods on dubbed clips." in shown.stdout
    benchmark.extra_info["target_s"] = 0.3


def test_bench_cached_run(benchmark: Any, folder: Path, finished: api.RunResult) -> None:
    shown = benchmark.pedantic(lipbench, ("run", folder / "run.yaml", "--out", finished.root), rounds=ROUNDS)
    assert "| Still mouth" in shown.stdout
    n = len(finished.outcome.states)
    assert f"{n} stages: {n} cached" in shown.stderr
    benchmark.extra_info["target_s"] = 3


def test_a_cached_run_loads_nothing_heavy(folder: Path, tmp_path: Path) -> None:
    """What planning imports, with all methods and metrics: nothing that only workers and tables need."""
    code = (
        "import sys; from lipbench.core import registry; from lipbench.engine import api;"
        "[registry.load(kind, name) for kind in ('methods', 'metrics') for name in registry.names(kind)];"
        f"api.prepare({str(folder / 'run.yaml')!r}, out={str(tmp_path / 'run')!r}).counts();"
        f"print(*({HEAVY!r} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


def test_the_source_is_searched_for_faces_once(finished: api.RunResult) -> None:
    """Four methods and every metric: one stage on the clip, and one on each method's video for its own landmarks."""
    states = finished.outcome.states
    kinds = Counter(node.split(" ")[0] for node in states)
    assert kinds["synthesize"] == 4
    assert states["faces one"].how == "run"
    searched = [node for node in states if node.startswith("faces ")]
    assert [node for node in searched if not node.startswith("faces of synthesize ")] == ["faces one"]
    assert len(searched) == 1 + 4
    # The same in what was stored: one record of kind faces whose input is the clip.
    records = list(Store(finished.root).records())
    (clip,) = [r for r in records if r.kind == "clip"]
    inputs = [r.preimage["video"] for r in records if r.kind == "faces"]
    assert inputs.count(clip.outputs["video"]["sha256"]) == 1
    for cell in finished.cells:
        assert cell["metrics"]["psnr_mouth"]["n_total"] == N, cell["metrics"]["psnr_mouth"]
