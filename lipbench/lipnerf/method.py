"""LipNeRF as a lipbench method: fit and parse a clip, train its field, render its dubs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lipbench.core.method import DubJob, FitJob, Method, Outputs, PrepareJob, StageCode
from lipbench.faces.backend_table import backend_identity
from lipbench.faces.parsing import parser_weights
from lipbench.lipnerf import head
from lipbench.lipnerf.composite.options import GATED_WEIGHTS
from lipbench.lipnerf.lip_source import ARTICULATION, lip_source
from lipbench.lipnerf.params import FIT, LipNerfParams
from lipbench.lipnerf.spec import SPEC


class LipNerf(Method):
    """A dynamic radiance field of the head, conditioned on expressions and per-frame codes; torso and background come
    from the source."""

    spec = SPEC

    def weights(self, params: Any) -> tuple[str, ...]:
        names = list(parser_weights(params.parser))
        if params.inpainter == "gated":
            names.append(GATED_WEIGHTS)
        faces = bool(params.shots)
        if params.condition == "expression" and params.expression_from == "audio":
            names.append(ARTICULATION)
        elif self.driver(params) is not None:
            method, its = lip_source(params)
            names += method.weights(its)
            faces = True
        return tuple(dict.fromkeys([*names, *(head.face_weights(params.faces) if faces else ())]))

    def stage_inputs(self, kind: str, params: Any) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        values, names = head.inputs(params.fit, params.parser, params.model, params.shots, params.faces)
        if kind == "prepare":
            return values, names
        own = params.model_dump(mode="json", exclude={"shots"})
        if kind == "synthesize":
            return {**own, **values}, self.weights(params)
        return {**{name: own[name] for name in FIT}, **values}, ()

    def stage_code(self, kind: str) -> StageCode:
        """Fit and parsing are shared with every method that starts from them."""
        return head.CODE if kind == "prepare" else super().stage_code(kind)

    def identity(self, params: Any, clip_id: str, language: str) -> Mapping[str, Any]:
        """How faces are found in the lip source's video, for the dub's stage alone.

        Raises:
            UsageError: a further shot is not there.
        """
        for shot in params.shots:
            head.shot_hash(shot)
        if not language or self.driver(params) is None:
            return {}
        return {"faces": dict(backend_identity(params.faces))}

    def driver(self, params: Any) -> tuple[str, Mapping[str, Any]] | None:
        """The lip source, where expressions come from one."""
        driven = params.condition == "expression" and params.expression_from == "lip_source"
        return (params.lip_source, params.lip_source_params) if driven else None

    # ---- stages -----------------------------------------------------------------------------------------------

    def prepare(self, job: PrepareJob) -> Outputs:
        p: LipNerfParams = job.params
        return head.prepare(job, p.fit, p.parser, p.model, p.shots, p.faces)

    def fit(self, job: FitJob) -> Outputs:
        from lipbench.lipnerf import fit_stage  # loads torch

        return fit_stage.fit(job)

    def synthesize(self, job: DubJob) -> Outputs:
        from lipbench.lipnerf import dub_stage

        return dub_stage.synthesize(job)
