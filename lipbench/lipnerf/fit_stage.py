"""LipNeRF's stage `fit`: train the field of a clip."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
from lipbench.nerf.relief.scene import ReliefScene
from lipbench.nerf.relief.scene import pool as pool_reliefs
from lipbench.nerf.relief.sides import TrainedSides, azimuths, fronts_of
from lipbench.nerf.relief.sides_training import train as train_relief
from lipbench.nerf.relief.trained import TrainedRelief
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
    pooled = [scene if n == len(scene) else scene.take(np.arange(n))]
    for other, shot in load_shots(job.prepared):
        shot_condition = smooth(other.fit.expression) if p.smooth_training else other.fit.expression
        pooled.append(make(other, shot.frames, clean_plate(shot.frames, other.parsing), shot_condition, shot.track))
    shown = np.concatenate([each.condition for each in pooled]).astype(np.float64)
    lengths, remarks = {"condition": shown.shape[1], "latent": p.latent}, list[str]()
    model: TrainedField | TrainedRelief | TrainedSides
    if p.field == "relief":
        spans = [(first, min(end, n)) for first, end in job.clip.shots if first < n]
        for each in pooled[1:]:
            spans.append((spans[-1][1], spans[-1][1] + len(each)))
        model, remarks = _trained_relief(job, scene, pooled, spans, lengths)
    else:
        wanted = preset(p.preset, p.field, _changes(job, lengths))
        model = train(pool(pooled), wanted, job.out / "training", **_how(job))
    files["field"] = job.out / "field.pt"
    model.save(files["field"])
    if p.condition == "expression":
        files["expression_range"] = ExpressionRange.of(shown).save(job.out / "expression_range.npz")
    if isinstance(model, (TrainedRelief, TrainedSides)):
        residuals = _residuals(job, model, scene, prepared, condition)
        files["residuals"] = residuals.save(job.out / "residuals.npz")
    facts: dict[str, Any] = {k: v for k, v in model.facts.items() if isinstance(v, (int, float, str, bool))}
    facts |= {"products": field_products(job.device), **({"remarks": remarks} if remarks else {})}
    return Outputs(files, {"frames": len(shown), "shots": len(pooled), "preset": p.preset, "field": p.field, **facts})


def _trained_relief(
    job: FitJob, clip: ReliefScene, scenes: list[ReliefScene], spans: list[tuple[int, int]], lengths: dict[str, int]
) -> tuple[TrainedRelief | TrainedSides, list[str]]:
    """A relief, or one for each side that the head shows, and what is said of it.

    What it keeps of each frame takes 30 bytes a pixel, so of a long clip it is trained on some.

    Args:
        job: the stage's.
        clip: all of it, for a dub shows all.
        scenes: what may be trained on of the clip, and each further shot.
        spans: the shots' frames in these scenes one after the other.
        lengths: of codes.
    """
    chosen, whole = relief_preset(job.params.preset, _changes(job, lengths)), pool_reliefs(scenes)
    rows = spread(spans, chosen.views)
    scene = whole if len(rows) == len(whole) else whole.take(rows)
    remarks = _on_turns(clip, scenes, scene)
    for text in remarks:
        job.log(text)
    model = train_relief(scene, chosen, job.out / "training", **_how(job)).renumbered(rows)
    if len(model.frames) < len(whole):
        remarks.append(
            f"trained on {len(model.frames)} of {len(whole)} frames, evenly spread (settings: views, held_out); the "
            "others take codes between those of their neighbors"
        )
        job.log(remarks[-1])
    return model, remarks


def _on_turns(clip: ReliefScene, scenes: Sequence[ReliefScene], trained: ReliefScene) -> list[str]:
    """What is said of the head's turns in all of the clip, for a dub shows all, and in each further shot.

    Args:
        clip: see there.
        scenes: what may be trained on of the clip, and each further shot.
        trained: what is trained on, all in one.
    """
    fronts, shown = fronts_of(azimuths(trained)), [clip, *scenes[1:]]
    return remarks_on_turns([turned_away(each.rotation, each.translation, fronts) for each in shown], fronts)


def _changes(job: FitJob, lengths: dict[str, int]) -> dict[str, Any]:
    """What the parameters change in their preset, with codes of these lengths."""
    p: LipNerfParams = job.params
    named = {name: value for name, value in (("steps", p.steps), ("size", p.size)) if value is not None}
    return {**p.settings, **lengths, **named}


def _how(job: FitJob) -> dict[str, Any]:
    return {"seed": job.seed, "device": job.device, "log": job.log}


def _residuals(
    job: FitJob, model: TrainedRelief | TrainedSides, scene: Any, prepared: PreparedClip, own: NDArray[np.floating]
) -> Residuals:
    """What the field gets wrong in the clip's own frames about the lips."""
    frames = kept_frames(model.frames, len(scene))

    def drawn(where: Where) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        return ((frame.rgb, frame.alpha) for frame in model.render(scene, own[frames], frames, where))

    return gather(poses_of(prepared, own), scene.filmed, frames, drawn, job.clip.fps)
