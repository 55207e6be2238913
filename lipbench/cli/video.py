"""lipbench video: side-by-side videos of a run."""

from __future__ import annotations

import json
from pathlib import Path

import click


def _csv(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part for value in values for part in value.split(",") if part)


@click.command(name="video")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="Folder. [default: videos/ in RUN]"
)
@click.option("--clip", "clips", multiple=True, callback=_csv, help="Only clips that match this glob pattern.")
@click.option("--lang", "languages", multiple=True, callback=_csv, help="Only these dub languages.")
@click.option(
    "--method",
    "methods",
    multiple=True,
    callback=_csv,
    help="Pictures, by label and in this order; also `source` and `truth`. [default: all]",
)
@click.option("--height", type=click.IntRange(64, 2160), default=360, show_default=True, help="Of each picture, px.")
@click.option("--columns", type=click.IntRange(1, 12), default=4, show_default=True, help="Pictures in a line.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def main(
    run: Path,
    output: Path | None,
    clips: tuple[str, ...],
    languages: tuple[str, ...],
    methods: tuple[str, ...],
    height: int,
    columns: int,
    as_json: bool,
) -> None:
    """Write one labelled mp4 per clip and dub of the run directory RUN: all methods side by side, with the dub's audio.

    A method without a video keeps its place, and the place says why.

    \b
    Examples:
      lipbench video runs/demo
      lipbench video runs/demo --lang fr --method truth,wav2lip-demo --height 512 -o supplement
    """
    from lipbench.reports import side_by_side
    from lipbench.reports.details import Details

    made = side_by_side.write(
        Details(run),
        run / "videos" if output is None else output,
        clips=clips,
        languages=languages,
        methods=methods,
        height=height,
        columns=columns,
        log=(lambda line: None) if as_json else (lambda line: click.echo(line, err=True)),
    )
    if as_json:
        files = [{"video": str(one.path), "titles": one.titles, "missing": dict(one.missing)} for one in made]
        click.echo(json.dumps(files, ensure_ascii=False))
        return
    for one in made:
        lacking = "".join(f"; no {title}: {why}" for title, why in one.missing)
        click.echo(f"{one.path}: {', '.join(one.titles)}{lacking}")
