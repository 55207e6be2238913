"""PC-AVS as a lipbench method."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lipbench import media
from lipbench.baselines.jobs import track_of
from lipbench.baselines.pcavs.spec import DEMO, FILES, SPEC
from lipbench.core import keys, weights
from lipbench.core.errors import WeightsMissing
from lipbench.core.method import DubJob, Method, Outputs

if TYPE_CHECKING:
    from lipbench.baselines.pcavs.layout import Networks


class PcAvs(Method):
    """Redraws the whole face: who it is from one frame, the head's pose from every frame, the mouth from the dub."""

    spec = SPEC

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
