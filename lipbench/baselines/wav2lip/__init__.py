"""Wav2Lip (Prajwal et al., ACM MM 2020): networks, spectrogram, inference and the method.

    Wav2LipGenerator, SyncExpert, QualityDiscriminator     the networks; published state dicts load as they are
    melspectrogram, window_starts                   what they hear
    Wav2LipInference, generate_frames               drawing lips into frames
    load, read_state_dict                           checkpoints in any of the three forms that go around
    Wav2Lip                                         the method

Written anew from the published facts; no code and no weights of the original are in here.
Nothing imports torch before it is used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
