"""What drives a dub: (N, C) conditions for its frames, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench import media
from lipbench.core import weights
from lipbench.core.errors import Unsupported
from lipbench.core.method import DubJob
from lipbench.datasets.annotations import Annotations
from lipbench.faces import track_faces
from lipbench.faces.track import FaceTrack
from lipbench.lipnerf import head
from lipbench.lipnerf.expression.articulation import Articulator, speak
from lipbench.lipnerf.fitting import Fit, FitOptions, refit
from lipbench.lipnerf.lip_source import ARTICULATION

Array = NDArray[np.float64]


def expressions(job: DubJob, fit: Fit) -> tuple[Array, Mapping[str, Any]]:
    """The driving expressions of a dub's frames, not smoothed.

    Args:
        job: a synthesize job of LipNeRF.
        fit: of the whole clip.

    Returns:
        (N, K) in standard deviations, and facts for the record.
    """
    params, dub = job.params, job.dub
    own = fit.take(np.asarray(dub.index))
    if params.expression_from == "audio":
        return _from_audio(job, own)
    if params.expression_from == "truth":
        if dub.truth is None:
            raise Unsupported(
                f"dub {dub.id} has no true video",
                "expression_from: truth needs a generated clip",
                "use expression_from: lip_source",
            )
        track = None
        if dub.truth_annotations is not None:
            track = Annotations.load(dub.truth_annotations).face_track()
        return _refitted(job, own, dub.truth, track, {"expression_from": "truth"})
    return _refitted(job, own, job.driver, None, {"expression_from": params.lip_source})


def _refitted(job: DubJob, own: Fit, video: Any, track: FaceTrack | None, info: dict[str, Any]) -> tuple[Array, Any]:
    frames = head.frames_again(video)[: len(own)]
    if track is None:
        track = track_faces(video, backend=job.params.faces, fps=job.clip.fps)
    track = track.take(np.minimum(np.arange(len(own)), len(track) - 1))
    if len(frames) < len(own):  # a method may deliver one frame less
        frames = media.hold(chain(frames, repeat(frames[-1], len(own) - len(frames))))
    found = refit(own, frames, track, FitOptions.preset(job.params.fit, model=job.params.model), job.log)
    info |= {
        "lip_frames_found": int(found.found.sum()),
        "lip_landmark_error_px": round(float(np.nanmean(found.landmark_error_px)), 3),
    }
    return found.expression, info


def _from_audio(job: DubJob, own: Fit) -> tuple[Array, Mapping[str, Any]]:
    if own.model_name != "procedural":
        raise Unsupported(
            f"audio cannot drive the model {own.model_name}",
            "the articulation network knows the procedural head only",
            "use expression_from: lip_source",
        )
    net = Articulator.from_file(weights.path(ARTICULATION))
    channels = net.articulate(media.read_audio(job.dub.audio), len(own))
    return speak(own.expression, channels), {"expression_from": "audio", "articulation": ARTICULATION}
