"""lipbench run: benchmark methods on dubbed clips."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from lipbench.cli.renames import former_option
from lipbench.core.errors import UsageError, WeightsMissing
from lipbench.engine.demo import demo_run


def _csv(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part for value in values for part in value.split(",") if part)


def _seconds(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[float | None, ...]:
    try:
        return tuple(None if p == "full" else float(p) for value in values for p in value.split(",") if p)
    except ValueError as error:
        raise click.BadParameter("seconds, or `full` for the whole clip, e.g. 3,5,full") from error


def _seeds(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[int, ...]:
    seeds: list[int] = []
    for part in (p for value in values for p in value.split(",") if p):
        match = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", part)
        if match is None:
            raise click.BadParameter("a number or a range, e.g. 0,3 or 0..2")
        first, last = int(match[1]), int(match[2] or match[1])
        seeds += range(first, last + 1)
    return tuple(seeds)


def _shard(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    match = re.fullmatch(r"(\d+)/(\d+)", value)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise click.BadParameter("i/n with 1 <= i <= n, e.g. 2/8")
    return int(match[1]), int(match[2])


def _failures(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    if value is None or value == "never":
        return None
    if not value.isdigit() or int(value) < 1:
        raise click.BadParameter("a count, or `never`")
    return int(value)


def _schema(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        from lipbench.engine.config import json_schema

        click.echo(json_schema(), nl=False)
        context.exit()


#: What became of stages, for people.
ENDED = {
    "cached": "cached",
    "run": "made",
    "refused": "refused",
    "failed": "failed",
    "blocked": "not tried, since an input has no result",
    "skipped": "not started",
}


@click.command(name="run")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Run directory. [default: runs/<name of the run>]")
@click.option("--method", "methods", multiple=True, callback=_csv, help="Only these methods (id or label).")
@click.option("--clip", "clips", multiple=True, callback=_csv, help="Only clips that match this glob pattern.")
@click.option("--lang", "languages", multiple=True, callback=_csv, help="Only these dub languages.")
@click.option("--train-seconds", multiple=True, callback=_seconds, help="Training lengths, e.g. 3,5,full.")
@click.option("--seed", "seeds", multiple=True, callback=_seeds, help="Seeds, e.g. 0..2.")
@click.option("--metric", "metrics", multiple=True, callback=_csv, help="Only these metrics or families.")
@click.option("--sync-model", help="Weights behind LSE-D and LSE-C.")
@former_option("--judge", "--sync-model")
@click.option("--executor", type=click.Choice(["local", "ray"]), default="local", show_default=True)
@click.option("--workers", type=click.IntRange(min=1), help="Stages at a time. [default: one per core, at most 8]")
@click.option("--shard", callback=_shard, help="This process's share of the clips, e.g. 2/8; for job arrays.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first N clips: to see that everything works.")
@click.option(
    "--log",
    "loggers",
    multiple=True,
    type=click.Choice(["wandb", "tensorboard", "mlflow"]),
    help="Also hand the numbers to a tracker that is installed; repeatable.",
)
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="Seconds a fit or synthesis may take.")
@click.option("--retries", type=click.IntRange(min=0), default=1, show_default=True, help="After a crash.")
@click.option(
    "--max-failures", callback=_failures, help="Start nothing more after this many failures. [default: never]"
)
@click.option(
    "--gpu-share",
    type=click.FloatRange(min=0, max=1, min_open=True),
    help="Part of a GPU that a stage takes under Ray. [default: 1 for fits, 0.5 for videos, 0.25 for scores]",
)
@click.option("--verify", is_flag=True, help="First read all that is kept; what is damaged is made again.")
@click.option("--allow-missing", is_flag=True, help="End with 0 even where a metric has no number in any cell.")
@click.option("--dry-run", is_flag=True, help="Print the plan and stop.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@click.option(
    "--schema", is_flag=True, is_eager=True, expose_value=False, callback=_schema, help="Print FILE's JSON Schema."
)
def main(
    file: Path | None,
    out: Path | None,
    methods: tuple[str, ...],
    executor: str,
    workers: int | None,
    shard: tuple[int, int] | None,
    limit: int | None,
    loggers: tuple[str, ...],
    timeout: float | None,
    retries: int,
    max_failures: int | None,
    gpu_share: float | None,
    verify: bool,
    allow_missing: bool,
    dry_run: bool,
    as_json: bool,
    **axes: Any,
) -> None:
    """Benchmark methods on dubbed clips.

    FILE is a run file (YAML); without one the packaged demo corpus is benchmarked. The same command resumes a run
    that was stopped, and answers at once when everything is there already.

    \b
    Examples:
      lipbench run
      lipbench run examples/real.yaml --out runs/real
      lipbench run paper.yaml --method lipnerf,wav2lip --lang fr --seed 0..2 --dry-run
    """
    from lipbench.engine import api, tracking
    from lipbench.engine.outcome import RunOptions

    trackers = [tracking.tracker(name) for name in loggers]  # what is not installed is told before the work
    overrides = api.select_fields(**axes)
    if methods:
        overrides["methods"] = _only(file, methods)
    if allow_missing:
        overrides["allow_missing"] = ["*"]
    prepared = api.prepare(file, out=out, overrides=overrides, shard=shard, limit=limit)
    found = prepared.verify(repair=not dry_run) if verify else None
    if found is not None and not as_json:
        click.echo(found.text(), err=True)
    plan = _plan_json(prepared, file) | ({} if found is None else {"verified": asdict(found)})
    if dry_run:
        click.echo(json.dumps(plan, indent=1) if as_json else plan["text"])
        return
    if not as_json:
        click.echo(plan["text"], err=True)
    options = RunOptions(retries=retries, timeout_s=timeout, max_failures=max_failures, gpu_share=gpu_share)
    result = api.execute(prepared, executor=executor, workers=workers, options=options, quiet=as_json)
    ended = {how: result.outcome.count(how) for how in ("cached", "run", "refused", "failed", "blocked", "skipped")}
    if as_json:
        click.echo(
            json.dumps(
                {
                    "run": str(result.root),
                    "complete": result.complete,
                    "unmeasured": result.unmeasured,
                    "obstacles": plan["obstacles"],
                    "stages": ended,
                    "remarks": result.outcome.remarks(),
                    "wall_s": round(result.outcome.wall_s, 3),
                    "cells": result.cells,
                    **({} if found is None else {"verified": asdict(found)}),
                }
            )
        )
    else:
        click.echo(result.table(), nl=False)
        states = result.outcome.states.values()
        refused = sum(s.how == "run" and s.record is not None and s.record.status == "refused" for s in states)
        told = {**ended, "run": ended["run"] - refused, "refused": ended["refused"] + refused}
        counted = ", ".join(f"{n} {ENDED[how]}" for how, n in told.items() if n)
        click.echo(
            f"\n{len(result.outcome.states)} stages: {counted}; {result.outcome.wall_s:.1f} s; {result.root}", err=True
        )
        for text, stages in result.outcome.remarks().items():
            others = f" and {len(stages) - 1} more" if len(stages) > 1 else ""
            click.echo(f"note: {stages[0]}{others}: {text}", err=True)
    for tracker in trackers:
        tracker(result.root)
    result.raise_if_incomplete()


def _only(file: Path | None, wanted: tuple[str, ...]) -> list[Any]:
    """The run file's entries with these labels; ids that it does not have are added with default parameters."""
    from lipbench.core import registry
    from lipbench.engine.config import load_run_file, parse_run_file

    config = parse_run_file(demo_run(), "demo") if file is None else load_run_file(file)
    base = Path.cwd() if file is None else file.resolve().parent
    chosen: list[Any] = []
    for name in (registry.present(name) for name in wanted):
        found = [m for m in config.methods if name in (m.label, m.id)] or _in_files(config.methods, name, base)
        if found:
            chosen += [m.model_dump() for m in found]
        elif name in registry.names("methods"):
            chosen.append({"id": name})
        else:
            own = [str(m.label or m.file) for m in config.methods if m.label or m.file]
            known = registry.names("methods") + own
            raise registry.unknown("methods", name, known)
    return chosen


def _in_files(entries: Sequence[Any], name: str, base: Path) -> list[Any]:
    """Rows of method files without a label: they are called what the file calls its method, or like the file."""
    from lipbench.engine.rows import load_method

    files = [entry for entry in entries if entry.file is not None and entry.label is None]
    by_file = [entry for entry in files if name in (entry.file, Path(entry.file).stem)]
    return by_file or [e for e in files if load_method({"file": str(base / e.file)}).spec.id == name]


def _plan_json(prepared: Any, file: Path | None) -> dict[str, Any]:
    from lipbench.engine import preflight
    from lipbench.engine.foresight import of_run

    cells, counts = prepared.plan.cells, prepared.counts()
    if not cells:
        raise UsageError(
            "there is nothing to run", "no cell is left after the filters", "widen --clip, --lang or --shard"
        )
    total, done, impossible = (
        sum(getattr(c, what) for c in counts.values()) for what in ("total", "cached", "impossible")
    )
    stages = ", ".join(f"{count.total} {kind}" for kind, count in counts.items())
    refused = sorted({f"{n.id}: {n.refusal.one_line()}" for n in prepared.plan.nodes.values() if n.refusal})
    text = f"{len(cells)} cells = {stages}; "
    text += f"{100 * done // (total - impossible)} % cached" if total > impossible else "none of them can run"
    text += f", {impossible} cannot run" if 0 < impossible < total else ""
    stopped: dict[str, list[str]] = {}
    for node in prepared.plan.nodes.values():
        # Missing weights are among the obstacles below.
        if node.refusal is not None and not isinstance(node.refusal, WeightsMissing):
            stopped.setdefault(node.refusal.one_line(), []).append(node.id)
    told = [f"\n  cannot run {preflight.listed(nodes, 3)}: {why}" for why, nodes in stopped.items()]
    text += "".join(told[:8]) + (f"\n  ... and {len(told) - 8} more" if len(told) > 8 else "")
    obstacles = of_run(prepared)
    text += "".join(f"\n  {line}" for line in preflight.lines(obstacles, file))
    kinds = {k: {"all": c.total, "cached": c.cached, "cannot_run": c.impossible} for k, c in counts.items()}
    return {
        "run": str(prepared.root),
        "cells": len(cells),
        "cached": done,
        "cannot_run": impossible,
        "stages": total,
        "refused": refused,
        "obstacles": [one.as_json() for one in obstacles],
        "get": preflight.command(obstacles, file),
        "kinds": kinds,
        "text": text,
    }
