"""lipbench score: measure one video, made anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import yaml

from lipbench.cli.renames import former_option


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


@click.command(name="score")
@click.argument("video", type=click.Path(path_type=Path))
@click.option("--reference", type=click.Path(path_type=Path), help="The undubbed source video.")
@click.option("--truth", type=click.Path(path_type=Path), help="The correct video, where one exists.")
@click.option("--audio", type=click.Path(path_type=Path), help="The dub. [default: the video's own audio]")
@click.option("--metric", "metrics", multiple=True, help="Only these metrics or families.")
@click.option(
    "--option",
    "options",
    multiple=True,
    callback=_options,
    help="An option of a metric family, e.g. sync.min_track=50; the value is read as YAML.",
)
@click.option("--sync-model", help="Weights behind LSE-D and LSE-C. [default: syncnet_v2]")
@former_option("--judge", "--sync-model")
@click.option("--protocol", type=click.Choice(["realvideo", "cropped"]), help="[default: realvideo]")
@click.option("--faces", default="mediapipe-face", show_default=True, help="Face backend.")
@click.option("--fps", type=float, default=25.0, show_default=True, help="Rate at which everything is compared.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def main(
    video: Path,
    reference: Path | None,
    truth: Path | None,
    audio: Path | None,
    metrics: tuple[str, ...],
    options: dict[str, dict[str, Any]],
    sync_model: str | None,
    protocol: str | None,
    faces: str,
    fps: float,
    as_json: bool,
) -> None:
    """Measure VIDEO with every metric that the given files allow.

    \b
    Examples:
      lipbench score dubbed.mp4 --reference source.mp4 --audio french.wav --json
    """
    from lipbench.engine.score import score_video

    answer = score_video(
        video,
        reference=reference,
        truth=truth,
        audio=audio,
        metrics=metrics,
        options=options,
        sync_model=sync_model,
        protocol=protocol,
        faces=faces,
        fps=fps,
    )
    if as_json:
        click.echo(json.dumps(answer, indent=1))
        return
    # Without a truth video its metrics are no news; JSON lists them all the same.
    shown_scores = {
        n: s for n, s in answer["metrics"].items() if truth or not (s["reason"] or "").startswith("no_truth")
    }
    width = max((len(name) for name in shown_scores), default=0)
    for name, score in shown_scores.items():
        value = score["value"]
        shown = f"{value:.4f}" if isinstance(value, float) else str(value if value is not None else "–")
        why = f"  ({score['reason']})" if score["reason"] else ""
        click.echo(f"{name:<{width}}  {shown}{why}")
    for remark in answer["remarks"]:
        click.echo(f"note: {remark}", err=True)
