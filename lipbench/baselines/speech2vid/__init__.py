"""Speech2Vid (Chung et al., "You said that?", BMVC 2017): networks, converter, framing, sound and the method.

    Speech2VidNet, DeblurNet     v201 and v114
    read_mat                     the published MatConvNet files as torch state dicts
    load, load_deblur            weights: those files, or the npz of `lipbench train speech2vid`
    Speech2Vid                   the method

Written anew from the published facts; no code and no weights of the original are in here.
Nothing imports torch before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lipbench.core.lazy import lazy

if TYPE_CHECKING:
    from lipbench.baselines.speech2vid.checkpoint import load as load
    from lipbench.baselines.speech2vid.checkpoint import load_deblur as load_deblur
    from lipbench.baselines.speech2vid.convert import read_mat as read_mat
    from lipbench.baselines.speech2vid.method import Speech2Vid as Speech2Vid
    from lipbench.baselines.speech2vid.networks import DeblurNet as DeblurNet
    from lipbench.baselines.speech2vid.networks import Speech2VidNet as Speech2VidNet

_HOMES = {
    "load": "checkpoint",
    "load_deblur": "checkpoint",
    "read_mat": "convert",
    "Speech2Vid": "method",
    "DeblurNet": "networks",
    "Speech2VidNet": "networks",
}
__all__ = ["DeblurNet", "Speech2Vid", "Speech2VidNet", "load", "load_deblur", "read_mat"]
__getattr__ = lazy(__name__, _HOMES)
