"""PC-AVS as a lipbench method."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from lipbench import media
from lipbench.baselines.jobs import track_of
from lipbench.core import keys, weights
from lipbench.core.errors import WeightsMissing
from lipbench.core.method import DubJob, Method, MethodSpec, Outputs, Params

if TYPE_CHECKING:
    from lipbench.baselines.pcavs.layout import Networks

DEMO = "pcavs-demo"
#: name in the weights registry -> upstream's file name
FILES = {
    "pcavs_generator": "latest_net_G.pth",
    "pcavs_identity": "latest_net_V.pth",
    "pcavs_pose": "latest_net_E.pth",
    "pcavs_audio": "latest_net_A_sync.pth",
}


class PcAvsParams(Params):
    """Where the networks are and how the crop goes back."""

    checkpoints: str | None = Field(
        default=None,
        description="Folder with latest_net_G, _V, _E and _A_sync.pth of your own instead.",
        json_schema_extra={"path": True},
    )
    weights: Literal["published", "demo", "pcavs-demo"] = Field(
        default="published", description="published: the four files; demo (also pcavs-demo): the packaged small ones."
    )
    weights_file: str | None = Field(
        default=None, description="A pcavs.npz of `lipbench train pc-avs` instead.", json_schema_extra={"path": True}
    )
    paste: Literal["feather", "hard"] = Field(
        default="feather", description="How the crop goes back: faded out at the edges, or as it is."
    )


class PcAvs(Method):
    """Redraws the whole face: who it is from one frame, the head's pose from every frame, the mouth from the dub."""

    spec = MethodSpec(
        id="pc-avs",
        version="1",
        title="PC-AVS",
        paper="Zhou et al., Pose-Controllable Talking Face Generation by Implicitly Modularized Audio-Visual "
        "Representation, CVPR 2021",
        licence="code: Apache-2.0 (own); published weights: CC BY 4.0 (upstream's repository)",
        needs=frozenset({"faces"}),
        weights=tuple(FILES),
        params=PcAvsParams,
        deviations=(
            "the crop is put back into the frame, faded out at its edges; the paper scores the 224 px crop as it comes",
            "landmarks come from the shared face track; upstream runs face-alignment's 2D FAN",
            "frames without a face get landmarks interpolated from their neighbours; upstream gives up on the clip",
            "the first and last two frames, which upstream drops, hear silence where there is no sound",
            "the person is the first frame with a face; upstream draws one of the given pictures at random",
            "the generator's noise is the one stored in the file; upstream draws new noise at every call",
            "crops are not saved as JPEG on the way",
            "weights: demo are smaller networks of another layout, trained on generated faces; no published losses",
        ),
    )

    def weights(self, params: Any) -> tuple[str, ...]:
        if params.checkpoints or params.weights_file:
            return ()
        return tuple(FILES) if params.weights == "published" else (DEMO,)

    def identity(self, params: Any, clip_id: str, language: str) -> Mapping[str, Any]:
        """Hash of `weights_file`, or of the files in `checkpoints`.

        Raises:
            WeightsMissing: one of them is not there.
        """
        if params.weights_file is not None:
            return {"weights_file": keys.sha256_file(weights.existing(params.weights_file, "weights_file"))}
        if params.checkpoints is None:
            return {}
        return {name: keys.sha256_file(_file(params, name)) for name in FILES}

    def synthesize(self, job: DubJob) -> Outputs:
        import torch

        from lipbench.baselines.pcavs import alignment, sound
        from lipbench.baselines.pcavs.inference import FaceDrawer, redraw

        dub, clip, params = job.dub, job.clip, job.params
        torch.set_num_threads(job.threads)
        track = track_of(job)
        matrices = alignment.follow(track)
        first = int(np.flatnonzero(track.found)[0])
        person = next(islice(media.read_frames(dub.video), first, None))
        drawer = FaceDrawer(_networks(params), alignment.cut(person, matrices[first]), job.device)
        mel = sound.windows(sound.melspectrogram(media.read_audio(dub.audio)), clip.fps, dub.n_frames)
        video = job.out / "video.mp4"
        frames = redraw(drawer, media.read_frames(dub.video), matrices, mel, params.paste)
        media.write_video(video, frames, clip.fps, dub.audio)
        info = {
            "faces": track.backend,
            "frames_without_face": len(track.lost_frames),
            "identity_frame": first,
            "paste": params.paste,
            "width": drawer.networks.G.width,
            "size": drawer.networks.size,
            "weights": params.weights_file or params.weights,
        }
        return Outputs({"video": video}, info)


def _networks(params: Any) -> Networks:
    """Four files as one, or one file of ours.

    Raises:
        WeightsMissing, WeightsError, WeightsMismatch: a file is not there, or not what it should be.
    """
    from lipbench.baselines.pcavs.checkpoint import load, load_ours, together
    from lipbench.baselines.pcavs.encoders import AudioEncoder, IdentityEncoder, PoseMouthEncoder
    from lipbench.baselines.pcavs.generator import Generator

    if params.weights_file is not None:
        return load_ours(weights.existing(params.weights_file, "weights_file"))
    if params.checkpoints is None and params.weights != "published":
        return load_ours(weights.path(DEMO))
    return together(
        load(_file(params, "pcavs_generator"), Generator),
        load(_file(params, "pcavs_identity"), IdentityEncoder),
        load(_file(params, "pcavs_pose"), PoseMouthEncoder),
        load(_file(params, "pcavs_audio"), AudioEncoder),
    )


def _file(params: Any, name: str) -> Path:
    """The file of one network.

    Raises:
        WeightsMissing, WeightsMismatch: it is not there, or not the one that was added.
    """
    if params.checkpoints is None:
        return weights.path(name)
    path = Path(params.checkpoints) / FILES[name]
    if not path.is_file():
        raise WeightsMissing(f"there is no file {path}", "`checkpoints` names its folder", "correct the path")
    return path
