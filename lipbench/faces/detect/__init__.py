"""Where the faces are in a frame.

    BlazeFace        MediaPipe's, short or full range; BlazeFacePair asks both
    S3FD             of the SyncNet pipeline and of Wav2Lip (two weight files, two networks)

A detector takes (B, H, W, 3) uint8 RGB and answers, per frame, boxes in pixels, best score first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
