"""Clips to train Wav2Lip on, made of gray levels and noise."""

from __future__ import annotations

import numpy as np

from lipbench.baselines.wav2lip.mel import melspectrogram
from lipbench.training.wav2lip import clips

TINY = 1 / 64


def talk(name: str, seed: int = 0, n: int = 30) -> clips.LipTrainingClip:
    """Frames whose gray level tells their number, in two languages, and noise to hear."""
    rng = np.random.default_rng(seed)
    frames = np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None, None], (n, 96, 96, 3)).copy()
    sound = melspectrogram((rng.standard_normal(n * 640) * 3000).astype(np.int16))[None].astype(np.float32)
    return clips.LipTrainingClip(
        name, name, 25.0, {"en": frames, "fr": frames + 100}, {"en": sound, "fr": sound[:, ::-1].copy()}
    )


TALKS, HELD_OUT = [talk("a"), talk("b", 1)], [talk("c", 2)]
