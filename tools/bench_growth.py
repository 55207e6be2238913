"""How the engine's own work grows with the number of stages: CPU time and memory of planning, running and rerunning.

    python -m tools.bench_growth plan --methods 200 --clips 500 --languages 5
    python -m tools.bench_growth run --methods 1 --clips 50 100 200
    python -m tools.bench_growth cached --methods 10 --clips 50 100
    python -m tools.bench_growth report --methods 10 --clips 50

No stage computes anything: an executor in this process answers at once with outputs that are names and hashes. Every
size runs in a process of its own, so that memory is that size's alone. Times are CPU seconds of that process
(`process_time`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from lipbench.core.store import Store
from lipbench.datasets.types import Clip, Dub, Licence, Manifest
from lipbench.engine import api, cells, index
from lipbench.engine.executors import StageRequest, StageResult
from lipbench.engine.outcome import RunOptions
from lipbench.engine.runner import Runner

LANGUAGES = ("fr", "de", "es", "it", "pt", "pl", "nl", "sv", "da", "fi")
#: Kind of stage -> names of what it leaves.
OUTPUTS = {
    "clip": ("video", "audio"),
    "dub": ("video", "audio", "index"),
    "faces": ("faces",),
    "synthesize": ("video",),
}
IMAGE = ("psnr_full", "psnr_face", "psnr_mouth", "ssim_full", "ssim_face", "ssim_mouth")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Instant:
    """An executor whose stages are done when they are asked for."""

    def __init__(self, workers: int = 2) -> None:
        self.workers, self.waiting = workers, list[StageRequest]()

    @property
    def free(self) -> int:
        return self.workers - len(self.waiting)

    def has_room(self, gpu: float, spare: bool) -> bool:
        return self.free > 0

    def submit(self, request: StageRequest) -> None:
        self.waiting.append(request)

    def poll(self, timeout_s: float) -> list[StageResult]:
        done = [StageResult(request, answer(request)) for request in self.waiting]
        self.waiting.clear()
        return done

    def close(self) -> None:
        pass


def answer(request: StageRequest) -> dict[str, Any]:
    """What a worker would say of a stage, in the size of a real answer."""
    names = OUTPUTS.get(request.kind, ())
    score: dict[str, Any] = {"value": 30.5, "reason": None, "n_valid": 75, "n_total": 75, "version": "1", "extra": {}}
    for name in names:  # the store may look whether outputs are there
        (Path(request.workspace) / "out" / name).write_bytes(b"x")
    return {
        "status": "ok",
        "outputs": {n: {"path": f"out/{n}", "sha256": digest(request.key + n), "bytes": 1} for n in names},
        "info": {"n_frames": 75},
        "scores": dict.fromkeys(IMAGE, score) if request.kind == "score" else {},
        "timing": {"started": 1.7e9, "wall_s": 1.0, "cpu_s": 1.0, "peak_rss_mb": 300.0},
        "provenance": {
            "lipbench": "0.1",
            "python": "3.11",
            "platform": "Linux",
            "cpu": "a processor",
            "cores": 8,
            "gpus": [],
            "packages": dict.fromkeys(("torch", "numpy", "av", "opencv", "scipy", "librosa"), "1.2.3"),
        },
        "error": None,
    }


def manifest(clips: int, languages: int) -> Manifest:
    """Clips and dubs that are names and hashes."""
    licence, folder = Licence("CC0-1.0"), Path("/nowhere")
    names = [f"clip{i:05d}" for i in range(clips)]
    made = tuple(Clip(n, folder / f"{n}.mp4", digest(n), n, "en", licence, "none needed") for n in names)
    dubs = tuple(
        Dub(f"{n}/{lang}", n, lang, "synthetic", folder / f"{n}-{lang}.wav", digest(n + lang))
        for n in names
        for lang in LANGUAGES[:languages]
    )
    return Manifest("growth", "1", licence, made, dubs, folder, {})


def prepare(methods: int, clips: int, languages: int, out: Path) -> api.PlannedRun:
    rows = [{"id": "shifted-audio", "label": f"m{i}", "params": {"frames": i + 1}} for i in range(methods)]
    request = {"manifest": "growth", "metrics": ["image"], "methods": rows, "faces": "demo-face"}
    return api.prepare(request, out=out, manifest=manifest(clips, languages))


def run(prepared: api.PlannedRun) -> Runner:
    prepared.store.create()
    runner = Runner(prepared.plan, prepared.store, Instant, RunOptions(), lambda *_: None)
    runner.run()
    return runner


def plan_once(prepared: api.PlannedRun, _: dict[str, Any]) -> dict[str, float]:
    began = time.process_time()
    counts = prepared.counts()
    assert sum(count.total for count in counts.values()) == len(prepared.plan.nodes)
    return {"counts_s": time.process_time() - began}


def run_once(prepared: api.PlannedRun, _: dict[str, Any]) -> dict[str, float]:
    looked = [0]
    get = prepared.store.get

    def counting(key: str) -> Any:
        looked[0] += 1
        return get(key)

    prepared.store.get = counting  # type: ignore[method-assign]
    began = time.process_time()
    run(prepared)
    spent, n = time.process_time() - began, len(prepared.plan.nodes)
    return {"run_s": spent, "ms_per_stage": 1e3 * spent / n, "looks_per_stage": looked[0] / n}


def cached_once(prepared: api.PlannedRun, shape: dict[str, Any]) -> dict[str, float]:
    """A rerun of a finished run from its plan to its table's input, against reading its records and nothing else."""
    run(prepared)
    began = time.process_time()
    scanned = sum(1 for _ in Store(prepared.root).records())
    scan = time.process_time() - began
    began = time.process_time()
    again = prepare(out=prepared.root, **shape)
    again.counts()
    result = api.execute(again, quiet=True)
    spent = time.process_time() - began
    assert {state.how for state in result.outcome.states.values()} == {"cached"}
    return {"records": scanned, "scan_s": scan, "rerun_s": spent, "ratio": spent / scan}


def report_once(prepared: api.PlannedRun, _: dict[str, Any]) -> dict[str, float]:
    from lipbench.reports.html import write
    from lipbench.reports.tables import table_text

    runner = run(prepared)
    p = prepared
    index.write_run(p.root, p.config, p.manifest.digest, p.rows, p.measured, p.plan.cells, p.manifest)
    lines = index.cells_json(p.plan, runner.progress, p.store, runner.outcome, p.rows, p.measured)
    video = tiny_video(p.root)
    for path in p.root.glob("objects/*/*/out/video"):  # the clips and dubs too: pages show them beside
        path.write_bytes(video)
    cells.write_cells(p.root, lines)
    began = time.process_time()
    table_text(p.root)
    table = time.process_time() - began
    began = time.process_time()
    made = write(p.root)
    assert made.videos
    return {"table_s": table, "report_s": time.process_time() - began, "page_mb": made.size / 1e6}


def tiny_video(folder: Path) -> bytes:
    import numpy as np

    from lipbench import media

    frames = np.stack([np.full((48, 64, 3), 3 * i, np.uint8) for i in range(20)])
    media.write_video(folder / "tiny.mp4", frames, fps=25, audio=np.zeros(12800, np.int16), synthetic=False)
    return (folder / "tiny.mp4").read_bytes()


TASKS = {"plan": plan_once, "run": run_once, "cached": cached_once, "report": report_once}


def measure(task: str, shape: dict[str, Any]) -> dict[str, Any]:
    """One size, in this process."""
    root = Path(tempfile.mkdtemp(prefix="growth-"))
    try:
        began = time.process_time()
        prepared = prepare(out=root / "run", **shape)
        planned = time.process_time() - began
        facts = {"cells": len(prepared.plan.cells), "nodes": len(prepared.plan.nodes), "plan_s": planned}
        facts |= TASKS[task](prepared, shape)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
        return {**facts, "peak_mb": peak}
    finally:
        shutil.rmtree(root, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=sorted(TASKS))
    parser.add_argument("--methods", type=int, default=1)
    parser.add_argument("--clips", type=int, nargs="+", default=[50])
    parser.add_argument("--languages", type=int, default=5)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    shape = {"methods": given.methods, "languages": given.languages}
    if given.here:
        print(json.dumps(measure(given.task, {**shape, "clips": given.clips[0]})))
        return
    heads: list[str] = []
    for clips in given.clips:
        command = [sys.executable, "-m", "tools.bench_growth", given.task, "--here", "--clips", str(clips)]
        command += ["--methods", str(given.methods), "--languages", str(given.languages)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        facts = json.loads(done.stdout.splitlines()[-1])
        if not heads:
            heads = list(facts)
            print("  ".join(f"{head:>15}" for head in heads))
        print(
            "  ".join(
                f"{facts[head]:15.3f}" if isinstance(facts[head], float) else f"{facts[head]:15d}" for head in heads
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
