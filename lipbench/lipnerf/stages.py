"""What LipNeRF does: train the field of a clip, render a dub of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lipbench import media
from lipbench.core.errors import NoAudio, Unsupported
from lipbench.core.method import DubJob, FitJob, Outputs
from lipbench.faces.morphable.procedural import head_parts
from lipbench.faces.parsing import clean_plate
from lipbench.lipnerf import head
from lipbench.lipnerf.composite import CompositeOptions
from lipbench.lipnerf.driving import expressions
from lipbench.lipnerf.expression.expression_range import ExpressionRange
from lipbench.lipnerf.expression.smoothing import smooth
from lipbench.lipnerf.expression.upper_face import keep_upper_face
from lipbench.lipnerf.output import changed, composited
from lipbench.lipnerf.params import LipNerfParams
from lipbench.lipnerf.prepared import PreparedClip, scene_of
from lipbench.lipnerf.shots import load_shots
from lipbench.lipnerf.sound import fit_features, project, windows
from lipbench.nerf.scene import pool
from lipbench.nerf.training.presets import preset
from lipbench.nerf.training.trained import TrainedField
from lipbench.nerf.training.trainer import train


def fit(job: FitJob) -> Outputs:
    """Train the field on the prepared clip, its further shots with it."""
    prepared, frames, track = PreparedClip.load(job.prepared), media.load_frames(job.clip.video), head.clip_track(job)
    p: LipNerfParams = job.params
    files: dict[str, Path] = {}
    if p.condition == "audio":
        if job.clip.audio is None:
            raise NoAudio(f"clip {job.clip.id} has no sound", "condition: audio is trained on it", "use expression")
        if p.shots:
            raise Unsupported(
                "condition: audio cannot be trained on further shots",
                "the sound's features belong to the clip",
                "leave out `shots`, or use condition: expression",
            )
        files["sound"] = job.out / "sound.npz"
        heard = fit_features(media.read_audio(job.clip.audio), head.train_frames(job, len(frames)), files["sound"])
        condition = np.concatenate([heard, np.repeat(heard[-1:], len(frames) - len(heard), axis=0)])
    else:
        condition = smooth(prepared.fit.expression) if p.smooth_training else prepared.fit.expression
    scene = scene_of(prepared, frames, clean_plate(frames, prepared.parsing), condition, track)
    n = head.train_frames(job, len(scene))
    if p.shots and n < len(scene):
        raise Unsupported(
            "further shots go with the whole clip",
            "the length of the training counts the clip's frames alone",
            "leave out `shots` or `train_seconds`",
        )
    pooled = [scene.take(np.arange(n))]
    for other, shot in load_shots(job.prepared):
        condition = smooth(other.fit.expression) if p.smooth_training else other.fit.expression
        pooled.append(scene_of(other, shot.frames, clean_plate(shot.frames, other.parsing), condition, shot.track))
    scene = pool(pooled)
    changes: dict[str, Any] = {**p.settings, "condition": scene.condition.shape[1], "latent": p.latent}
    changes |= {name: value for name, value in (("steps", p.steps), ("size", p.size)) if value is not None}
    model = train(
        scene, preset(p.preset, p.field, changes), job.out / "training", seed=job.seed, device=job.device, log=job.log
    )
    files["field"] = job.out / "field.pt"
    model.save(files["field"])
    if p.condition == "expression":
        files["familiar"] = ExpressionRange.of(scene.condition.astype(np.float64)).save(job.out / "familiar.npz")
    facts = {k: v for k, v in model.facts.items() if isinstance(v, (int, float, str, bool))}
    return Outputs(files, {"frames": len(scene), "shots": len(pooled), "preset": p.preset, "field": p.field, **facts})


def synthesize(job: DubJob) -> Outputs:
    """Render a dub and put it back into the clip."""
    torch.set_num_threads(job.threads)
    p, index = job.params, np.asarray(job.dub.index)
    prepared, frames, track = PreparedClip.load(job.prepared), media.load_frames(job.clip.video), head.clip_track(job)
    files: dict[str, Path] = {}
    info: dict[str, Any] = {}
    expression = prepared.fit.expression[index]
    if p.condition == "audio":
        heard = windows(media.read_audio(job.dub.audio), len(index))
        driven = project(heard, job.fitted / "sound.npz")
    else:
        found, facts = expressions(job, prepared.fit)
        info.update(facts)
        driven = smooth(found) if p.smoothing else found
        if p.upper_face == "source":
            shown = own_condition(job, prepared.fit.expression)[index]
            driven = keep_upper_face(prepared.fit.load_model(), shown, driven)
        if p.familiar:
            driven, info["expression_cut"] = ExpressionRange.load(job.fitted / "familiar.npz").clamp(driven)
        if prepared.fit.model_name == "procedural":
            model = prepared.fit.load_model()
            files["annotations"] = job.out / "lips.npz"
            rows = model.vertices(prepared.fit.identity, driven)[:, head_parts().lip_index]
            np.savez_compressed(files["annotations"], lip_vertices=rows.astype(np.float32))
        expression = driven
    plate = clean_plate(frames, prepared.parsing)
    scene = scene_of(prepared, frames, plate, np.zeros((len(frames), driven.shape[1])), track)
    trained = TrainedField.load(job.fitted / "field.pt")
    trained.field.to(job.device)
    files["video"] = job.out / "video.mp4"
    options = CompositeOptions(inpainter=p.inpainter)
    if p.paste == "change":
        own = own_condition(job, prepared.fit.expression)
        pictures = changed(prepared, frames, plate, trained, scene, driven, own, expression, index, options, job.log)
    else:
        pictures = composited(prepared, frames, plate, trained, scene, driven, index, options, job.log)
    media.write_video(files["video"], pictures, job.clip.fps, job.dub.audio)
    return Outputs(files, {**info, "field": p.field, "preset": p.preset})


def own_condition(job: DubJob, expression: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, C) what the field was told about the clip's own frames, whose fitted expressions are (T, K)."""
    if job.params.condition == "expression":
        return smooth(expression) if job.params.smooth_training else expression
    if job.clip.audio is None:
        raise NoAudio(f"clip {job.clip.id} has no sound", "the field was trained on it", "use condition: expression")
    return project(windows(media.read_audio(job.clip.audio), len(expression)), job.fitted / "sound.npz")
