"""What a lip-sync method is to lipbench: a spec (data) and up to three stages (files in, files out).

A method never sees manifests, caches or metrics. It gets a `Job` whose media are already normalised and answers with
`Outputs`. The engine calls `prepare` once per clip, `fit` once per clip, train length and seed, `synthesize` once per
dub; a stage that is not named in `MethodSpec.stages` is never called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict


class Params(BaseModel):
    """Base of a method's parameters: frozen, typed, unknown names refused. Subclass it; document each field."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class MethodSpec:
    """What is known about a method without running it.

    Attributes:
        id: lower case, hyphens; the row name in tables.
        version: bump it when the same inputs would give other pixels.
        title, paper, licence: for tables and reports; licence covers code and weights ("Apache-2.0; weights: none").
        stages: which of prepare, fit, synthesize do something.
        needs: of {"gpu", "faces", "truth"}: "faces" hands the clip's FaceTrack to the job.
        weights: names in the weights registry that must be present.
        uses_train_seconds, uses_seed: whether those axes can change the output; cells that differ only in an unused
            axis share their stages.
        params: the parameter model.
        paper_results: metric id -> value of the paper's table; shown greyed, never ranked.
        deviations: known differences from the published method, one line each.
        kind: "method" is ranked; "control" rows (dubbed, truth, still_mouth, shifted_audio) bound the metrics only.
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
    params: type[Params] = Params
    paper_results: Mapping[str, float] = field(default_factory=dict)
    deviations: tuple[str, ...] = ()
    kind: str = "method"


@dataclass(frozen=True)
class ClipInput:
    """A clip as methods see it: constant fps, rotation applied, even size, trimmed to [start_s, end_s).

    Attributes:
        id: the manifest's clip id.
        video: lossless mp4 with the original audio muxed (if the clip has any).
        audio: 16 kHz mono PCM16 wav of the original speech, or None.
        fps, n_frames, width, height: of `video`.
        language: BCP-47 of the original speech.
        faces: a saved `lipbench.faces.FaceTrack` over `video`, when the spec needs "faces".
        annotations: the generated corpus's per-frame truth (npz), or None.
    """

    id: str
    video: Path
    audio: Path | None
    fps: float
    n_frames: int
    width: int
    height: int
    language: str
    faces: Path | None = None
    annotations: Path | None = None


@dataclass(frozen=True)
class DubInput:
    """A dub laid over its clip.

    Attributes:
        id, language: of the manifest's dub.
        video: lossless mp4 of the clip's frames under the dub: as many frames as the dub has (index says which).
        audio: 16 kHz mono PCM16 wav, n_frames / fps seconds long.
        index: (n_frames,) clip frame shown at each output frame (longer dubs play the clip back and forth).
        truth: the correct video, known for generated clips only.
        truth_annotations: its per-frame truth (npz), or None.
        transcript: text, when the manifest has it.
    """

    id: str
    language: str
    video: Path
    audio: Path
    index: tuple[int, ...]
    n_frames: int
    truth: Path | None = None
    transcript: str | None = None
    truth_annotations: Path | None = None


@dataclass(frozen=True)
class Job:
    """One stage of one method on one clip (and, for synthesize, one dub).

    Attributes:
        out: an empty private directory; everything a stage writes goes here.
        clip, dub: the inputs (`dub` is None for prepare and fit).
        params: a validated instance of the spec's params.
        seed, train_seconds: axes of the run; train_seconds None means the whole clip.
        prepared, fitted: the `out` of the earlier stages, when the spec has them.
        driver: the video that the method named by `BaseMethod.driver` made of this dub.
        device: "cpu", "cuda:N", or "mps" where the user asked for it.
        threads: torch and OpenMP threads to use.
        log: takes one line of progress.
    """

    out: Path
    clip: ClipInput
    dub: DubInput | None
    params: Any
    seed: int = 0
    train_seconds: float | None = None
    prepared: Path | None = None
    fitted: Path | None = None
    driver: Path | None = None
    device: str = "cpu"
    threads: int = 1
    log: Callable[[str], None] = print


@dataclass(frozen=True)
class Outputs:
    """What a stage made.

    Attributes:
        files: name -> path below `Job.out`. synthesize must name "video": an mp4 at the clip's fps and size with
            `dub.n_frames` frames (+-1) and the dub's audio. A method that knows the mesh it drew may add "annotations":
            an npz with `lip_vertices` (T, L, 3) in the layout of the generated corpus.
        info: JSON facts worth keeping in the record (policies applied, counts, measured times).
    """

    files: Mapping[str, Path]
    info: Mapping[str, Any] = field(default_factory=dict)


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


@runtime_checkable
class Method(Protocol):
    """A lip-sync method. Stages may raise any `LipbenchError`; its reason goes into the record and the table."""

    spec: MethodSpec

    def prepare(self, job: Job) -> Outputs: ...

    def fit(self, job: Job) -> Outputs: ...

    def synthesize(self, job: Job) -> Outputs: ...


class BaseMethod:
    """Convenience base: stages that do nothing. `identity` adds to the stage keys what params do not hold."""

    spec: MethodSpec

    def prepare(self, job: Job) -> Outputs:
        return Outputs({})

    def fit(self, job: Job) -> Outputs:
        return Outputs({})

    def synthesize(self, job: Job) -> Outputs:
        raise TypeError(f"{type(self).__name__} does not implement synthesize")

    def identity(self, params: Any, clip_id: str, language: str) -> Mapping[str, Any]:
        """More that can change the pixels, for the stage keys: hashes of files that params point to, for instance.

        Raises:
            LipbenchError: what the params point to cannot be used; recorded as the reason of the cells concerned.
        """
        return {}

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
