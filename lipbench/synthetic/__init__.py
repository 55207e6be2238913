"""The generated world: a procedural head, voices, and the corpus of talking heads made of them."""

from typing import TYPE_CHECKING

from lipbench.core.lazy import lazy

if not TYPE_CHECKING:
    __getattr__ = lazy(__name__)
