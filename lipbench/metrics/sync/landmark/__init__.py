"""The sync model on landmarks: it follows the lips, not the pixels, and knows how sure it is.

    score_track(track, audio)     a face track with landmarks and (N,) int16 audio at 16 kHz
    LandmarkSyncFamily            the metrics of a benchmark run

Everything is loaded when first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
