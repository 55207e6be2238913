"""AD-NeRF: what is known about the method, the weights of its features and their trainer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from lipbench.core.method import MethodSpec, Params
from lipbench.core.renames import former_values
from lipbench.core.weights import packaged

Source = Literal["mel29", "phones29", "deepspeech", "wav2vec2", "file"]


class AdNerfParams(Params):
    """Options. `preset: adnerf` with `field: mlp` is the published training of head and torso."""

    preset: Literal["adnerf", "quick", "demo"] = Field(
        default="demo", description="adnerf: 400,000 iterations, 8 x 256; quick: a GPU; demo: minutes on a CPU."
    )
    field: Literal["mlp", "triplane"] = Field(default="mlp", description="triplane is another model than AD-NeRF's.")
    steps: int | None = Field(default=None, description="Iterations, instead of the preset's.", gt=0)
    size: int | None = Field(default=None, description="Longer side of the trained crop, px; 0: as filmed.", ge=0)
    features: Source = Field(default="mel29", description="What is heard; deepspeech is the published one.")
    features_file: str | None = Field(
        default=None, description="What the features need: a graph, a model's folder.", json_schema_extra={"path": True}
    )
    smooth_after: float = Field(default=0.5, description="Share of the training without mixed codes.", ge=0, le=1)
    torso: Literal["source", "field"] | None = Field(
        default=None,
        description="source: the source's frame under the head; field: the published second field, conditioned "
        "on audio and head pose. Not set: field with `preset: adnerf`, else source.",
    )
    torso_steps: int | None = Field(default=None, description="The torso's iterations, instead of the preset's.", gt=0)
    fit: Literal["landmarks", "demo", "paper"] = Field(default="demo", description="How finely the pose is fitted.")
    parser: Annotated[
        Literal["projection", "color", "bisenet", "celebamask"],
        BeforeValidator(former_values("ad-nerf: parser", {"colour": "color"})),
    ] = Field(default="projection", description="Head masks, as LipNeRF's.")
    inpainter: Literal["temporal", "telea", "gated", "none"] = Field(
        default="temporal", description="Neck filling, with the source's torso."
    )

    @property
    def has_torso(self) -> bool:
        """Whether the torso is a field."""
        return (self.torso or ("field" if self.preset == "adnerf" else "source")) == "field"


SPEC = MethodSpec(
    id="ad-nerf",
    version="1",
    title="AD-NeRF",
    paper="Guo et al., AD-NeRF: Audio Driven Neural Radiance Fields for Talking Head Synthesis, ICCV 2021",
    licence="Apache-2.0 (own code); the published repository is MIT",
    stages=("prepare", "fit", "synthesize"),
    needs=frozenset({"faces"}),
    uses_gpu=("prepare", "fit", "synthesize"),
    uses_train_seconds=True,
    uses_seed=True,
    params=AdNerfParams,
    # LipNeRF (FG 2023), Table I: dubbed audio in all available languages.
    paper_results={"lse_d": 11.40, "lse_c": 1.28, "psnr_full": 27.38, "ssim_full": 0.84, "lpips_full": 0.20},
    deviations=(
        "torso: source (quick, demo): the head alone is a field, torso and background are the source's frame",
        "torso: source: the head is shown within the source's own outline, with room below the mouth for the jaw",
        "torso: field (adnerf): learned over the head as it is shown; the published code jitters that head, and "
        "puts the coarse torso over the coarse head; outside the head's crop there is the plate",
        "features are mel29 unless DeepSpeech's graph is given: sounds, not letters",
        "pose and masks come from LipNeRF's `prepare` instead of the published BFM tracker and BiSeNet",
        "rays fall into the whole box of the head; the published code transposes the rectangle",
        "longer audio plays the poses back and forth; the published code stops at the last pose",
        "the presets quick and demo are smaller than the published training, field: triplane is another model",
        "in those two presets the audio codes begin spread out",
    ),
    implementation="lipbench.baselines.adnerf.method:AdNerf",
)

METHODS = (SPEC,)

WEIGHTS = (
    packaged(
        "phones-demo",
        "AD-NeRF's features: phones29; scores for 29 classes of sounds",
        "9cebac38ce7da77c2889621b96bf3d6007b3eff39e3bfa52879fe117e0bf6968",
        603104,
    ),
)

TRAINERS = {"phones": "lipbench.training.phones:trainer"}
