"""The file that describes an external method: its fields. Reading it is in reading.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from lipbench.baselines.external.config_env import Env
from lipbench.baselines.external.config_request import Request
from lipbench.baselines.external.parts import Argv, Box, Part, placed
from lipbench.baselines.external.placeholders import uses
from lipbench.core.fields import mistake


class Repo(Part):
    """The checkout. It is never vendored: the user clones it."""

    url: str = Field(default="", description="Where to clone it from.")
    commit: str = Field(default="", description="Commit that the file was written for; another one is refused.")
    path: str = Field(default=".", description="Folder; ~ and ${VARIABLES} are expanded, relative to this file.")


class Licence(Part):
    code: str = "unknown"
    url: str = Field(default="", description="Where the licence of the code stands.")
    weights: str = "unknown"
    commercial: Literal["yes", "no", "unknown"] = "unknown"


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
    extra_frames: int = Field(
        default=0,
        ge=0,
        description="Frames by which the dub is handed over longer, for methods that leave some out at the end. "
        "The video runs back, the sound is silent; what comes out is cut to the dub again.",
    )
    min_frames: int = Field(default=0, ge=0, description="Fewest frames that it can make; shorter dubs are lengthened.")

    def reached(self, n: int) -> int:
        """How many frames are handed over for n."""
        return max(self.min_frames, n + self.extra_frames)


class EntryPoint(Part):
    """Instead of argv: a Python function or method in the method's own environment, called by a small worker."""

    call: str = Field(pattern=r"^[\w.]+:[\w.]+$", description="module:function or module:Class.method")
    python: str = Field(default="", description="Interpreter; default: the environment's.")
    init: Annotated[dict[str, Any], AfterValidator(placed)] = Field(
        default_factory=dict, description="Keyword arguments of the class."
    )
    args: Annotated[dict[str, Any], AfterValidator(placed)] = Field(
        default_factory=dict, description="Further keyword arguments of the call."
    )


class Output(Part):
    find: Literal["exact", "newest-glob", "dir-of-frames"] = "exact"
    pattern: Annotated[str, AfterValidator(placed)] = Field(
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
    paste: Annotated[str | None, AfterValidator(placed)] = Field(
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


class Stage(Part):
    """What a method learns before it dubs: commands in the checkout's shadow, and what of it stays for later stages."""

    commands: tuple[Argv, ...] = Field(min_length=1, description="Run in their order.")
    keep: tuple[str, ...] = Field(
        min_length=1, description="Files and folders that they make, kept at the same place for the later stages."
    )
    timeout_s: float = Field(default=86400, gt=0, description="For all of its commands together.")

    @field_validator("keep")
    @classmethod
    def _inside(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return inside(value)


def inside(value: tuple[str, ...]) -> tuple[str, ...]:
    """Places in the checkout.

    Raises:
        ValueError: one of them lies elsewhere.
    """
    for place in value:
        if Path(place).is_absolute() or ".." in Path(place).parts or not Path(place).parts:
            raise mistake(f"{place!r} must lie inside the checkout", "name it relative to the checkout")
    return value


def _stage(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        raise mistake(
            "`prepare` is what a method makes once per clip", "commands to run before every dub stand under `before`"
        )
    return value


class Definition(Part):
    """One external method. Placeholders: see `placeholders.NAMES`."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="The method's id and row name.")
    title: str = ""
    version: str = Field(default="1", description="Bump it when the same inputs would give other pixels.")
    paper: str = ""
    kind: Literal["method", "control"] = "method"
    status: Literal["untested", "stub-tested", "run"] = Field(
        default="untested",
        description="How far somebody has tried this file: with stand-ins for the networks, or with its real weights.",
    )
    person: str = Field(
        default="",
        description="Speaker (as in the manifest) whose model lies in the checkout; clips of others are refused.",
    )
    licence: Licence = Field(default_factory=Licence)
    repo: Repo = Field(default_factory=Repo)
    env: Env = Field(default_factory=Env)
    weights: tuple[WeightFile, ...] = ()
    needs: Needs = Field(default_factory=Needs)
    inputs: Inputs = Field(default_factory=Inputs)
    prepare: Annotated[Stage | None, BeforeValidator(_stage)] = Field(
        default=None, description="What is made once per clip from `{video}` and `{audio}`, those of the clip."
    )
    fit: Stage | None = Field(
        default=None,
        description="What is trained once per clip, train length and seed; `{video}` is cut to the train length.",
    )
    before: tuple[Argv, ...] = Field(
        default=(), description="Commands to run before argv, for every dub, in the same folder."
    )
    files: Annotated[dict[str, str], AfterValidator(placed)] = Field(
        default_factory=dict, description="Path -> content of files to write before."
    )
    argv: Argv | None = Field(default=None, description="The command. One of argv, entry and request is given.")
    entry: EntryPoint | None = None
    request: Request | None = Field(default=None, description="What is asked of a service (`env: {type: http}`).")
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
        return inside(value)

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
        if sum(way is not None for way in (self.argv, self.entry, self.request)) != 1:
            raise mistake("give either argv (a command) or entry (a Python call)", "or request (of a service)")
        if (self.request is not None) != (self.env.type == "http"):
            raise mistake("`request` and `env: {type: http}` belong together", "a service is asked with `request`")
        if self.env.type == "http" and (self.prepare or self.fit or self.before or self.weights or self.files):
            raise mistake(
                "a service runs no commands and reads no files here",
                "leave prepare, fit, before, files and weights out",
            )
        learns = self.prepare is not None or self.fit is not None
        if learns and self.cwd != "private":
            raise mistake("what a stage makes is kept apart from the checkout", "use `cwd: private`, the default")
        if self.person and self.fit is not None:
            raise mistake("a method that is trained on the clip itself needs no person", "leave `person` or `fit` out")
        if self.prepare is not None and uses(self.prepare.commands, "train_frames"):
            raise mistake("`prepare` does not depend on the train length", "use {train_frames} under `fit`")
        return self
