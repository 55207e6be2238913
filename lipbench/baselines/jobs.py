"""Small things that every method asks of its job."""

from __future__ import annotations

from lipbench.core.errors import NoFace, Refused
from lipbench.core.method import DubInput, Job
from lipbench.faces.track import FaceTrack


def dub_of(job: Job) -> DubInput:
    """The dub of a synthesize job.

    Raises:
        TypeError: called for another stage.
    """
    if job.dub is None:
        raise TypeError("synthesize needs a job with a dub")
    return job.dub


def track_of(job: Job) -> FaceTrack:
    """The clip's face track laid over the dub: one entry per output frame.

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
    track = FaceTrack.load(job.clip.faces).take(dub_of(job).index)
    if not track.found.any():
        raise NoFace(
            f"no face was found in clip {job.clip.id}",
            f"looked at {len(track)} frames with {track.backend}",
            "use a clip that shows the speaker's face, or another face backend",
        )
    return track
