"""lipbench score: measure one video, made anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import yaml

from lipbench.cli.renames import former_option
from lipbench.cli.sync_options import sync_options


def _options(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    params: dict[str, dict[str, Any]] = {}
    for text in values:
        name, equals, value = text.partition("=")
        family, dot, option = name.partition(".")
        if not (equals and dot and family and option):
            raise click.BadParameter(f"FAMILY.NAME=VALUE, not {text!r}")
        try:
            params.setdefault(family, {})[option] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise click.BadParameter(f"the value of {name} is no YAML: {value!r}") from error
    return params


def _without(reason: str, remarks: Iterable[dict[str, str]]) -> str:
    """A reason without the remarks that stand below for all metrics."""
    for text in (remark["text"] for remark in remarks):
        reason = reason.replace(f"; {text}", "").replace(text, "")
    return reason


def _say_recipe(recipe: dict[str, Any] | None) -> None:
    """What the paper's script would print, and in what it differs still."""
    if recipe is None:
        return
    printed = (
        f"{name} {'–' if (value := one['value']) is None else value if isinstance(value, str) else f'{value:.4f}'}"
        for name, one in recipe["prints"].items()
    )
    click.echo(f"{recipe['title']} prints: {', '.join(printed)}")
    for kind in ("changed", "faults", "differs"):
        for line in recipe[kind]:
            click.echo(f"note: {kind}: {line}", err=True)


def _say(obstacles: Sequence[Any]) -> None:
    """What cannot be measured, at once: a score takes minutes."""
    from lipbench.engine.preflight import lines

    for line in lines(obstacles):
        click.echo(f"note: {line}", err=True)


def _against_truth() -> set[str]:
    """Metrics that need a truth video."""
    from lipbench.core import registry

    families = (registry.load("metrics", name) for name in registry.names("metrics"))
    return {m.id for family in families for m in family.metrics if m.needs & {"truth", "truth_faces"}}


@click.command(name="score")
@click.argument("video", type=click.Path(path_type=Path))
@click.option("--reference", type=click.Path(path_type=Path), help="The undubbed source video.")
@click.option("--truth", type=click.Path(path_type=Path), help="The correct video, where one exists.")
@click.option("--audio", type=click.Path(path_type=Path), help="The dub. [default: the video's own audio]")
@click.option("--metric", "metrics", multiple=True, help="Only these metrics or families.")
@click.option("--as", "recipe", help="Measure as a paper's script does: `lipbench list recipes`.")
@click.option(
    "--option",
    "options",
    multiple=True,
    callback=_options,
    help="An option of a metric family, e.g. sync.min_track=50; the value is read as YAML.",
)
@click.option("--sync-model", help="Behind LSE-D and LSE-C: a name, or a SyncNet's weights file. [default: syncnet_v2]")
@former_option("--judge", "--sync-model")
@click.option("--protocol", type=click.Choice(["realvideo", "cropped"]), help="[default: realvideo]")
@sync_options
@click.option("--faces", default="mediapipe-face", show_default=True, help="Face backend.")
@click.option("--face", help="Which of several faces: left, right, largest or X,Y. [default: who speaks, if clear]")
@click.option("--fps", type=float, default=25.0, show_default=True, help="Rate of the comparison, and of pictures.")
@click.option("--channel", help="Use this one channel of the sound, e.g. center or left. [default: all, mixed]")
@click.option("--resize", is_flag=True, help="Scale VIDEO to the reference's size first; the answer says so.")
@click.option("--align", is_flag=True, help="Compare at the shift of up to 5 frames that fits best.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def main(
    video: Path,
    reference: Path | None,
    truth: Path | None,
    audio: Path | None,
    metrics: tuple[str, ...],
    recipe: str | None,
    options: dict[str, dict[str, Any]],
    sync_model: str | None,
    protocol: str | None,
    faces: str,
    face: str | None,
    fps: float,
    channel: str | None,
    resize: bool,
    align: bool,
    as_json: bool,
) -> None:
    """Measure VIDEO with every metric that the given files allow.

    VIDEO and the others are files, folders of numbered pictures or patterns such as f/f%04d.png; FILE:a:N is a file
    with its audio stream N, counted from 0.

    \b
    Examples:
      lipbench score dubbed.mp4 --reference source.mp4 --audio french.wav --json
      lipbench score dubbed.mp4 --reference source.mp4 --as talking-gaussian
    """
    from lipbench.core.memory import keep_freed_memory
    from lipbench.engine import score_progress
    from lipbench.engine.score import score_video

    keep_freed_memory()
    with score_progress.create() as progress:
        answer = score_video(
            video,
            reference=reference,
            truth=truth,
            audio=audio,
            metrics=metrics,
            recipe=recipe,
            options=options,
            sync_model=sync_model,
            protocol=protocol,
            faces=faces,
            face=face,
            fps=fps,
            align=align,
            channel=channel,
            resize=resize,
            progress=progress,
            say=_say,
        )
    if as_json:
        click.echo(json.dumps(answer, indent=1))
        return
    # Without a truth video its metrics are no news; JSON lists them all the same.
    truths = () if truth else _against_truth()
    shown_scores = {n: s for n, s in answer["metrics"].items() if n not in truths}
    told = {name for one in answer["obstacles"] for name in one["metrics"]}
    width = max((len(name) for name in shown_scores), default=0)
    for name, score in shown_scores.items():
        value = score["value"]
        shown = f"{value:.4f}" if isinstance(value, float) else str(value if value is not None else "–")
        reason = _without(score["reason"] or "", score["extra"].get("remarks", ()))
        # What was said before the work is not said again.
        reason = reason.partition(":")[0] if value is None and name in told else reason
        if value is not None and score["n_valid"] < score["n_total"]:
            reason = "; ".join(filter(None, [f"{score['n_valid']} of {score['n_total']} measured", reason]))
        why = f"  ({reason})" if reason else ""
        click.echo(f"{name:<{width}}  {shown}{why}")
    _say_recipe(answer.get("recipe"))
    for remark in answer["remarks"]:
        click.echo(f"note: {remark}", err=True)
