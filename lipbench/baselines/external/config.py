"""The file that describes an external method: its fields. Reading it is in reading.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from lipbench.baselines.external.placeholders import check
from lipbench.core.fields import mistake


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)


def _placed(value: Any) -> Any:
    check(value)
    return value


#: Words for `crop`: x, y, width, height as parts of the frame.
HALVES = {
    "left half": (0.0, 0.0, 0.5, 1.0),
    "right half": (0.5, 0.0, 0.5, 1.0),
    "top half": (0.0, 0.0, 1.0, 0.5),
    "bottom half": (0.0, 0.5, 1.0, 0.5),
}


def _box(value: Any) -> Any:
    """Whole numbers are pixels; one number with a point makes all of them parts of the frame."""
    if isinstance(value, str):
        if value not in HALVES:
            raise mistake(f"there is no part {value!r}", f"one of {', '.join(HALVES)}, or [x, y, width, height]")
        return HALVES[value]
    if not isinstance(value, (list, tuple)) or len(value) != 4:
        raise mistake("four numbers are needed", "x, y, width, height: pixels, or parts of the frame like 0.5")
    texts = [str(number) for number in value]
    try:
        if all(re.fullmatch(r"[+-]?\d+", text) for text in texts):
            box: tuple[float, ...] = tuple(int(text) for text in texts)
            bad = min(box) < 0 or min(box[2:]) < 2
        else:
            box = tuple(float(text) for text in texts)
            x, y, width, height = box
            bad = not (min(box) >= 0 and min(width, height) > 0 and max(x + width, y + height) <= 1 + 1e-9)
    except ValueError as error:
        raise mistake("four numbers are needed", "x, y, width, height: pixels, or parts of the frame") from error
    if bad:
        raise mistake(
            f"{list(value)} is no part of a frame",
            "whole numbers are pixels, [256, 0, 256, 256]; parts of the frame have a point, [0.5, 0.0, 0.5, 1.0]",
        )
    return box


_Half = Literal["left half", "right half", "top half", "bottom half"]
Box = Annotated[
    tuple[int, int, int, int] | tuple[float, float, float, float],
    BeforeValidator(_box, json_schema_input_type=tuple[float, float, float, float] | _Half),
]


def _words(value: Any) -> Any:
    if isinstance(value, str):
        raise mistake("a list of words is needed, never one shell string", "write [python, run.py, --video, ...]")
    return value


#: A command: words as the program gets them; numbers are text as they were written.
Argv = Annotated[tuple[str, ...], BeforeValidator(_words), AfterValidator(_placed), Field(min_length=1)]


class Repo(Part):
    """The checkout. It is never vendored: the user clones it."""

    url: str = Field(default="", description="Where to clone it from.")
    commit: str = Field(default="", description="Commit that the file was written for; another one is refused.")
    path: str = Field(default=".", description="Folder; ~ and ${VARIABLES} are expanded, relative to this file.")


class Licence(Part):
    code: str = "unknown"
    weights: str = "unknown"
    commercial: Literal["yes", "no", "unknown"] = "unknown"


class Env(Part):
    """Where the command runs; lipbench itself is never imported there."""

    type: Literal["none", "venv", "conda", "docker"] = Field(default="none", description="none: lipbench's own Python.")
    name_or_path: str = Field(
        default="", description="venv folder, conda environment (name or folder) or docker image."
    )
    python: str = Field(default="", description="Version that the environment has; `doctor` looks.")
    imports: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*$")], ...] = Field(
        default=(), description="Modules that it must be able to import, e.g. torch; `doctor` tries."
    )
    vars: Annotated[dict[str, str], AfterValidator(_placed)] = Field(
        default_factory=dict, description="Environment variables; placeholders allowed."
    )
    pass_on: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], ...] = Field(
        default=(),
        alias="pass",
        description="Names of variables of lipbench's own environment to hand over beside the usual ones; for tokens.",
    )

    @model_validator(mode="after")
    def _named(self) -> Env:
        if self.type != "none" and not self.name_or_path:
            raise mistake(f"an environment of type {self.type} needs name_or_path", "add `name_or_path:`")
        return self


class WeightFile(Part):
    path: str = Field(description="Relative to the repo, or ~/... for a file in a download cache.")
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$", description="Refused when it differs.")
    size: int | None = Field(default=None, description="Bytes; refused when it differs.")
    required: bool = True


class Needs(Part):
    gpu: bool = False
    min_vram_gb: float = 0
    binaries: tuple[str, ...] = Field(default=(), description="Programs that must be on the PATH.")
    faces: bool = Field(
        default=True, description="Hand over the clip's face track, so that unchanged mouths are noticed."
    )


class Inputs(Part):
    """What the command gets. The video has as many frames as the dub; names are short ASCII in `{work}`."""

    kind: Literal["video", "image"] = Field(default="video", description="image: `{video}` is the first frame as PNG.")
    fps: float | Literal["any"] = Field(default="any", description="Frame rate of `{video}`; any: the clip's.")
    size: tuple[int, int] | Literal["any"] = Field(default="any", description="[width, height] to scale to.")
    audio_rate: int = Field(default=16000, description="Hz of `{audio}` (mono PCM16 wav).")


class EntryPoint(Part):
    """Instead of argv: a Python function or method in the method's own environment, called by a small worker."""

    call: str = Field(pattern=r"^[\w.]+:[\w.]+$", description="module:function or module:Class.method")
    python: str = Field(default="", description="Interpreter; default: the environment's.")
    init: Annotated[dict[str, Any], AfterValidator(_placed)] = Field(
        default_factory=dict, description="Keyword arguments of the class."
    )
    args: Annotated[dict[str, Any], AfterValidator(_placed)] = Field(
        default_factory=dict, description="Further keyword arguments of the call."
    )


class Output(Part):
    find: Literal["exact", "newest-glob", "dir-of-frames"] = "exact"
    pattern: Annotated[str, AfterValidator(_placed)] = Field(
        default="{out}", description="File, glob or folder; relative to the command's working folder."
    )
    fps: float | None = Field(default=None, description="Frame rate of a dir-of-frames; default: that of `{video}`.")


class Post(Part):
    """One step after the command, in the order written. One field a step (pads, drops and paste+blend go together)."""

    crop: Box | None = Field(
        default=None,
        description="x, y, width, height to keep: pixels, or parts of the frame; or left, right, top, bottom half.",
    )
    resize: tuple[int, int] | Literal["clip"] | None = Field(
        default=None, description="[width, height] or the clip's size."
    )
    fps: float | None = Field(default=None, gt=0, description="Resample to this rate.")
    drop_head: int | None = Field(default=None, ge=0, description="Frames to cut at the start.")
    drop_tail: int | None = Field(default=None, ge=0, description="Frames to cut at the end.")
    pad_head: int | None = Field(default=None, ge=0, description="Times to repeat the first frame.")
    pad_tail: int | None = Field(default=None, ge=0, description="Times to repeat the last frame.")
    paste: Annotated[str | None, AfterValidator(_placed)] = Field(
        default=None, description="JSON with a 2x3 matrix (or one per frame): output px -> clip px."
    )
    blend: Literal["none", "feather", "poisson"] | None = Field(
        default=None, description="How `paste` joins; default none."
    )
    mux: Literal["{audio}"] | None = Field(default=None, description="The dub is always muxed in at the end.")

    @model_validator(mode="after")
    def _one_step(self) -> Post:
        given = {name for name, value in self if value is not None}
        together = ({"drop_head", "drop_tail"}, {"pad_head", "pad_tail"}, {"paste", "blend"})
        if given == {"blend"} or not given or (len(given) > 1 and not any(given <= pair for pair in together)):
            raise mistake(
                f"one step per list item, found {', '.join(sorted(given)) or 'none'}", "give each its own `- `"
            )
        return self


class Caps(Part):
    deterministic: bool = Field(default=True, description="The same inputs give the same pixels.")
    seed_flag: str = Field(default="", description="Option that takes the seed; appended with it.")
    pass_through: bool = Field(default=False, description="Returning the input unchanged is no fault.")
    modifies_full_frame: bool = Field(default=False, description="Changes more than the face (for people).")


class Definition(Part):
    """One external method. Placeholders: see `placeholders.NAMES`."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="The method's id and row name.")
    title: str = ""
    version: str = Field(default="1", description="Bump it when the same inputs would give other pixels.")
    paper: str = ""
    kind: Literal["method", "control"] = "method"
    licence: Licence = Field(default_factory=Licence)
    repo: Repo = Field(default_factory=Repo)
    env: Env = Field(default_factory=Env)
    weights: tuple[WeightFile, ...] = ()
    needs: Needs = Field(default_factory=Needs)
    inputs: Inputs = Field(default_factory=Inputs)
    prepare: tuple[Argv, ...] = Field(default=(), description="Commands to run before argv, in the same folder.")
    files: Annotated[dict[str, str], AfterValidator(_placed)] = Field(
        default_factory=dict, description="Path -> content of files to write before."
    )
    argv: Argv | None = Field(default=None, description="The command. argv or entry, not both.")
    entry: EntryPoint | None = None
    cwd: Literal["private", "repo", "work"] = Field(default="private", description="private: a shadow of the checkout.")
    writable: tuple[str, ...] = Field(default=(), description="Folders of the checkout that the command writes to.")
    caches: tuple[str, ...] = Field(
        default=(), description="Folders it downloads into, kept between dubs: ~/..., or relative to the checkout."
    )
    timeout_s: float = Field(default=3600, gt=0)
    output: Output = Field(default_factory=Output)
    post: tuple[Post, ...] = ()
    caps: Caps = Field(default_factory=Caps)
    failures: dict[str, str] = Field(default_factory=dict, description="Reason -> regex over the command's output.")
    paper_results: dict[str, float] = Field(default_factory=dict)
    deviations: tuple[str, ...] = ()

    @field_validator("writable")
    @classmethod
    def _inside(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for folder in value:
            if Path(folder).is_absolute() or ".." in Path(folder).parts:
                raise mistake(f"{folder!r} must lie inside the checkout", "name it relative to the checkout")
        return value

    @field_validator("caches")
    @classmethod
    def _reachable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for folder in value:
            inner = Path(folder.removeprefix("~/"))
            if inner.is_absolute() or ".." in inner.parts or not inner.parts or str(inner).startswith("~"):
                raise mistake(f"{folder!r} is no cache folder", "~/..., or a folder inside the checkout")
        return value

    @field_validator("failures")
    @classmethod
    def _regexes(cls, value: dict[str, str]) -> dict[str, str]:
        for reason, pattern in value.items():
            if not re.fullmatch(r"[a-z_]+", reason):
                raise mistake(f"a reason is one short word like no_face, not {reason!r}", "use a-z and _")
            try:
                re.compile(pattern)
            except re.error as error:
                raise mistake(
                    f"{reason}: {pattern!r} is no regular expression ({error})", "escape its special characters with \\"
                ) from error
        return value

    @model_validator(mode="after")
    def _one_command(self) -> Definition:
        if (self.argv is None) == (self.entry is None):
            raise mistake("give either argv (a command) or entry (a Python call)", "one of them, not both")
        return self
