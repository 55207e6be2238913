"""LipNeRF's options, its ablations among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from lipbench.core import registry, renames
from lipbench.core.method import Params

#: What `preset: paper` sets beside the training, where nothing else is asked for (docs/paper.md); `model` is the
#: user's.
PAPER: dict[str, Any] = {
    "field": "mlp",
    "fit": "paper",
    "parser": "celebamask",
    "latent": 32,
    "condition": "expression",
    "expression_from": "lip_source",
    "smoothing": True,
    "smooth_training": False,
    "center_expression": False,
    "clamp_expression": False,
    "upper_face": "dub",
    "inpainter": "gated",
    "paste": "head",
    "residuals": False,
}


class LipNerfParams(Params):
    """Everything that can change LipNeRF's images. The defaults are the paper's method in the `demo` size; with
    `preset: paper` they are the paper's (`PAPER`)."""

    preset: Literal["paper", "quick", "demo"] = Field(
        default="demo",
        description="paper: the paper's method as a whole, 600,000 iterations; it needs the user's `model` and weights "
        "for `parser` and `inpainter`, or others named in their place; quick: under an hour on a GPU; demo: minutes on "
        "a CPU.",
    )
    field: Literal["mlp", "triplane", "relief"] = Field(
        default="relief",
        description="relief: feature grids in a thin relief about the fitted mesh, which moves them; mlp: the paper's "
        "coarse and fine networks, the default with preset: paper and with condition: audio; triplane: feature planes. "
        "Relief and triplane are other models than the paper's.",
    )
    steps: int | None = Field(default=None, description="Iterations, instead of the preset's.", gt=0)
    size: int | None = Field(default=None, description="Longer side of the trained crop, px; 0: as filmed.", ge=0)
    model: str = Field(default="procedural", description="Morphable model: procedural, or a file (BFM, FLAME, npz).")
    fit: Literal["landmarks", "demo", "paper"] = Field(default="demo", description="How finely the model is fitted.")
    parser: Annotated[
        Literal["projection", "color", "bisenet", "celebamask"],
        BeforeValidator(renames.former_values("lipnerf: parser", {"colour": "color"})),
    ] = Field(
        default="projection",
        description="What finds head, neck and torso: landmarks, colors and, when its weights "
        "are here, person segmentation; the same without it; networks that need weights of the user.",
    )
    shots: tuple[str, ...] = Field(
        default=(),
        description="Further videos of the same actor, camera and image size, trained on with the clip, beside its "
        "`segments` in the manifest.",
        json_schema_extra={"path": True},
    )
    settings: dict[str, Any] = Field(
        default_factory=dict, description="Settings of the preset or the field, e.g. {rays: 4096, held_out: 0.1}."
    )
    latent: int = Field(default=32, description="Length of the per-frame latent codes; 0 leaves them out.", ge=0)
    condition: Literal["expression", "audio"] = Field(
        default="expression",
        description="What the field is conditioned on: fitted expressions, or features of the audio.",
    )
    expression_from: Literal["lip_source", "truth", "audio"] = Field(
        default="lip_source",
        description="Whose expressions drive the dub: another method's video; the true video (generated clips, an "
        "upper bound); or a network from audio to articulation (procedural model only).",
    )
    lip_source: Annotated[str, AfterValidator(registry.present)] = Field(
        default="wav2lip", description="Method whose video the expressions are taken from."
    )
    lip_source_params: dict[str, Any] = Field(default_factory=dict, description="Its parameters.")
    faces: str = Field(default="mediapipe-face", description="Face backend for the lip source's video.")
    smoothing: bool = Field(default=True, description="Savitzky-Golay (5, 2) over the driving expressions.")
    center_expression: bool = Field(
        default=True,
        description="Bring the mean of the driving expressions to that of the clip's own, as far as both are long "
        "enough to tell: what the lip source gets wrong in all frames alike.",
    )
    clamp_expression: bool = Field(
        default=True, description="Hold driving expressions within the range of the training's, axis by axis."
    )
    upper_face: Literal["source", "dub"] = Field(
        default="source",
        description="Whose eyes and brows a dub has: the source frame's, whose lip source changes the mouth alone; or "
        "whatever was found in the dub.",
    )
    smooth_training: bool = Field(default=True, description="The same filter over the expressions of the training.")
    inpainter: Literal["temporal", "telea", "gated", "none"] = Field(
        default="temporal", description="What fills the neck where the source's chin has gone; none: nothing."
    )
    paste: Literal["head", "moved", "change"] = Field(
        default="moved",
        description="head: the whole rendered head, as in the paper, the default with preset: paper and with "
        "condition: audio; moved: the rendered head where the dub's expression moves it, the rest as filmed; change: "
        "around the mouth alone, what two renderings differ by.",
    )
    residuals: bool = Field(
        default=True,
        description="With field: relief and paste: moved, what the field gets wrong in the clip's own frames of "
        "nearest lips is put right in a dub's.",
    )

    @model_validator(mode="before")
    @classmethod
    def _present_names(cls, data: Any) -> Any:
        data = renames.present_fields("lipnerf: parameter", data, {"familiar": "clamp_expression"})
        if not isinstance(data, Mapping):
            return data
        if data.get("preset") != "paper":  # a relief is moved by expressions: audio leaves no choice
            return {"field": "mlp", "paste": "head", **data} if data.get("condition") == "audio" else data
        if "model" not in data:
            raise ValueError(
                "preset: paper fits a Basel Face Model with FaceWarehouse expressions, which is not in the package: "
                "name your file with `model`, or go on with the package's own head by `model: procedural`"
            )
        return {**PAPER, **data}

    @model_validator(mode="after")
    def _fits_together(self) -> LipNerfParams:
        if self.field == "relief" and self.condition == "audio":
            raise ValueError("field: relief is moved by the mesh, which audio does not tell; use another field")
        if self.paste == "moved" and self.condition == "audio":
            raise ValueError("paste: moved follows the mesh, which audio does not tell; use paste: head or change")
        if self.field == "relief" and self.preset == "paper":
            raise ValueError("preset: paper is the paper's field; use field: mlp, or preset: quick for a relief")
        return self


#: Parameters that `fit` reads on top of those of `prepare`; other changes keep the fitted field.
FIT = ("preset", "field", "steps", "size", "settings", "latent", "condition", "smooth_training")
