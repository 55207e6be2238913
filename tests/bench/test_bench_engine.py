"""How long the command line takes to answer: --help, and a run whose results are all there already.

Wall seconds of whole processes; nothing here asserts a time. The last two tests are no benchmarks: they count imports
and face detections.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipbench.core import keys, media
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
    (root / "run.yaml").write_text("manifest: tiny.yaml\nmethods: [dubbed, still_mouth, shifted_audio]\n")
    return root


def lipbench(*args: object) -> str:
    command = [sys.executable, "-m", "lipbench", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_bench_help(benchmark: Any) -> None:
    shown = benchmark.pedantic(lipbench, ("--help",), rounds=ROUNDS, warmup_rounds=1)
    assert "Benchmark methods on dubbed clips." in shown
    benchmark.extra_info["target_s"] = 0.3


def test_bench_cached_run(benchmark: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPBENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "weights"))
    command = ("run", folder / "run.yaml", "--out", tmp_path / "run", "--workers", 1)
    first = lipbench(*command)
    again = benchmark.pedantic(lipbench, command, rounds=ROUNDS)
    assert again == first
    benchmark.extra_info["target_s"] = 3


def test_a_cached_run_loads_nothing_heavy(folder: Path, tmp_path: Path) -> None:
    """What planning imports, with all methods and metrics: nothing that only workers and tables need."""
    code = (
        "import sys; from lipbench.core import registry; from lipbench.engine import api;"
        "[registry.load(kind, name) for kind in ('methods', 'metrics') for name in registry.BUILTINS[kind]];"
        f"api.prepare({str(folder / 'run.yaml')!r}, out={str(tmp_path / 'run')!r}).counts();"
        f"print(*({HEAVY!r} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


def test_the_source_is_searched_for_faces_once(folder: Path, tmp_path: Path) -> None:
    """Four methods, still_mouth among them, and every metric that looks at the face: one stage, one record."""
    methods: list[Any] = ["dubbed", "still_mouth", "shifted_audio"]
    methods.append({"id": "shifted_audio", "label": "later", "params": {"frames": 9}})
    request = {"manifest": str(folder / "tiny.yaml"), "methods": methods, "metrics": ["image", "sync", "temporal"]}
    prepared = api.prepare(request, out=tmp_path / "run")
    result = api.execute(prepared, workers=1, quiet=True)
    kinds = Counter(node.split(" ")[0] for node in result.outcome.states)
    assert (kinds["synthesize"], kinds["faces"]) == (4, 1)
    assert result.outcome.states["faces one"].how == "run"
    assert [r.kind for r in prepared.store.records()].count("faces") == 1
    for cell in result.cells:
        assert cell["metrics"]["psnr_mouth"]["n_total"] == N, cell["metrics"]["psnr_mouth"]
    # Metrics on the dubbed videos' own landmarks add one stage per video, none on the source.
    nodes = api.prepare({**request, "metrics": []}, out=tmp_path / "run").plan.nodes.values()
    searched = [node.needs for node in nodes if node.kind == "faces"]
    assert searched.count(("clip one",)) == 1
    assert len(searched) == 1 + len(methods)
