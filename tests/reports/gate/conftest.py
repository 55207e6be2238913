"""Run directories by the engine's own writers (store, plan, index), with numbers that the test chooses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lipbench.core.method import MethodSpec, Params
from lipbench.core.metric import MetricSpec
from lipbench.core.store import Record, Store
from lipbench.engine import index
from lipbench.engine.cells import write_cells
from lipbench.engine.config import parse_run_file
from lipbench.engine.outcome import NodeState, RunOutcome
from lipbench.engine.plan import Cell, Node, Plan, PlanState
from lipbench.engine.rows import MethodRow
from lipbench.metrics.sync.family import SyncFamily
from lipbench.reports import gate


def image(name: str, better: Any, version: str = "1") -> MetricSpec:
    return MetricSpec(name, version, name.upper(), "", better, frozenset({"reference"}), "full", decimals=3)


#: Further metrics, of runs whose cells have them.
IMAGES = {"psnr_mouth": "higher", "psnr_mouth_truth": "higher", "ssim_mouth": "higher", "lpips_mouth": "lower"}


def _has(cells: Any, name: str) -> bool:
    languages = [values for clips in cells.values() for clip in clips.values() for values in clip.values()]
    return any(isinstance(values, Mapping) and name in values for values in languages)


@dataclass
class Family:
    """A metric family as far as run.json is concerned."""

    id: str
    metrics: tuple[MetricSpec, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def named(self, spec: MetricSpec, options: Mapping[str, Any]) -> MetricSpec:
        return spec

    def identity(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        return self.facts

    def score(self, pair: Any) -> Any:
        raise AssertionError("not called")


def good(clip: int, seed: int = 0) -> dict[str, Any]:
    """What a decent method gets on a clip; `seed` changes it a little."""
    wobble = float(np.random.default_rng([clip, seed]).normal(0, 0.02)) if seed else 0.0
    return {
        "lse_d": 7.0 + 0.2 * clip + wobble,
        "lse_c": 6.0 - 0.1 * clip,
        "lse_d_at_zero": 7.1 + 0.2 * clip + wobble,
        "av_offset": float(clip % 2),
        "lse_c_valid": 6.0,
        "ssim_full": 0.95 - 0.01 * clip,
    }


class Bench:
    """Writes run directories.

    `write(name, cells)`: cells is method -> clip -> language -> metric values, or a reason (text) why there is no
    video; a value may be a reason as well.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(
        self,
        name: str,
        cells: Mapping[str, Mapping[str, Mapping[str, Any]]],
        *,
        sync_model: str = "model-a",
        sha: str | None = "a" * 64,
        protocol: str = "realvideo",
        sounds: Mapping[str, str] | None = None,
        gpus: tuple[str, ...] = (),
        ssim: str = "1",
        control: tuple[str, ...] = (),
        wall_s: float = 10.0,
        seeds: tuple[int, ...] = (0,),
        pending: bool = False,
    ) -> Path:
        root = self.folder / name
        store = Store(root)
        config = parse_run_file(
            {
                "name": name,
                "manifest": "m.yaml",
                "methods": list(cells),
                "sync_model": sync_model,
                "protocol": protocol,
            },
            "test",
        )
        identity = {
            "sync_model": sync_model,
            "sync_model_sha256": sha,
            "constants": "1",
            "options": {"protocol": protocol},
        }
        families = [
            (Family("sync", SyncFamily.metrics, identity), {}),
            (
                Family(
                    "image",
                    (
                        image("ssim_full", "higher", ssim),
                        *(image(name, better) for name, better in IMAGES.items() if _has(cells, name)),
                    ),
                ),
                {},
            ),
        ]
        rows = [
            MethodRow(
                m,
                SimpleNamespace(spec=MethodSpec(m, "1", m.title(), kind="control" if m in control else "method")),
                Params(),
                None,
                Path(),
            )  # type: ignore[arg-type]
            for m in cells
        ]
        plan, outcome = Plan([], {}), RunOutcome()
        for method, clips in cells.items():
            for clip, languages in clips.items():
                for language, values in languages.items():
                    for seed in seeds:
                        cell = Cell(method, clip, language, f"{clip}/{language}", None, seed)
                        self._cell(plan, cell, families, sounds)
                        self._results(plan, store, cell, values, families, outcome, wall_s, pending)
        index.write_run(root, config, "d" * 64, rows, families, plan.cells)
        about = (root / "run.json").read_text().replace('"gpus": []', f'"gpus": {list(gpus)}'.replace("'", '"'))
        (root / "run.json").write_text(about)
        write_cells(root, index.cells_json(plan, PlanState(plan, store), store, outcome, rows, families))
        return root

    @staticmethod
    def _cell(plan: Plan, cell: Cell, families: Any, sounds: Mapping[str, str] | None) -> None:
        def add(node: str, kind: str, facts: dict[str, Any]) -> str:
            plan.nodes.setdefault(node, Node(node, kind, (), lambda p: {"kind": kind, **facts}, lambda p: {}))
            return node

        add(f"dub {cell.dub}", "dub", {"audio": (sounds or {}).get(cell.dub, cell.dub)})
        what = f"{cell.method} {cell.dub} {cell.seed}"
        plan.cells.append(cell)
        plan.synthesize[cell] = add(f"synthesize {what}", "synthesize", {"what": what})
        plan.scores[cell] = {f.id: add(f"score {f.id} {what}", "score", {"what": what, "f": f.id}) for f, _ in families}

    @staticmethod
    def _results(
        plan: Plan,
        store: Store,
        cell: Cell,
        values: Any,
        families: Any,
        outcome: RunOutcome,
        wall_s: float,
        pending: bool,
    ) -> None:
        progress = PlanState(plan, store)
        made = plan.synthesize[cell]
        if isinstance(values, str):
            if not pending:
                outcome.states[made] = NodeState("refused", None, values)
            return

        def put(node: str, **more: Any) -> None:
            key = progress.key(node)
            kind = plan.nodes[node].kind
            workspace = store.workspace(key)
            for output in more.get("outputs", {}).values():
                (workspace / output["path"]).write_text("x" * output["bytes"])
            store.put(Record(key, kind, "ok", progress.preimage(node), **more), workspace)

        put(
            made,
            outputs={"video": {"path": "out/video.mp4", "sha256": "v", "bytes": 1}},
            timing={"wall_s": wall_s, "peak_rss_mb": 500.0},
        )
        for family, _ in families:
            scores = {}
            for spec in family.metrics:
                value = values.get(spec.id, "not given")
                number, why, n = (None, value, 0) if isinstance(value, str) else (value, None, 50)
                if number == float("inf"):
                    number = "inf"
                scores[spec.id] = {
                    "value": number,
                    "reason": why,
                    "n_valid": n,
                    "n_total": 50,
                    "version": spec.version,
                    "extra": {},
                }
            put(plan.scores[cell][family.id], scores=scores)

    def cells(
        self, clips: int = 6, change: Any = None, languages: tuple[str, ...] = ("fr",), seed: int = 0
    ) -> dict[str, Any]:
        """clip -> language -> values of a decent method; change(clip number, values) alters them in place."""
        out: dict[str, Any] = {}
        for number in range(clips):
            for language in languages:
                values = good(number, seed)
                if change is not None:
                    values = change(number, values) or values
                out.setdefault(f"clip{number}", {})[language] = values
        return out


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(autouse=True)
def _no_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "LIPBENCH_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.fsync", lambda _: None)  # hundreds of small records


@pytest.fixture(scope="module")
def made():
    """Baseline texts by what they were made of: most tests want the same one."""
    return {}


@pytest.fixture
def closed(bench, made):
    """(base cells, run cells, **options) -> the gate's answer; options with `run_` go to the run alone."""

    def decide(base, run, accept=None, changed=None, **options):
        only = {k.removeprefix("run_"): options.pop(k) for k in list(options) if k.startswith("run_")}
        path = bench.folder / "gate.json"
        what = repr((base, accept, options))
        if what not in made:
            gate.accept(bench.write("old", base, **options), path, "because", **(accept or {}))
            made[what] = path.read_text()
        path.write_text(made[what])
        return gate.decide(gate.read(path), gate.snapshot(bench.write("new", run, **{**options, **only})), changed)

    return decide
