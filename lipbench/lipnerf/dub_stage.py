"""LipNeRF's stage `synthesize`: render a dub of a clip whose field is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lipbench import media
from lipbench.core.errors import NoAudio
from lipbench.core.method import DubJob, Outputs
from lipbench.core.precision import field_products
from lipbench.faces.morphable.procedural import head_parts
from lipbench.lipnerf import head
from lipbench.lipnerf.composite import CompositeOptions
from lipbench.lipnerf.driving import expressions
from lipbench.lipnerf.expression.centering import centered
from lipbench.lipnerf.expression.expression_range import ExpressionRange
from lipbench.lipnerf.expression.smoothing import smooth
from lipbench.lipnerf.expression.upper_face import keep_upper_face
from lipbench.lipnerf.output import DubRenderer
from lipbench.lipnerf.prepared import PreparedClip, relief_scene_of, scene_of
from lipbench.lipnerf.residual import Residuals
from lipbench.lipnerf.shots import spans_under
from lipbench.lipnerf.sound import project, windows
from lipbench.nerf.relief.trained import TrainedRelief
from lipbench.nerf.training.trained import TrainedField

AT_ONCE = 500  # expressions whose meshes are made together


def synthesize(job: DubJob) -> Outputs:
    """Render a dub and put it back into the clip."""
    torch.set_num_threads(job.threads)
    p, index = job.params, np.asarray(job.dub.index)
    prepared, frames, track = PreparedClip.load(job.prepared), head.frames_again(job.clip.video), head.clip_track(job)
    files: dict[str, Path] = {}
    info: dict[str, Any] = {}
    expression = prepared.fit.expression[index]
    if p.condition == "audio":
        heard = windows(media.read_audio(job.dub.audio), len(index))
        driven = project(heard, job.fitted / "sound.npz")
    else:
        found, facts = expressions(job, prepared.fit)
        info.update(facts)
        if p.center_expression and p.expression_from == "lip_source":
            found, info["expression_centered"] = centered(found, prepared.fit.expression, job.clip.fps)
        driven = smooth(found, spans_under(index, job.clip.cuts)) if p.smoothing else found
        if p.upper_face == "source":
            shown = own_condition(job, prepared.fit.expression)[index]
            driven = keep_upper_face(prepared.fit.load_model(), shown, driven)
        if p.clamp_expression:
            driven, info["expression_cut"] = ExpressionRange.load(job.fitted / "expression_range.npz").clamp(driven)
        if prepared.fit.model_name == "procedural":
            model = prepared.fit.load_model()
            files["annotations"] = job.out / "lips.npz"
            rows = [
                model.vertices(prepared.fit.identity, part)[:, head_parts().lip_index].astype(np.float32)
                for part in np.array_split(driven, -(-len(driven) // AT_ONCE))
            ]
            np.savez_compressed(files["annotations"], lip_vertices=np.concatenate(rows))
        expression = driven
    plate = head.clip_plate(job, frames, prepared.parsing)
    unused = np.zeros((len(frames), driven.shape[1]))
    relief = p.field == "relief"
    behind = None if relief or plate.static else plate  # bounds of several shots are found in each
    scene = (relief_scene_of if relief else scene_of)(prepared, frames, behind, unused, track)
    trained = (TrainedRelief if relief else TrainedField).load(job.fitted / "field.pt", job.device)
    files["video"] = job.out / "video.mp4"
    options = CompositeOptions(inpainter=p.inpainter)
    corrected = relief and p.paste == "moved" and p.residuals
    residuals = Residuals.load(job.fitted / "residuals.npz") if corrected else None
    renderer = DubRenderer(prepared, frames, plate, trained, scene, options, job.log, residuals)
    if p.paste == "moved":
        images = renderer.moved(driven, own_condition(job, prepared.fit.expression), expression, index)
    elif p.paste == "change":
        images = renderer.changed(driven, own_condition(job, prepared.fit.expression), expression, index)
    else:
        images = renderer.composited(driven, index)
    media.write_video(files["video"], images, job.clip.fps, job.dub.audio, like=job.dub.video)
    return Outputs(files, {**info, "field": p.field, "preset": p.preset, "products": field_products(job.device)})


def own_condition(job: DubJob, expression: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, C) conditions of the clip's own frames, whose fitted expressions are (T, K)."""
    if job.params.condition == "expression":
        return smooth(expression, job.clip.shots) if job.params.smooth_training else expression
    if job.clip.audio is None:
        raise NoAudio(f"clip {job.clip.id} has no audio", "the field was trained on it", "use condition: expression")
    return project(windows(media.read_audio(job.clip.audio), len(expression)), job.fitted / "sound.npz")
