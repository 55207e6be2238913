"""lipbench data: check, show and build manifests and data sets."""

from __future__ import annotations

import importlib
import json
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lipbench.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from lipbench.datasets.add import AddResult
    from lipbench.datasets.check import ManifestReport
    from lipbench.datasets.types import Manifest

#: Commands that live in modules of their own: name -> ("module:attribute", one line of help); imported when called.
SUBCOMMANDS: dict[str, tuple[str, str]] = {
    "cut": ("lipbench.cli.data_cut:main", "Cut scenes of a film that was aligned: clips and their dubs."),
    "align": ("lipbench.cli.data_align:main", "Find the dubs of a film by the music and effects they share with it."),
    "check": ("lipbench.cli.data_check:main", "Check manifests: fields, files, hashes, what the media hold."),
    "offsets": ("lipbench.cli.data_offsets:main", "Measure by how many frames each clip is out of sync itself."),
    "shots": ("lipbench.cli.data_shots:main", "Find the shots of a film, the people in them, and which are of use."),
    "recipe": ("lipbench.cli.data_recipe:main", "Write the manifest of a public data set that you have."),
    "template": ("lipbench.cli.data_template:main", "Print the manifest of the paper's data set, to be filled in."),
    "synthesize": ("lipbench.cli.data_synthesize:main", "Write a data set of generated talking heads."),
}

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class DataGroup(click.Group):
    """The commands of this file and those named in SUBCOMMANDS."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *SUBCOMMANDS]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in SUBCOMMANDS:
            module, _, attribute = SUBCOMMANDS[name][0].partition(":")
            command: click.Command = getattr(importlib.import_module(module), attribute)
            return command
        return super().get_command(ctx, name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = [(name, command.get_short_help_str(80)) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl([*own, *((name, line) for name, (_, line) in SUBCOMMANDS.items())])


@click.group(cls=DataGroup)
def main() -> None:
    """Check, show and build manifests and data sets."""


# ---- show -----------------------------------------------------------------------------------------------------


@main.command()
@click.argument("file")
@as_json
def show(file: str, as_json: bool) -> None:
    """Show the clips and dubs of a manifest (or of a data set by name) with lengths and licences."""
    from lipbench.core.document import of_mapping
    from lipbench.datasets.check import ManifestReport, probe_media
    from lipbench.datasets.manifest import resolve

    manifest = resolve(file)
    report = ManifestReport(manifest)
    probe_media(manifest, of_mapping({}, file), report)
    if as_json:
        click.echo(json.dumps(_manifest_json(manifest, report), indent=2))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    title = f"{manifest.name} {manifest.version}: {len(manifest.clips)} clips, {len(manifest.dubs)} dubs"
    clips = Table(
        "clip",
        "size",
        "fps",
        "length",
        "speaker",
        "language",
        "dubs",
        "licence",
        "consent",
        title=title,
        box=box.SIMPLE,
    )
    for clip in manifest.clips:
        facts = report.clips.get(clip.id)
        seen = ("–", "–", "–")
        if facts is not None:
            seen = (f"{facts.width}x{facts.height}", f"{facts.fps:g}", f"{facts.used_s:.2f} s")
        languages = " ".join(dub.language for dub in manifest.dubs_of(clip.id))
        clips.add_row(clip.id, *seen, clip.speaker, clip.language, languages, clip.licence.id, clip.consent)
    dubs = Table("dub", "clip", "language", "kind", "length", "against the clip", box=box.SIMPLE)
    for dub in manifest.dubs:
        length = report.dubs.get(dub.id)
        seconds, longer = ("–", "–")
        if length is not None:
            seconds = f"{length.duration_s:.2f} s"
            longer = "–" if length.longer_s is None else f"{length.longer_s:+.2f} s"
        dubs.add_row(dub.id, dub.clip_id, dub.language, dub.kind, seconds, longer)
    # A pipe has no width: cut text would be lost, so it gets as much as it needs.
    console = Console(width=None if sys.stdout.isatty() else 240, highlight=False)
    console.print(clips)
    console.print(dubs)
    _say_rights(manifest, console)
    for name, ids in manifest.splits.items():
        console.print(f"split {name}: {', '.join(ids)}")
    console.print(f"digest {manifest.digest}")
    if unseen := len(report.errors) + sum(not clip.video.is_file() for clip in manifest.clips):
        console.print(f"{unseen} files are missing or cannot be opened: `lipbench data check` says which")


def _say_rights(manifest: Manifest, console: Console) -> None:
    """Who may do what, by licence and by consent."""
    from lipbench.datasets.licences import rights

    console.print("who may do what (as a rule; the texts and the law decide):")
    licences = Counter(clip.licence for clip in manifest.clips)
    for licence, n in licences.items():
        where = f" {licence.url}" if licence.url else ""
        console.print(f"  {licence.id}{where}, {_clips(n)}: {rights(licence.id).words()}")
    for consent, n in Counter(clip.consent for clip in manifest.clips).items():
        console.print(f'  faces may be altered on the grounds "{consent}", {_clips(n)}', markup=False)
    console.print("  videos that lipbench makes of them carry the tag synthetic=true")


def _clips(n: int) -> str:
    return f"{n} clip{'s' if n > 1 else ''}"


def _manifest_json(manifest: Manifest, report: ManifestReport) -> dict[str, Any]:
    from lipbench.datasets.licences import rights

    clips, dubs = [], []
    for clip in manifest.clips:
        facts = report.clips.get(clip.id)
        clips.append(
            {
                "id": clip.id,
                "video": str(clip.video),
                "sha256": clip.sha256,
                "speaker": clip.speaker,
                "language": clip.language,
                "licence": asdict(clip.licence),
                "consent": clip.consent,
                "rights": asdict(rights(clip.licence.id)),
                "source_url": clip.source_url,
                "start_s": clip.start_s,
                "end_s": clip.end_s,
                "segments": [list(segment) for segment in clip.segments],
                "av_offset": clip.av_offset,
                "truth": {tag: str(path) for tag, path in clip.truth.items()},
                "media": None if facts is None else asdict(facts),
            }
        )
    for dub in manifest.dubs:
        length = report.dubs.get(dub.id)
        dubs.append(
            {
                "id": dub.id,
                "clip": dub.clip_id,
                "language": dub.language,
                "kind": dub.kind,
                "audio": None if dub.audio is None else str(dub.audio),
                "sha256": dub.sha256,
                "offset_s": dub.offset_s,
                "duration_s": None if length is None else length.duration_s,
                "longer_s": None if length is None else length.longer_s,
            }
        )
    return {
        "name": manifest.name,
        "version": manifest.version,
        "digest": manifest.digest,
        "root": str(manifest.root),
        "licence": asdict(manifest.licence),
        "superseded_by": manifest.superseded_by,
        "clips": clips,
        "dubs": dubs,
        "splits": {name: list(ids) for name, ids in manifest.splits.items()},
    }


# ---- add ------------------------------------------------------------------------------------------------------


@main.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@click.argument("video", required=False, type=click.Path(path_type=Path))
@click.option("--from", "film", type=click.Path(path_type=Path), help="A film: its scenes are added instead of VIDEO.")
@click.option("--scene", "scenes", multiple=True, metavar="FROM-TO", help="Of the film, 00:12:30-00:13:10; repeatable.")
@click.option("--align", type=click.Path(path_type=Path), help="The film's .align.yaml, made where it is not there.")
@click.option("--shots", type=click.Path(path_type=Path), help="The film's .shots.yaml: a scene's used shots alone.")
@click.option("--dub", "dubs", multiple=True, metavar="LANG=FILE", help="A dub, e.g. fr=french.wav; repeatable.")
@click.option("--id", "id", help="Id of the clip; made of the file's name when left out.")
@click.option("--speaker", help="Who speaks; the id when left out.")
@click.option("--language", help="BCP-47 tag of the original speech, e.g. en.")
@click.option("--licence", help="Licence id of the clip; the manifest's when left out.")
@click.option("--licence-url", default="", help='Where the licence is; needed for "other".')
@click.option("--consent", default="", help="On what grounds this face may be altered.")
@click.option("--source-url", default="", help="Where the clip comes from.")
@click.option(
    "--kind", type=click.Choice(["recorded", "tts", "synthetic"]), help="What the dubs are. [default: recorded]"
)
@click.option("--start", type=float, help="Second at which the used part begins, of VIDEO and of its dubs.")
@click.option("--end", type=float, help="Second at which it ends.")
@click.option("--fps", type=float, help="Pictures per second, where VIDEO is a series of pictures.")
@click.option("--channel", help="The one channel of the sounds that is used, e.g. center. [default: all, mixed]")
@click.option("--offset", "offset_s", multiple=True, metavar="[LANG=]S", help="> 0 delays a dub, < 0 cuts its start.")
@click.option("--transcript", multiple=True, metavar="[LANG=]TEXT", help="What a dub says.")
@click.option("--phonemes", multiple=True, metavar="[LANG=]FILE", help="Its phonemes: TextGrid, ctm or JSON.")
@click.option("--dub-start", "start_s", multiple=True, metavar="[LANG=]S", help="Where a dub begins in its file.")
@click.option("--dub-end", "end_s", multiple=True, metavar="[LANG=]S", help="Where it ends there.")
@click.option("--rate", multiple=True, metavar="[LANG=]R", help="How much faster than VIDEO it runs, e.g. 25/23.976.")
@click.option("--copy", is_flag=True, help="Copy files that lie outside the manifest's root into it.")
@click.option(
    "--own-offset/--no-own-offset",
    default=None,
    help="Measure by how many frames a new clip is out of sync itself and write `av_offset`, as `data offsets` does. "
    "[default: where the weights mediapipe-face are]",
)
@as_json
def add(
    manifest: Path,
    video: Path | None,
    film: Path | None,
    scenes: tuple[str, ...],
    align: Path | None,
    shots: Path | None,
    dubs: tuple[str, ...],
    copy: bool,
    own_offset: bool | None,
    as_json: bool,
    **said: Any,
) -> None:
    """Add a video and its dubs to a manifest, which is made when it is not there.

    Probes and hashes the files. What is written already (comments, layout) stays. A clip that is in the manifest
    already only gets the new dubs. FILE:a:N is a file with its audio stream N, counted from 0.

    VIDEO may also be a folder of videos (then --dub LANG=FOLDER holds a dub with the name of each), a folder or
    pattern of numbered pictures, or a list.csv: its first line names its columns (docs/manifest.md), each further one
    is a clip or a dub of one.

    With --from FILM --scene FROM-TO the dubs are aligned (`data align`; the film's own tracks unless --dub names
    others), the scenes cut into the folder `media` beside MANIFEST (`data cut`) and added. With --shots a clip is
    the shots of its scene that `data shots` found to be of use (`segments`).
    """
    from lipbench.cli.data_add import OPTIONS, add_all, measure_offsets, new_dubs
    from lipbench.datasets.lists import Entry, entries
    from lipbench.datasets.manifest import load_manifest

    about = {name: said.pop(name) for name in OPTIONS}
    if (video is None) == (film is None):
        raise UsageError("what is to be added?", "VIDEO or --from FILM, one of them", "name a video, or a film")
    if film is not None:
        from lipbench.cli.data_add_film import scene_entries

        wanted = scene_entries(manifest, film, scenes, dubs, align, shots, as_json)
    elif scenes or align or shots:
        raise UsageError(
            "--scene, --align and --shots go with --from FILM", "a video is added whole", "use --start and --end"
        )
    else:
        assert video is not None
        wanted = entries(video, new_dubs(dubs, said["channel"], about))
    if said["id"] and len(wanted) > 1:
        raise UsageError(f"--id names one clip, {video or film} holds {len(wanted)}", "", "leave it out")
    asks = sys.stdin.isatty() and not as_json
    done = add_all(manifest, wanted, Entry(video or wanted[0].video, **said), copy, asks)
    for text in dict.fromkeys(text for one in done for text in one.warnings):
        click.echo(f"warning: {text}", err=True)
    offsets = measure_offsets(manifest, [one.clip_id for one in done if one.new_clip], own_offset)
    if as_json:
        clips = [
            {
                "clip": one.clip_id,
                "new_clip": one.new_clip,
                "dubs": list(one.dub_ids),
                **({"own_offset": offsets[one.clip_id].found.as_json()} if one.clip_id in offsets else {}),
            }
            for one in done
        ]
        data: dict[str, Any] = {"manifest": str(manifest), **(clips[0] if len(clips) == 1 else {"clips": clips})}
        warnings = [text for one in done for text in one.warnings]
        digest = load_manifest(manifest).digest
        click.echo(json.dumps({**data, "digest": digest, **({"warnings": warnings} if warnings else {})}, indent=2))
        return
    added = [name for one in done for name in _added(one)]
    click.echo(f"{manifest}: added {', '.join(added)}" if added else f"{manifest}: all of it is there already")
    for one in offsets.values():
        click.echo(f"  own offset of {one.line()}")


def _added(one: AddResult) -> list[str]:
    return [*([f"clip {one.clip_id}"] if one.new_clip else []), *(f"dub {name}" for name in one.dub_ids)]


# ---- schema ---------------------------------------------------------------------------------------------------


@main.command()
@click.argument("form", type=click.Choice(["manifest", "run", "method"]), default="manifest")
def schema(form: str) -> None:
    """Print the JSON Schema of manifests, run files or external method files, for editors."""
    if form == "manifest":
        from lipbench.datasets.model import json_schema
    elif form == "run":
        from lipbench.engine.config import json_schema
    else:
        from lipbench.baselines.external.reading import json_schema
    click.echo(json_schema(), nl=False)
