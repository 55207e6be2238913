"""The packaged data set "demo": generated talking heads with dubs and the correct video of every dub.

Made by `python -m tools.make_demo`; `lipbench run` uses it when no data set is named.
"""

from __future__ import annotations

from pathlib import Path


def manifest() -> Path:
    """The path of its manifest."""
    return Path(__file__).with_name("manifest.yaml")
