"""SyncNet as a measure of lip synchronization: LSE-D, LSE-C and the AV offset.

    SyncNet().load("syncnet_v2.model").score(frames, audio)     the network alone, on face crops
    evaluate("video.mp4", sync_model="syncnet_v2")                 a whole video: find the face, track, crop, score
    SyncFamily                                                the metrics of a benchmark run

Everything is loaded when first used: listing metrics needs no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
