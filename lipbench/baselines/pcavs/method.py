"""PC-AVS as a lipbench method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lipbench.baselines.pcavs.files import checkpoint_file
from lipbench.baselines.pcavs.spec import DEMO, FILES, SPEC
from lipbench.core import keys
from lipbench.core.method import DubJob, Method, Outputs, PrepareJob


class PcAvs(Method):
    """Redraws the whole face: who it is from one frame, the head's pose from every frame, the mouth from the dub.

    `prepare` reads the poses, which all dubs of a clip share.
    """

    spec = SPEC

    def weights(self, params: Any) -> tuple[str, ...]:
        if params.checkpoints:
            return ()
        names: tuple[str, ...] = params.registered(*(FILES if params.weights == "published" else (DEMO,)))
        return names

    def identity(self, params: Any, clip_id: str, language: str) -> Mapping[str, Any]:
        """Hash of `weights_file`, or of the files in `checkpoints`.

        Raises:
            WeightsMissing: one of them is not there.
        """
        if params.weights_file is not None or params.checkpoints is None:
            own: dict[str, str] = params.file_identity()
            return own
        return {name: keys.sha256_file(checkpoint_file(params, name)) for name in FILES}

    def stage_inputs(self, kind: str, params: Any) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        values, names = super().stage_inputs(kind, params)
        return {k: v for k, v in values.items() if kind != "prepare" or k != "paste"}, names

    def prepare(self, job: PrepareJob) -> Outputs:
        from lipbench.baselines.pcavs import stages  # loads torch

        return stages.prepare(job)

    def synthesize(self, job: DubJob) -> Outputs:
        from lipbench.baselines.pcavs import stages  # loads torch

        return stages.synthesize(job)
