"""lipbench dub: one video, one dub, one method."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import click

from lipbench.core import keys
from lipbench.core.errors import LipbenchError, UsageError
from lipbench.core.system import cache_folder
from lipbench.datasets.single import single_manifest


def _params(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    from lipbench.core.yaml import parse_value

    found = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals:
            raise click.BadParameter("NAME=VALUE, e.g. -p pads=[0,10,0,0]")
        found[name] = parse_value(text, f"-p {name}")
    return found


@click.command(name="dub")
@click.argument("method")
@click.argument("video", type=click.Path(path_type=Path))
@click.argument("audio", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="The dubbed video (mp4).")
@click.option("-p", "--param", "params", multiple=True, callback=_params, help="A method parameter, NAME=VALUE.")
@click.option("--fps", type=float, default=25.0, show_default=True)
@click.option("--start", type=float, default=0.0, show_default=True, help="Seconds into the video.")
@click.option("--end", type=float, help="Seconds into the video. [default: its end]")
@click.option("--language", default="und", show_default=True, help="Of the audio (BCP-47).")
@click.option("--train-seconds", type=float, help="Train on this much of the clip. [default: all]")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--faces", default="mediapipe-face", show_default=True, help="Face backend.")
@click.option("--work", type=click.Path(path_type=Path), help="Where fitted models are kept for the next dub.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def main(
    method: str,
    video: Path,
    audio: Path,
    out: Path,
    params: dict[str, Any],
    fps: float,
    start: float,
    end: float | None,
    language: str,
    train_seconds: float | None,
    seed: int,
    faces: str,
    work: Path | None,
    as_json: bool,
) -> None:
    """Re-lip VIDEO to AUDIO with METHOD (an id of `lipbench list methods`, or an external method file).

    What was prepared and fitted for this video is kept and used again for its next dub.
    """
    from lipbench.engine import api

    if out.suffix.lower() != ".mp4":
        raise UsageError(f"cannot write {out}", "outputs are mp4 files", f"use -o {out.with_suffix('.mp4')}")
    manifest = single_manifest(video, audio, language=language, start_s=start, end_s=end)
    entry: dict[str, Any] = (
        {"file": str(Path(method).resolve())} if method.endswith((".yaml", ".yml")) else {"id": method}
    )
    config = {
        "name": "dub",
        "manifest": "single",
        "methods": [{**entry, "params": params}],
        "fps": fps,
        "faces": faces,
        "train_seconds": [train_seconds],
        "seeds": [seed],
        "metrics": [],
    }
    cache = cache_folder() / "lipbench" / "dub"
    prepared = api.prepare(config, out=work or cache / keys.sha256_file(video)[:16], manifest=manifest)
    # Nothing is measured here: drop the score stages and the face tracks that only they want.
    plan = prepared.plan
    wanted: set[str] = set()
    queue = list(plan.synthesize.values())
    while queue:
        node = plan.nodes[queue.pop()]
        wanted.add(node.id)
        queue += [n for n in node.needs if n not in wanted]
    plan.nodes = {name: node for name, node in plan.nodes.items() if name in wanted}
    plan.scores = {cell: {} for cell in plan.cells}
    result = api.execute(prepared, workers=1, quiet=as_json)
    made = plan.synthesize[plan.cells[0]]
    state = result.outcome.states[made]
    if state.record is None or state.record.status != "ok":
        reason = (state.reason or "failed").split(":")[0]
        log = "" if state.record is None else f"log: {prepared.store.directory(state.record.key) / 'log.txt'}"
        raise LipbenchError(f"{method} made no video of {video}", state.reason or "", log, reason=reason)
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(prepared.store.output(state.record, "video"), out)
    answer = {"out": str(out), "method": method, "cached": state.how == "cached", "info": dict(state.record.info)}
    click.echo(json.dumps(answer) if as_json else str(out))
