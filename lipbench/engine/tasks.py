"""What a stage is told, one type for each kind of stage, and what it answers.

A plan makes tasks when everything they name is there (`Node.task`). They travel to workers as JSON; `stages` runs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict, TypeAdapter

#: Files by the names of the outputs, what the record says of them, scores by their metrics' ids.
Result = tuple[dict[str, Path], dict[str, Any], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Task:
    """The base of all tasks. `kind` is the kind of stage. Its paths are absolute."""

    kind: ClassVar[str]
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    def __post_init__(self) -> None:
        # A worker may run in another folder than the one that relative paths start from here.
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Path) and not value.is_absolute():
                object.__setattr__(self, field.name, value.absolute())

    def to_json(self) -> dict[str, Any]:
        """The task as JSON; paths become text."""
        data: dict[str, Any] = _adapter(type(self)).dump_python(self, mode="json")
        return data


@dataclass(frozen=True, kw_only=True)
class ClipTask(Task):
    """Normalize a clip.

    Attributes:
        video: the source file; sha256 is what it must be.
        fps: the rate to bring it to.
        start_s: where the part that is used begins, in seconds of the file.
        end_s: where it ends; None = to the end.
        stream: which of the video's audio streams is its sound; None = chosen by the language.
        channel: the one channel of it that is used; None = all, mixed.
        language: of the speech.
        picture_fps: frames per second of a series of pictures; None = fps.
        segments: the parts of the file that are used, one after the other, instead of start_s and end_s.
    """

    kind = "clip"
    video: Path
    sha256: str | None
    fps: float
    start_s: float
    end_s: float | None
    stream: int | None = None
    channel: str | None = None
    language: str | None = None
    picture_fps: float | None = None
    segments: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class DubTask(Task):
    """Lay a dub over its clip.

    Attributes:
        clip_video: of the normalized clip; clip_audio None when it has no sound.
        clip_audio: of the normalized clip; clip_audio None when it has no sound.
        audio: the dub's sound, None for the clip's own; sha256 is what it must be.
        offset_s: how much later the sound starts.
        truth: the correct video, or None; truth_sha256 is what it must be.
        stream: which of the file's audio streams; None = chosen by the language.
        channel: the one channel of it that is used; None = all, mixed.
        language: of the dub.
        start_s: where the part of the file that is used begins; None = where the clip's does.
        end_s: where it ends; None = where the clip's does.
        rate: how much faster than its clip the sound runs.
        clip_start_s: where the used part of the clip's video begins.
        clip_end_s: where it ends; None = to the end.
        segments: of the clip, instead of these.
    """

    kind = "dub"
    clip_video: Path
    clip_audio: Path | None
    audio: Path | None
    sha256: str | None
    offset_s: float
    truth: Path | None
    fps: float
    truth_sha256: str | None = None
    stream: int | None = None
    channel: str | None = None
    language: str | None = None
    start_s: float | None = None
    end_s: float | None = None
    rate: float = 1.0
    clip_start_s: float = 0.0
    clip_end_s: float | None = None
    segments: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class FacesTask(Task):
    """Track the main face of a video, or read it from a landmark file.

    Attributes:
        face: which face is meant where there are several, as in a manifest.
        sound: wav of what is said in the video: without a choice its speaker is preferred.
    """

    kind = "faces"
    video: Path
    backend: str
    fps: float
    landmarks: Path | None = None
    face: str | None = None
    sound: Path | None = None


@dataclass(frozen=True, kw_only=True)
class PrepareTask(Task):
    """A method's first stage; the others add to it.

    Attributes:
        method: how to find the method again, and its parameters (`Row.source`).
        clip: folder of the normalized clip.
        faces: its face track, where the method needs one.
        annotations: what is known of a generated clip's frames.
        clip_speaker: who speaks in it.
    """

    kind = "prepare"
    method: Mapping[str, Any]
    clip: Path
    clip_id: str
    clip_language: str
    faces: Path | None
    annotations: Path | None
    seed: int
    train_seconds: float | None
    clip_speaker: str = "unknown"


@dataclass(frozen=True, kw_only=True)
class FitTask(PrepareTask):
    """A method's training.

    Attributes:
        prepare_folder: what prepare left, where the method has that stage.
    """

    kind = "fit"
    prepare_folder: Path | None = None


@dataclass(frozen=True, kw_only=True)
class SynthesizeTask(FitTask):
    """A method's video of a dub.

    Attributes:
        fit_folder: what fit left, where the method has that stage.
        driver: the video of the method that this one starts from.
        dub: folder of the dub laid over its clip.
    """

    kind = "synthesize"
    fit_folder: Path | None = None
    driver: Path | None = None
    dub: Path
    dub_id: str
    dub_language: str
    transcript: str | None = None
    truth_annotations: Path | None = None


@dataclass(frozen=True, kw_only=True)
class ScoreTask(Task):
    """Measure a video with one metric family. The fields are those of `Pair`, files that are not there are None.

    Attributes:
        faces: face track of the clip, which `index` lays over the dub: dub frame -> clip frame.
    """

    kind = "score"
    family: str
    options: Mapping[str, Any]
    fps: float
    source_fps: float | None = None
    prediction: Path
    reference: Path | None = None
    truth: Path | None = None
    audio: Path | None = None
    sound: Path | None = None
    index: Path | None = None
    faces: Path | None = None
    faces_reason: str = ""
    prediction_faces: Path | None = None
    prediction_faces_reason: str = ""
    truth_faces: Path | None = None
    truth_faces_reason: str = ""
    truth_annotations: Path | None = None
    prediction_annotations: Path | None = None


TASKS: dict[str, type[Task]] = {
    task.kind: task for task in (ClipTask, DubTask, FacesTask, PrepareTask, FitTask, SynthesizeTask, ScoreTask)
}


_ADAPTERS: dict[type[Task], TypeAdapter[Any]] = {}


def _adapter(task: type[Task]) -> TypeAdapter[Any]:
    # Made when first used: planning a cached run needs none.
    if task not in _ADAPTERS:
        _ADAPTERS[task] = TypeAdapter(task)
    return _ADAPTERS[task]


def from_json(kind: str, data: Mapping[str, Any]) -> Task:
    """The task that `Task.to_json` wrote.

    Raises:
        KeyError: no such kind of stage.
        pydantic.ValidationError: a field is missing, unknown or of another type.
    """
    task: Task = _adapter(TASKS[kind]).validate_python(dict(data))
    return task
