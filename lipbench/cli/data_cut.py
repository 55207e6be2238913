"""lipbench data cut: scenes of a film as clips and dubs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lipbench.cli.data_align import ENDING
from lipbench.core.errors import LipbenchError, UsageError

if TYPE_CHECKING:
    from lipbench.datasets.film.cut import CutScene


@click.command("cut")
@click.argument("film", type=click.Path(path_type=Path))
@click.option("--align", "align", type=click.Path(path_type=Path), help="[default: FILM with the ending .align.yaml]")
@click.option("--scene", "scenes", multiple=True, metavar="FROM-TO", help="00:12:30-00:13:10; repeatable.")
@click.option("--shots", type=click.Path(path_type=Path), help="FILM.shots.yaml: each used shot (of --scene) is cut.")
@click.option("--dub", "languages", multiple=True, metavar="LANG", help="Only these dubs. [default: all]")
@click.option("--height", default=720, show_default=True, type=click.IntRange(64, 4320), help="Of the clips, px.")
@click.option("--fps", default=25.0, show_default=True, type=click.FloatRange(10, 120), help="Of the clips.")
@click.option("--channel", help="The dubs' one channel that is used, e.g. center. [default: all, mixed]")
@click.option("--accept-carried", is_flag=True, help="Take a dub that is heard on one side of the scene only.")
@click.option("--change-pitch", is_flag=True, help="Resample dubs whose speed was changed at one pitch.")
@click.option("-o", "--out", default=Path("media"), show_default=True, type=click.Path(path_type=Path), help="Folder.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(
    film: Path,
    align: Path | None,
    scenes: tuple[str, ...],
    shots: Path | None,
    languages: tuple[str, ...],
    height: int,
    fps: float,
    channel: str | None,
    accept_carried: bool,
    change_pitch: bool,
    out: Path,
    as_json: bool,
) -> None:
    """Cut scenes of FILM: a clip each, and its dubs from the same moment on.

    With --shots every shot that `lipbench data shots` found to be of use is a clip; --scene limits them to a part of
    the film. Needs what `lipbench data align` wrote. What was cut already is not cut again. Exit code 2 where a scene
    cannot be cut; the others are.
    """
    from lipbench.datasets.film.align_file import read_align_file
    from lipbench.datasets.film.cut import CutForm, check_scenes, cut_scene
    from lipbench.datasets.film.shot_scenes import shot_scenes, used_shots
    from lipbench.datasets.film.times import scene

    if not scenes and shots is None:
        raise UsageError("which scenes?", "films are long", "add --scene 00:12:30-00:13:10, or --shots FILM.shots.yaml")
    path = align or film.with_suffix(ENDING)
    file = read_align_file(path)
    wanted = [scene(text) for text in scenes]
    check_scenes(file, wanted)
    if shots is not None:
        wanted = shot_scenes(used_shots(shots, film), wanted)
    form = CutForm(fps, height, channel, accept_carried, change_pitch)
    done: list[CutScene] = []
    failed: list[LipbenchError] = []
    for one in wanted:
        try:
            done.append(cut_scene(file, path.parent, one, out, form, languages=languages or None))
        except LipbenchError as error:
            if error.exit_code != 2:
                raise
            failed.append(error)
            if len(wanted) > 1:
                click.echo(f"error: {error.one_line()}", err=True)
            continue
        if not as_json:
            show(done[-1])
    if as_json:
        click.echo(json.dumps([_data(one) for one in done], indent=2))
    if failed:
        raise failed[0]


def show(one: CutScene) -> None:
    """Lines for people."""
    new = "" if one.clip.name in one.made else "  (there already)"
    click.echo(f"{one.clip}  {one.scene}{new}")
    for language, state in one.states.items():
        where = one.dubs.get(language)
        said = f": {state.why}" if state.why else ""
        click.echo(f"  {language}  {state.state}{said}" + (f"  {where}" if where else "  left out"))


def _data(one: CutScene) -> dict[str, object]:
    return {
        "id": one.id,
        "scene": [one.scene.start, one.scene.end],
        "clip": str(one.clip),
        "dubs": {k: str(v) for k, v in one.dubs.items()},
        "states": {k: {"state": v.state, "why": v.why} for k, v in one.states.items()},
        "made": list(one.made),
    }
