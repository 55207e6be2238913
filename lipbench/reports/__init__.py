"""Records -> tidy frame -> statistics -> tables, curves, figures, pages and the gate. Never imports torch."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
