"""lipbench score: measure one video, made anywhere."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command(name="score")
@click.argument("video", type=click.Path(path_type=Path))
@click.option("--reference", type=click.Path(path_type=Path), help="The undubbed source video.")
@click.option("--truth", type=click.Path(path_type=Path), help="The correct video, where one exists.")
@click.option("--audio", type=click.Path(path_type=Path), help="The dub. [default: the video's own sound]")
@click.option("--metric", "metrics", multiple=True, help="Only these metrics or families.")
@click.option("--judge", default="syncnet_v2", show_default=True, help="Weights behind LSE-D and LSE-C.")
@click.option("--protocol", type=click.Choice(["realvideo", "cropped"]), default="realvideo", show_default=True)
@click.option("--faces", default="mediapipe-face", show_default=True, help="Face backend.")
@click.option("--fps", type=float, default=25.0, show_default=True, help="Rate at which everything is compared.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def main(
    video: Path,
    reference: Path | None,
    truth: Path | None,
    audio: Path | None,
    metrics: tuple[str, ...],
    judge: str,
    protocol: str,
    faces: str,
    fps: float,
    as_json: bool,
) -> None:
    """Measure VIDEO with every metric that the given files allow.

    \b
    Example:
      lipbench score dubbed.mp4 --reference source.mp4 --audio french.wav --json
    """
    from lipbench.engine.score import score_video

    answer = score_video(
        video,
        reference=reference,
        truth=truth,
        audio=audio,
        metrics=metrics,
        judge=judge,
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
