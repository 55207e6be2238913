"""Two temporal convolution networks, one over the mouth's measures and one over log-mels: an embedding a frame each.

An embedding of frame t sees frames t - 5 to t + 5 (0.44 s). Its length, below 1, says how much the network finds there:
silence and a resting mouth count little.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from lipbench.core.weights.small import SmallNet
from lipbench.metrics.sync.landmark.mouth import MEASURES
from lipbench.metrics.sync.landmark.sound import BANDS

REACH = 5  # frames to each side
EMBEDDING = 48
#: A mouth is scaled by its own deviation, not below this share of the usual one; what is beyond LIMIT is held there.
LEAST_SPREAD, LIMIT = 0.35, 4.0


def _block(inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(inputs, outputs, kernel, stride, padding, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()
    )


def _with_change(x: Tensor) -> Tensor:
    """(B, C, T) -> (B, 2 C, T): the values and what was added since the column before."""
    return torch.cat([x, F.pad(x[:, :, 1:] - x[:, :, :-1], (1, 0))], 1)


def _bounded(x: Tensor) -> Tensor:
    """Vectors of any length along dimension 1 -> the same directions, lengths below 1."""
    return x * torch.rsqrt(1 + x.square().sum(1, keepdim=True))


class LandmarkSync(SmallNet):
    """The sync model on landmarks.

    Attributes:
        usual: (12,) deviation of each measure in generated speech, in distances of the outer eye corners.
        readout: (49, 12) embedding of the audio and 1 -> what the measures are expected to be, in units of `usual`.
        certainty: (2,) the calibration of `similarity.belief`: scale, and exponent of the number of frames.
        credit: (4,) that of `similarity.credited`: weights of the evidence.
    """

    what = "sync model on landmarks"
    usual: Tensor
    readout: Tensor
    certainty: Tensor
    credit: Tensor

    def __init__(self, width: int = 72) -> None:
        super().__init__(width)
        c = width
        mouth = [_block(2 * len(MEASURES), c, 3), *(_block(c, c, 3) for _ in range(4)), nn.Conv1d(c, EMBEDDING, 1)]
        sound = [
            _block(2 * BANDS, c, 3, 1, 1),
            _block(c, c, 4, 2, 1),
            _block(c, c, 4, 2, 1),
            *(_block(c, c, 3) for _ in range(5)),
            nn.Conv1d(c, EMBEDDING, 1),
        ]
        self.mouth, self.sound = nn.Sequential(*mouth), nn.Sequential(*sound)
        self.log_scale = nn.Parameter(torch.tensor(2.5))
        self.register_buffer("usual", torch.ones(len(MEASURES)))
        self.register_buffer("readout", torch.zeros(EMBEDDING + 1, len(MEASURES)))
        self.register_buffer("certainty", torch.tensor([10.0, 0.5]))
        self.register_buffer("credit", torch.tensor([0.0, 0.0, 0.0, 1.0]))

    def embed_mouth(self, measures: Tensor) -> Tensor:
        """(B, T, 12) normalized -> (B, E, T - 10)."""
        return _bounded(self.mouth(_with_change(measures.transpose(1, 2))))

    def embed_sound(self, bands: Tensor) -> Tensor:
        """(B, 4 T, 40) normalized -> (B, E, T - 10)."""
        return _bounded(self.sound(_with_change(bands.transpose(1, 2))))

    @torch.inference_mode()
    def embed(self, measures: NDArray[np.float32], bands: NDArray[np.float32]) -> tuple[Any, Any]:
        """(T, 12) measures and (4 T, 40) log-mels as they are -> (T - 10, E) embeddings of each, frames 5 to T - 6."""
        usual = self.usual.cpu().numpy()
        mouth = self.embed_mouth(torch.from_numpy(normalize_mouth(measures, usual)).to(self.device)[None])[0]
        sound = self.embed_sound(torch.from_numpy(normalize_sound(bands)).to(self.device)[None])[0]
        return mouth.T.cpu().numpy(), sound.T.cpu().numpy()

    def expected(self, sound: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, E) embeddings of audio -> (N, 12) measures that generated speakers show, mean away, units of `usual`."""
        readout = self.readout.cpu().numpy()
        told: NDArray[np.float32] = sound @ readout[:-1] + readout[-1]
        return told

    @classmethod
    def read(cls, path: Path) -> LandmarkSync:
        """`from_file`, under a name that says the type."""
        net: LandmarkSync = cls.from_file(path)
        return net


def normalize_mouth(measures: NDArray[np.floating], usual: NDArray[np.floating]) -> NDArray[np.float32]:
    """(T, 12) with the mean taken away, over its own deviation where that is not far below the usual one."""
    away = measures - measures.mean(0)
    scaled = away / np.maximum(away.std(0), LEAST_SPREAD * usual)
    return np.clip(scaled, -LIMIT, LIMIT).astype(np.float32)


def normalize_sound(bands: NDArray[np.floating]) -> NDArray[np.float32]:
    """(4 T, 40) with every band's mean taken away, over the deviation of all."""
    away = bands - bands.mean(0)
    return (away / max(float(bands.std()), 0.5)).astype(np.float32)
