"""Where somebody speaks: Silero VAD, its network and the rule that makes spans of its probabilities.

The network is read as numbers out of the TorchScript file in the wheel `silero-vad`, whose program is not run. A window
of 512 samples at 16 kHz, with 64 samples before it, gives a spectrum of four columns, one row of features, a step of an
LSTM, and the probability of speech.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from lipbench.core import weights
from lipbench.core.weights import states, torch_file

#: In the weights registry, and the file in its folder.
NAME, FILE = "silero-vad", "silero_vad.jit"
RATE, WINDOW, BEFORE = 16_000, 512, 64
#: Of the spans: where they begin and end, and the shortest speech and silence and the margin, in samples.
BEGIN, END = 0.5, 0.35
SPEECH, SILENCE, MARGIN = 4000, 1600, 480
_CHANNELS, _STRIDES = (129, 128, 64, 64, 128), (1, 2, 2, 1)


class VoiceActivity(nn.Module):
    """(N,) float samples in -1..1 at 16 kHz -> (windows,) probabilities of speech."""

    basis: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("basis", torch.zeros(258, 1, 256))
        sizes = zip(_CHANNELS, _CHANNELS[1:], _STRIDES, strict=False)
        self.encoder = nn.ModuleList(nn.Conv1d(a, b, 3, stride, padding=1) for a, b, stride in sizes)
        self.memory = nn.LSTM(128, 128)
        self.out = nn.Conv1d(128, 1, 1)

    def forward(self, sound: Tensor) -> Tensor:
        count = -(-len(sound) // WINDOW)
        padded = functional.pad(sound, (BEFORE, count * WINDOW - len(sound)))
        windows = padded.unfold(0, BEFORE + WINDOW, WINDOW)[:, None]
        found = functional.conv1d(functional.pad(windows, (0, BEFORE), mode="reflect"), self.basis, stride=128)
        x = torch.hypot(found[:, :129], found[:, 129:])
        for layer in self.encoder:
            x = layer(x).relu()
        x = self.memory(x[:, :, :1].permute(0, 2, 1))[0].permute(0, 2, 1)
        return self.out(x.relu()).sigmoid()[:, 0, 0]


#: Beginnings of names in the file -> here.
_NAMES = {
    "_model.stft.forward_basis_buffer": "basis",
    **{f"_model.encoder.{k}.reparam_conv.": f"encoder.{k}." for k in range(4)},
    **{f"_model.decoder.rnn.{part}": f"memory.{part}_l0" for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")},
    "_model.decoder.decoder.2.": "out.",
}


@lru_cache(maxsize=1)
def _load(path: str) -> VoiceActivity:
    fix = f"run `lipbench weights get {NAME} --again`"
    state = {}
    for key, value in torch_file.state_dict(path, fix).items():
        for there, here in _NAMES.items():
            if key.startswith(there):
                state[here + key.removeprefix(there)] = value
    return states.filled(VoiceActivity(), state, Path(path), fix)


def load() -> VoiceActivity:
    """The network with its published weights.

    Raises:
        WeightsMissing, WeightsMismatch: they are not on this machine, or not the pinned ones.
    """
    return _load(str(weights.path(NAME) / FILE))


@torch.inference_mode()
def probabilities(net: VoiceActivity, sound: NDArray[np.int16]) -> NDArray[np.float64]:
    """(windows,) of (N,) int16 samples at 16 kHz."""
    found = net(torch.from_numpy(sound.astype(np.float32) / 32768))
    return found.double().numpy()


def spans(speech: Sequence[float] | NDArray[np.float64], length: int) -> list[tuple[int, int]]:
    """Where somebody speaks, in samples: silero-vad's `get_speech_timestamps` with its defaults.

    Args:
        speech: probability of each window of 512 samples.
        length: of the sound, samples.

    Examples:
        >>> spans([0.9] * 20 + [0.1] * 20, 20480)
        [(0, 10720)]
    """
    found: list[list[int]] = []
    start = end = -1
    for i, p in enumerate(speech):
        at = i * WINDOW
        if p >= BEGIN:
            end = -1
            start = at if start < 0 else start
        elif p < END and start >= 0:
            end = at if end < 0 else end
            if at - end >= SILENCE:
                if end - start > SPEECH:
                    found.append([start, end])
                start = end = -1
    if start >= 0 and length - start > SPEECH:
        found.append([start, length])
    return _with_margins(found, length)


def _with_margins(found: list[list[int]], length: int) -> list[tuple[int, int]]:
    """A margin on both sides; two spans share what lies between them where that is too short for two."""
    for i, span in enumerate(found):
        if i == 0:
            span[0] = max(0, span[0] - MARGIN)
        if i == len(found) - 1:
            span[1] = min(length, span[1] + MARGIN)
            break
        between = found[i + 1][0] - span[1]
        give = between // 2 if between < 2 * MARGIN else MARGIN
        span[1], found[i + 1][0] = span[1] + give, found[i + 1][0] - give
    return [(a, b) for a, b in found]
