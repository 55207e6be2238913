"""A radiance field that trains in seconds."""

from __future__ import annotations

from typing import Any

from lipbench.baselines.adnerf.training import DIM
from lipbench.nerf.training.presets import Preset, preset


def small_preset(steps: int, **changes: Any) -> Preset:
    """The demo's triplane field, far smaller, driven by audio codes alone."""
    settings = {
        "condition": DIM,
        "latent": 0,
        "rays": 256,
        "frames": 4,
        "size": 0,
        "warmup": 5,
        "resolutions": (8, 16),
        "channels": 4,
        "blended": 16,
        "blend": 0,
        "width": 32,
        "fine": 6,
        "steps": steps,
    }
    return preset("demo", "triplane", {**settings, **changes})
