"""The stage `prepare` of every method that stands on a fitted and parsed head, made once for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench import media
from lipbench.core import keys
from lipbench.core.errors import Refused, TooShort, UsageError
from lipbench.core.method import Job, Outputs, StageCode
from lipbench.faces.backend_table import backend
from lipbench.faces.parsing import Parsing, Plate, parser_weights
from lipbench.faces.parsing.shot_plates import shot_plates
from lipbench.faces.track import FaceTrack
from lipbench.media.recent import read_again

MIN_FRAMES = 25
CODE = StageCode(("lipbench.lipnerf.head:prepare",), shared="head")


def inputs(
    fit: str, parser: str, model: str = "procedural", shots: Sequence[str] = (), faces: str = ""
) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """What the stage's key holds: parameters, and names of weights.

    Args:
        fit: see `FitOptions.preset`.
        model: of the fit.
        parser: see `faces.parsing`.
        shots: further videos of the actor.
        faces: the backend that finds the face in them.
    """
    values: dict[str, Any] = {"model": model, "fit": fit, "parser": parser}
    names = parser_weights(parser)
    if shots:
        values |= {"shots": [shot_hash(shot) for shot in shots], "faces": faces}
        names += face_weights(faces)
    return values, names


def prepare(
    job: Job, fit: str, parser: str, model: str = "procedural", shots: Sequence[str] = (), faces: str = ""
) -> Outputs:
    """Fit and parse the job's clip with all of its segments, and further shots with it; parameters as for `inputs`.

    Raises:
        Refused: the clip has no face track. NoFace, Unsupported, UsageError, WeightsMissing: see `fit_clip`, the
        parsers and `read_shot`.
    """
    from lipbench.lipnerf import shots as reading
    from lipbench.lipnerf.fitting import FitOptions

    options = FitOptions.preset(fit, model=model, device=job.device)
    clip = reading.Shot(media.load_frames(job.clip.video), clip_track(job))
    own = reading.parts(clip, job.clip.shots)
    folders = [job.out / reading.FOLDER / f"{k:03d}" for k in range(len(shots))]
    more = [reading.read_shot(video, clip, faces, folder) for video, folder in zip(shots, folders, strict=True)]
    found = reading.prepare_shots([*own, *more], options, parser, job.log)
    prepared, others = reading.merged(found[: len(own)]), found[len(own) :]
    for other, folder in zip(others, folders, strict=True):
        other.save(folder)
    return Outputs(prepared.save(job.out), {**prepared.facts, "shots": len(own) + len(more)})


def frames_again(video: Path) -> NDArray[np.uint8]:
    """(T, H, W, 3) uint8 RGB of a video that other stages of a run look at, too; a short one is decoded once."""
    return media.hold(read_again(video))


def clip_plate(job: Job, frames: NDArray[np.uint8], parsing: Parsing) -> Plate:
    """What is behind the person in the job's clip, each of its shots for itself.

    Args:
        frames: (T, H, W, 3) uint8 RGB of the clip.
        parsing: of the same frames.
    """
    return shot_plates(frames, parsing, job.clip.shots)


def clip_track(job: Job) -> FaceTrack:
    """The clip's face track.

    Raises:
        Refused: the job has none.
    """
    if job.clip.faces is None:
        raise Refused(
            f"clip {job.clip.id} comes without a face track",
            "the fit starts from landmarks",
            "choose a face backend for the run (`faces:` in the run file)",
        )
    return FaceTrack.load(job.clip.faces)


def shot_hash(video: str) -> str:
    """What a further shot is to a key.

    Raises:
        UsageError: there is no such file.
    """
    if not Path(video).is_file():
        raise UsageError(f"there is no shot {video}", "`shots` names a file that is not there", "correct the path")
    return keys.sha256_file(video)


def face_weights(backend_name: str) -> tuple[str, ...]:
    """The registered weights of a face backend, if it has any."""
    found = backend(backend_name).weights
    return (found,) if found else ()


def train_frames(job: Job, n_frames: int) -> int:
    """How many of a clip's frames are trained on.

    Raises:
        TooShort: less than a second.
    """
    n = n_frames if job.train_seconds is None else min(n_frames, round(job.train_seconds * job.clip.fps))
    if n < MIN_FRAMES:
        raise TooShort(
            f"{n} frames are too little to train on",
            f"{MIN_FRAMES} are needed",
            "train on a second at least; the paper's shortest clip has three",
        )
    return n
