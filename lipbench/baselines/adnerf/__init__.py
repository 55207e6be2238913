"""AD-NeRF (Guo et al., ICCV 2021): audio features, audio networks.

    extract(audio, n_frames, source="mel29")     one 16 x 29 window per frame, from four sources
    AudioNet, AudioAttNet                        windows -> codes; published state dicts load as they are
    codes(net, windows, attention)               codes of all frames, smoothed or not

Written anew from the published facts; no code and no weights of the original are in here.
Nothing imports torch before it is used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
