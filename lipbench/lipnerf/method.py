"""LipNeRF as a lipbench method: fit and parse a clip, train its field, render its dubs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench import media
from lipbench.core.errors import NoAudio, Unsupported
from lipbench.core.method import BaseMethod, Job, MethodSpec, Outputs, StageCode
from lipbench.lipnerf import head
from lipbench.lipnerf.composite.options import GATED_WEIGHTS
from lipbench.lipnerf.params import FIT, LipNerfParams


class LipNerf(BaseMethod):
    """A dynamic radiance field of the head, told by expressions and per-frame codes; torso and background are the
    source's."""

    spec = MethodSpec(
        id="lipnerf",
        version="1",
        title="LipNeRF",
        paper="Chatziagapi et al., LipNeRF: What is the right feature space to lip-sync a NeRF?, FG 2023",
        licence="Apache-2.0 (own code); morphable models and parsing weights of the user keep theirs",
        stages=("prepare", "fit", "synthesize"),
        needs=frozenset({"faces"}),
        uses_train_seconds=True,
        uses_seed=True,
        params=LipNerfParams,
        deviations=(
            "the morphable model is the procedural head unless another one is named; the paper fits a BFM",
            "head masks come from landmarks and image evidence unless parsing weights are given; the paper has MaskGAN",
            "the neck is filled from other frames of the clip unless weights for a gated-convolution network are given",
            "the presets quick and demo are smaller than the paper's, and field: triplane is another model",
            "quick and demo take the lids out of the expression, start the codes with the eyes' pictures, draw more "
            "rays on eyes and blinks, and train the mouth under other frames' codes",
            "upper_face: source keeps the source's eyes and brows in the driving expressions; the paper's is dub",
        ),
    )

    def weights(self, params: Any) -> tuple[str, ...]:
        from lipbench.faces.parsing import parser_weights
        from lipbench.lipnerf.driving import ARTICULATION, lip_source

        names = list(parser_weights(params.parser))
        if params.inpainter == "gated":
            names.append(GATED_WEIGHTS)
        faces = bool(params.shots)
        if params.condition == "expression" and params.expression_from == "audio":
            names.append(ARTICULATION)
        elif self.driver(params) is not None:
            method, its = lip_source(params)
            names += method.weights(its) if isinstance(method, BaseMethod) else method.spec.weights
            faces = True
        return tuple(dict.fromkeys([*names, *(head.face_weights(params.faces) if faces else ())]))

    def stage_inputs(self, kind: str, params: Any) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        values, names = head.inputs(params.fit, params.parser, params.model, params.shots, params.faces)
        if kind == "prepare":
            return values, names
        own = params.model_dump(mode="json", exclude={"shots"})
        if kind == "synthesize":
            return {**own, **values}, self.weights(params)
        return {**{name: own[name] for name in FIT}, **values}, ()

    def stage_code(self, kind: str) -> StageCode:
        """Fit and parsing are shared with every method that starts from them."""
        return head.CODE if kind == "prepare" else super().stage_code(kind)

    def identity(self, params: Any, clip_id: str, language: str) -> Mapping[str, Any]:
        """How faces are found in the lip source's video, for the dub's stage alone.

        Raises:
            UsageError: a further shot is not there.
        """
        for shot in params.shots:
            head.shot_hash(shot)
        if not language or self.driver(params) is None:
            return {}
        from lipbench.faces.backend_table import backend_identity

        return {"faces": dict(backend_identity(params.faces))}

    def driver(self, params: Any) -> tuple[str, Mapping[str, Any]] | None:
        """The lip source, where expressions come from one."""
        told = params.condition == "expression" and params.expression_from == "lip_source"
        return (params.lip_source, params.lip_source_params) if told else None

    # ---- stages -----------------------------------------------------------------------------------------------

    def prepare(self, job: Job) -> Outputs:
        p: LipNerfParams = job.params
        return head.prepare(job, p.fit, p.parser, p.model, p.shots, p.faces)

    def fit(self, job: Job) -> Outputs:
        from lipbench.faces.parsing import clean_plate
        from lipbench.lipnerf.expression.familiar import Familiar
        from lipbench.lipnerf.expression.smoothing import smooth
        from lipbench.lipnerf.prepared import Prepared, scene_of
        from lipbench.lipnerf.shots import load_shots
        from lipbench.lipnerf.sound import fit_features
        from lipbench.nerf.scene import pool
        from lipbench.nerf.training.presets import preset
        from lipbench.nerf.training.trainer import train

        prepared, frames, track = Prepared.load(_prepared(job)), media.load_frames(job.clip.video), head.clip_track(job)
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
        for other, shot in load_shots(_prepared(job)):
            told = smooth(other.fit.expression) if p.smooth_training else other.fit.expression
            pooled.append(scene_of(other, shot.frames, clean_plate(shot.frames, other.parsing), told, shot.track))
        scene = pool(pooled)
        changes: dict[str, Any] = {**p.settings, "condition": scene.condition.shape[1], "latent": p.latent}
        changes |= {name: value for name, value in (("steps", p.steps), ("size", p.size)) if value is not None}
        model = train(
            scene,
            preset(p.preset, p.field, changes),
            job.out / "training",
            seed=job.seed,
            device=job.device,
            say=job.log,
        )
        files["field"] = job.out / "field.pt"
        model.save(files["field"])
        if p.condition == "expression":
            files["familiar"] = Familiar.of(scene.condition.astype(np.float64)).save(job.out / "familiar.npz")
        facts = {k: v for k, v in model.facts.items() if isinstance(v, (int, float, str, bool))}
        return Outputs(
            files, {"frames": len(scene), "shots": len(pooled), "preset": p.preset, "field": p.field, **facts}
        )

    def synthesize(self, job: Job) -> Outputs:
        import torch

        from lipbench.faces.parsing import clean_plate
        from lipbench.lipnerf.composite import CompositeOptions
        from lipbench.lipnerf.driving import expressions
        from lipbench.lipnerf.expression.familiar import Familiar
        from lipbench.lipnerf.expression.smoothing import smooth
        from lipbench.lipnerf.expression.upper_face import keep_upper_face
        from lipbench.lipnerf.output import changed, composited
        from lipbench.lipnerf.prepared import Prepared, scene_of
        from lipbench.lipnerf.sound import project, windows
        from lipbench.nerf.training.trained import TrainedField
        from lipbench.synthetic.corpus.render import lip_index

        if job.dub is None or job.fitted is None:
            raise TypeError("synthesize needs a dub and the fit stage")
        torch.set_num_threads(job.threads)
        p, index = job.params, np.asarray(job.dub.index)
        prepared, frames, track = Prepared.load(_prepared(job)), media.load_frames(job.clip.video), head.clip_track(job)
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
                driven, info["expression_cut"] = Familiar.load(job.fitted / "familiar.npz").hold(driven)
            if prepared.fit.model_name == "procedural":
                model = prepared.fit.load_model()
                files["annotations"] = job.out / "lips.npz"
                rows = model.vertices(prepared.fit.identity, driven)[:, lip_index()]
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
            pictures = changed(
                prepared, frames, plate, trained, scene, driven, own, expression, index, options, job.log
            )
        else:
            pictures = composited(prepared, frames, plate, trained, scene, driven, index, options, job.log)
        media.write_video(files["video"], pictures, job.clip.fps, job.dub.audio)
        return Outputs(files, {**info, "field": p.field, "preset": p.preset})


def _prepared(job: Job) -> Any:
    if job.prepared is None:
        raise TypeError("this stage needs the prepare stage")
    return job.prepared


def own_condition(job: Job, expression: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, C) what the field was told about the clip's own frames, whose fitted expressions are (T, K)."""
    from lipbench.lipnerf.expression.smoothing import smooth
    from lipbench.lipnerf.sound import project, windows

    if job.params.condition == "expression":
        return smooth(expression) if job.params.smooth_training else expression
    if job.clip.audio is None or job.fitted is None:
        raise TypeError("a field that was told by sound comes with a clip that has some")
    return project(windows(media.read_audio(job.clip.audio), len(expression)), job.fitted / "sound.npz")
