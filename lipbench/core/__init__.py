"""The ground floor: errors, keys, store, provenance, registry, weights, and what a method and a metric are.

Imports nothing else of lipbench.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
