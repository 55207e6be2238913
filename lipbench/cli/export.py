"""lipbench export: what methods get, as plain files, for those that run elsewhere."""

from __future__ import annotations

import csv
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lipbench.cli.run import _csv
from lipbench.core.errors import LipbenchError, UsageError

if TYPE_CHECKING:
    from lipbench.engine.api import PlannedRun

PATTERN = "{clip}.{language}.mp4"
FIELDS = ("clip", "language", "dub", "video", "audio", "result", "frames", "fps", "width", "height")


@click.command(name="export")
@click.argument("source")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="A new folder.")
@click.option("--clip", "clips", multiple=True, callback=_csv, help="Only these clips (names or patterns).")
@click.option("--lang", "languages", multiple=True, callback=_csv, help="Only these languages.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def main(source: str, out: Path, clips: tuple[str, ...], languages: tuple[str, ...], as_json: bool) -> None:
    """Write the inputs of SOURCE (a run file, a manifest or the name of a data set) for a method that runs elsewhere.

    For each dub a video with as many frames as the dub is long, and the dub as 16 kHz mono wav; dubs.csv lists them and
    how the results have to be called; run.yaml scores these, once they lie in results/.
    """
    from lipbench.engine import api

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"cannot export to {out}", "it is there and not empty", "name a new folder with --out")
    given = _run_file(source)
    if clips:
        given["clips"] = list(clips)
    if languages:
        given["languages"] = list(languages)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".lipbench-", dir=out) as work:
        prepared = api.prepare(
            {**given, "methods": ["dubbed"], "metrics": [], "train_seconds": [None], "seeds": [0]},
            out=Path(work) / "run",
        )
        _only_videos(prepared)
        named: dict[str, str] = {}
        for cell in prepared.plan.cells:
            name = PATTERN.format(clip=cell.clip, language=cell.language)
            if named.setdefault(name, cell.dub) != cell.dub or "/" in name:
                raise UsageError(
                    f"the dubs {named[name]} and {cell.dub} would both be called {name}",
                    "clip and language name a file",
                    "choose one of them with --lang, or give them languages of their own (x-…) in the manifest",
                )
        result = api.execute(prepared, workers=1, quiet=True)
        rows = [_copied(prepared, result, cell, out) for cell in prepared.plan.cells]
    with open(out / "dubs.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, FIELDS)
        table.writeheader()
        table.writerows(rows)
    (out / "results").mkdir()
    theirs = {"id": "precomputed", "label": "theirs", "params": {"folder": "results", "pattern": PATTERN}}
    scored = {**given, "methods": ["dubbed", theirs]}
    (out / "run.yaml").write_text(_yaml(scored), encoding="utf-8")
    if as_json:
        click.echo(json.dumps({"out": str(out), "dubs": rows}, indent=1))
        return
    many = "1 dub" if len(rows) == 1 else f"{len(rows)} dubs"
    click.echo(f"{many} in {out}; put the results into {out / 'results'} as dubs.csv names them, then")
    click.echo(f"lipbench run {out / 'run.yaml'}")


def _run_file(source: str) -> dict[str, Any]:
    """The content of a run file with its manifest's place made absolute; for a manifest, a run file that names it."""
    from lipbench.core import registry, yaml
    from lipbench.engine.config import KIND, load_run_file

    if source in registry.names("datasets"):
        return {"manifest": source}
    path = Path(source).expanduser()
    data = yaml.read(path, KIND).data
    if not isinstance(data, Mapping) or "methods" not in data:
        return {"manifest": str(path.resolve())}
    config = load_run_file(path)
    content = config.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if config.manifest not in registry.names("datasets"):
        content["manifest"] = str((path.resolve().parent / config.manifest).resolve())
    return content


def _only_videos(prepared: PlannedRun) -> None:
    """Nothing is measured: leave what the videos need."""
    plan = prepared.plan
    wanted: set[str] = set()
    queue = list(plan.synthesize.values())
    while queue:
        node = plan.nodes[queue.pop()]
        wanted.add(node.id)
        queue += [n for n in node.needs if n not in wanted]
    plan.nodes = {name: node for name, node in plan.nodes.items() if name in wanted}
    plan.scores = {cell: {} for cell in plan.cells}


def _copied(prepared: PlannedRun, result: Any, cell: Any, out: Path) -> dict[str, Any]:
    """A dub's files at their place, and its line of the table.

    Raises:
        LipbenchError: the dub cannot be laid over its clip.
    """
    from lipbench import media

    state = result.outcome.states[f"dub {cell.dub}"]
    if state.record is None or state.record.status != "ok":
        raise LipbenchError(f"the dub {cell.dub} cannot be exported", state.reason or "", "leave it out, or mend it")
    result_name = PATTERN.format(clip=cell.clip, language=cell.language)
    names = {"video": f"inputs/{result_name}", "audio": f"inputs/{result_name.removesuffix('.mp4')}.wav"}
    for kind, name in names.items():
        target = out / name
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(prepared.store.output(state.record, kind), target)
    seen = media.probe(out / names["video"])
    return {
        "clip": cell.clip,
        "language": cell.language,
        "dub": cell.dub,
        **names,
        "result": f"results/{result_name}",
        "frames": seen.n_frames,
        "fps": float(seen.fps),
        "width": seen.width,
        "height": seen.height,
    }


def _yaml(content: Mapping[str, Any]) -> str:
    """A run file as text: JSON for each value, which YAML 1.2 contains."""
    return "".join(f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in content.items())
