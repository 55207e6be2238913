"""AD-NeRF's stage `fit`: train the fields of a clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lipbench import media
from lipbench.baselines.adnerf import audio
from lipbench.baselines.adnerf.checkpoint import is_published, save_head, save_torso
from lipbench.baselines.adnerf.torso_scene import torso_scene
from lipbench.baselines.adnerf.torso_training import TORSO, Behind, torso_preset, train_torso
from lipbench.baselines.adnerf.training import ALONE, AUDIO, DIM, load, train
from lipbench.core.errors import NoAudio
from lipbench.core.method import FitJob, Outputs
from lipbench.core.precision import field_products
from lipbench.lipnerf import head
from lipbench.lipnerf.prepared import PreparedClip, scene_of
from lipbench.nerf.training.presets import preset
from lipbench.nerf.training.running import MODEL


def fit(job: FitJob) -> Outputs:
    """Train the head on the clip's audio, and the torso behind it where it is a field."""
    p = job.params
    if job.clip.audio is None:
        raise NoAudio(f"clip {job.clip.id} has no audio", "AD-NeRF is trained on it", "use a clip with speech")
    prepared, frames = PreparedClip.load(job.prepared), media.load_frames(job.clip.video)
    heard = audio.extract(
        media.read_audio(job.clip.audio),
        len(frames),
        fps=job.clip.fps,
        source=p.features,
        file=p.features_file,
        device=job.device,
    )
    blank = np.zeros((len(frames), DIM))
    plate = head.clip_plate(job, frames, prepared.parsing)
    scene = scene_of(prepared, frames, plate, blank, head.clip_track(job))
    n = head.train_frames(job, len(scene))
    shown = scene if n == len(scene) else scene.take(np.arange(n))
    changes = ALONE | {name: value for name, value in (("steps", p.steps), ("size", p.size)) if value is not None}
    chosen = preset(p.preset, p.field, changes)
    folder = train(
        shown,
        heard.windows[:n],
        chosen,
        job.out / "training",
        seed=job.seed,
        device=job.device,
        smooth_after=p.smooth_after,
        log=job.log,
    )
    files = {"field": folder / MODEL, "audio": folder / AUDIO}
    info = {"frames": n, "preset": p.preset, "field": p.field, "torso": "source", **heard.record}
    info["products"] = field_products(job.device)
    if p.has_torso:
        made, facts = _fit_torso(job, prepared, frames, plate, shown, heard.windows[:n])
        files, info = {**files, **made}, {**info, **facts}
    return Outputs(files, info)


def _fit_torso(
    job: FitJob, prepared: Any, frames: Any, plate: Any, seen: Any, windows: Any
) -> tuple[dict[str, Path], dict[str, Any]]:
    """The torso over the head that the job has just trained: files and facts of the stage."""
    p = job.params
    trained, networks, smooth = load(job.out / "training", job.device)
    codes = networks.every(windows, smooth)
    scene = torso_scene(prepared, frames, plate, seen, codes)
    chosen = torso_preset(preset(p.preset, p.field, ALONE), trained.scale, scene.size, p.torso_steps)
    torso = train_torso(
        scene,
        Behind.of(trained, seen, codes, prepared.crop),
        chosen,
        job.out / TORSO,
        seed=job.seed,
        device=job.device,
        log=job.log,
    )
    files = {"torso": job.out / TORSO / MODEL}
    if is_published(torso.field.config):
        steps = p.steps or preset(p.preset, p.field).steps
        files["head_tar"] = save_head(job.out / f"{steps:06d}_head.tar", trained.field, networks, steps)
        files["body_tar"] = save_torso(job.out / f"{chosen.steps:06d}_body.tar", torso.field, chosen.steps)
    held_out = torso.facts.get("held_out", {})
    return files, {"torso": "field", "torso_steps": chosen.steps, "torso_psnr": held_out.get("head_psnr")}
