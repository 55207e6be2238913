"""lipbench dub: one video, one dub, one method."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lipbench.core.atomic import atomic_write
from lipbench.core.errors import LipbenchError, StoreError, UsageError, WeightsMissing
from lipbench.core.system import cache_folder
from lipbench.datasets.single import single_manifest

if TYPE_CHECKING:
    from lipbench.datasets.types import Manifest


def _params(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    from lipbench.core.yaml import parse_value

    found = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals:
            raise click.BadParameter("NAME=VALUE, e.g. -p pads=[0,10,0,0]")
        found[name] = parse_value(text, f"-p {name}")
    return found


def _refuse_at_once(prepared: Any, method: str, video: Path) -> None:
    """Raise for what is known to be in the way before a frame is read.

    Raises:
        LipbenchError: as the method refuses it, or with the command that gets the weights that are missing.
    """
    from lipbench.engine import preflight
    from lipbench.engine.foresight import of_methods

    for node in prepared.plan.nodes.values():
        if node.refusal is not None and not isinstance(node.refusal, WeightsMissing):
            raise node.refusal
    if obstacles := of_methods(prepared):
        told = preflight.lines(obstacles)
        why = "; ".join(f"{one.what}: {one.why}" for one in obstacles)
        fix = "; ".join(told[len(obstacles) :]) or "`lipbench list methods` says what it needs"
        raise WeightsMissing(f"{method} makes no video of {video}", why, fix)


@click.command(name="dub")
@click.argument("method")
@click.argument("video", type=click.Path(path_type=Path))
@click.argument("audio", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="The dubbed video (mp4).")
@click.option("-p", "--param", "params", multiple=True, callback=_params, help="A method parameter, NAME=VALUE.")
@click.option("--fps", type=float, default=25.0, show_default=True, help="Of the result, and of pictures.")
@click.option("--start", type=float, default=0.0, show_default=True, help="Seconds into the video, and its dub.")
@click.option("--end", type=float, help="Seconds into the video, and its dub. [default: its end]")
@click.option("--audio-start", type=float, help="Seconds into the audio; 0 when it is cut already. [default: --start]")
@click.option("--audio-end", type=float, help="Seconds into the audio. [default: with the video]")
@click.option("--channel", help="Use this one channel of the audio, e.g. center. [default: all, mixed]")
@click.option("--language", default="und", show_default=True, help="Of the audio (BCP-47).")
@click.option("--train-seconds", type=float, help="Train on this much of the clip. [default: all]")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--faces", default="mediapipe-face", show_default=True, help="Face backend.")
@click.option("--face", help="Which of several faces: left, right, largest or X,Y. [default: who speaks, if clear]")
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
    audio_start: float | None,
    audio_end: float | None,
    channel: str | None,
    language: str,
    train_seconds: float | None,
    seed: int,
    faces: str,
    face: str | None,
    work: Path | None,
    as_json: bool,
) -> None:
    """Re-lip VIDEO to AUDIO with METHOD (an id of `lipbench list methods`, or an external method file).

    VIDEO is a file, or a folder or pattern of numbered pictures; FILE:a:N is a file with its audio stream N, counted
    from 0. What was prepared and fitted for this video is kept and used again for its next dub.
    """
    from lipbench.core.target import check_target
    from lipbench.datasets.types import Dub
    from lipbench.engine import api
    from lipbench.faces.which import Which
    from lipbench.media.streams import split_stream

    Which.parse(face)  # a mistake ends it before the files are hashed
    if out.suffix.lower() != ".mp4":
        raise UsageError(f"cannot write {out}", "outputs are mp4 files", f"use -o {out.with_suffix('.mp4')}")
    check_target(out, [*(split_stream(path)[0] for path in (video, audio)), Path(method)])
    known = Dub("", "", language, "recorded", None, "", channel=channel, start_s=audio_start, end_s=audio_end)
    manifest = single_manifest(video, audio, language=language, start_s=start, end_s=end, fps=fps, dub=known, face=face)
    said = _heard(manifest)
    for text in said:
        click.echo(f"warning: {text}", err=True)
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
    folder = work or cache / manifest.clips[0].sha256[:16]
    prepared = api.prepare(config, out=folder, manifest=manifest)
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
    _refuse_at_once(prepared, method, video)
    try:
        result = api.execute(prepared, workers=1, quiet=as_json)
    except StoreError as error:
        raise StoreError(f"cannot work in {folder}", error.why, "name another folder with --work") from error
    for text in result.outcome.remarks():
        if text.removeprefix("silent: ") not in said:
            click.echo(f"note: {text}", err=True)
    made = plan.synthesize[plan.cells[0]]
    state = result.outcome.states[made]
    if state.record is None or state.record.status != "ok":
        reason = (state.reason or "failed").split(":")[0]
        log = "" if state.record is None else f"log: {prepared.store.directory(state.record.key) / 'log.txt'}"
        raise LipbenchError(f"{method} made no video of {video}", state.reason or "", log, reason=reason)
    with atomic_write(out) as draft:
        shutil.copyfile(prepared.store.output(state.record, "video"), draft)
    answer = {"out": str(out), "method": method, "cached": state.how == "cached", "info": dict(state.record.info)}
    click.echo(json.dumps(answer) if as_json else str(out))


def _heard(manifest: Manifest) -> list[str]:
    """What the user should know of the sound before the work: which one it is, and whether it is one.

    Raises:
        MediaError, ManifestError, TooShort: it cannot be used.
    """
    from lipbench import media
    from lipbench.datasets.dub_sound import DubSound

    clip, dub = manifest.clips[0], manifest.dubs[0]
    info = media.probe(clip.video, picture_fps=clip.fps)
    used = (info.duration_s if clip.end_s is None else min(clip.end_s, info.duration_s)) - clip.start_s
    track = DubSound.of(dub, clip).read(used)
    silent = media.silence(track.samples)
    return [*track.remarks, *([silent] if silent else [])]
