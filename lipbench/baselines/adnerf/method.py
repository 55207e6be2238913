"""AD-NeRF as a lipbench method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lipbench.baselines.adnerf import audio
from lipbench.baselines.adnerf.spec import SPEC
from lipbench.core.method import DubJob, FitJob, Method, Outputs, PrepareJob, StageCode
from lipbench.lipnerf import head
from lipbench.lipnerf.composite.options import GATED_WEIGHTS

_FIT = ("preset", "field", "steps", "size", "features", "features_file", "smooth_after", "torso", "torso_steps")


class AdNerf(Method):
    """A radiance field of the head conditioned on the audio itself, and one of the torso behind an option."""

    spec = SPEC

    def weights(self, params: Any) -> tuple[str, ...]:
        names = head.inputs(params.fit, params.parser)[1]
        return (*names, GATED_WEIGHTS) if params.inpainter == "gated" and not params.has_torso else names

    def stage_inputs(self, kind: str, params: Any) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        values = params.model_dump(mode="json")
        values["torso"] = "field" if params.has_torso else "source"
        if not params.has_torso:
            values["torso_steps"] = None
        if kind == "synthesize":
            return values, self.weights(params)
        first, names = head.inputs(params.fit, params.parser)
        return (first, names) if kind == "prepare" else ({**first, **{name: values[name] for name in _FIT}}, ())

    def stage_code(self, kind: str) -> StageCode:
        """Fit and parsing are LipNeRF's."""
        return head.CODE if kind == "prepare" else super().stage_code(kind)

    def identity(self, params: Any, clip_id: str, language: str) -> Mapping[str, Any]:
        """What the features come from."""
        return audio.identity(params.features, params.features_file)

    def prepare(self, job: PrepareJob) -> Outputs:
        return head.prepare(job, job.params.fit, job.params.parser)

    def fit(self, job: FitJob) -> Outputs:
        from lipbench.baselines.adnerf import fit_stage  # loads torch

        return fit_stage.fit(job)

    def synthesize(self, job: DubJob) -> Outputs:
        from lipbench.baselines.adnerf import dub_stage

        return dub_stage.synthesize(job)
