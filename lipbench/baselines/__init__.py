"""Every method that is not LipNeRF: controls, precomputed and external ones, and one folder each for the rest."""

from typing import TYPE_CHECKING

from lipbench.core.lazy import lazy

if not TYPE_CHECKING:
    __getattr__ = lazy(__name__)
