"""Every method that is not LipNeRF: controls, precomputed and external ones, and one folder each for the rest."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
