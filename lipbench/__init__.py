"""lipbench: evaluate and benchmark lip-sync and visual dubbing methods."""

from __future__ import annotations

__version__ = "0.1.0.dev0"
