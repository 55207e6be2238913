"""What a field is made of, as plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class FieldConfig:
    """Defaults are the paper's, where it says nothing AD-NeRF's.

    Attributes:
        field: "mlp" (the paper's network) or "triplane".
        condition: length of the expression.
        latent: length of the code learned per frame (0 for none).
        width: of the MLP's trunk (of the small MLP for "triplane").
        depth: of the MLP's trunk (of the small MLP for "triplane").
        position_frequencies: of the encodings; scale 1 encodes meters.
        direction_frequencies: of the encodings; scale 1 encodes meters.
        position_scale: of the encodings; scale 1 encodes meters.
        activation: of the density, "relu" or "softplus".
        density_scale: 1/m per unit of it.
        init: of the MLP, "torch" as AD-NeRF or "he", see `MLPField`.
        density_bias: what the bias of the MLP's density starts at, None for a draw near 0.
        fused: compute the MLP by `FusedMLPField` or by the plain `MLPField`: the same parameters and the same function,
            equal but for rounding. It belongs to what a training is (a stage's key holds it with the other settings):
            rounding grows over thousands of steps.
        proposal: where samples go: "network" (coarse network, as NeRF) or "grid" (a voxel grid of the density).
        interval: of a ray: "slab" (near and far per frame, AD-NeRF), "box" (inside the scene's bounds) or "hull"
            (inside the visual hull of the masks; the density outside it is 0).
        coarse: samples per ray. With "network" the fine network sees coarse + fine samples, the last of which is the
            background; with "grid", `coarse` readings of the grid place `fine` samples.
        fine: see `coarse`.
        shown: samples of a ray, with "grid", when it is shown and not learnt from; 0: as many.
        resolutions: of the planes, see `TriPlaneField`.
        channels: of the planes, see `TriPlaneField`.
        blended: of the planes, see `TriPlaneField`.
        blend: of the planes, see `TriPlaneField`.
    """

    field: Literal["mlp", "triplane"] = "mlp"
    condition: int = 79
    latent: int = 32
    width: int = 128
    depth: int = 8
    position_frequencies: int = 10
    direction_frequencies: int = 4
    position_scale: float = 1.0
    activation: Literal["relu", "softplus"] = "relu"
    density_scale: float = 1.0
    init: Literal["torch", "he"] = "torch"
    density_bias: float | None = None
    fused: bool = True
    proposal: Literal["network", "grid"] = "network"
    interval: Literal["slab", "box", "hull"] = "slab"
    coarse: int = 64
    fine: int = 128
    shown: int = 0
    resolutions: tuple[int, ...] = (24, 64, 128)
    channels: int = 8
    blended: int = 128
    blend: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FieldConfig:
        """What `to_dict` gave."""
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**plain)
