"""Putting a rendered head into the source video so that nothing but the head changes.

    Compositor(frames, parsing, plate, CompositeOptions()).frame(s, rgb, alpha) -> (H, W, 3) uint8
    Compositor(...).video(renders) -> frames, the gap steadied over neighbouring frames

The rendered head's matte lies over the source frame; where the source's own head sticks out from under it (the old
chin, LipNeRF section III-D) the neck, the shoulders or the background are filled in.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lipbench.lipnerf.composite.compositor import Compositor as Compositor
    from lipbench.lipnerf.composite.compositor import Layers as Layers
    from lipbench.lipnerf.composite.inpaint import Inpainter as Inpainter
    from lipbench.lipnerf.composite.options import CompositeOptions as CompositeOptions
    from lipbench.lipnerf.composite.options import Render as Render

_HOMES = {
    "Compositor": "compositor", "Layers": "compositor", "Inpainter": "inpaint", "CompositeOptions": "options",
    "Render": "options",
}  # fmt: skip
__all__ = ["CompositeOptions", "Compositor", "Inpainter", "Layers", "Render"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
