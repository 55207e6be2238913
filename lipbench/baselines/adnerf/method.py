"""AD-NeRF as a lipbench method."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from lipbench import media
from lipbench.baselines.adnerf import audio
from lipbench.baselines.jobs import dub_of, reported
from lipbench.core.errors import NoAudio
from lipbench.core.method import BaseMethod, Job, MethodSpec, Outputs, Params, StageCode
from lipbench.lipnerf import head
from lipbench.lipnerf.composite.options import GATED_WEIGHTS

TORSO = "torso"  # folder of the fit stage
_FIT = ("preset", "field", "steps", "size", "features", "features_file", "smooth_after", "torso", "torso_steps")


class AdNerfParams(Params):
    """Options. `preset: adnerf` with `field: mlp` is the published training of head and torso."""

    preset: Literal["adnerf", "quick", "demo"] = Field(
        default="demo", description="adnerf: 400,000 iterations, 8 x 256; quick: a GPU; demo: minutes on a CPU."
    )
    field: Literal["mlp", "triplane"] = Field(default="mlp", description="triplane is another model than AD-NeRF's.")
    steps: int | None = Field(default=None, description="Iterations, instead of the preset's.", gt=0)
    size: int | None = Field(default=None, description="Longer side of the trained crop, px; 0: as filmed.", ge=0)
    features: audio.Source = Field(default="mel29", description="What is heard; deepspeech is the published one.")
    features_file: str | None = Field(
        default=None, description="What the features need: a graph, a model's folder.", json_schema_extra={"path": True}
    )
    smooth_after: float = Field(default=0.5, description="Share of the training without mixed codes.", ge=0, le=1)
    torso: Literal["source", "field"] | None = Field(
        default=None,
        description="source: the source's frame under the head; field: the published second field, told "
        "sound and head pose. Not set: field with `preset: adnerf`, else source.",
    )
    torso_steps: int | None = Field(default=None, description="The torso's iterations, instead of the preset's.", gt=0)
    fit: Literal["landmarks", "demo", "paper"] = Field(default="demo", description="How finely the pose is fitted.")
    parser: Literal["projection", "colour", "bisenet", "celebamask"] = Field(
        default="projection", description="Head masks, as LipNeRF's."
    )
    inpainter: Literal["temporal", "telea", "gated", "none"] = Field(
        default="temporal", description="Neck filling, with the source's torso."
    )

    @property
    def has_torso(self) -> bool:
        """Whether the torso is a field."""
        return (self.torso or ("field" if self.preset == "adnerf" else "source")) == "field"


class AdNerf(BaseMethod):
    """A radiance field of the head told by the sound itself, and one of the torso behind an option."""

    spec = MethodSpec(
        id="ad-nerf",
        version="1",
        title="AD-NeRF",
        paper="Guo et al., AD-NeRF: Audio Driven Neural Radiance Fields for Talking Head Synthesis, ICCV 2021",
        licence="Apache-2.0 (own code); the published repository is MIT",
        stages=("prepare", "fit", "synthesize"),
        needs=frozenset({"faces"}),
        uses_train_seconds=True,
        uses_seed=True,
        params=AdNerfParams,
        deviations=(
            "torso: source (quick, demo): the head alone is a field, torso and background are the source's frame",
            "torso: field (adnerf): learned over the head as it is shown; the published code jitters that head, and "
            "puts the coarse torso over the coarse head; outside the head's crop there is the plate",
            "features are mel29 unless DeepSpeech's graph is given: sounds, not letters",
            "pose and masks come from LipNeRF's fit and parser instead of the published BFM tracker and BiSeNet",
            "rays fall into the whole box of the head; the published code transposes the rectangle",
            "longer audio plays the poses back and forth; the published code stops at the last pose",
            "the presets quick and demo are smaller than the published training, field: triplane is another model",
            "in those two presets the audio codes begin spread out",
        ),
    )

    def weights(self, params: Any) -> tuple[str, ...]:
        names = head.inputs(params.fit, params.parser)[1]
        return (*names, GATED_WEIGHTS) if params.inpainter == "gated" and not params.has_torso else names

    def stage_inputs(self, kind: str, params: Any) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        values = params.model_dump(mode="json")
        values["torso"] = "field" if params.has_torso else "source"
        if not params.has_torso:
            values["torso_steps"] = None
        if kind == "synthesize":
            return values, self.weights(params)
        first, names = head.inputs(params.fit, params.parser)
        return (first, names) if kind == "prepare" else ({**first, **{name: values[name] for name in _FIT}}, ())

    def stage_code(self, kind: str) -> StageCode:
        """Fit and parsing are LipNeRF's."""
        return head.CODE if kind == "prepare" else super().stage_code(kind)

    def identity(self, params: Any, clip_id: str, language: str) -> Mapping[str, Any]:
        """What the features come from."""
        return audio.identity(params.features, params.features_file)

    def prepare(self, job: Job) -> Outputs:
        return head.prepare(job, job.params.fit, job.params.parser)

    def fit(self, job: Job) -> Outputs:
        from lipbench.baselines.adnerf.training import ALONE, AUDIO, DIM, train
        from lipbench.faces.parsing import clean_plate
        from lipbench.lipnerf.prepared import Prepared, scene_of
        from lipbench.nerf.training.presets import preset
        from lipbench.nerf.training.trainer import MODEL

        p = job.params
        if job.clip.audio is None:
            raise NoAudio(f"clip {job.clip.id} has no sound", "AD-NeRF is trained on it", "use a clip with speech")
        if job.prepared is None:
            raise TypeError("fit needs the prepare stage")
        prepared, frames = Prepared.load(job.prepared), media.load_frames(job.clip.video)
        heard = audio.extract(
            media.read_audio(job.clip.audio),
            len(frames),
            fps=job.clip.fps,
            source=p.features,
            file=p.features_file,
            device=job.device,
        )
        blank = np.zeros((len(frames), DIM))
        plate = clean_plate(frames, prepared.parsing)
        scene = scene_of(prepared, frames, plate, blank, head.clip_track(job))
        n = head.train_frames(job, len(scene))
        changes = ALONE | {name: value for name, value in (("steps", p.steps), ("size", p.size)) if value is not None}
        chosen = preset(p.preset, p.field, changes)
        folder = train(
            scene.take(np.arange(n)),
            heard.windows[:n],
            chosen,
            job.out / "training",
            seed=job.seed,
            device=job.device,
            smooth_after=p.smooth_after,
            say=job.log,
        )
        files = {"field": folder / MODEL, "audio": folder / AUDIO}
        info = {"frames": n, "preset": p.preset, "field": p.field, "torso": "source", **heard.record}
        if p.has_torso:
            made, facts = self._fit_torso(job, prepared, frames, plate, scene.take(np.arange(n)), heard.windows[:n])
            files, info = {**files, **made}, {**info, **facts}
        return Outputs(files, info)

    def _fit_torso(
        self, job: Job, prepared: Any, frames: Any, plate: Any, seen: Any, windows: Any
    ) -> tuple[dict[str, Path], dict[str, Any]]:
        """The torso over the head that the job has just trained: files and facts of the stage."""
        from lipbench.baselines.adnerf.checkpoint import is_published, save_head, save_torso
        from lipbench.baselines.adnerf.torso_scene import torso_scene
        from lipbench.baselines.adnerf.torso_training import Behind, torso_preset, train_torso
        from lipbench.baselines.adnerf.training import ALONE, load
        from lipbench.nerf.training.presets import preset
        from lipbench.nerf.training.trainer import MODEL

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
            say=job.log,
        )
        files = {"torso": job.out / TORSO / MODEL}
        if is_published(torso.field.config):
            steps = p.steps or preset(p.preset, p.field).steps
            files["head_tar"] = save_head(job.out / f"{steps:06d}_head.tar", trained.field, networks, steps)
            files["body_tar"] = save_torso(job.out / f"{chosen.steps:06d}_body.tar", torso.field, chosen.steps)
        held_out = torso.facts.get("held_out", {})
        return files, {"torso": "field", "torso_steps": chosen.steps, "torso_psnr": held_out.get("head_psnr")}

    def synthesize(self, job: Job) -> Outputs:
        import torch

        from lipbench.baselines.adnerf.torso_render import composed
        from lipbench.baselines.adnerf.training import load
        from lipbench.faces.parsing import clean_plate
        from lipbench.lipnerf.composite import CompositeOptions
        from lipbench.lipnerf.output import composited
        from lipbench.lipnerf.prepared import Prepared, scene_of
        from lipbench.nerf.training.trained import TrainedField
        from lipbench.nerf.training.trainer import MODEL

        dub, p = dub_of(job), job.params
        if job.prepared is None or job.fitted is None:
            raise TypeError("synthesize needs the earlier stages")
        torch.set_num_threads(job.threads)
        prepared, frames = Prepared.load(job.prepared), media.load_frames(job.clip.video)
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
        plate = clean_plate(frames, prepared.parsing)
        scene = scene_of(prepared, frames, plate, np.zeros((len(frames), driven.shape[1])), head.clip_track(job))
        if p.has_torso:
            torso = TrainedField.load(job.fitted / TORSO / MODEL, job.device)
            n, index = head.train_frames(job, len(scene)), np.asarray(dub.index)
            pictures = composed(prepared, plate, trained, torso, scene, n, driven, index)
            pictures = reported(pictures, dub.n_frames, job, "ad-nerf")
        else:
            pictures = composited(
                prepared,
                frames,
                plate,
                trained,
                scene,
                driven,
                np.asarray(dub.index),
                CompositeOptions(inpainter=p.inpainter),
                job.log,
            )
        video = job.out / "video.mp4"
        media.write_video(video, pictures, job.clip.fps, dub.audio)
        return Outputs(
            {"video": video},
            {"field": p.field, "preset": p.preset, "torso": "field" if p.has_torso else "source", **heard.record},
        )
