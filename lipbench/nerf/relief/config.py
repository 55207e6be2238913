"""What a relief field is made of and how it is trained, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lipbench.core.errors import UsageError
from lipbench.core.registry import unknown


@dataclass(frozen=True)
class ReliefConfig:
    """A relief and its training.

    Attributes:
        condition: length of the expression.
        latent: numbers of the code learned per frame, but for those that mix appearances (0 for no code).
        directions: principal directions of the clip's expressions that the network is told, in units of their spread.
        layers: of both grids, from the back of the relief to its front.
        behind: width of the network that draws what lies behind the lips, see `mouth.Mouth`. 0 leaves it on the
            relief's back.
        texel: side of a texel of the fine grid, px of the training images.
        coarse_texel: the same of the coarse grid.
        finest: longest side of the fine grid, texels: larger images get larger texels.
        channels: of the coarse grid; the fine one has four, color and density.
        looks: of the eyes, that a frame's code mixes: their images are a sum of as many, each times one of the code's
            first numbers. 0 leaves the eyes to the network.
        appearances: of the head without lips and chin, that a frame's code mixes with as many further numbers. 0
            leaves light and sides to the network.
        appearance_texel: side of their texels, px of the training images.
        mouth_looks: whether lips and chin have as many looks as there are `directions`, that the expression mixes.
        mouth_texel: side of their texels, px of the training images. Of the inside of a mouth each frame shows a little
            and each texel has `directions` numbers to learn: small ones learn grain.
        width: of the network's two hidden layers.
        samples: candidates on a ray; most are left out because nothing is there, or because all before them is opaque.
        opacity: optical depth of the relief's whole thickness per unit of density.
    """

    condition: int = 79
    latent: int = 32
    directions: int = 12
    layers: int = 5
    behind: int = 64
    texel: float = 0.7
    coarse_texel: float = 1.7
    finest: int = 896
    channels: int = 12
    looks: int = 8
    appearances: int = 80
    appearance_texel: float = 1.2
    mouth_looks: bool = True
    mouth_texel: float = 2.0
    width: int = 32
    samples: int = 8
    opacity: float = 15.0

    @property
    def codes(self) -> int:
        """Length of a frame's code."""
        return self.latent + self.appearances if self.latent else 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class ReliefPreset:
    """How a relief is trained.

    Attributes:
        name: of the preset; changed settings keep it.
        field: what is trained.
        steps: iterations.
        rays: per iteration, the same number in each of `frames` frames.
        frames: see `rays`.
        lr: Adam's rate for the network at the start.
        grid_lr: for the grids.
        latent_lr: for the codes of the frames.
        fall: powers of ten by which all rates fall over the training.
        appearance_lr: for the images of appearances, which begin as what frames show.
        mouth_lr: for the looks of lips and chin.
        behind_lr: for the network that draws what lies behind the lips, and the slips of the teeth.
        registration: whether frames are put in their place by optical flow first, see `registration`.
        warmup: share of the steps over which they rise to it.
        latent_penalty: factor of the codes' squares.
        mouth_share: of the frames, all rays from the mouth's box, under the code of another frame.
        upper_share: of the frames, all rays from above the mouth, under the expression of another frame: what the
            mouth does must not show there.
        eye_share: of the rays of frames that are not the mouth's, drawn from the boxes of the eyes.
        rare_share: of the frames that are not the mouth's, drawn the more often the rarer their eyes' look is: blinks.
        mouth_rays: further ones of each step, from between the lips of as many frames: only the network that draws what
            is there learns from them, and they cost little.
        size: longer side that frames are shrunk to for training and rendering, px (0: as they are).
        held_out: share of the frames, at the end, that is kept from training.
        views: frames of a clip that are trained on, about: of longer ones some, evenly spread.
    """

    name: str
    field: ReliefConfig = field(default_factory=ReliefConfig)
    steps: int = 1500
    rays: int = 8192
    frames: int = 16
    lr: float = 4e-3
    grid_lr: float = 5e-2
    latent_lr: float = 1e-2
    appearance_lr: float = 5e-3
    mouth_lr: float = 3e-2
    behind_lr: float = 2e-2
    registration: bool = True
    fall: float = 1.3
    warmup: float = 0.025
    latent_penalty: float = 1e-5
    mouth_share: float = 0.3125
    upper_share: float = 0.3125
    eye_share: float = 1 / 6
    rare_share: float = 0.35
    mouth_rays: int = 4096
    size: int = 0
    held_out: float = 0.0
    views: int = 500

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


NARROWEST = 8  # network behind the lips
RELIEF_PRESETS = {"demo": ReliefPreset("demo"), "quick": ReliefPreset("quick", steps=6000)}


def relief_preset(name: str, changes: Mapping[str, Any] | None = None) -> ReliefPreset:
    """A preset by name.

    Args:
        name: "quick" or "demo".
        changes: settings to replace; names that are not the preset's are the field's (`{"steps": 500, "width": 64}`).

    Raises:
        UnknownName: there is no such preset.
        UsageError: `changes` names a setting that neither the training nor the field has, or a network too narrow.
    """
    if name not in RELIEF_PRESETS:
        raise unknown("presets of the field relief", name, sorted(RELIEF_PRESETS))
    ours, theirs = {}, {}
    for key, value in (changes or {}).items():
        if key in ReliefPreset.__dataclass_fields__ and key not in ("name", "field"):
            ours[key] = value
        elif key in ReliefConfig.__dataclass_fields__:
            theirs[key] = value
        else:
            raise UsageError(
                f"no setting {key!r} of the preset {name} of the field relief",
                "neither the training nor the field has it",
                "see ReliefPreset and ReliefConfig in lipbench.nerf.relief.config",
            )
    if 0 < theirs.get("behind", 0) < NARROWEST:
        raise UsageError(
            f"behind: {theirs['behind']} is no width of a network",
            "it was a number of layers once; what lies behind the lips is drawn by a network now",
            f"leave it out for one of {ReliefConfig.behind}, or set 0 for none",
        )
    found = RELIEF_PRESETS[name]
    return replace(found, **ours, field=replace(found.field, **theirs))
