"""From audio to what jaw and lips do: a small network that drives the procedural head without a lip source's video.

It answers the ten articulation channels of the generated corpus (jaw, rounding, closure, ...); `visemes` turns those
into expressions whose lips meet when they should. LipNeRF takes its expressions from another method's video by
default; this is its `expression_from: audio`.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from lipbench.core.weights.small import SmallNet
from lipbench.faces.morphable import visemes
from lipbench.faces.morphable.procedural import head_parts
from lipbench.faces.morphable.semantic import expression_to_semantic
from lipbench.faces.morphable.visemes import CHANNELS, SPEECH_COLUMNS

RATE, BANDS, PER_FRAME = 16000, 40, 4
FLOOR = 1.0  # of the band energies of int16 audio, before the logarithm


def features(audio: NDArray[np.int16], n_frames: int) -> NDArray[np.float32]:
    """(40, 4 n_frames) log energies of 40 mel bands every 10 ms, mean level of the recording taken away.

    Column 4 t + 2 is centered within 5 ms of the middle of video frame t at 25 fps.
    """
    import python_speech_features as speech

    n = n_frames * RATE // 25
    sound = np.pad(audio[:n], (0, max(0, n - len(audio)) + RATE // 40))  # a last, half empty window for every frame
    energy, _ = speech.fbank(sound.astype(np.float64), RATE, nfilt=BANDS, nfft=512)
    bands = np.log(np.maximum(energy[: n_frames * PER_FRAME], FLOOR))
    bands = np.pad(bands, ((0, n_frames * PER_FRAME - len(bands)), (0, 0)), mode="edge")
    loud = bands[bands.mean(1) >= np.quantile(bands.mean(1), 0.6)]
    return np.ascontiguousarray((bands - loud.mean()).T / 4.0, np.float32)


class Block(nn.Module):
    """x + conv(relu(conv(x))), kernel 3, dilated."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.a = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.b = nn.Conv1d(width, width, 1)
        self.norm = nn.GroupNorm(8, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.b(F.relu(self.norm(self.a(x))))
        return out


class Articulator(SmallNet):
    """(B, 40, 4 T) audio -> (B, 10, T) articulation in [0, 1]; sees about 0.5 s to either side."""

    what = "articulation network"

    def __init__(self, width: int = 96) -> None:
        super().__init__(width)
        self.stem = nn.Sequential(
            nn.Conv1d(BANDS, width, 5, padding=2),
            nn.ReLU(),
            nn.Conv1d(width, width, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv1d(width, width, 4, stride=2, padding=1),
            nn.ReLU(),
        )
        self.blocks = nn.Sequential(*(Block(width, d) for d in (1, 2, 4, 1, 2)))
        self.head = nn.Conv1d(width, len(CHANNELS), 1)

    def forward(self, sound: Tensor) -> Tensor:
        out: Tensor = torch.sigmoid(self.head(self.blocks(self.stem(sound))))
        return out

    @torch.no_grad()
    def articulate(self, audio: NDArray[np.int16], n_frames: int) -> NDArray[np.float64]:
        """(N,) int16 mono at 16 kHz -> (n_frames, 10) channels at 25 fps."""
        self.eval()
        sound = torch.from_numpy(features(audio, n_frames)).to(self.device)[None]
        return self(sound)[0].T.double().cpu().numpy()


def speak(expression: NDArray[np.float64], channels: NDArray[np.float64], effort: float = 1.0) -> NDArray[np.float64]:
    """Put another articulation into expressions of the procedural head.

    Args:
        expression: (T, 79) of the source's frames; eyes, brows, mood and residual detail stay.
        channels: (T, 10) articulation.
        effort: gain on everything that opens or shapes the mouth.

    Returns:
        (T, 79).
    """
    own = expression_to_semantic(expression)
    wanted = visemes.weights(channels, effort=effort)
    change: NDArray[np.float64] = (wanted - own)[:, SPEECH_COLUMNS] @ head_parts().from_semantic[SPEECH_COLUMNS]
    return expression + change
