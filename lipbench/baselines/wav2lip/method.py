"""Wav2Lip as a lipbench method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lipbench.baselines.wav2lip.spec import SPEC
from lipbench.core.errors import NoFace
from lipbench.core.method import DubJob, Method, Outputs, PrepareJob
from lipbench.faces import backend_identity

_S3FD = "s3fd-wav2lip"


class Wav2Lip(Method):
    """Redraws the lower half of the face from a 96 x 96 crop and 0.2 s of audio, frame by frame.

    `prepare` runs the published detector once per clip where `detector: s3fd` asks for it; otherwise the boxes come
    from the face track that all methods and metrics share.
    """

    spec = SPEC

    def weights(self, params: Any) -> tuple[str, ...]:
        own: tuple[str, ...] = params.registered()
        return (*own, "s3fd") if params.detects else own

    def uses_gpu(self, kind: str, params: Any) -> bool:
        return kind == "synthesize" or params.detects

    def needs(self, params: Any) -> frozenset[str]:
        return frozenset() if params.box is not None or params.detects else self.spec.needs

    def identity(self, params: Any, clip_id: str, language: str) -> Mapping[str, Any]:
        """A checkpoint file's hash, the detector's identity.

        Raises:
            WeightsMissing: there is no file `weights_file`.
        """
        found: dict[str, Any] = params.file_identity()
        return {**found, "detector": dict(backend_identity(_S3FD))} if params.detects else found

    def prepare(self, job: PrepareJob) -> Outputs:
        if not job.params.detects:
            return Outputs({})
        from lipbench.faces import track_faces

        track = track_faces(job.clip.video, backend=_S3FD, fps=job.clip.fps, device=job.device)
        if not track.found.any():
            raise NoFace(
                f"the published detector found no face in clip {job.clip.id}",
                f"looked at {len(track)} frames",
                "use another clip, `detector: faces` or a `box`",
            )
        lost = len(track.lost_frames)
        return Outputs({"boxes": track.save(job.out / "boxes.npz")}, {"frames_without_face": lost})

    def synthesize(self, job: DubJob) -> Outputs:
        from lipbench.baselines.wav2lip import stages  # loads torch

        return stages.synthesize(job)
