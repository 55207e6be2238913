"""A small recognizer of sounds, for AD-NeRF without DeepSpeech's graph: 29 scores, 50 times a second.

DeepSpeech's scores say which letter is heard, whoever says it, in 29 classes. These say which sound is heard, in 29
classes too: silence and 28 groups of IPA symbols, drawn so that sounds which look different on lips are never in one.
Trained on generated speech (`phones_training`), it hears nothing but sound.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from lipbench.core import weights
from lipbench.core.errors import TooShort
from lipbench.core.weights.small import SmallNet
from lipbench.lipnerf.expression.articulation import BANDS, Block, features

WEIGHTS = "phones-demo"
RATE = 16000
PER_ROW = 2  # sound columns of 10 ms in a row of 20 ms
CEILING = 4.0  # as mel29's

#: class -> the IPA symbols in it; class 0 is silence, as DeepSpeech's is the space.
CLASSES: tuple[str, ...] = (
    "",
    "p b",
    "m",
    "f v ɱ ʋ",
    "β ɸ",
    "w ʍ",
    "θ ð",
    "t d",
    "n",
    "l ɬ",
    "ɾ r",
    "s z",
    "ʃ ʒ ɕ ʑ ʂ ʐ",
    "ɹ ɻ ɚ ɝ",
    "j ʎ ɲ ʝ ç c ɟ",
    "k ɡ ŋ q ɢ ʔ",
    "x ɣ χ ʁ ʀ h ɦ",
    "i ɨ ɯ",
    "ɪ ᵻ",
    "y ʏ ɥ",
    "e",
    "ɛ æ",
    "a ɐ",
    "ɑ ɒ ʌ",
    "ɔ",
    "o ɤ",
    "u ʊ ʉ",
    "ø œ ɵ",
    "ə ɜ",
)
CLASS_OF: dict[str, int] = {s: k for k, group in enumerate(CLASSES) for s in (group.split() or [""])}


class PhoneNet(SmallNet):
    """(B, 40, 2 R) log bands, one column per 10 ms -> (B, 29, R) scores; sees about 0.45 s to either side.

    Attributes:
        mean: (29,) of each score over the training data.
        spread: (29,) their standard deviation, the unit in `rows`.
    """

    mean: Tensor
    spread: Tensor

    what = "sound recognizer"

    def __init__(self, width: int = 96) -> None:
        super().__init__(width)
        self.stem = nn.Sequential(
            nn.Conv1d(BANDS, width, 5, padding=2), nn.ReLU(), nn.Conv1d(width, width, 4, stride=2, padding=1), nn.ReLU()
        )
        self.blocks = nn.Sequential(*(Block(width, d) for d in (1, 2, 4, 8, 1, 2, 4)))
        self.head = nn.Conv1d(width, len(CLASSES), 1)
        self.register_buffer("mean", torch.zeros(len(CLASSES)))
        self.register_buffer("spread", torch.ones(len(CLASSES)))

    def forward(self, sound: Tensor) -> Tensor:
        out: Tensor = self.head(F.relu(self.blocks(self.stem(sound))))
        return out

    @torch.no_grad()
    def scores(self, audio: NDArray[np.int16]) -> NDArray[np.float32]:
        """(N,) int16 at 16 kHz -> (ceil(N / 320), 29) scores before the softmax, row k from k / 50 s on.

        Raises:
            TooShort: less than 50 ms.
        """
        if len(audio) < RATE // 20:
            raise TooShort(f"the audio has {len(audio)} samples", "the features need 50 ms", "use a longer dub")
        count = -(-len(audio) // (RATE // 50))
        sound = torch.from_numpy(features(audio, -(-count // 2)))[None]  # 4 columns per video frame of 40 ms
        self.eval()
        out: NDArray[np.float32] = self(sound.to(self.device))[0, :, :count].T.contiguous().cpu().numpy()
        return out

    def rows(self, audio: NDArray[np.int16]) -> NDArray[np.float32]:
        """As `scores`, in standard deviations of the training speech: (ceil(N / 320), 29), within +-4."""
        z = (self.scores(audio) - self.mean.cpu().numpy()) / self.spread.cpu().numpy()
        out: NDArray[np.float32] = np.clip(z, -CEILING, CEILING).astype(np.float32)
        return out


def phone_rows(audio: NDArray[np.int16]) -> NDArray[np.float32]:
    """(N,) int16 at 16 kHz -> (ceil(N / 320), 29) with the packaged network.

    Raises:
        TooShort, WeightsMissing, WeightsMismatch, WeightsError.
    """
    return PhoneNet.from_file(weights.path(WEIGHTS)).rows(audio)
