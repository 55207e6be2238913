"""The generated world: a procedural head, voices, and the corpus of talking heads made of them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
