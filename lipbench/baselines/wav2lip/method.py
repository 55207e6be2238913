"""Wav2Lip as a lipbench method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from lipbench import media
from lipbench.baselines.jobs import reported, track_of
from lipbench.core import keys, weights
from lipbench.core.errors import NoFace
from lipbench.core.method import DubJob, Method, MethodSpec, Outputs, Params, PrepareJob
from lipbench.faces.track import FaceTrack

_S3FD = "s3fd-wav2lip"


class Wav2LipParams(Params):
    """Options under upstream's names; boxes are x1, y1, x2, y2 here (upstream's --box is y1, y2, x1, x2)."""

    weights: str = Field(
        default="wav2lip", description="Name in the weights registry: wav2lip, wav2lip_gan, wav2lip-demo, ..."
    )
    weights_file: str | None = Field(
        default=None, description="A checkpoint of your own instead.", json_schema_extra={"path": True}
    )
    detector: Literal["faces", "s3fd"] = Field(
        default="faces",
        description="faces: from the clip's face track, framed like a detection; s3fd: the published detector.",
    )
    box: tuple[int, int, int, int] | None = Field(
        default=None, description="x1, y1, x2, y2 px: the same box on every frame, no pads, no smoothing."
    )
    pads: tuple[int, int, int, int] = Field(default=(0, 10, 0, 0), description="px: top, bottom, left, right.")
    nosmooth: bool = Field(default=False, description="Leave out the running mean of the boxes over 5 frames.")
    paste: Literal["hard", "feather", "change"] = Field(
        default="hard",
        description="hard: overwrite the box (published); feather: fade it out at the edges; change: add what changed.",
    )


class Wav2Lip(Method):
    """Redraws the lower half of the face from a 96 x 96 crop and 0.2 s of sound, frame by frame.

    `prepare` runs the published detector once per clip where `detector: s3fd` asks for it; otherwise the boxes come
    from the face track that all methods and metrics share.
    """

    spec = MethodSpec(
        id="wav2lip",
        version="1",
        title="Wav2Lip",
        paper="Prajwal et al., A Lip Sync Expert Is All You Need for Speech to Lip Generation in the Wild, ACM MM 2020",
        # The README of github.com/Rudrabha/Wav2Lip: "personal/research/non-commercial purposes only", trained on LRS2.
        licence="code and wav2lip-demo: Apache-2.0 (own); published weights: no licence file, non-commercial only",
        stages=("prepare", "synthesize"),
        needs=frozenset({"faces"}),
        weights=("wav2lip",),
        params=Wav2LipParams,
        deviations=(
            "boxes come from the shared face track, framed like S3FD's, unless `detector: s3fd` is chosen",
            "frames without a face get boxes interpolated from their neighbours; upstream gives up on the clip",
            "the last 0.1 s of a dub, which upstream drops, repeats the last window of sound",
            "where the dub is longer than the clip the frames play back and forth; upstream starts again (a jump cut)",
            "written as H.264 (crf 12) instead of DIVX",
        ),
    )

    def weights(self, params: Any) -> tuple[str, ...]:
        own = () if params.weights_file else (params.weights,)
        return (*own, "s3fd") if _detects(params) else own

    def needs(self, params: Any) -> frozenset[str]:
        return frozenset() if params.box is not None or _detects(params) else self.spec.needs

    def identity(self, params: Any, clip_id: str, language: str) -> Mapping[str, Any]:
        """A checkpoint file's hash, the detector's identity.

        Raises:
            WeightsMissing: there is no file `weights_file`.
        """
        found: dict[str, Any] = {}
        if params.weights_file is not None:
            found["weights_file"] = keys.sha256_file(weights.existing(params.weights_file, "weights_file"))
        if _detects(params):
            from lipbench.faces import backend_identity

            found["detector"] = dict(backend_identity(_S3FD))
        return found

    def prepare(self, job: PrepareJob) -> Outputs:
        if not _detects(job.params):
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
        import torch

        from lipbench.baselines.wav2lip import boxes as framing
        from lipbench.baselines.wav2lip.checkpoint import load
        from lipbench.baselines.wav2lip.inference import LipDrawer, relip
        from lipbench.baselines.wav2lip.mel import melspectrogram, window_starts

        dub, clip, params = job.dub, job.clip, job.params
        torch.set_num_threads(job.threads)
        if params.box is not None:
            boxes = framing.fixed(params.box, dub.n_frames, clip.width, clip.height)
        else:
            boxes = framing.follow(self._track(job), params.pads, smooth=not params.nosmooth)
        file = (
            weights.existing(params.weights_file, "weights_file")
            if params.weights_file
            else weights.path(params.weights)
        )
        drawer = LipDrawer(load(file), job.device)

        mel = melspectrogram(media.read_audio(dub.audio))
        starts = window_starts(mel.shape[1], clip.fps, dub.n_frames)
        frames = relip(drawer, media.read_frames(dub.video), boxes.xyxy, mel, starts, params.paste)
        video = job.out / "video.mp4"
        media.write_video(video, reported(frames, dub.n_frames, job, "wav2lip"), clip.fps, dub.audio)
        net = drawer.net
        info = {
            **boxes.info,
            "paste": params.paste,
            "width": net.width,
            "gated": net.gated,
            "published_size": net.width == 1 and not net.gated,
        }
        return Outputs({"video": video}, info)

    def _track(self, job: DubJob) -> FaceTrack:
        """The faces under the dub: the detector's, made in prepare, or the shared ones."""
        if not _detects(job.params):
            return track_of(job)
        return FaceTrack.load(job.prepared / "boxes.npz").take(job.dub.index)


def _detects(params: Any) -> bool:
    return params.detector == "s3fd" and params.box is None
