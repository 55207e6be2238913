"""Wav2Lip (Prajwal et al., ACM MM 2020): networks, spectrogram, inference and the method.

    Wav2LipGenerator, SyncExpert, QualityDiscriminator     the networks; published state dicts load as they are
    melspectrogram, window_starts                   what they hear
    Wav2LipInference, generate_frames               drawing lips into frames
    load, read_state_dict                           checkpoints in any of the three forms that go around
    Wav2Lip                                         the method

Written anew from the published facts; no code and no weights of the original are in here.
Nothing imports torch before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lipbench.core.lazy import lazy

if TYPE_CHECKING:
    from lipbench.baselines.wav2lip.boxes import Boxes as Boxes
    from lipbench.baselines.wav2lip.checkpoint import load as load
    from lipbench.baselines.wav2lip.checkpoint import read_state_dict as read_state_dict
    from lipbench.baselines.wav2lip.inference import Wav2LipInference as Wav2LipInference
    from lipbench.baselines.wav2lip.inference import generate_frames as generate_frames
    from lipbench.baselines.wav2lip.mel import melspectrogram as melspectrogram
    from lipbench.baselines.wav2lip.mel import window_starts as window_starts
    from lipbench.baselines.wav2lip.method import Wav2Lip as Wav2Lip
    from lipbench.baselines.wav2lip.networks import QualityDiscriminator as QualityDiscriminator
    from lipbench.baselines.wav2lip.networks import SyncExpert as SyncExpert
    from lipbench.baselines.wav2lip.networks import Wav2LipGenerator as Wav2LipGenerator

_HOMES = {
    "Boxes": "boxes",
    "load": "checkpoint",
    "read_state_dict": "checkpoint",
    "Wav2LipInference": "inference",
    "generate_frames": "inference",
    "melspectrogram": "mel",
    "window_starts": "mel",
    "Wav2Lip": "method",
    "Wav2LipGenerator": "networks",
    "QualityDiscriminator": "networks",
    "SyncExpert": "networks",
}
__all__ = [
    "Boxes",
    "QualityDiscriminator",
    "SyncExpert",
    "Wav2Lip",
    "Wav2LipGenerator",
    "Wav2LipInference",
    "generate_frames",
    "load",
    "melspectrogram",
    "read_state_dict",
    "window_starts",
]
__getattr__ = lazy(__name__, _HOMES)
