"""AD-NeRF's stage `synthesize`: render a dub of a clip whose fields are trained."""

from __future__ import annotations

import numpy as np
import torch

from lipbench import media
from lipbench.baselines.adnerf import audio
from lipbench.baselines.adnerf.outline import LEVELS, OutlinedField, outlines
from lipbench.baselines.adnerf.torso_render import composed
from lipbench.baselines.adnerf.torso_training import TORSO
from lipbench.baselines.adnerf.training import load
from lipbench.baselines.jobs import reported
from lipbench.core.method import DubJob, Outputs
from lipbench.core.precision import field_products
from lipbench.lipnerf import head
from lipbench.lipnerf.composite import CompositeOptions
from lipbench.lipnerf.output import DubRenderer
from lipbench.lipnerf.prepared import PreparedClip, scene_of
from lipbench.nerf.training.running import MODEL
from lipbench.nerf.training.trained import TrainedField


def synthesize(job: DubJob) -> Outputs:
    """Render head and torso, or the head over the source's torso."""
    dub, p = job.dub, job.params
    torch.set_num_threads(job.threads)
    prepared, frames = PreparedClip.load(job.prepared), head.frames_again(job.clip.video)
    trained, audio_codes, smooth = load(job.fitted / "training", job.device)
    heard = audio.extract(
        media.read_audio(dub.audio),
        dub.n_frames,
        fps=job.clip.fps,
        source=p.features,
        file=p.features_file,
        device=job.device,
    )
    driven = audio_codes.every(heard.windows, smooth)
    plate = head.clip_plate(job, frames, prepared.parsing)
    behind = None if plate.static and not p.has_torso else plate
    scene = scene_of(prepared, frames, behind, np.zeros((len(frames), driven.shape[1])), head.clip_track(job))
    if p.has_torso:
        torso = TrainedField.load(job.fitted / TORSO / MODEL, job.device)
        n, index = head.train_frames(job, len(scene)), np.asarray(dub.index)
        images = composed(prepared, plate, trained, torso, scene, n, driven, index)
        images = reported(images, dub.n_frames, job, "ad-nerf")
    else:
        options = CompositeOptions(inpainter=p.inpainter, levels=LEVELS)
        outlined = OutlinedField(trained, outlines(scene.head, scene.mouth))
        renderer = DubRenderer(prepared, frames, plate, outlined, scene, options, job.log)
        images = renderer.composited(driven, np.asarray(dub.index))
    video = job.out / "video.mp4"
    media.write_video(video, images, job.clip.fps, dub.audio, like=dub.video)
    return Outputs(
        {"video": video},
        {
            "field": p.field,
            "preset": p.preset,
            "torso": "field" if p.has_torso else "source",
            "products": field_products(job.device),
            **heard.record,
        },
    )
