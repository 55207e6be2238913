"""What PC-AVS does with a clip and with its dubs."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import torch

from lipbench import media
from lipbench.baselines.jobs import track_of
from lipbench.baselines.pcavs import alignment, sound
from lipbench.baselines.pcavs.checkpoint import load, load_ours, together
from lipbench.baselines.pcavs.encoders import AudioEncoder, IdentityEncoder, PoseMouthEncoder
from lipbench.baselines.pcavs.files import checkpoint_file
from lipbench.baselines.pcavs.generator import PcAvsGenerator
from lipbench.baselines.pcavs.inference import PcAvsInference, generate_frames, read_poses
from lipbench.baselines.pcavs.layout import Networks
from lipbench.core.by_file import small_net
from lipbench.core.method import DubJob, Outputs, PrepareJob

POSES = "poses.npy"
_ours = small_net(load_ours)


def prepare(job: PrepareJob) -> Outputs:
    """Read where the head points in every frame of the clip."""
    torch.set_num_threads(job.threads)
    matrices = alignment.follow(track_of(job))
    poses = read_poses(_networks(job.params), media.read_frames(job.clip.video), matrices, job.device)
    np.save(path := job.out / POSES, poses)
    return Outputs({"poses": path})


def synthesize(job: DubJob) -> Outputs:
    """Redraw the face of every frame to the dub."""
    dub, clip, params = job.dub, job.clip, job.params
    torch.set_num_threads(job.threads)
    track = track_of(job)
    matrices = alignment.follow(track)
    first = int(np.flatnonzero(track.found)[0])
    person = next(islice(media.read_frames(dub.video), first, None))
    drawer = PcAvsInference(_networks(params), alignment.cut(person, matrices[first]), job.device)
    mel = sound.windows(sound.melspectrogram(media.read_audio(dub.audio)), clip.fps, dub.n_frames)
    video = job.out / "video.mp4"
    poses = np.load(job.prepared / POSES)[np.asarray(dub.index)]
    frames = generate_frames(drawer, media.read_frames(dub.video), matrices, poses, mel, params.paste)
    media.write_video(video, frames, clip.fps, dub.audio, like=dub.video)
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
    if params.weights_file is not None or (params.checkpoints is None and params.weights != "published"):
        return _ours(params.weights_path())
    return together(
        load(checkpoint_file(params, "pcavs_generator"), PcAvsGenerator),
        load(checkpoint_file(params, "pcavs_identity"), IdentityEncoder),
        load(checkpoint_file(params, "pcavs_pose"), PoseMouthEncoder),
        load(checkpoint_file(params, "pcavs_audio"), AudioEncoder),
    )
