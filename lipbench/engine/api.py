"""The front door: plan and run a benchmark from Python or the command line."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lipbench.core import registry
from lipbench.core.code.record import write_codes
from lipbench.core.errors import RunIncomplete, StoreError, UsageError
from lipbench.core.run_store import RunStore
from lipbench.core.shared import cache_of_user
from lipbench.core.store import Store
from lipbench.core.system import ends_like_ctrl_c, rare_collections
from lipbench.core.verify import Verification, verify
from lipbench.datasets.types import Manifest
from lipbench.engine import axes, build, index, progress
from lipbench.engine.cells import CellLog, begin_run, write_cells
from lipbench.engine.config import RunFile, load_run_file, parse_run_file
from lipbench.engine.executors import create as create_executor
from lipbench.engine.first_look import FirstLook
from lipbench.engine.missing import no_number, unmeasured
from lipbench.engine.outcome import NodeState, RunOptions, RunOutcome
from lipbench.engine.plan import Count, Node, Plan, PlanState, counts
from lipbench.engine.rows import Measured, MethodRow, narrowed
from lipbench.engine.runner import Runner


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
    #: What `counts` found in the store; the next `execute` goes on from it.
    looked: PlanState | None = None

    def counts(self) -> Mapping[str, Count]:
        """Stage kind -> how many there are, are cached, cannot run."""
        self.looked = PlanState(self.plan, self.store)
        with rare_collections():
            return counts(self.plan, self.looked)

    def about(self) -> dict[str, Any]:
        """What run.json says: the whole run, also where this is a shard of it."""
        whole = self.shard is not None
        cells = axes.all_cells(self.config, self.manifest, self.rows) if whole else self.plan.cells
        return index.run_json(
            self.config, self.manifest.digest, self.rows, self.measured, cells, self.manifest, self.plan.request
        )

    def verify(self, *, repair: bool) -> Verification:
        """Read everything that the run directory keeps.

        Args:
            repair: set aside what is damaged: its stages run again.

        Raises:
            StoreError: it cannot be set aside.
        """
        self.store.repairs = repair
        try:
            return verify(self.store)
        finally:
            self.store.repairs = False


@dataclass
class RunResult:
    """What `run` answers.

    Attributes:
        root: the run directory.
        cells: the lines of cells.jsonl as dicts.
        outcome: per-stage outcomes.
        about: what run.json would say, where the run directory cannot be written.
        unmeasured: metrics that were asked for and have no number in any cell -> the reason that most cells give.
    """

    root: Path
    cells: list[dict[str, Any]] = field(default_factory=list)
    outcome: RunOutcome = field(default_factory=RunOutcome)
    about: Mapping[str, Any] | None = None
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
        from lipbench.reports.frame import make_run
        from lipbench.reports.tables import table_text

        if self.about is not None:
            return table_text(make_run(self.root, self.about, self.cells), **options)
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
    limit: int | None = None,
    manifest: Manifest | None = None,
    cache: bool = True,
) -> PlannedRun:
    """Read, validate and plan.

    Args:
        file: run file, its content as a mapping, or None for the packaged demo.
        out: run directory; default runs/<name> below the current directory.
        overrides: fields of the run file to replace (from command line options).
        shard: (i, n), 1-based: this process's share of the clips.
        limit: only so many clips, the first ones that are asked for; to see that everything works.
        manifest: use this one instead of the run file's.
        cache: take results of other run directories over, and keep this one's for them.

    Raises:
        UsageError: the run directory is a URL.
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
    if limit is not None:
        first = axes.chosen_clips(config, chosen)[:limit]
        config = config.model_copy(update={"clips": tuple(glob.escape(clip.id) for clip in first)})
    root = run_directory(out, config.name)
    plan, rows, measured = build.build(config, chosen, base, shard)
    store = RunStore(root, cache_of_user() if cache else None)  # planning leaves no trace: `execute` makes the folders
    return PlannedRun(config, chosen, root, store, plan, rows, measured, shard)


def run_directory(out: str | Path | None, name: str) -> Path:
    """Where a run lies: `out`, or runs/NAME below the current directory. Always absolute: workers may run elsewhere.

    Raises:
        UsageError: `out` is the URL of an object store. Those have neither a rename nor a folder that only one of two
            can make, and a run directory is safe because of these.
    """
    if out is None:
        return (Path("runs") / name).absolute()
    if found := re.match(r"([A-Za-z][A-Za-z0-9+.-]+):/+", str(out)):  # a Path has one slash left
        if found[1] == "file":
            raise UsageError(f"a run directory cannot be a URL: {out}", "", f"use --out /{str(out)[found.end() :]}")
        raise UsageError(
            f"a run directory cannot be a URL: {out}",
            f"{found[1]} storage has no atomic rename, and two machines could not tell who works on a stage",
            "name a folder that all machines see (NFS, Lustre, ...), and copy it to the storage when the run has ended",
        )
    return Path(out).absolute()


def execute(
    prepared: PlannedRun,
    *,
    executor: str = "local",
    workers: int | None = None,
    options: RunOptions | None = None,
    quiet: bool = False,
    listener: Any = None,
) -> RunResult:
    """Run a plan and write run.json and its cells, also when it is stopped by Ctrl-C, SIGTERM or SIGHUP.

    A run directory that cannot be written answers what it holds; what it does not hold stops the run.
    """
    root, plan, store = prepared.root, prepared.plan, prepared.store
    writes = store.is_writable()
    about = prepared.about()
    if writes:
        store.begin()
        write_codes(root, plan.sources.codes.values())
        begin_run(root, about)
    hearing = listener or progress.create(plan.nodes.values(), quiet)
    with rare_collections(), ends_like_ctrl_c(), hearing as hears:

        def tell(event: str, node: Node, state: NodeState | None) -> None:
            if writes:
                log(event, node, state)
            hears(event, node, state)
            first(event, node, state)

        state = prepared.looked or PlanState(plan, store)
        if writes:
            for name in state.nodes_of(store.borrowed):
                state.evict(name)
        runner = Runner(
            plan, store, lambda: create_executor(executor, workers), options or RunOptions(), tell, progress=state
        )
        line = index.line_maker(plan, state, store, runner.outcome, prepared.rows, prepared.measured)
        if not writes:  # what is there is answered, nothing is begun
            runner.outcome.stopped = f"stopped: {root} can only be read. Name another directory with --out."
        log = CellLog(root, plan, line, prepared.shard)
        first = FirstLook(root, about, plan.cells, log.lines, getattr(hears, "say", lambda text: None))
        try:
            outcome = runner.run()
        finally:
            prepared.looked = None
            cells = [log.lines.get(cell) or line(cell) for cell in plan.cells]
            if writes:
                _write_end(prepared, log, cells, runner)
    store.end()
    missing = unmeasured(prepared.config, prepared.manifest, prepared.measured, cells)
    return RunResult(root, cells, outcome, None if writes else about, missing)


def _write_end(prepared: PlannedRun, log: CellLog, cells: list[dict[str, Any]], runner: Runner) -> None:
    """What a run leaves beside its records, however it ended."""
    # Keys that depended on results have asked for more code meanwhile.
    write_codes(prepared.root, prepared.plan.sources.codes.values())
    shard = prepared.shard is not None
    log.close([line for line in cells if not line["finished"]] if shard else None)
    try:
        write_cells(prepared.root, cells, keep=shard, request=prepared.plan.request)
    except StoreError as error:  # the records are safe; the next run writes the file again
        runner.outcome.stopped = runner.outcome.stopped or f"stopped: {error.one_line()}"


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
