"""Training `PhoneNet` on generated speech, whose sound of every moment is known.

Voices, rooms, noise and sentences vary from clip to clip; nothing is rendered. Sentences and voices of the benchmark's
corpora never occur: training speaks the pool "train" with voices drawn for each clip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lipbench.baselines.adnerf.phones import CLASS_OF, CLASSES, PER_ROW, PhoneNet
from lipbench.core.training import Request
from lipbench.lipnerf.expression.articulation import PER_FRAME
from lipbench.synthetic.speech.phones import Unit
from lipbench.training.base import configuration, generated_only
from lipbench.training.speech import LANGUAGES, SpeechToLabels, kept_speech, spoken_clip

UNHEARD = "it"  # spoken in the held-out data alone
DATA_VERSION = 1


@dataclass(frozen=True)
class PhoneConfig:
    """Settings of the training.

    Attributes:
        width: of the network.
        batch: stretches of `rows` of 20 ms.
        rate: AdamW's, cosine.
    """

    width: int = 96
    batch: int = 16
    rows: int = 150
    rate: float = 3e-3
    warm_up: int = 50
    seconds: float = 6.0
    takes: int = 3

    @property
    def length(self) -> int:
        """Rows of a stretch."""
        return self.rows


CONFIGS = {"demo": PhoneConfig(), "wide": PhoneConfig(width=192)}


def labels(units: Sequence[Unit], rows: int) -> NDArray[np.uint8]:
    """(rows,) class of the sound at the middle of each row of 20 ms; 0 where nobody speaks."""
    out = np.zeros(rows, np.uint8)
    middle = (np.arange(rows) + 0.5) / 50
    for unit in units:
        out[(middle >= unit.start_s) & (middle < unit.end_s)] = CLASS_OF[unit.symbol]
    return out


def _speech(number: int, seed: int, split: str, config: PhoneConfig, share: float) -> tuple[Any, Any]:
    """(takes, 40, 2 R) log bands and (R,) classes of one clip."""
    trained = split == "train"
    languages, takes = (LANGUAGES, config.takes) if trained else ((*LANGUAGES, UNHEARD), 1)
    bands, units, spec = spoken_clip("phones", 600_000, number, seed, split, config, share, languages, takes)
    return bands, labels(units, spec.n_frames * PER_FRAME // PER_ROW)


def data(folder: Path, split: str, n: int, config: PhoneConfig, request: Request) -> tuple[Any, Any, str]:
    """(n, takes, 40, 2 R) float16 log bands, (n, R) classes and a digest; kept in the folder.

    Raises:
        UsageError: espeak-ng voices are asked for and not installed.
    """
    return kept_speech(folder, split, n, config, request, _speech, "phone data", "classes", DATA_VERSION)


class PhoneTraining(SpeechToLabels[PhoneConfig]):
    """Sound to classes by cross-entropy."""

    name, file, per_row = "phones", "phones.npz", PER_ROW
    net: PhoneNet

    def __init__(
        self,
        config: PhoneConfig,
        train: tuple[Any, Any, str],
        held_out: tuple[Any, Any, str],
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        super().__init__(lambda: PhoneNet(config.width), config, train, held_out, seed, device, classes=list(CLASSES))

    def varied(self, bands: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Longer and shorter vocal tracts."""
        return _warped(bands, float(rng.uniform(-1.5, 1.5)))

    def loss(self, predicted: Tensor, labels: Tensor) -> Tensor:
        # The ends of a stretch lack their context.
        return F.cross_entropy(predicted[..., 8:-8], labels[..., 8:-8].long(), label_smoothing=0.05)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Loss, and the share of rows whose class is right: of all rows, and per language of those with speech."""
        self.net.eval()
        predicted, classes = self.tell(self.test_sound[:, 0]), torch.from_numpy(self.test_labels).to(self.device)
        right, speech = (predicted.argmax(1) == classes).cpu().numpy(), self.test_labels > 0
        spoken_in = (*LANGUAGES, UNHEARD)
        scores = {
            f"{tag}_accuracy": float(right[k :: len(spoken_in)][speech[k :: len(spoken_in)]].mean())
            for k, tag in enumerate(spoken_in)
            if len(right) > k
        }
        return {"held_out_loss": float(self.loss(predicted, classes)), "accuracy": float(right.mean()), **scores}

    @torch.no_grad()
    def export(self, folder: Path, facts: Mapping[str, Any]) -> Path:
        """phones.npz, float16; mean and spread of the scores are taken from the training speech."""
        self.net.eval()
        scores = self.tell(self.sound[:: max(1, len(self.sound) // 64), 0])
        self.net.mean.copy_(scores.mean((0, 2)))
        self.net.spread.copy_(scores.std((0, 2)))
        return super().export(folder, facts)


def _warped(bands: NDArray[np.float32], shift: float) -> NDArray[np.float32]:
    """(40, N) with every band moved by `shift` bands on the mel scale, the outermost held."""
    at = np.clip(np.arange(len(bands)) + shift, 0, len(bands) - 1)
    low = np.minimum(at.astype(int), len(bands) - 2)
    part = (at - low)[:, None].astype(np.float32)
    out: NDArray[np.float32] = bands[low] * (1 - part) + bands[low + 1] * part
    return out


def trainer(request: Request) -> PhoneTraining:
    """The training that a request asks for; speaks its data first.

    Raises:
        UsageError: an unknown configuration, or a manifest (generated speech alone has known sounds).
    """
    config, cached = configuration(request, CONFIGS), request.out / "cache"
    generated_only(request, "phones", "recordings do not tell which sound is when")
    n = int(request.options.get("identities", 100)) * int(request.options.get("clips", 8))
    train, held_out = data(cached, "train", n, config, request), data(cached, "held-out", 60, config, request)
    return PhoneTraining(config, train, held_out, request.seed, request.device)
