"""A head start, not in the paper: which mouth goes with a sound?

The audio encoder is a twentieth of the network's work, and all that it changes is a small part of the image: left to
the pixels, it learns last. Generated clips know the articulation of every frame; from that the audio encoder learns
alone, before anything is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipbench.baselines.speech2vid.networks import COEFFICIENTS, COLUMNS, Speech2VidNet
from lipbench.baselines.speech2vid.sound import window_starts, windows
from lipbench.core import optim

BATCH, RATE = 64, 1e-3
LISTENED = 16  # frames heard in a step of drawing
CHECKED = 8  # batches of a validation
#: Expression weights that hardly move count for little, not for as much as the others.
FLOOR = 0.2


@dataclass(frozen=True)
class SpeechClip:
    """What was said in one language of a clip.

    Attributes:
        sounds: (takes, 12, C) MFCC, one row per voice.
        weights: (T, K) expression weights of the frames.
        fps: of those.
    """

    sounds: NDArray[np.float32]
    weights: NDArray[np.float32]
    fps: float


class AudioPretraining:
    """Trains the audio side of a network in place to tell the expression weights of the frame that it hears.

    Args:
        net: whose `hear` learns.
        speeches: to learn from.
    """

    def __init__(self, net: Speech2VidNet, speeches: Sequence[SpeechClip], seed: int = 0) -> None:
        self.net, self.speeches, self.seed = net, speeches, seed
        self.device = next(net.parameters()).device
        every = np.concatenate([speech.weights for speech in speeches])  # (frames, K)
        self.mean = every.mean(0)
        self.spread = np.maximum(every.std(0), FLOOR * every.std(0).max())
        self.nothing = float((((every - self.mean) / self.spread) ** 2).mean())
        channels = len(net.get_parameter("fc7_audio.weight"))
        self.head = torch.nn.Linear(channels, every.shape[1]).to(self.device)
        encoder = [p for name, p in net.named_parameters() if name.split(".")[0].endswith("_audio")]
        self.optimizer = torch.optim.Adam([*encoder, *self.head.parameters()], RATE)

    def step(self, number: int) -> float:
        """One step; returns the squared error, 1 where nothing is known."""
        self.net.train()
        loss = self._error(self.speeches, np.random.default_rng([self.seed, number, 1]))
        optim.step(self.optimizer, loss, RATE)
        return float(loss.detach())

    def error(self, number: int) -> Tensor:
        """The same error as something to be differentiated, on other frames."""
        return self._error(self.speeches, np.random.default_rng([self.seed, number, 2]), LISTENED)

    @torch.no_grad()
    def validate(self, speeches: Sequence[SpeechClip]) -> float:
        """The same error on other speech."""
        self.net.eval()
        errors = [float(self._error(speeches, np.random.default_rng([2**31, k]))) for k in range(CHECKED)]
        return float(np.mean(errors))

    def _error(self, speeches: Sequence[SpeechClip], rng: np.random.Generator, batch: int = BATCH) -> Tensor:
        sounds, wanted = drawn(speeches, batch, rng)
        predicted = self.head(self.net.hear(torch.from_numpy(sounds).to(self.device)).flatten(1))
        target = torch.from_numpy(((wanted - self.mean) / self.spread).astype(np.float32)).to(self.device)
        return ((predicted - target) ** 2).mean() / self.nothing

    def state_dict(self) -> dict[str, Any]:
        return {"head": self.head.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.head.load_state_dict(state["head"])
        self.optimizer.load_state_dict(state["optimizer"])


def drawn(
    speeches: Sequence[SpeechClip], batch: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(B, 1, 12, 35) sounds and (B, K) expression weights of frames drawn at random."""
    sounds = np.empty((batch, 1, COEFFICIENTS, COLUMNS), np.float32)
    wanted = []
    for k in range(batch):
        speech = speeches[int(rng.integers(len(speeches)))]
        take = speech.sounds[int(rng.integers(len(speech.sounds)))]
        t = int(rng.integers(len(speech.weights)))
        sounds[k] = windows(take, window_starts(len(speech.weights), speech.fps)[t : t + 1])[0]
        wanted.append(speech.weights[t])
    return sounds, np.stack(wanted)
