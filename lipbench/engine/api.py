"""The front door: plan and run a benchmark from Python or the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lipbench.core import registry
from lipbench.core.code.record import write_codes
from lipbench.core.errors import DiskFull, RunIncomplete
from lipbench.core.store import Store
from lipbench.datasets.types import Manifest
from lipbench.engine import build, index, progress
from lipbench.engine.config import RunFile, load_run_file, parse_run_file
from lipbench.engine.executors import create as create_executor
from lipbench.engine.missing import no_number, unmeasured
from lipbench.engine.plan import Count, Plan, PlanState, counts
from lipbench.engine.rows import Measured, MethodRow, narrowed
from lipbench.engine.runner import Runner, RunOptions, RunOutcome


@dataclass
class PlannedRun:
    """A planned run: nothing has been executed yet."""

    config: RunFile
    manifest: Manifest
    root: Path
    store: Store
    plan: Plan
    rows: list[MethodRow]
    measured: list[Measured]
    shard: tuple[int, int] | None = None

    def counts(self) -> Mapping[str, Count]:
        """Stage kind -> how many there are, are cached, cannot run."""
        return counts(self.plan, PlanState(self.plan, self.store))


@dataclass
class RunResult:
    """What `run` answers.

    Attributes:
        root: the run directory.
        cells: the lines of cells.jsonl as dicts.
        outcome: per-stage outcomes.
        unmeasured: metrics that were asked for and have no number in any cell -> the reason that most cells give.
    """

    root: Path
    cells: list[dict[str, Any]] = field(default_factory=list)
    outcome: RunOutcome = field(default_factory=RunOutcome)
    unmeasured: Mapping[str, str] = field(default_factory=dict)

    @property
    def answered(self) -> bool:
        """Every stage has an answer: a result or a reason that another run would not change."""
        return not any(s.how in ("failed", "blocked", "skipped") and not s.final for s in self.outcome.states.values())

    @property
    def complete(self) -> bool:
        """Every stage has an answer, and every metric that was asked for has a number in some cell."""
        return self.answered and not self.unmeasured

    def table(self, **options: Any) -> str:
        """The comparison table as markdown."""
        from lipbench.reports.tables import table_text

        return table_text(self.root, **options)

    def raise_if_incomplete(self) -> None:
        """Raises RunIncomplete (exit code 3) naming the first failure, or the metrics without any number."""
        if self.complete:
            return
        if self.answered:
            raise no_number(self.unmeasured)
        failed = [(n, s) for n, s in self.outcome.states.items() if s.how == "failed"]
        skipped = self.outcome.count("skipped") + self.outcome.count("blocked")
        waiting = [(n, s) for n, s in self.outcome.states.items() if s.how in ("blocked", "skipped") and not s.final]
        named = [f"{n}: {s.reason}" for n, s in (*failed, *waiting) if s.reason]
        first = named[0] if named else self.outcome.stopped
        raise RunIncomplete(
            f"the run is not complete: {len(failed)} {'stage' if len(failed) == 1 else 'stages'} failed, "
            f"{skipped} could not start",
            f"first: {first}",
            "run the same command again to retry; finished stages are kept",
        )


def prepare(
    file: str | Path | Mapping[str, Any] | None = None,
    *,
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    shard: tuple[int, int] | None = None,
    manifest: Manifest | None = None,
) -> PlannedRun:
    """Read, validate and plan.

    Args:
        file: run file, its content as a mapping, or None for the packaged demo.
        out: run directory; default runs/<name> below the current directory.
        overrides: fields of the run file to replace (from command line options).
        shard: (i, n), 1-based: this process's share of the clips.
        manifest: use this one instead of the run file's.
    """
    from lipbench.datasets.manifest import resolve

    if file is None:
        from lipbench.engine.demo import demo_run

        config, base = parse_run_file(demo_run(), "demo"), Path.cwd()
    elif isinstance(file, Mapping):
        config, base = parse_run_file(dict(file), "run"), Path.cwd()
    else:
        config, base = load_run_file(Path(file)), Path(file).resolve().parent
    if overrides:
        changed = dict(overrides)
        if "metrics" in changed and all(isinstance(metric, str) for metric in changed["metrics"]):
            changed["metrics"] = narrowed(config, changed["metrics"])
        data = {**config.model_dump(by_alias=True, exclude_unset=True), **changed}
        config = parse_run_file(data, str(file or "demo"))
    named = config.manifest in registry.names("datasets")
    chosen = manifest or resolve(config.manifest if named else base / config.manifest)
    root = Path(out) if out is not None else Path("runs") / config.name
    plan, rows, measured = build.build(config, chosen, base, shard)
    # Planning leaves no trace: the folders are made by `execute`.
    return PlannedRun(config, chosen, root, Store(root, create=False), plan, rows, measured, shard)


def execute(
    prepared: PlannedRun,
    *,
    executor: str = "local",
    workers: int | None = None,
    options: RunOptions | None = None,
    quiet: bool = False,
    listener: Any = None,
) -> RunResult:
    """Run a plan and write run.json and cells.jsonl."""
    root, plan, store = prepared.root, prepared.plan, prepared.store
    store.create()
    store.sweep()
    write_codes(root, plan.sources.codes.values())
    index.write_run(
        root, prepared.config, prepared.manifest.digest, prepared.rows, prepared.measured, plan.cells, prepared.manifest
    )
    with listener or progress.create(plan.nodes.values(), quiet) as hears:
        runner = Runner(plan, store, lambda: create_executor(executor, workers), options or RunOptions(), hears)
        try:
            outcome = runner.run()
        finally:
            # Keys that depended on results have asked for more code meanwhile.
            write_codes(root, plan.sources.codes.values())
            cells = index.cells_json(plan, runner.progress, store, runner.outcome, prepared.rows, prepared.measured)
            try:
                index.write_cells(root, cells, keep=prepared.shard is not None)
            except DiskFull as error:  # the records are safe; the next run writes the file again
                runner.outcome.stopped = runner.outcome.stopped or f"stopped: {error.one_line()}"
    return RunResult(root, cells, outcome, unmeasured(prepared.config, prepared.manifest, prepared.measured, cells))


def run(
    file: str | Path | Mapping[str, Any] | None = None,
    *,
    out: str | Path | None = None,
    workers: int | None = None,
    executor: str = "local",
    shard: tuple[int, int] | None = None,
    options: RunOptions | None = None,
    quiet: bool = True,
    **overrides: Any,
) -> RunResult:
    """Run a benchmark; the Python form of `lipbench run`.

    Args:
        file: run file, mapping, or None for the demo.
        out: run directory; default runs/NAME below the current directory.
        workers: stages at a time; default one per core, at most 8.
        executor: "local" or "ray".
        shard: (i, n), 1-based: this call's share of the clips.
        overrides: fields of the run file to replace, e.g. methods=["dubbed", "wav2lip"], languages=["fr"].

    Returns:
        RunResult; `.table()` prints the comparison, `.cells` holds every number. Failures do not raise: look at
        `.complete`.
    """
    prepared = prepare(file, out=out, overrides={k: v for k, v in overrides.items() if v is not None}, shard=shard)
    return execute(prepared, executor=executor, workers=workers, options=options, quiet=quiet)


def select_fields(**given: Sequence[Any] | Any) -> dict[str, Any]:
    """Command line options that were given, as overrides."""
    return {k: v for k, v in given.items() if v is not None and v != ()}
