"""What stands behind `lipbench data add --from FILM`: align, cut, and hand the scenes on to be added."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lipbench.cli.data_align import ENDING, line, pairs
from lipbench.core.errors import UsageError

if TYPE_CHECKING:
    from lipbench.datasets.lists import Entry

Segments = tuple[tuple[float, float], ...]


def scene_entries(
    manifest: Path,
    film: Path,
    scenes: Sequence[str],
    dubs: Sequence[str],
    align: Path | None,
    shots: Path | None,
    quiet: bool,
) -> list[Entry]:
    """The scenes of a film, cut into `media` beside the manifest, as what is to be added.

    Args:
        manifest: that they will be added to.
        film: the film.
        scenes: FROM-TO each.
        dubs: LANG=FILE each; the film's own tracks when there are none.
        align: the file of the alignment; beside the manifest, by the film's name, when left out.
        shots: the film's shots; the used ones of a scene become the segments of its clip.
        quiet: print nothing but warnings.

    Raises:
        UsageError: no scene is named, or one lies outside the film.
        Refused: no dub can be cut in a scene, or no used shot lies in it.
    """
    from lipbench.cli.data_cut import show
    from lipbench.datasets.film.align_film import AlignedDub, align_film
    from lipbench.datasets.film.cut import CutForm, check_scenes, cut_scene
    from lipbench.datasets.film.shot_scenes import segments_of, used_shots
    from lipbench.datasets.film.times import Scene, scene
    from lipbench.datasets.lists import Entry
    from lipbench.datasets.new_entries import NewDub

    if not scenes:
        raise UsageError("--from needs a scene", "films are long", "add --scene 00:12:30-00:13:10; it can be repeated")
    wanted, form = [scene(text) for text in scenes], CutForm()
    used = () if shots is None else used_shots(shots, film)
    parts: dict[Scene, Segments] = {one: segments_of(used, one, form.fps) for one in wanted} if used else {}
    path = align or manifest.parent / f"{film.stem}{ENDING}"

    def tell(one: AlignedDub) -> None:
        for text in one.remarks:
            click.echo(f"warning: {one.language}: {text}", err=True)
        click.echo(line(one.language, one.entry), err=quiet)

    file = align_film(film, path, dubs=pairs(dubs, "--dub", "fr=french.mka"), done=tell)
    check_scenes(file, wanted)
    found = []
    for one in wanted:
        made = cut_scene(file, path.parent, one, manifest.parent / "media", form)
        if not quiet:
            show(made)
        new = {language: NewDub(sound, aligned=made.aligned[language]) for language, sound in made.dubs.items()}
        found.append(Entry(made.clip, id=made.id, segments=parts.get(one, ()), dubs=new))
    return found
