"""Putting a rendered head into the source video so that nothing but the head changes.

    Compositor(frames, parsing, plate, CompositeOptions()).frame(s, rgb, alpha) -> (H, W, 3) uint8
    Compositor(...).video(renders) -> frames, the gap steadied over neighboring frames

The rendered head's matte lies over the source frame; where the source's own head sticks out from under it (the old
chin, LipNeRF section III-D) the neck, the shoulders or the background are filled in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lipbench.core.lazy import lazy

if TYPE_CHECKING:
    from lipbench.lipnerf.composite.compositor import Compositor as Compositor
    from lipbench.lipnerf.composite.compositor import Layers as Layers
    from lipbench.lipnerf.composite.inpaint import Inpainter as Inpainter
    from lipbench.lipnerf.composite.options import CompositeOptions as CompositeOptions
    from lipbench.lipnerf.composite.options import Render as Render

_HOMES = {
    "Compositor": "compositor",
    "Layers": "compositor",
    "Inpainter": "inpaint",
    "CompositeOptions": "options",
    "Render": "options",
}
__all__ = ["CompositeOptions", "Compositor", "Inpainter", "Layers", "Render"]
__getattr__ = lazy(__name__, _HOMES)
