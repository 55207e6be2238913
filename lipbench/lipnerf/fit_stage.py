"""LipNeRF's stage `fit`: train the field of a clip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench import media
from lipbench.core.errors import NoAudio, Unsupported
from lipbench.core.method import FitJob, Outputs
from lipbench.core.precision import field_products
from lipbench.faces.parsing import clean_plate
from lipbench.lipnerf import head
from lipbench.lipnerf.expression.expression_range import ExpressionRange
from lipbench.lipnerf.expression.smoothing import smooth
from lipbench.lipnerf.params import LipNerfParams
from lipbench.lipnerf.prepared import PreparedClip, relief_scene_of, scene_of
from lipbench.lipnerf.residual import Residuals, gather, kept_frames, poses_of
from lipbench.lipnerf.shots import load_shots, spread
from lipbench.lipnerf.sound import fit_features
from lipbench.lipnerf.turned import remarks_on_turns, turned_away
from lipbench.nerf.relief.config import relief_preset
from lipbench.nerf.relief.scene import pool as pool_reliefs
from lipbench.nerf.relief.trained import TrainedRelief
from lipbench.nerf.relief.training import train as train_relief
from lipbench.nerf.scene import pool
from lipbench.nerf.training.presets import preset
from lipbench.nerf.training.trained import TrainedField, Where
from lipbench.nerf.training.trainer import train


def fit(job: FitJob) -> Outputs:
    """Train the field on the prepared clip, its further shots with it."""
    prepared, frames, track = PreparedClip.load(job.prepared), media.load_frames(job.clip.video), head.clip_track(job)
    p: LipNerfParams = job.params
    files: dict[str, Path] = {}
    if p.condition == "audio":
        if job.clip.audio is None:
            raise NoAudio(f"clip {job.clip.id} has no audio", "condition: audio is trained on it", "use expression")
        if p.shots:
            raise Unsupported(
                "condition: audio cannot be trained on further shots",
                "the audio's features belong to the clip",
                "leave out `shots`, or use condition: expression",
            )
        files["sound"] = job.out / "sound.npz"
        heard = fit_features(media.read_audio(job.clip.audio), head.train_frames(job, len(frames)), files["sound"])
        condition = np.concatenate([heard, np.repeat(heard[-1:], len(frames) - len(heard), axis=0)])
    else:
        condition = smooth(prepared.fit.expression, job.clip.shots) if p.smooth_training else prepared.fit.expression
    make: Callable[..., Any] = relief_scene_of if p.field == "relief" else scene_of
    scene = make(prepared, frames, head.clip_plate(job, frames, prepared.parsing), condition, track)
    n = head.train_frames(job, len(scene))
    if p.shots and n < len(scene):
        raise Unsupported(
            "further shots go with the whole clip",
            "the length of the training counts the clip's frames alone",
            "leave out `shots` or `train_seconds`",
        )
    remarks: list[str] = []
    if p.field == "relief":
        remarks = remarks_on_turns(turned_away(prepared.fit.rotation, prepared.fit.translation))
        for text in remarks:
            job.log(text)
    pooled = [scene if n == len(scene) else scene.take(np.arange(n))]
    for other, shot in load_shots(job.prepared):
        shot_condition = smooth(other.fit.expression) if p.smooth_training else other.fit.expression
        pooled.append(make(other, shot.frames, clean_plate(shot.frames, other.parsing), shot_condition, shot.track))
    shown = np.concatenate([each.condition for each in pooled]).astype(np.float64)
    spans = [(first, min(end, n)) for first, end in job.clip.shots if first < n]
    for each in pooled[1:]:
        spans.append((spans[-1][1], spans[-1][1] + len(each)))
    model = _trained(job, pooled, spans, {"condition": shown.shape[1], "latent": p.latent})
    if p.field == "relief" and len(model.frames) < len(shown):
        remarks.append(
            f"trained on {len(model.frames)} of {len(shown)} frames, evenly spread (settings: views, held_out); the "
            "others take codes between those of their neighbors"
        )
        job.log(remarks[-1])
    files["field"] = job.out / "field.pt"
    model.save(files["field"])
    if p.condition == "expression":
        files["expression_range"] = ExpressionRange.of(shown).save(job.out / "expression_range.npz")
    if isinstance(model, TrainedRelief):
        residuals = _residuals(job, model, scene, prepared, condition)
        files["residuals"] = residuals.save(job.out / "residuals.npz")
    facts: dict[str, Any] = {k: v for k, v in model.facts.items() if isinstance(v, (int, float, str, bool))}
    facts |= {"products": field_products(job.device), **({"remarks": remarks} if remarks else {})}
    return Outputs(files, {"frames": len(shown), "shots": len(pooled), "preset": p.preset, "field": p.field, **facts})


def _trained(
    job: FitJob, scenes: list[Any], spans: list[tuple[int, int]], lengths: dict[str, int]
) -> TrainedField | TrainedRelief:
    """The field that the parameters name, trained on the scenes, with codes of these lengths.

    A relief is trained on some frames of a long clip: what it keeps of each takes 30 bytes a pixel. `spans` are the
    shots' in the scenes one after the other.
    """
    p: LipNerfParams = job.params
    changes: dict[str, Any] = {**p.settings, **lengths}
    changes |= {name: value for name, value in (("steps", p.steps), ("size", p.size)) if value is not None}
    how: dict[str, Any] = {"seed": job.seed, "device": job.device, "log": job.log}
    folder = job.out / "training"
    if p.field == "relief":
        chosen, scene = relief_preset(p.preset, changes), pool_reliefs(scenes)
        rows = spread(spans, chosen.views)
        relief = train_relief(scene if len(rows) == len(scene) else scene.take(rows), chosen, folder, **how)
        return replace(relief, frames=rows[relief.frames])
    return train(pool(scenes), preset(p.preset, p.field, changes), folder, **how)


def _residuals(
    job: FitJob, model: TrainedRelief, scene: Any, prepared: PreparedClip, own: NDArray[np.floating]
) -> Residuals:
    """What the field gets wrong in the clip's own frames about the lips."""
    frames = kept_frames(model.frames, len(scene))

    def drawn(where: Where) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        return ((frame.rgb, frame.alpha) for frame in model.render(scene, own[frames], frames, where))

    return gather(poses_of(prepared, own), scene.filmed, frames, drawn, job.clip.fps)
