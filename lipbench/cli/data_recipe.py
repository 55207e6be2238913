"""lipbench data recipe: a manifest from the folder of a public data set."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from lipbench.datasets.recipes.write import Written

#: Names that are listed of a kind of trouble.
SHOWN = 5


@click.command("recipe")
@click.argument("name", required=False)
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--consent", default="", help="On what grounds these faces may be altered; required.")
@click.option("--licence", help="Id of the licence of your copy; required where the recipe has none.")
@click.option("--licence-url", default="", help='Where its text is; needed for "other".')
@click.option("--language", help="BCP-47 tag of the speech. [default: the recipe's]")
@click.option("--speaker", "speakers", multiple=True, help="Only this speaker; repeatable.")
@click.option("--limit", type=click.IntRange(1), help="Only so many clips, evenly from all.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="The manifest to write. [default: NAME.yaml]")
def main(
    name: str | None,
    folder: Path | None,
    consent: str,
    licence: str | None,
    licence_url: str,
    language: str | None,
    speakers: tuple[str, ...],
    limit: int | None,
    out: Path | None,
) -> None:
    """Write the manifest of a public data set that lies in FOLDER; without FOLDER, say what is known of it.

    Nothing is downloaded. Every file is opened and hashed, and compared with what the set's own lists say.

    \b
    Example: lipbench data recipe hdtf /data/hdtf --consent "research, ethics vote 12/34"
    """
    from lipbench.datasets.licences import licence_of
    from lipbench.datasets.recipes.write import RECIPES, recipe, write_manifest

    if name is None or folder is None:
        for one in RECIPES.values() if name is None else [recipe(name)]:
            click.echo(f"{one.name}\n  layout    {one.layout}\n  verified  {one.verified}")
            of = "" if one.licence is None else f"{one.licence.id}: "
            click.echo(f"  licence   {of}{one.licence_note}")
            for trap in one.traps:
                click.echo(f"  mind      {trap}")
        return

    def tell(done: int, total: int) -> None:
        if sys.stderr.isatty() or done == total or done % 100 == 0:
            click.echo(f"{done}/{total} files", err=True)

    given = None if licence is None else licence_of(licence, licence_url)
    written = write_manifest(
        name,
        folder,
        out or Path(f"{name}.yaml"),
        consent=consent,
        licence=given,
        language=language,
        speakers=speakers,
        limit=limit,
        tell=tell,
    )
    _show(written, out or Path(f"{name}.yaml"))


def _show(written: Written, out: Path) -> None:
    of = "of an unknown number" if written.expected is None else f"of {written.expected}"
    click.echo(f"{out}: {len(written.manifest.clips)} clips; present {written.present} {of}")
    for what, lines in (("unreadable, left out", written.unread), ("of another size than stated", written.sizes)):
        if lines:
            more = f" and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
            click.echo(f"{len(lines)} {what}: {'; '.join(lines[:SHOWN])}{more}")
    for remark in written.remarks:
        click.echo(f"remark: {remark}")
    click.echo("these clips have no dubs: add some with `lipbench data add`")
