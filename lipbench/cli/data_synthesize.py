"""lipbench data synthesize: write a corpus of generated talking heads."""

from __future__ import annotations

import re
import shlex
import sys
import time
from pathlib import Path

import click

from lipbench.core.errors import UsageError
from lipbench.core.system import usable_cores

LINES = {"360p": 360, "480p": 480, "540p": 540, "720p": 720}


def resolution(text: str) -> tuple[int, int]:
    """ "256" -> (256, 256), "640x480" -> (640, 480), "720p" -> (1280, 720).

    Raises:
        UsageError: none of these.
    """
    if text in LINES:
        return round(LINES[text] * 16 / 9 / 2) * 2, LINES[text]
    if found := re.fullmatch(r"(\d{2,4})(?:[xX](\d{2,4}))?", text):
        return int(found[1]), int(found[2] or found[1])
    raise UsageError(f"{text!r} is not a resolution", "", f"use e.g. 256, 640x480 or {', '.join(LINES)}")


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


@click.command("synthesize")
@click.option("--identities", default=2, show_default=True, type=click.IntRange(1), help="People.")
@click.option("--clips-per-identity", default=1, show_default=True, type=click.IntRange(1), help="Clips of each.")
@click.option(
    "--languages", default="en,fr,es,de,it", show_default=True, help="Originals take turns; the rest are dubs."
)
@click.option("--seconds", default=8.0, show_default=True, type=click.FloatRange(1, 600), help="Length of a clip.")
@click.option("--resolution", "size", default="256", show_default=True, help="256, 640x480, 720p, ...")
@click.option("--fps", default=25.0, show_default=True, type=click.FloatRange(10, 60), help="Frames per second.")
@click.option("--seed", default=0, show_default=True, type=int, help="The same seed gives the same corpus.")
@click.option(
    "--difficulty",
    default="normal",
    show_default=True,
    help="easy, normal, pose, motion, light, expression, hard; several take turns.",
)
@click.option(
    "--voices",
    default="formant",
    show_default=True,
    type=click.Choice(["formant", "espeak"]),
    help="Built-in synthesiser, or espeak-ng (extra `speech`).",
)
@click.option(
    "--pool",
    default="train",
    show_default=True,
    type=click.Choice(["train", "test", "all"]),
    help="Sentences: benchmarks keep the test ones to themselves.",
)
@click.option("--words", is_flag=True, help="Random words instead of sentences: more variety, for training.")
@click.option("--noisy", is_flag=True, help="Any room and noise instead of a studio.")
@click.option("--view", default=2.9, show_default=True, type=click.FloatRange(1.2, 6), help="Dm across the image.")
@click.option(
    "--first-identity", default=0, show_default=True, type=click.IntRange(0), help="Number of the first person."
)
@click.option(
    "--crf", default=16, show_default=True, type=click.IntRange(0, 40), help="Video quality, lower is better."
)
@click.option("--name", default="synthetic", show_default=True, help="Of the data set.")
@click.option("--workers", default=0, type=click.IntRange(0), help="Processes; all cores when left out.")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder to write.")
def main(
    identities: int,
    clips_per_identity: int,
    languages: str,
    seconds: float,
    size: str,
    fps: float,
    seed: int,
    difficulty: str,
    voices: str,
    pool: str,
    words: bool,
    noisy: bool,
    view: float,
    first_identity: int,
    crf: int,
    name: str,
    workers: int,
    out: Path,
) -> None:
    """Write a data set of generated talking heads whose lips are known in every language.

    \b
    Example: lipbench data synthesize --identities 2 --languages en,fr --seconds 4 -o corpus
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from lipbench.synthetic.corpus.corpus import MANIFEST, CorpusProgress, generate
    from lipbench.synthetic.corpus.spec import ClipSpec, CorpusSpec

    width, height = resolution(size)
    spec = CorpusSpec(
        name=name,
        seed=seed,
        identities=identities,
        clips_per_identity=clips_per_identity,
        languages=_list(languages),
        difficulties=_list(difficulty),
        first_identity=first_identity,
        crf=crf,
        clip=ClipSpec(
            "",
            0,
            0,
            seconds=seconds,
            fps=fps,
            width=width,
            height=height,
            voices=voices,
            pool=pool,
            shuffle_words=words,
            studio=not noisy,
            view=view,
        ),
    )
    console = Console(stderr=True)
    started, frames = time.monotonic(), 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("clips", total=identities * clips_per_identity)

        def tell(step: CorpusProgress) -> None:
            nonlocal frames
            frames += step.frames
            bar.update(task, completed=step.done)
            if not console.is_terminal:
                kept = "" if step.frames else " (kept)"
                click.echo(f"{step.done}/{step.total} {step.clip}{kept}", err=True)

        command = "lipbench " + shlex.join(sys.argv[1:])
        manifest = generate(spec, out, workers=workers or usable_cores(), command=command, progress=tell)
    seconds_taken = time.monotonic() - started
    click.echo(
        f"{len(manifest.clips)} clips, {len(manifest.dubs)} dubs, {frames} new frames in {seconds_taken:.0f} s: "
        f"{out / MANIFEST}"
    )
