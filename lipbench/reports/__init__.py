"""Records -> tidy frame -> statistics -> tables, curves, figures, pages and the gate. Never imports torch."""

from typing import TYPE_CHECKING

from lipbench.core.lazy import lazy

if not TYPE_CHECKING:
    __getattr__ = lazy(__name__)
