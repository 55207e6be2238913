"""lipbench data offsets: how far is each clip out of sync itself?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from lipbench.engine.own_offsets import ClipOffset


@click.command("offsets")
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--clip", "clips", multiple=True, metavar="ID", help="Only these clips; repeatable. [default: all]")
@click.option("--faces", default="mediapipe-face", show_default=True, help="Face backend.")
@click.option("--write", is_flag=True, help="Write `av_offset` into MANIFEST where it is not there and was found.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(manifest: Path, clips: tuple[str, ...], faces: str, write: bool, as_json: bool) -> None:
    """Measure by how many frames the own audio of each clip of MANIFEST leads its image (negative: it lags).

    Found footage is rarely in sync, and a dub of it is right where the clip itself is. With `av_offset` in the manifest
    runs judge it there: lse_d_at_own, sync_d, sync_gain. A clip that is too short or too quiet to tell says so, and
    nothing is written for it. What stands in the manifest already stays.

    \b
    Example: lipbench data offsets my.yaml --write
    """
    from lipbench.core.errors import UsageError
    from lipbench.datasets.manifest import load_manifest
    from lipbench.engine.own_offsets import clip_offset, write_offsets

    if not manifest.exists():
        raise UsageError(f"there is no manifest {manifest}", "clips of a file are measured", "check the path")
    known = {clip.id: clip for clip in load_manifest(manifest).clips}
    for name in clips:
        if name not in known:
            raise UsageError(f"there is no clip {name!r}", f"{manifest} has: {', '.join(known)}", "check --clip")
    found: list[ClipOffset] = []
    for name in clips or known:
        one = clip_offset(known[name], faces=faces)
        found.append(one)
        if not as_json:
            click.echo(one.line())
    new = {one.clip: one.found.frames for one in found if one.written is None and one.found.frames is not None}
    if write and new:
        write_offsets(manifest, new)
    if as_json:
        written = sorted(new) if write else []
        click.echo(json.dumps({"offsets": [one.as_json() for one in found], "written": written}, indent=2))
    elif new:
        n = f"{len(new)} clip{'s' if len(new) > 1 else ''}"
        click.echo(f"{manifest}: av_offset of {n} written" if write else f"--write puts av_offset of {n} there")
