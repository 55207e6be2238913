"""MakeItTalk (Zhou et al., SIGGRAPH Asia 2020): networks, landmark rules, drawing and the method.

    ContentBranch, SpeakerBranch, AutoVC, ImageTranslator     the networks; published state dicts load as they are
    NetworkPainter, Warp                                      images from landmarks
    MakeItTalk                                                the method

Written anew from the published facts; no code and no weights of the original are in here.
Nothing imports torch before it is used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
