"""LipNeRF: a clip is fitted with a 3D morphable model, its head becomes a neural field driven by expressions."""

from typing import TYPE_CHECKING

from lipbench.core.lazy import lazy

if not TYPE_CHECKING:
    __getattr__ = lazy(__name__)
