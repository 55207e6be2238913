"""The ground floor: errors, keys, store, provenance, registry, weights, and what a method and a metric are.

Imports nothing else of lipbench.
"""

from typing import TYPE_CHECKING

from lipbench.core.lazy import lazy

if not TYPE_CHECKING:
    __getattr__ = lazy(__name__)
