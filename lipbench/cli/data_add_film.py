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


def scene_entries(
    manifest: Path, film: Path, scenes: Sequence[str], dubs: Sequence[str], align: Path | None, quiet: bool
) -> list[Entry]:
    """The scenes of a film, cut into `media` beside the manifest, as what is to be added.

    Args:
        manifest: that they will be added to.
        film: the film.
        scenes: FROM-TO each.
        dubs: LANG=FILE each; the film's own tracks when there are none.
        align: the file of the alignment; beside the manifest, by the film's name, when left out.
        quiet: print nothing but warnings.

    Raises:
        UsageError: no scene is named, or one lies outside the film.
        Refused: no dub can be cut in a scene.
    """
    from lipbench.cli.data_cut import show
    from lipbench.datasets.add import NewDub
    from lipbench.datasets.film.align_film import AlignedDub, align_film
    from lipbench.datasets.film.cut import check_scenes, cut_scene
    from lipbench.datasets.film.times import scene
    from lipbench.datasets.lists import Entry

    if not scenes:
        raise UsageError("--from needs a scene", "films are long", "add --scene 00:12:30-00:13:10; it can be repeated")
    wanted = [scene(text) for text in scenes]
    path = align or manifest.parent / f"{film.stem}{ENDING}"

    def tell(one: AlignedDub) -> None:
        for text in one.remarks:
            click.echo(f"warning: {one.language}: {text}", err=True)
        click.echo(line(one.language, one.entry), err=quiet)

    file = align_film(film, path, dubs=pairs(dubs, "--dub", "fr=french.mka"), done=tell)
    check_scenes(file, wanted)
    found = []
    for one in wanted:
        made = cut_scene(file, path.parent, one, manifest.parent / "media")
        if not quiet:
            show(made)
        found.append(Entry(made.clip, id=made.id, dubs={k: NewDub(v) for k, v in made.dubs.items()}))
    return found
