"""Radiance fields of a head: what LipNeRF and AD-NeRF share."""

from typing import TYPE_CHECKING

from lipbench.core.lazy import lazy

if not TYPE_CHECKING:
    __getattr__ = lazy(__name__)
