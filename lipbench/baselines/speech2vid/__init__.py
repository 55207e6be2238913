"""Speech2Vid (Chung et al., "You said that?", BMVC 2017): networks, converter, framing, audio and the method.

    Speech2VidNet, DeblurNet     v201 and v114
    read_mat                     the published MatConvNet files as torch state dicts
    load, load_deblur            weights: those files, or the npz of `lipbench train speech2vid`
    Speech2Vid                   the method

Written anew from the published facts; no code and no weights of the original are in here.
Nothing imports torch before it is used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
