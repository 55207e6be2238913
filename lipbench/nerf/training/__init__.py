"""Training a radiance field: presets, rays, losses, the trainer, what it leaves behind."""

from typing import TYPE_CHECKING

from lipbench.core.lazy import lazy

if not TYPE_CHECKING:
    __getattr__ = lazy(__name__)
