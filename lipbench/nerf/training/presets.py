"""Named settings of a training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from lipbench.core.errors import UsageError
from lipbench.core.registry import unknown
from lipbench.nerf.config import FieldConfig


@dataclass(frozen=True)
class Preset:
    """How a field is trained.

    Attributes:
        name: of the preset; changed settings keep it.
        field: what is trained.
        steps: iterations.
        rays: per iteration, over `frames` frames.
        micro: rays per frame whose gradients are computed at once (0: all); only memory and cache depend on it.
        lr: Adam's rate at the start; `warmup` steps rise to it.
        lr_end: the rate at the end; it falls from one to the other exponentially over the steps.
        planes_lr: factor on the rate for tri-planes.
        latent_lr: factor on the rate for latent codes.
        latent_penalty: lambda of the codes' norm; it belongs to the sum of squared errors, not to their mean.
        box_share: of the rays inside the head's bounding box, the rest anywhere.
        mouth_share: of all rays, drawn from the box of the mouth.
        eye_share: of all rays, drawn from the boxes of the eyes.
        near_mask: rays in the box keep to the head's mask and its rim.
        rare_share: of the frames that are not the mouth's, drawn the more often the rarer their eyes' look is: blinks.
            Without codes nothing of the kind.
        random_background: train over random colors instead of the plate, so that the head has to be opaque.
        code_start: codes begin as small random numbers (the paper), or with how the eyes look (`eye_codes`).
        mouth_codes: "own": rays of every frame are drawn from its mouth's box. "other": the same share of the frames
            gives all its rays from there, under the code of another frame, which does not learn from them: the mouth is
            left to the condition, for in a dub it is not the mouth of the code's frame.
        lids: "code" takes out of the conditions what tells the lids (`lid_direction`), so that the codes have to.
        size: longer side that frames are shrunk to for training and rendering, px (0: as they are).
        bf16: matrix products in bfloat16.
        graph: a step is captured once and replayed as one CUDA graph (`lipbench.nerf.training.graph`); devices without
            graphs refuse it. Not tried on a card yet.
        held_out: share of the frames, at the end, that is kept from training (reconstruction mode; 0 for dubbing).
    """

    name: str
    field: FieldConfig = field(default_factory=FieldConfig)
    steps: int = 600_000
    rays: int = 2048
    frames: int = 1
    micro: int = 64
    lr: float = 5e-4
    lr_end: float = 5e-5
    warmup: int = 0
    planes_lr: float = 1.0
    latent_lr: float = 1.0
    latent_penalty: float = 0.01
    box_share: float = 0.95
    mouth_share: float = 0.0
    eye_share: float = 0.0
    rare_share: float = 0.0
    mouth_codes: Literal["own", "other"] = "own"
    code_start: Literal["random", "eyes"] = "random"
    lids: Literal["expression", "code"] = "expression"
    near_mask: bool = False
    random_background: bool = False
    size: int = 0
    bf16: bool = False
    graph: bool = False
    held_out: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "field": self.field.to_dict()}


_TRIPLANE = FieldConfig(
    field="triplane",
    width=64,
    depth=3,
    activation="softplus",
    density_scale=100.0,
    proposal="grid",
    interval="hull",
    coarse=24,
    fine=6,
    shown=4,
    blend=12,
)
_SMALL_MLP = FieldConfig(
    width=64,
    init="he",
    position_frequencies=8,
    position_scale=10.0,
    activation="softplus",
    density_scale=100.0,
    interval="hull",
    coarse=17,
    fine=16,
)

#: Lids to the codes, mouth to the condition; not the paper's.
_LIDS: dict[str, Any] = {
    "eye_share": 0.15,
    "rare_share": 0.35,
    "code_start": "eyes",
    "mouth_codes": "other",
    "lids": "code",
}

#: Triplanes learn fast, and from many frames at once.
_QUICKLY: dict[str, Any] = {
    "frames": 16,
    "micro": 0,
    "lr": 5e-3,
    "lr_end": 5e-4,
    "warmup": 50,
    "planes_lr": 80.0,
    "latent_lr": 3.0,
    "near_mask": True,
    "random_background": True,
    **_LIDS,
}

#: Density per meter that the paper's ReLU field starts with: nearly opaque over the 0.6 m of a ray. Over the plate, a
#: thinner start turned transparent within five steps.
FOG = 5.0

#: (preset, field) -> settings.
PRESETS: dict[tuple[str, str], Preset] = {
    ("paper", "mlp"): Preset("paper", FieldConfig(init="he", density_bias=FOG)),
    ("adnerf", "mlp"): Preset(
        "adnerf", FieldConfig(condition=64, latent=0, width=256, density_bias=0.5), steps=400_000, lr_end=1.26e-5
    ),
    ("quick", "mlp"): Preset(
        "quick",
        FieldConfig(init="he"),
        steps=100_000,
        frames=8,
        micro=0,
        mouth_share=0.125,
        warmup=500,
        random_background=True,
        **_LIDS,
    ),
    ("quick", "triplane"): Preset("quick", _TRIPLANE, steps=30_000, rays=4096, mouth_share=0.25, **_QUICKLY),
    ("demo", "triplane"): Preset("demo", _TRIPLANE, steps=1800, rays=1024, mouth_share=0.3125, size=128, **_QUICKLY),
    ("demo", "mlp"): Preset(
        "demo",
        _SMALL_MLP,
        steps=900,
        rays=512,
        frames=4,
        micro=32,
        lr=3e-3,
        lr_end=3e-4,
        warmup=100,
        mouth_share=0.25,
        latent_lr=3.0,
        near_mask=True,
        random_background=True,
        size=128,
        **_LIDS,
    ),
}


def preset(name: str, kind: str = "mlp", changes: Mapping[str, Any] | None = None) -> Preset:
    """A preset by name.

    Args:
        name: "paper", "adnerf", "quick" or "demo".
        kind: "mlp" or "triplane".
        changes: settings to replace; names that are not the preset's are the field's (`{"steps": 500, "width": 64}`).

    Raises:
        UnknownName: there is no such preset, or no such kind of field.
        UsageError: `changes` names a setting that neither the training nor the field has.
    """
    if (name, kind) not in PRESETS:
        names = sorted({n for n, k in PRESETS if k == kind})
        if not names:
            raise unknown("fields", kind, sorted({k for _, k in PRESETS}))
        raise unknown(f"presets of the field {kind}", name, names)
    found = PRESETS[name, kind]
    ours, theirs = {}, {}
    for key, value in (changes or {}).items():
        if key in Preset.__dataclass_fields__ and key not in ("name", "field"):
            ours[key] = value
        elif key in FieldConfig.__dataclass_fields__ and key != "field":
            theirs[key] = value
        else:
            raise UsageError(
                f"no setting {key!r} of the preset {name}",
                "neither the training nor the field has it",
                "see lipbench.nerf.training.presets.Preset and lipbench.nerf.config.FieldConfig",
            )
    return replace(found, **ours, field=replace(found.field, **theirs))
