"""What the stages of a method get and give: clips and dubs as files, one job type per stage, outputs as files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from lipbench.core.errors import UsageError


@dataclass(frozen=True)
class ClipInput:
    """A clip as methods see it: constant fps, rotation applied, its own size (which may be odd), trimmed to its span.

    Attributes:
        id: the manifest's clip id.
        video: lossless mp4 with the original audio muxed (if the clip has any).
        audio: 16 kHz mono PCM16 wav of the original speech, or None.
        fps: of `video`.
        n_frames: of `video`.
        width: of `video`.
        height: of `video`.
        language: BCP-47 of the original speech.
        faces: a saved `lipbench.faces.FaceTrack` over `video`, when the spec needs "faces".
        annotations: the generated corpus's per-frame truth (npz), or None.
        cuts: frames of `video` that begin another shot of the actor, where the manifest gives the clip segments.
        speaker: who speaks in it, as in the manifest; no stage's key holds it.
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
    cuts: tuple[int, ...] = ()
    speaker: str = "unknown"

    @property
    def shots(self) -> list[tuple[int, int]]:
        """[first, end) of every shot of `video`; one for a clip without segments."""
        edges = [0, *self.cuts, self.n_frames]
        return list(pairwise(edges))


@dataclass(frozen=True)
class DubInput:
    """A dub laid over its clip.

    Attributes:
        id: of the manifest's dub.
        language: of the manifest's dub.
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


@dataclass(frozen=True, kw_only=True)
class Job:
    """What every stage of a method gets: one clip, the parameters, and where to write.

    Attributes:
        out: an empty private directory; everything a stage writes goes here.
        clip: the input.
        params: a validated instance of the spec's params.
        seed: of the run.
        train_seconds: of the clip to train on; None means the whole clip.
        device: "cpu", "cuda:N", or "mps" where the user asked for it.
        threads: torch and OpenMP threads to use.
        log: takes one line of progress.
    """

    out: Path
    clip: ClipInput
    params: Any
    seed: int = 0
    train_seconds: float | None = None
    device: str = "cpu"
    threads: int = 1
    log: Callable[[str], None] = print


@dataclass(frozen=True, kw_only=True)
class PrepareJob(Job):
    """The job of `Method.prepare`: once per clip."""


@dataclass(frozen=True, kw_only=True)
class FitJob(Job):
    """The job of `Method.fit`: once per clip, train length and seed.

    Attributes:
        prepare_folder: the `out` of the prepare stage, None where the spec has no such stage; read `prepared`.
    """

    prepare_folder: Path | None = None

    @property
    def prepared(self) -> Path:
        """The folder that the prepare stage wrote.

        Raises:
            UsageError: the spec names no such stage.
        """
        return _there(self.prepare_folder, "prepare")


@dataclass(frozen=True, kw_only=True)
class DubJob(FitJob):
    """The job of `Method.synthesize`: once per dub.

    Attributes:
        dub: what is to be said.
        fit_folder: the `out` of the fit stage, None where the spec has no such stage; read `fitted`.
        driver_video: what the method named by `Method.driver` made of this dub, None without one; read `driver`.
    """

    dub: DubInput
    fit_folder: Path | None = None
    driver_video: Path | None = None

    @property
    def fitted(self) -> Path:
        """The folder that the fit stage wrote.

        Raises:
            UsageError: the spec names no such stage.
        """
        return _there(self.fit_folder, "fit")

    @property
    def driver(self) -> Path:
        """The video that the driving method made of this dub.

        Raises:
            UsageError: `Method.driver` names none for these parameters.
        """
        if self.driver_video is None:
            raise UsageError(
                "the method asks for a driving video that it did not order",
                "`driver` returned None for these parameters",
                "name a method in `driver`, or leave `job.driver` alone",
            )
        return self.driver_video


def _there(folder: Path | None, stage: str) -> Path:
    if folder is None:
        raise UsageError(
            f"the method asks for what its stage {stage} wrote, and has no such stage",
            "a stage runs only when `MethodSpec.stages` names it",
            f'add "{stage}" to `stages`, or leave its folder alone',
        )
    return folder


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
