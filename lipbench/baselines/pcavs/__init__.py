"""PC-AVS (Zhou et al., CVPR 2021): networks, sound, alignment and the method.

    IdentityEncoder, PoseMouthEncoder, AudioEncoder, PcAvsGenerator   the networks; published state dicts load as is
    PcAvs                                                          the method

Written anew from the published facts; no code and no weights of the original are in here.
Nothing imports torch before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lipbench.core.lazy import lazy

if TYPE_CHECKING:
    from lipbench.baselines.pcavs.encoders import AudioEncoder as AudioEncoder
    from lipbench.baselines.pcavs.encoders import IdentityEncoder as IdentityEncoder
    from lipbench.baselines.pcavs.encoders import PoseMouthEncoder as PoseMouthEncoder
    from lipbench.baselines.pcavs.generator import PcAvsGenerator as PcAvsGenerator
    from lipbench.baselines.pcavs.method import PcAvs as PcAvs

_HOMES = {
    "AudioEncoder": "encoders",
    "IdentityEncoder": "encoders",
    "PoseMouthEncoder": "encoders",
    "PcAvsGenerator": "generator",
    "PcAvs": "method",
}
__all__ = ["AudioEncoder", "IdentityEncoder", "PcAvs", "PcAvsGenerator", "PoseMouthEncoder"]
__getattr__ = lazy(__name__, _HOMES)
