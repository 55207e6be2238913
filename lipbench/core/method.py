"""What a lip-sync method is to lipbench: a spec (data) and up to three stages (files in, files out).

The two contracts that a contributor of a method meets are `MethodSpec` and `Method`; the job types stand in
`lipbench.core.job` and can be imported from here.

A method never sees manifests, caches or metrics. It gets a job whose media are already normalized and answers with
`Outputs`. The engine calls `prepare` once per clip, `fit` once per clip, train length and seed, `synthesize` once per
dub; a stage that is not named in `MethodSpec.stages` is never called.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from lipbench.core.job import ClipInput, DubInput, DubJob, FitJob, Job, Outputs, PrepareJob

__all__ = [
    "ClipInput",
    "DubInput",
    "DubJob",
    "FitJob",
    "Job",
    "Method",
    "MethodSpec",
    "Outputs",
    "Params",
    "PrepareJob",
    "StageCode",
]


class Params(BaseModel):
    """Base of a method's parameters: frozen, typed, unknown names refused. Subclass it; document each field."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class MethodSpec:
    """What is known about a method without running it.

    Attributes:
        id: lower case, hyphens; the row name in tables.
        version: bump it when the same inputs would give other pixels.
        title: for tables and reports.
        paper: for tables and reports.
        licence: of code and weights ("Apache-2.0; weights: none").
        stages: which of prepare, fit, synthesize do something.
        needs: of {"gpu", "faces", "truth"}: "faces" hands the clip's FaceTrack to the job.
        weights: names in the weights registry that must be present.
        uses_train_seconds: whether the training length can change the output; if not, cells that differ only in it
            share their stages.
        uses_seed: the same of the seed.
        uses_gpu: which of its stages compute on `job.device`; the others never wait for a GPU nor keep one from those
            that do. None: all of them, as nothing is said.
        params: the parameter model.
        paper_results: metric id -> value of the paper's table; shown grayed, never ranked.
        deviations: known differences from the published method, one line each.
        kind: "method" is ranked; "control" rows (dubbed, truth, still-mouth, shifted-audio) bound the metrics only.
        implementation: "module:Class" of the `Method`, where the spec stands in a module of its own (`spec.py`); it is
            imported when the method is planned or run, not when it is listed.
        demo: parameters with which the method makes do with the weights that the package carries.
        former_ids: ids that it had before; they are still understood.
        made_elsewhere: whether its videos come finished from outside: what a run spends on them says nothing of the
            method.
    """

    id: str
    version: str
    title: str
    paper: str = ""
    licence: str = "Apache-2.0"
    stages: tuple[str, ...] = ("synthesize",)
    needs: frozenset[str] = frozenset()
    weights: tuple[str, ...] = ()
    uses_train_seconds: bool = False
    uses_seed: bool = False
    uses_gpu: tuple[str, ...] | None = None
    params: type[Params] = Params
    paper_results: Mapping[str, float] = field(default_factory=dict)
    deviations: tuple[str, ...] = ()
    kind: str = "method"
    implementation: str = ""
    demo: Mapping[str, Any] = field(default_factory=dict)
    former_ids: tuple[str, ...] = ()
    made_elsewhere: bool = False


@dataclass(frozen=True)
class StageCode:
    """Whose source code decides a stage's result.

    Attributes:
        modules: "package.module", "package.module:function" or "package.module:Class.method"; the stage's key holds
            their code and that of everything they import (`lipbench.core.code`).
        shared: methods whose stages name the same thing here, with the same modules and inputs, make the same result
            from it: it is made once. Empty: the method's own. A shared stage's `identity` is left out of its key.
    """

    modules: tuple[str, ...]
    shared: str = ""


@dataclass(frozen=True)
class Expected:
    """What a video of a dub has to be like.

    Attributes:
        clip: id of the clip.
        language: of the dub.
        dub: its id.
        width: px.
        height: px.
        fps: frames per second.
        n_frames: as many as the dub is long.
        speaker: of the clip, as in the manifest.
    """

    clip: str
    language: str
    dub: str
    width: int
    height: int
    fps: float
    n_frames: int
    speaker: str = "unknown"


class Method(ABC):
    """A lip-sync method: a spec and the stages that it names. Everything here may be overridden; `synthesize` must be.

    Stages may raise any `LipbenchError`; its reason goes into the record and the table.
    """

    spec: MethodSpec
    #: Whether it runs in an environment of its own, with a torch of its own that may use devices which ours cannot.
    own_environment: bool = False
    #: Whether `identity` depends on the clip or the language; otherwise a plan asks once for all of its cells.
    identity_by_clip: bool = True

    def prepare(self, job: PrepareJob) -> Outputs:
        """What is made once per clip; called when the spec names the stage."""
        raise NotImplementedError(f"{type(self).__name__} names the stage prepare and does not implement it")

    def fit(self, job: FitJob) -> Outputs:
        """What is trained per clip, train length and seed; called when the spec names the stage."""
        raise NotImplementedError(f"{type(self).__name__} names the stage fit and does not implement it")

    @abstractmethod
    def synthesize(self, job: DubJob) -> Outputs:
        """The video of a dub: outputs name "video"."""

    def identity(self, params: Any, clip_id: str, language: str) -> Mapping[str, Any]:
        """More that can change the pixels, for the stage keys: hashes of files that params point to, for instance.

        Raises:
            LipbenchError: what the params point to cannot be used; recorded as the reason of the cells concerned.
        """
        return {}

    def examine(self, params: Any, expected: Expected, train_seconds: float | None, seed: int) -> None:
        """Look for what will refuse a cell, before any stage runs. What it raises is told, and stops nothing.

        Raises:
            LipbenchError: as the stage would raise it.
        """
        return None

    def stage_code(self, kind: str) -> StageCode:
        """What a stage ("prepare", "fit" or "synthesize") is made by: the method of that name with what it uses of its
        class, its module and their imports. To be overridden by those that share a stage."""
        cls = type(self)
        at_top = "." not in cls.__qualname__
        return StageCode((f"{cls.__module__}:{cls.__name__}.{kind}" if at_top else cls.__module__,))

    def weights(self, params: Any) -> tuple[str, ...]:
        """Names of the weights these params need; the engine checks and hashes them before any stage runs."""
        return self.spec.weights

    def needs(self, params: Any) -> frozenset[str]:
        """What these params need of {"gpu", "faces", "truth"}; a stage does not wait for what it does not use."""
        return self.spec.needs

    def uses_gpu(self, kind: str, params: Any) -> bool:
        """Whether a stage ("prepare", "fit" or "synthesize") computes on a GPU where there is one."""
        return self.spec.uses_gpu is None or kind in self.spec.uses_gpu

    def driver(self, params: Any) -> tuple[str, Mapping[str, Any]] | None:
        """Id and parameters of another method whose result of the same dub this one's synthesize starts from.

        The engine makes it first, once for all rows that show or need it, and hands its video to the job.
        """
        return None

    def stage_inputs(self, kind: str, params: Any) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """The parameters (JSON) and weights that a stage ("prepare", "fit" or "synthesize") reads, for its key.

        All of them unless overridden. A method that trains for hours leaves out of `fit` what only rendering reads, so
        that an ablation of the rendering does not train again. What is left out must not be read in that stage.
        """
        return params.model_dump(mode="json"), self.weights(params)
