"""Speech2Vid as a lipbench method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lipbench.baselines.speech2vid.spec import DEBLUR, SPEC
from lipbench.core.method import DubJob, Method, Outputs


class Speech2Vid(Method):
    """Draws the whole face from five images of it and 0.35 s of audio, and puts it back where the face was."""

    spec = SPEC

    def weights(self, params: Any) -> tuple[str, ...]:
        own: tuple[str, ...] = params.registered()
        return (*own, DEBLUR) if params.sharpens else own

    def identity(self, params: Any, clip_id: str, language: str) -> Mapping[str, Any]:
        """The hash of a weights file of the user's own.

        Raises:
            WeightsMissing: there is no file `weights_file`.
        """
        found: dict[str, str] = params.file_identity()
        return found

    def synthesize(self, job: DubJob) -> Outputs:
        from lipbench.baselines.speech2vid import stages  # loads torch

        return stages.synthesize(job)
