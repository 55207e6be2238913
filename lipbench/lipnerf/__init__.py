"""LipNeRF: a clip is fitted with a 3D morphable model, its head becomes a neural field driven by expressions."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
