"""Small things that every method asks of its job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import NoFace, Refused
from lipbench.core.method import DubJob, Job
from lipbench.faces.track import FaceTrack


def track_of(job: Job) -> FaceTrack:
    """The clip's face track; for a dub laid over it: one entry per output frame.

    Raises:
        Refused: the job has no track.
        NoFace: there is no face in the whole clip, or none in the part that the dub shows.
    """
    if job.clip.faces is None:
        raise Refused(
            f"clip {job.clip.id} comes without a face track",
            "this method needs to know where the face is",
            "choose a face backend for the run (`faces:` in the run file)",
        )
    track = FaceTrack.load(job.clip.faces)
    if isinstance(job, DubJob):
        track = track.take(job.dub.index)
    if not track.found.any():
        raise NoFace(
            f"no face was found in clip {job.clip.id}",
            f"looked at {len(track)} frames with {track.backend}",
            "use a clip that shows the speaker's face, or another face backend",
        )
    return track


def lips_of(annotations: Path | None, index: Sequence[int], job: Job) -> dict[str, Path]:
    """The output "annotations" of a video that shows frame index[t] of an annotated one at its frame t.

    Empty when the source of the frames has no annotations (recorded clips).
    """
    if annotations is None:
        return {}
    with np.load(annotations, allow_pickle=False) as z:
        lips = z["lip_vertices"]
    path = job.out / "lips.npz"
    np.savez_compressed(path, lip_vertices=lips[np.clip(np.asarray(index), 0, len(lips) - 1)])
    return {"annotations": path}


def reported(frames: Iterator[NDArray[np.uint8]], n_frames: int, job: Job, name: str) -> Iterator[NDArray[np.uint8]]:
    """The same frames, with a line of progress of method `name` every ten seconds of video."""
    every = max(1, round(10 * job.clip.fps))
    for number, frame in enumerate(frames, 1):
        yield frame
        if number % every == 0:
            job.log(f"{name}: {number} of {n_frames} frames")
