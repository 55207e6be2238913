"""What Wav2Lip does with a dub."""

from __future__ import annotations

from pathlib import Path

import torch

from lipbench import media
from lipbench.baselines.jobs import reported, track_of
from lipbench.baselines.wav2lip import boxes as framing
from lipbench.baselines.wav2lip.checkpoint import load
from lipbench.baselines.wav2lip.inference import Wav2LipInference, generate_frames
from lipbench.baselines.wav2lip.mel import melspectrogram, window_starts
from lipbench.core.by_file import small_net
from lipbench.core.method import DubJob, Outputs
from lipbench.faces.track import FaceTrack


def synthesize(job: DubJob) -> Outputs:
    """Redraw the lips of every frame to the dub."""
    dub, clip, params = job.dub, job.clip, job.params
    torch.set_num_threads(job.threads)
    if params.box is not None:
        boxes = framing.fixed(params.box, dub.n_frames, clip.width, clip.height)
    else:
        boxes = framing.follow(_track(job), params.pads, smooth=not params.nosmooth)
    drawer = _drawer(params.weights_path(), job.device)

    mel = melspectrogram(media.read_audio(dub.audio))
    starts = window_starts(mel.shape[1], clip.fps, dub.n_frames)
    frames = generate_frames(drawer, media.read_frames(dub.video), boxes.xyxy, mel, starts, params.paste)
    video = job.out / "video.mp4"
    media.write_video(video, reported(frames, dub.n_frames, job, "wav2lip"), clip.fps, dub.audio, like=dub.video)
    net = drawer.net
    info = {
        **boxes.info,
        "paste": params.paste,
        "width": net.width,
        "gated": net.gated,
        "published_size": net.width == 1 and not net.gated,
    }
    return Outputs({"video": video}, info)


@small_net
def _drawer(path: Path, device: str) -> Wav2LipInference:
    return Wav2LipInference(load(path), device)


def _track(job: DubJob) -> FaceTrack:
    """The faces under the dub: the detector's, made in prepare, or the shared ones."""
    if not job.params.detects:
        return track_of(job)
    return FaceTrack.load(job.prepared / "boxes.npz").take(job.dub.index)
