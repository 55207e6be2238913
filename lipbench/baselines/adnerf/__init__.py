"""AD-NeRF (Guo et al., ICCV 2021): sound features, audio networks.

    extract(audio, n_frames, source="mel29")     one 16 x 29 window per frame, from four sources
    AudioNet, AudioAttNet                        windows -> codes; published state dicts load as they are
    codes(net, windows, attention)               codes of all frames, smoothed or not

Written anew from the published facts; no code and no weights of the original are in here.
Nothing imports torch before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lipbench.core.lazy import lazy

if TYPE_CHECKING:
    from lipbench.baselines.adnerf.audio import AudioFeatures as AudioFeatures
    from lipbench.baselines.adnerf.audio import extract as extract
    from lipbench.baselines.adnerf.audionet import AudioAttNet as AudioAttNet
    from lipbench.baselines.adnerf.audionet import AudioNet as AudioNet
    from lipbench.baselines.adnerf.audionet import codes as codes

_HOMES = {
    "AudioFeatures": "audio",
    "extract": "audio",
    "AudioAttNet": "audionet",
    "AudioNet": "audionet",
    "codes": "audionet",
}
__all__ = ["AudioAttNet", "AudioFeatures", "AudioNet", "codes", "extract"]
__getattr__ = lazy(__name__, _HOMES)
