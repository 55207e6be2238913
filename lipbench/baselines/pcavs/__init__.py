"""PC-AVS (Zhou et al., CVPR 2021): networks, audio, alignment and the method.

    IdentityEncoder, PoseMouthEncoder, AudioEncoder, PcAvsGenerator   the networks; published state dicts load as is
    PcAvs                                                          the method

Written anew from the published facts; no code and no weights of the original are in here.
Nothing imports torch before it is used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
