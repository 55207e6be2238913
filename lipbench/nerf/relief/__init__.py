"""The relief field: a volume-rendered head in a thin relief about its fitted mesh (`field: relief`)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
