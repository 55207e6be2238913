"""DeepSpeech 0.1.0 as AD-NeRF hears it: MFCC in, 29 character scores out, 50 rows per second.

Layers of mozilla/DeepSpeech v0.1.0 (DeepSpeech.py, BiRNN): three dense layers with ReLU clipped at 20, one
bidirectional LSTM (BasicLSTMCell, forget bias 1), a fourth dense layer, the character scores. The front end is that of
AD-NeRF's data_util/deepspeech_features: 26 MFCC every 10 ms of which every second row is kept, nine rows of context on
both sides, standardized over the whole recording.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lipbench.baselines.adnerf.graphdef import GraphFile
from lipbench.core.errors import TooShort, WeightsMismatch

RATE, CEPSTRA, CONTEXT = 16000, 26, 9
INPUT = CEPSTRA * (2 * CONTEXT + 1)  # 494
CLIP = 20.0
FORGET_BIAS = 1.0
#: The characters behind the 29 scores; the last one is CTC's blank.
ALPHABET = (" ", *"abcdefghijklmnopqrstuvwxyz", "'", "")


def input_vectors(audio: NDArray[np.int16]) -> NDArray[np.float32]:
    """(N,) int16 samples at 16 kHz -> (T, 494) rows, 50 per second.

    Raises:
        TooShort: fewer than two rows, which cannot be standardized.
    """
    from python_speech_features import mfcc

    if len(audio) < RATE // 20:
        raise TooShort(f"the audio has {len(audio)} samples", "DeepSpeech needs 50 ms", "use a longer dub")
    rows = mfcc(audio.astype(np.int16), samplerate=RATE, numcep=CEPSTRA)[::2]
    padded = np.pad(rows, ((CONTEXT, CONTEXT), (0, 0)))
    stacked = np.lib.stride_tricks.sliding_window_view(padded, 2 * CONTEXT + 1, axis=0)  # (T, 26, 19)
    flat = stacked.transpose(0, 2, 1).reshape(len(rows), INPUT)
    return ((flat - flat.mean()) / flat.std()).astype(np.float32)


class DeepSpeech(nn.Module):
    """(T, 494) input rows -> (T, 29) character scores of one recording."""

    def __init__(self, hidden: int = 2048, cell: int | None = None, letters: int = len(ALPHABET)) -> None:
        super().__init__()
        cell = cell or hidden
        self.h1, self.h2 = nn.Linear(INPUT, hidden), nn.Linear(hidden, hidden)
        self.h3 = nn.Linear(hidden, 2 * cell)
        self.lstm = nn.LSTM(2 * cell, cell, bidirectional=True)
        self.h5, self.h6 = nn.Linear(2 * cell, hidden), nn.Linear(hidden, letters)

    def forward(self, x: Tensor) -> Tensor:
        for layer in (self.h1, self.h2, self.h3):
            x = layer(x).clamp(0, CLIP)  # (T, hidden), at last (T, 2 cell)
        x, _ = self.lstm(x)  # (T, 2 cell): forward and backward
        out: Tensor = self.h6(self.h5(x).clamp(0, CLIP))
        return out


def load(path: str | Path) -> DeepSpeech:
    """The network in a frozen graph of DeepSpeech 0.1.0 (`deepspeech-0_1_0-b90017e8.pb`), in eval mode.

    Sizes are read off the constants.

    Raises:
        WeightsMissing, WeightsError: no such file, or not a frozen graph.
        WeightsMismatch: a graph of another network.
    """
    path = Path(path).resolve()
    stat = path.stat() if path.is_file() else None
    return _load(path, stat.st_mtime_ns if stat else 0)


@lru_cache(maxsize=1)
def _load(path: Path, mtime_ns: int) -> DeepSpeech:
    graph = GraphFile(path)
    dense = [(graph.constant(f"h{i}"), graph.constant(f"b{i}")) for i in (1, 2, 3, 5, 6)]
    cells = []
    for way in ("fw", "bw"):
        prefix = f"bidirectional_rnn/{way}/basic_lstm_cell"
        cells.append((graph.constant(f"{prefix}/kernel"), graph.constant(f"{prefix}/bias")))
    hidden, cell = dense[0][0].shape[-1], cells[0][0].shape[-1] // 4
    with torch.device("meta"):
        net = DeepSpeech(hidden, cell, dense[-1][0].shape[-1])

    state: dict[str, Tensor] = {}
    for i, (kernel, bias) in zip((1, 2, 3, 5, 6), dense, strict=True):
        state[f"h{i}.weight"], state[f"h{i}.bias"] = _tensor(kernel).T.contiguous(), _tensor(bias)
    for suffix, (kernel, bias) in zip(("", "_reverse"), cells, strict=True):
        state |= _lstm(_tensor(kernel), _tensor(bias), suffix)
    wrong = [k for k, v in net.state_dict().items() if v.shape != state[k].shape]
    if wrong:
        raise WeightsMismatch(
            f"{path} is no DeepSpeech 0.1.0",
            f"{wrong[0]} is {tuple(state[wrong[0]].shape)}, expected {tuple(net.state_dict()[wrong[0]].shape)}",
            "use deepspeech-0_1_0-b90017e8.pb (github.com/osmr/deepspeech_features, release v0.0.1)",
        )
    net.load_state_dict(state, assign=True)
    return net.eval().requires_grad_(False)


def _tensor(value: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(value, dtype=np.float32))


def _lstm(kernel: Tensor, bias: Tensor, suffix: str) -> dict[str, Tensor]:
    """A BasicLSTMCell's (in + cell, 4 cell) kernel, gates i j f o, as torch's weights, gates i f j o."""
    cell = kernel.shape[1] // 4
    i, j, f, o = kernel.T.split(cell)
    bi, bj, bf, bo = bias.split(cell)
    weight = torch.cat([i, f, j, o])  # (4 cell, in + cell): input columns first, then the state's
    inputs = weight.shape[1] - cell
    return {
        f"lstm.weight_ih_l0{suffix}": weight[:, :inputs].contiguous(),
        f"lstm.weight_hh_l0{suffix}": weight[:, inputs:].contiguous(),
        f"lstm.bias_ih_l0{suffix}": torch.cat([bi, bf + FORGET_BIAS, bj, bo]),
        f"lstm.bias_hh_l0{suffix}": torch.zeros(4 * cell),
    }


@torch.inference_mode()
def character_scores(path: str | Path, audio: NDArray[np.int16], device: str = "cpu") -> NDArray[np.float32]:
    """(N,) int16 samples at 16 kHz -> (T, 29) scores, 50 rows per second, with the graph file `path`."""
    net = load(path).to(device)
    scores: NDArray[np.float32] = net(torch.from_numpy(input_vectors(audio)).to(device)).cpu().numpy()
    return scores
