"""lipbench gate: pass or fail for CI."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lipbench.core.atomic import write_json, write_text
from lipbench.core.errors import UsageError

if TYPE_CHECKING:
    from lipbench.reports.gate.result import GateResult
    from lipbench.reports.golden.check import GoldenResult


def _tolerances(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, float]:
    found = {}
    for value in values:
        name, _, number = value.partition("=")
        try:
            found[name.strip()] = float(number)
        except ValueError:
            raise click.BadParameter(f"{value!r} is not METRIC=NUMBER") from None
        if not 0 <= found[name.strip()] < float("inf"):
            raise click.BadParameter(f"{value!r}: a tolerance is 0 or more")
    return found


@click.command(name="gate")
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option("--baseline", type=click.Path(path_type=Path, dir_okay=False), help="Baseline file.")
@click.option("--baseline-ref", metavar="REF", help="Read the file as it is in this git commit or branch.")
@click.option("--golden", is_flag=True, help="Check the metric code on the shipped golden pairs (too).")
@click.option("--accept", is_flag=True, help="Make RUN the baseline; with --golden alone store new golden values.")
@click.option("--reason", default="", help="Why, kept in the file; --accept asks for it.")
@click.option("--method", "methods", multiple=True, help="With --accept: methods, label or pattern; repeatable.")
@click.option("--metric", "metrics", multiple=True, help="With --accept: headlines, id or pattern; repeatable.")
@click.option(
    "--tolerance",
    "tolerances",
    multiple=True,
    callback=_tolerances,
    metavar="METRIC=NUMBER",
    help="With --accept: worsening of the mean that passes; repeatable.",
)
@click.option("--allow-suspect", is_flag=True, help="Let pass what is beyond its tolerance and may be chance.")
@click.option(
    "--allow",
    "allowed",
    multiple=True,
    type=click.Choice(["no-sync", "few-clips"]),
    help="With --accept: a baseline that looks at no lips, or at fewer than 6 clips; repeatable.",
)
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), help="Write JUnit XML.")
@click.option(
    "--summary",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="GITHUB_STEP_SUMMARY",
    show_envvar=True,
    help="Append the summary as Markdown.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the answer as JSON.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def main(
    run: Path | None,
    baseline: Path | None,
    baseline_ref: str | None,
    golden: bool,
    accept: bool,
    reason: str,
    methods: tuple[str, ...],
    metrics: tuple[str, ...],
    tolerances: dict[str, float],
    allow_suspect: bool,
    allowed: tuple[str, ...],
    junit: Path | None,
    summary: Path | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Compare the run directory RUN with a stored baseline.

    Exit codes: 0 fine, 1 regression, 2 usage, 3 the run is not complete, 4 nothing comparable, 6 suspect: worse than
    tolerated, and it may be chance.

    \b
    Examples:
      lipbench gate runs/mine --baseline gate.json --accept --reason "first numbers"
      lipbench gate runs/mine --baseline gate.json --baseline-ref origin/main --junit gate.xml
      lipbench gate --golden

    With --accept the baseline keeps the headlines and tolerances of the file that it replaces.
    """
    _check(run, baseline, baseline_ref, golden, accept, methods, metrics, tolerances, allowed)
    if accept:
        _accept(run, baseline, golden, reason, methods, metrics, tolerances, allowed, as_json)
        return
    from lipbench.reports import gate

    base = None if baseline is None else gate.read(baseline, baseline_ref)
    now = None if run is None else gate.snapshot(run)
    code = None
    if golden:
        from lipbench.reports.golden.check import check

        code = check()
    changed = code.changed if code else None
    result = gate.decide(base, now, changed, allow_suspect=allow_suspect) if base and now else None
    _tell(result, code, junit, summary, output, as_json)
    for answer in (code, result):
        if answer is not None and (error := answer.error()) is not None:
            raise error


def _check(
    run: Path | None, baseline: Path | None, ref: str | None, golden: bool, accept: bool, *only_accept: Any
) -> None:
    example = "for example: lipbench gate runs/mine --baseline gate.json"
    if run is None and baseline is None and not golden:
        raise UsageError("there is nothing to check", "neither RUN nor --golden is given", example)
    if (run is None) != (baseline is None):
        lacks = "RUN" if run is None else "--baseline FILE"
        raise UsageError(f"{lacks} is missing", "a run is compared with a baseline", example)
    if accept and ref:
        raise UsageError("--accept writes a file, --baseline-ref reads a commit", "", "leave out --baseline-ref")
    if ref and baseline is None:
        raise UsageError("--baseline-ref needs --baseline", "", "name the file in that commit")
    if any(only_accept) and not (accept and run):
        raise UsageError(
            "--method, --metric, --tolerance and --allow belong to --accept",
            "the baseline decides what is gated, so that a change cannot loosen its own gate",
            "accept a new baseline in a commit of its own",
        )


def _accept(
    run: Path | None,
    baseline: Path | None,
    golden: bool,
    reason: str,
    methods: tuple[str, ...],
    metrics: tuple[str, ...],
    tolerances: dict[str, float],
    allowed: tuple[str, ...],
    as_json: bool,
) -> None:
    from lipbench.reports import gate

    answer: dict[str, Any] = {}
    lines: list[str] = []
    if golden:
        from lipbench.reports.golden.check import accept_golden

        stored = accept_golden(reason)
        answer["golden"] = {"file": str(stored.path), "stored": list(stored.names)}
        lines.append(f"{stored.path}: {len(stored.names)} golden values stored")
    if run is not None and baseline is not None:
        made, remarks = gate.accept(
            run, baseline, reason, methods=methods, metrics=metrics, tolerances=tolerances, allow=allowed
        )
        shown = [
            {"method": h.method, "metric": h.metric, "n": len(h.known), "tolerance": h.tolerance}
            for h in made.headlines.values()
        ]
        answer |= {"baseline": str(baseline), "run": made.run, "headlines": shown, "remarks": remarks}
        lines.append(f"{baseline}: {len(shown)} headlines of {made.run}")
        lines += [f"  {h['method']} {h['metric']}: {h['n']} clips, {h['tolerance']:g} tolerated" for h in shown]
        lines += [f"note: {remark}" for remark in remarks]
    click.echo(json.dumps(answer, indent=1) if as_json else "\n".join(lines))


def _tell(
    result: GateResult | None,
    code: GoldenResult | None,
    junit: Path | None,
    summary: Path | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Everything is written before the command ends with its exit code."""
    from lipbench.reports.gate import github, writers

    text = "\n".join(part for part in (code and code.text(), result and writers.text(result)) if part)
    answer: dict[str, Any] = writers.as_json(result) if result else {}
    if code is not None:
        answer["golden"] = code.as_json()
    if junit is not None:
        write_text(junit, writers.junit(result, code.cases() if code else ()))
    if output is not None:
        write_json(output, answer)
    if summary is not None:
        github.append_summary(summary, text)
    click.echo(json.dumps(answer, indent=1, allow_nan=False) if as_json else text.rstrip("\n"))
    if github.in_actions(os.environ):
        lines = code.annotations() if code else []
        for line in [*lines, *(github.annotate(result) if result else [])][: github.MOST + 1]:
            click.echo(line, err=as_json)
