"""Putting a rendered head into the source video so that nothing but the head changes.

    Compositor(frames, parsing, plate, CompositeOptions()).frame(s, rgb, alpha) -> (H, W, 3) uint8
    Compositor(...).video(renders) -> frames, the gap steadied over neighboring frames

The rendered head's matte lies over the source frame; where the source's own head sticks out from under it (the old
chin, LipNeRF section III-D) the neck, the shoulders or the background are filled in.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
