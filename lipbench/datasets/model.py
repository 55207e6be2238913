"""The manifest file's format as pydantic models: types, defaults, what each field means, and its JSON Schema.

What needs the whole file or the disk (duplicates, references, paths) is checked in `lipbench.datasets.manifest`.
"""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from lipbench.core import fields
from lipbench.core.errors import UsageError
from lipbench.core.fields import mistake, or_text
from lipbench.datasets.aligned import AlignedEntry
from lipbench.datasets.licences import LICENCES, NEED_URL
from lipbench.datasets.segments import check_segments
from lipbench.datasets.types import SCHEMA

SCHEMA_FILE = Path(__file__).with_name("manifest.schema.json")

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._@/-]{0,127}$"
# RFC 5646: language (with extended languages), script, region, variants, extensions, private use.
LANGUAGE_PATTERN = (
    r"^([A-Za-z]{2,3}(-[A-Za-z]{3}){0,3}|[A-Za-z]{4,8})(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?"
    r"(-([A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*(-[A-WY-Za-wy-z0-9](-[A-Za-z0-9]{2,8})+)*(-[xX](-[A-Za-z0-9]{1,8})+)?$"
)


def language_tag(value: str) -> str:
    """A BCP-47 tag in its usual case: en, pt-BR, zh-Hant-TW.

    Raises:
        ValueError: not well-formed.
    """
    if not re.fullmatch(LANGUAGE_PATTERN, value):
        raise mistake("not a language tag", "write a BCP-47 tag such as en, fr, pt-BR or zh-Hans")
    first, *rest = value.split("-")
    parts, extension = [first.lower()], False
    for part in rest:
        extension = extension or len(part) == 1
        plain = extension or len(part) not in (2, 4) or not part.isalpha()
        parts.append(part.lower() if plain else part.upper() if len(part) == 2 else part.title())
    return "-".join(parts)


def _identifier(value: str) -> str:
    if not re.fullmatch(ID_PATTERN, value):
        raise mistake("not an id", "use letters, digits and . _ - @ /, starting with a letter or a digit")
    if any(part in ("", ".", "..") for part in value.split("/")):
        raise mistake("not an id: an empty or dotted part between slashes", "name every part")
    return value


def _hash(value: str) -> str:
    value = value.lower()
    if len(value) != 64:
        raise mistake(f"{len(value)} characters, 64 needed", "`sha256sum FILE` prints it")
    if not re.fullmatch("[0-9a-f]{64}", value):
        raise mistake("not a hash: only the digits 0-9 and a-f", "`sha256sum FILE` prints it")
    return value


def _licence_id(value: str) -> str:
    if value not in LICENCES:
        near = difflib.get_close_matches(value, LICENCES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(LICENCES)}"
        raise mistake("not a licence on the list", hint)
    return value


def _version(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _ratio(value: Any) -> Any:
    """25/23.976 as a number; everything else as it is."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*/\s*(\d+(?:\.\d+)?)\s*", value) if isinstance(value, str) else None
    if match is None:
        return value
    if float(match[2]) == 0:
        raise mistake("divides by zero", "write a number such as 1.04, or two such as 25/24")
    return float(match[1]) / float(match[2])


def _relative(value: str) -> str:
    if not value.strip():
        raise mistake("nothing is given", "write a path relative to root")
    if "\0" in value:
        raise mistake("a path cannot hold a zero byte", "write a path relative to root")
    if Path(value).is_absolute() or value.startswith("~") or re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", value):
        raise mistake("must be a path relative to root", "set `root:` to the folder that holds the files")
    return value


Identifier = Annotated[str, AfterValidator(_identifier), Field(json_schema_extra={"pattern": ID_PATTERN})]
Language = Annotated[str, AfterValidator(language_tag), Field(json_schema_extra={"pattern": LANGUAGE_PATTERN})]
Sha256 = Annotated[str, AfterValidator(_hash), Field(json_schema_extra={"pattern": "^[0-9A-Fa-f]{64}$"})]
LicenceId = Annotated[str, AfterValidator(_licence_id), Field(json_schema_extra={"enum": list(LICENCES)})]
RelativePath = Annotated[str, AfterValidator(_relative), Field(min_length=1)]
Seconds = Annotated[float, Field(allow_inf_nan=False)]
Stream = Annotated[int, Field(ge=0)]
Channel = Literal["left", "right", "center", "lfe", "back_left", "back_right", "back_center", "side_left", "side_right"]
Rate = Annotated[
    float,
    BeforeValidator(_ratio),
    Field(ge=0.5, le=2, allow_inf_nan=False),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0.5, "maximum": 2}, {"type": "string", "pattern": "/"}]}),
]


Segment = tuple[Annotated[Seconds, Field(ge=0)], Annotated[Seconds, Field(gt=0)]]


class ManifestModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=False)


class LicenceEntry(ManifestModel):
    """A licence: its id alone, or id and url."""

    id: LicenceId = Field(description="Of the closed list of licences.")
    url: str = Field("", description='Where the text is; required for "other".')
    checked: str = Field("", description="When it was looked up.")
    by: str = Field("", description="Who looked it up.")

    @model_validator(mode="after")
    def _url(self) -> LicenceEntry:
        if self.id in NEED_URL and not self.url:
            raise mistake(f'licence "{self.id}" needs a url', f"write {{id: {self.id}, url: https://...}}")
        return self


class TruthEntry(ManifestModel):
    """The correct video of a dub: its path alone, or with hash and annotations."""

    video: RelativePath = Field(description="Relative to root.")
    sha256: Sha256 | None = Field(None, description="Of the video file.")
    annotations: RelativePath | None = Field(None, description="Per-frame truth (npz) of this video.")


LicenceField = Annotated[LicenceEntry, or_text("id", LicenceId | LicenceEntry)]
TruthField = Annotated[TruthEntry, or_text("video", RelativePath | TruthEntry)]


class ClipEntry(ManifestModel):
    """One shot-consistent video of one speaker with its original audio."""

    id: Identifier = Field(description="Unique in the manifest; dubs, splits and options name the clip by it.")
    video: RelativePath = Field(
        description="Relative to root: a video file, a folder of numbered pictures, or a pattern such as f/f%04d.png."
    )
    sha256: Sha256 = Field(description="Of the video file; of pictures that of what `sha256sum *.png` prints.")
    speaker: str = Field(min_length=1, description="Clips of one person share it.")
    language: Language = Field(description="BCP-47 tag of the original speech.")
    fps: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] | None = Field(
        None, description="Frames per second; `lipbench data check` compares it with the file. Pictures need it."
    )
    start_s: Annotated[Seconds, Field(ge=0)] = Field(
        0.0, description="First second that is used, of the video and of its dubs that say nothing else."
    )
    end_s: Annotated[Seconds, Field(gt=0)] | None = Field(
        None, description="End of the part that is used, of the video and of its dubs that say nothing else."
    )
    segments: tuple[Segment, ...] = Field(
        (),
        description="Instead of start_s and end_s: the parts [start, end] of the video that show the speaker, in "
        "order. They are one clip, one after the other, and so are its dubs; what lies between them is left out.",
    )
    stream: Stream | None = Field(
        None, description="Which audio stream of the video is its sound, from 0; chosen by the language when left out."
    )
    channel: Channel | None = Field(None, description="The one channel that is used; all are mixed when left out.")
    licence: LicenceField | None = Field(None, description="The manifest's when left out.")
    consent: str = Field("", description="Grounds for altering this face; the manifest's when left out.")
    source_url: str = Field("", description="Where the clip comes from.")
    landmarks: RelativePath | None = Field(None, description="Face landmarks over the video, instead of detection.")
    annotations: RelativePath | None = Field(None, description="Per-frame truth (npz) of generated clips.")
    truth: dict[Language, TruthField] = Field(
        default_factory=dict, description="Language -> the correct video of that dub; generated clips only."
    )
    face: str | None = Field(
        None, description="Which of several faces: left, right, largest or X,Y; else who speaks, if clear."
    )
    av_offset: Annotated[int, Field(ge=-15, le=15)] | None = Field(
        None,
        description="Frames at 25 fps by which the clip's own audio leads its image (negative: it lags); its dubs are "
        "judged there. `lipbench data offsets` measures it.",
    )

    @field_validator("face")
    @classmethod
    def _which(cls, value: str | None) -> str | None:
        from lipbench.faces.which import FORMS, Which

        try:
            Which.parse(value)
        except UsageError as error:
            raise mistake(error.what, f"say {FORMS}") from error
        return value

    @model_validator(mode="after")
    def _span(self) -> ClipEntry:
        if self.end_s is not None and self.end_s <= self.start_s:
            raise mistake(f"ends ({self.end_s:g} s) before it starts ({self.start_s:g} s)", "mend start_s or end_s")
        return self

    @model_validator(mode="after")
    def _segments(self) -> ClipEntry:
        names = ("start_s", "end_s", "landmarks", "annotations", "truth")
        check_segments(self.segments, [name for name in names if getattr(self, name)])
        return self


class DubEntry(ManifestModel):
    """An aligned target audio of a clip in one language."""

    id: Identifier | None = Field(None, description="clip@language when left out.")
    clip: Identifier = Field(description="Id of the clip it belongs to.")
    language: Language = Field(description="BCP-47 tag of what is spoken; picks the audio stream in a film of several.")
    kind: Literal["original", "recorded", "tts", "synthetic"] = Field(
        "recorded", description="recorded: spoken by a person; tts, synthetic: made; original: the clip's own sound."
    )
    audio: RelativePath | None = Field(
        None, description="Relative to root; only kind original may leave it out: the sound of the clip's video."
    )
    sha256: Sha256 | None = Field(None, description="Of the audio file; required with audio.")
    offset_s: Seconds = Field(0.0, description="> 0 delays the audio, < 0 cuts its start.")
    start_s: Annotated[Seconds, Field(ge=0)] | None = Field(
        None, description="Second of the audio file that belongs to the clip's start_s; the same one when left out."
    )
    end_s: Annotated[Seconds, Field(gt=0)] | None = Field(
        None, description="Second of the audio file where the dub ends; with the clip's end_s when left out."
    )
    rate: Rate = Field(
        1.0, description="How much faster than its clip the audio runs: 25/23.976 for PAL speed on a film of 23.976."
    )
    stream: Stream | None = Field(
        None, description="Which audio stream of the file, from 0; chosen by the language when left out."
    )
    channel: Channel | None = Field(None, description="The one channel that is used; all are mixed when left out.")
    transcript: str | None = Field(None, description="What is said.")
    phonemes: RelativePath | None = Field(None, description="Timed phonemes: TextGrid, CTM or JSON.")
    aligned: AlignedEntry | None = Field(None, description="How a dub that was cut out of a film was aligned with it.")

    @model_validator(mode="after")
    def _sound(self) -> DubEntry:
        if self.audio is None and self.kind != "original":
            raise mistake(f"audio is missing: kind {self.kind} needs a file", "add `audio:` and `sha256:`")
        if self.audio is not None and self.sha256 is None:
            raise mistake("sha256 is missing", "`sha256sum FILE` prints it")
        if self.audio is None and self.sha256 is not None:
            raise mistake("sha256 without audio: it would stand for no file", "add `audio:` or delete `sha256:`")
        if self.audio is None:
            own = {"start_s": self.start_s, "end_s": self.end_s, "stream": self.stream, "channel": self.channel}
            named = [name for name, value in own.items() if value is not None] + ["rate"] * (self.rate != 1)
            if named:
                raise mistake(f"{named[0]} without audio: there is no file to apply it to", "write it in the clip")
        start = self.start_s or 0.0
        if self.end_s is not None and self.end_s <= start:
            raise mistake(f"ends ({self.end_s:g} s) before it starts ({start:g} s)", "mend start_s or end_s")
        return self


class ManifestFile(ManifestModel):
    """A lipbench data set: clips, dubs, splits and licences."""

    schema_version: Annotated[Literal[1], BeforeValidator(_version)] = Field(
        alias="schema", description="Version of this format."
    )
    name: Identifier = Field(description="Of the data set.")
    version: str = Field(min_length=1, description="Of the data set; a new one whenever a hash changes.")
    licence: LicenceField = Field(description="Of the collection, and of clips that name none.")
    consent: str = Field("", description="Of clips that name none.")
    root: str = Field(
        ".", min_length=1, description="Folder of the media, relative to this file; ${NAME} reads the environment."
    )
    clips: tuple[ClipEntry, ...] = Field(min_length=1, description="The videos, each of one speaker.")
    dubs: tuple[DubEntry, ...] = Field((), description="The target audios of the clips.")
    splits: dict[Identifier, tuple[str, ...]] = Field(default_factory=dict, description="Name -> clip ids.")
    superseded_by: str | None = Field(None, description="The data set to use instead of this one.")


def json_schema() -> str:
    """The format's JSON Schema as text, for editors; the packaged `manifest.schema.json` is this."""
    return json.dumps(fields.json_schema(ManifestFile, f"lipbench manifest, schema {SCHEMA}"), indent=2) + "\n"
