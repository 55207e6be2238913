"""lipbench data check: is everything there that manifests name, and is it what they say?"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lipbench.core.document import of_mapping
from lipbench.core.errors import LipbenchError, ManifestError

if TYPE_CHECKING:
    from lipbench.core.document import Problem
    from lipbench.datasets.check import ManifestReport


@click.command(name="check")
@click.argument("manifests", metavar="MANIFEST...", nargs=-1, required=True)
@click.option("--no-hash", is_flag=True, help="Do not hash the files, only look whether they are there and open.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: an object, or a list of them for several MANIFESTs.")
def main(manifests: tuple[str, ...], no_hash: bool, as_json: bool) -> None:
    """Check manifests: fields, references, files, hashes, and what the media hold.

    MANIFEST is a file or the name of a registered data set. Every one is checked, whatever is wrong with those before
    it. Exit code 2 when something is wrong; warnings alone leave it 0.
    """
    found: list[dict[str, Any]] = []
    failed: list[LipbenchError] = []
    for file in manifests:
        try:
            report = _checked(file, hashes=not no_hash)
        except LipbenchError as error:  # nothing in it can be read
            failed.append(error)
            found.append(_unread_json(file, error))
            if len(manifests) > 1 and not as_json:
                click.echo(f"error: {error.one_line()}")
            continue
        found.append(_report_json(file, report))
        if not as_json:
            _show(file, report)
        if not report.ok:
            n = len(report.errors)
            what = f"{file}: {n} error{'s' if n > 1 else ''}"
            failed.append(ManifestError(what, "listed above", "mend them and check again"))
    if as_json:
        click.echo(json.dumps(found if len(manifests) > 1 else found[0], indent=2))
    if failed:
        raise _ending(failed, len(manifests))


def _checked(name: str, *, hashes: bool) -> ManifestReport:
    """The report on a manifest file, or on a registered data set; a name wins over a file, as in `resolve`."""
    from lipbench.core import registry
    from lipbench.datasets.check import ManifestReport, check, probe_media
    from lipbench.datasets.manifest import verify_files
    from lipbench.datasets.types import Manifest

    found: Any = registry.load("datasets", name) if name in registry.names("datasets") else name
    if not isinstance(found, Manifest):
        return check(Path(found), hashes=hashes)
    document = of_mapping({}, f"data set {name}")
    report = ManifestReport(found, verify_files(found, document, hashes=hashes))
    probe_media(found, document, report)
    return report


def _ending(failed: list[LipbenchError], checked: int) -> LipbenchError:
    """The error that ends the command: the file's own, or of several how many failed, with the worst exit code."""
    if checked == 1:
        return failed[0]
    are = "has errors" if len(failed) == 1 else "have errors"
    many = ManifestError(f"{len(failed)} of {checked} manifests {are}", "listed above", "mend them and check again")
    many.exit_code = max(error.exit_code for error in failed)
    return many


def _show(file: str, report: ManifestReport) -> None:
    for word, problems in (("error", report.errors), ("warning", report.warnings)):
        for problem in problems:
            click.echo(f"{word}: {_problem_text(problem)}")
    if report.ok and report.manifest is not None:
        m = report.manifest
        click.echo(f"{file}: ok, {len(m.clips)} clips, {len(m.dubs)} dubs, {len(report.warnings)} warnings")
        click.echo(f"digest {m.digest}")


def _problem_text(problem: Problem) -> str:
    found = f" (found {problem.found})" if problem.found else ""
    return f"{problem}{found}" + (f"\n       {problem.hint}" if problem.hint else "")


def _problem_json(problem: Problem) -> dict[str, Any]:
    return {name: getattr(problem, name) for name in ("file", "line", "field", "message", "found", "hint")}


def _report_json(file: str, report: ManifestReport) -> dict[str, Any]:
    return {
        "file": str(file),
        "ok": report.ok,
        "digest": None if report.manifest is None else report.manifest.digest,
        "errors": [_problem_json(problem) for problem in report.errors],
        "warnings": [_problem_json(problem) for problem in report.warnings],
        "clips": [asdict(facts) for facts in report.clips.values()],
        "dubs": [asdict(facts) for facts in report.dubs.values()],
    }


def _unread_json(file: str, error: LipbenchError) -> dict[str, Any]:
    """The fields of `_report_json` for a file that could not be read."""
    problems = [_problem_json(problem) for problem in getattr(error, "problems", ())]
    whole = {"file": str(file), "line": 1, "field": "", "message": error.what, "found": error.why, "hint": error.fix}
    empty: dict[str, Any] = {"warnings": [], "clips": [], "dubs": []}
    return {"file": str(file), "ok": False, "digest": None, "errors": problems or [whole], **empty}
