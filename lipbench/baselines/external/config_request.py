"""What is asked of a service, and where its answer holds the video: `request` of a method file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from lipbench.baselines.external.parts import Part, placed
from lipbench.core.fields import mistake


class Waiting(Part):
    """A service that answers with a number of the job, and makes the video while it is asked again."""

    id: str = Field(description="Dotted place of the job's id in the first answer.")
    path: str = Field(description="Asked with GET until the job has ended; `{job}` is the id.")
    every_s: float = Field(default=5.0, gt=0, description="Seconds between two questions.")
    status: str = Field(default="status", description="Dotted place of its state.")
    done: tuple[str, ...] = Field(default=("succeeded", "completed", "done"), description="States of a finished job.")
    failed: tuple[str, ...] = Field(default=("failed", "error", "canceled"), description="States of a failed one.")

    @model_validator(mode="after")
    def _names_the_job(self) -> Waiting:
        if "{job}" not in self.path:
            raise mistake("the path does not say which job", "put `{job}` into it: /jobs/{job}")
        return self


class Request(Part):
    """One dub: a POST with the video and the sound, and the video in the answer."""

    path: str = Field(default="", description="Below the service's `url`.")
    body: Literal["multipart", "json"] = Field(
        default="multipart", description="A form with files, or JSON with the files as data URIs."
    )
    files: Annotated[dict[str, str], AfterValidator(placed)] = Field(
        min_length=1, description="Name of the form's part, or dotted place in the JSON -> {video} or {audio}."
    )
    fields: Annotated[dict[str, Any], AfterValidator(placed)] = Field(
        default_factory=dict, description="The other fields; placeholders allowed."
    )
    wait: Waiting | None = Field(default=None, description="How to wait for it; without, the first answer holds it.")
    video: str = Field(
        default="",
        description="Dotted place of the video in the last answer: an address or a data URI. Empty: the answer is it.",
    )
    error: str = Field(default="error", description="Dotted place of what it says about a failure.")

    @model_validator(mode="after")
    def _complete(self) -> Request:
        if self.wait is not None and not self.video:
            raise mistake("the last answer holds the video somewhere", "add `video: output`, its place in the JSON")
        if unknown := [v for v in self.files.values() if v not in ("{video}", "{audio}")]:
            raise mistake(f"{unknown[0]!r} is no file of the dub", "{video} or {audio}")
        return self
