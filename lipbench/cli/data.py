"""lipbench data: check, show and build manifests and data sets."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lipbench.core.errors import UsageError
from lipbench.datasets.licences import LICENCES, NEED_URL, commercial
from lipbench.datasets.types import Licence

if TYPE_CHECKING:
    from lipbench.datasets.check import ManifestReport
    from lipbench.datasets.types import Licence, Manifest

#: Commands that live in modules of their own: name -> ("module:attribute", one line of help); imported when called.
SUBCOMMANDS: dict[str, tuple[str, str]] = {
    "check": ("lipbench.cli.data_check:main", "Check manifests: fields, files, hashes, what the media hold."),
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
    uses = sorted({clip.licence.id for clip in manifest.clips})
    console.print("commercial use: " + ", ".join(f"{name}: {commercial(name)}" for name in uses))
    for name, ids in manifest.splits.items():
        console.print(f"split {name}: {', '.join(ids)}")
    console.print(f"digest {manifest.digest}")
    if unseen := len(report.errors) + sum(not clip.video.is_file() for clip in manifest.clips):
        console.print(f"{unseen} files are missing or cannot be opened: `lipbench data check` says which")


def _manifest_json(manifest: Manifest, report: ManifestReport) -> dict[str, Any]:
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
                "source_url": clip.source_url,
                "start_s": clip.start_s,
                "end_s": clip.end_s,
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
@click.argument("video", type=click.Path(path_type=Path))
@click.option("--dub", "dubs", multiple=True, metavar="LANG=FILE", help="A dub, e.g. fr=french.wav; repeatable.")
@click.option("--id", "clip_id", help="Id of the clip; made of the file's name when left out.")
@click.option("--speaker", help="Who speaks; the id when left out.")
@click.option("--language", help="BCP-47 tag of the original speech, e.g. en.")
@click.option("--licence", help="Licence id of the clip; the manifest's when left out.")
@click.option("--licence-url", default="", help='Where the licence is; needed for "other".')
@click.option("--consent", default="", help="On what grounds this face may be altered.")
@click.option("--source-url", default="", help="Where the clip comes from.")
@click.option(
    "--kind",
    type=click.Choice(["recorded", "tts", "synthetic"]),
    default="recorded",
    show_default=True,
    help="What the dubs are.",
)
@click.option("--copy", is_flag=True, help="Copy files that lie outside the manifest's root into it.")
@as_json
def add(
    manifest: Path,
    video: Path,
    dubs: tuple[str, ...],
    clip_id: str | None,
    speaker: str | None,
    language: str | None,
    licence: str | None,
    licence_url: str,
    consent: str,
    source_url: str,
    kind: Any,
    copy: bool,
    as_json: bool,
) -> None:
    """Add a video and its dubs to a manifest, which is made when it is not there.

    Probes and hashes the files. What is written already (comments, layout) stays. A clip that is in the manifest
    already only gets the new dubs.
    """
    from lipbench.core.yaml import read
    from lipbench.datasets.add import add_clip, known_clip
    from lipbench.datasets.manifest import load_manifest

    asks = sys.stdin.isatty() and not as_json
    present = load_manifest(manifest) if manifest.exists() else None
    if known_clip(present, video, clip_id) is None and asks:
        if language is None:
            language = click.prompt("Language of the original speech (BCP-47, e.g. en)")
        if licence is None and present is None:
            licence, licence_url = _ask_licence(licence_url)
        if not consent and not (present and read(manifest).data.get("consent")):
            consent = click.prompt("On what grounds may this face be altered? (e.g. written, on file)")
    done = add_clip(
        manifest,
        video,
        _pairs(dubs),
        clip_id=clip_id,
        speaker=speaker,
        language=language,
        licence=None if licence is None else _licence(licence, licence_url),
        consent=consent,
        source_url=source_url,
        kind=kind,
        copy=copy,
    )
    if as_json:
        data = {"manifest": str(manifest), "clip": done.clip_id, "new_clip": done.new_clip, "dubs": list(done.dub_ids)}
        click.echo(json.dumps({**data, "digest": done.manifest.digest}, indent=2))
        return
    added = [*([f"clip {done.clip_id}"] if done.new_clip else []), *(f"dub {name}" for name in done.dub_ids)]
    click.echo(f"{manifest}: added {', '.join(added)}")


def _pairs(dubs: tuple[str, ...]) -> dict[str, Path]:
    pairs: dict[str, Path] = {}
    for text in dubs:
        language, sign, file = text.partition("=")
        if not (language and sign and file):
            raise UsageError(f"--dub {text}: not LANG=FILE", "", "write for example --dub fr=french.wav")
        if language in pairs:
            raise UsageError(f"--dub {language} is given twice", "", "add the second one in another call")
        pairs[language] = Path(file)
    return pairs


def _ask_licence(url: str) -> tuple[str, str]:
    licence = click.prompt("Licence of the footage", type=click.Choice(list(LICENCES)))
    if licence in NEED_URL and not url:
        url = click.prompt("Where is its text (URL)?")
    return licence, url


def _licence(name: str, url: str) -> Licence:
    """Raises UsageError for an id that is not on the list, or one that needs a URL."""
    from lipbench.core.registry import unknown

    if name not in LICENCES:
        error = unknown("licences", name, list(LICENCES))
        raise UsageError(error.what, error.why, "for any other: --licence other --licence-url URL")
    if name in NEED_URL and not url:
        raise UsageError(f'licence "{name}" needs a URL', "", "give --licence-url")
    return Licence(name, url)


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
