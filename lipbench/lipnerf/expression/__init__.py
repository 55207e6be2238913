"""Which expressions drive a dub: smoothing, and the ways to get them (see `sources`)."""

from typing import TYPE_CHECKING

from lipbench.core.lazy import lazy

if not TYPE_CHECKING:
    __getattr__ = lazy(__name__)
