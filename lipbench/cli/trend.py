"""lipbench trend: many runs over time."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click


@click.command(name="trend")
@click.argument("runs", nargs=-1, metavar="RUN...", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("trend"),
    show_default=True,
    help="Folder of trend.parquet and the charts.",
)
@click.option("--metric", "metrics", multiple=True, help="Charts of these metrics. [default: headline metrics]")
@click.option("--steps", "with_steps", is_flag=True, help="Find lasting changes.")
@click.option("--format", "form", type=click.Choice(["svg", "png"]), default="svg", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def main(
    runs: tuple[Path, ...], folder: Path, metrics: tuple[str, ...], with_steps: bool, form: str, as_json: bool
) -> None:
    """Add run directories to a history and draw every headline metric over it.

    The history is FOLDER/trend.parquet: runs that it knows need not be given again, their folders may be deleted.

    \b
    Examples:
      lipbench trend runs/night-* -o history --steps
      lipbench trend runs/tonight -o history
    """
    from lipbench.core.registry import unknown
    from lipbench.reports import trend, trend_charts

    path = folder / trend.FILE
    data = trend.collect(runs, path)
    known = sorted(set(data["metric"]))
    for name in metrics:
        if name not in known:
            raise unknown("metrics", name, known)
    trend.write(path, data)
    chosen = trend.metrics_of(data, metrics)
    found = [s for s in trend.find_steps(data) if s.metric in chosen] if with_steps else []
    charts = trend_charts.draw(data, chosen, folder, found, form)
    lines = trend.summary(data, chosen)
    partial = trend.unfinished(runs)
    n_runs = len(data[["run", "when"]].drop_duplicates())
    if as_json:
        click.echo(
            json.dumps(
                {
                    "history": str(path),
                    "runs": n_runs,
                    "charts": [str(c) for c in charts],
                    "last": lines,
                    "unfinished": {name: asdict(state) for name, state in partial.items()},
                    "steps": [{**asdict(step), "when": step.when.isoformat()} for step in found],
                },
                indent=1,
            )
        )
        return
    click.echo(f"{path}: {n_runs} runs, {len(charts)} charts")
    for name, state in partial.items():
        click.echo(f"  {name}: {state.words}; its means are of methods that are complete")
    for line in lines:
        digits = max(line["decimals"], 1)
        change = "" if line["change"] is None else f", {line['change']:+.{digits}f} since the run before"
        if line["comparable"] is False:
            change = ", not comparable with the run before"
        click.echo(f"  {line['method']} {line['metric']}: {line['mean']:.{digits}f} over {line['n']} clips{change}")
    for step in found:
        kind = "worse" if step.worse else "better"
        click.echo(f"step: {step.method} {step.metric} {kind} from {step.at} on: {step.old:.3f} -> {step.new:.3f}")
