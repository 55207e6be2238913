"""`lipbench train articulation`: audio to articulation, on generated speech. No image is drawn for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lipbench.core.training import Request
from lipbench.faces.morphable.visemes import CHANNELS
from lipbench.lipnerf.expression.articulation import Articulator
from lipbench.synthetic.corpus import articulation
from lipbench.training.base import configuration, generated_only
from lipbench.training.speech import LANGUAGES, SpeechToLabels, kept_speech, spoken_clip

DATA_VERSION = 1
#: Lips that must be shut, or under the teeth, weigh more than a jaw that is a little too open.
WEIGHT = np.array([1.5, 1.0, 1.0, 1.0, 1.0, 1.0, 3.0, 2.0, 0.3, 0.3], np.float32)


@dataclass(frozen=True)
class ArticulationConfig:
    """Settings of the training.

    Attributes:
        width: of the network.
        batch: stretches of `frames` video frames.
        rate: AdamW's, cosine.
    """

    width: int = 96
    batch: int = 16
    frames: int = 75
    rate: float = 2e-3
    warm_up: int = 50
    seconds: float = 6.0
    takes: int = 3

    @property
    def length(self) -> int:
        """Rows of a stretch."""
        return self.frames


CONFIGS = {"demo": ArticulationConfig(), "wide": ArticulationConfig(width=256)}


def _speech(number: int, seed: int, split: str, config: ArticulationConfig, share: float) -> tuple[Any, Any]:
    """(takes, 40, 4 T) features and (T, 10) articulation of one generated clip."""
    bands, units, spec = spoken_clip(
        "articulation", 400_000, number, seed, split, config, share, LANGUAGES, config.takes
    )
    return bands, articulation.track(units, spec.n_frames, spec.fps).astype(np.float32)


def data(folder: Path, split: str, n: int, config: ArticulationConfig, request: Request) -> tuple[Any, Any, str]:
    """(n, takes, 40, 4 T) float16 features, (n, T, 10) articulation and a digest; kept in the folder."""
    return kept_speech(folder, split, n, config, request, _speech, "articulation data", "channels", DATA_VERSION)


class ArticulationTraining(SpeechToLabels[ArticulationConfig]):
    """Audio to articulation by squared error."""

    name, file = "articulation", "articulation.npz"

    def __init__(
        self,
        config: ArticulationConfig,
        train: tuple[Any, Any, str],
        held_out: tuple[Any, Any, str],
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        super().__init__(lambda: Articulator(config.width), config, train, held_out, seed, device)
        self.weight = torch.from_numpy(WEIGHT).to(self.device)[:, None]

    def loss(self, predicted: Tensor, labels: Tensor) -> Tensor:
        error = (predicted - labels.transpose(1, 2)).square() * self.weight
        return error[..., 4:-4].mean()  # the ends of a stretch lack their context

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Loss, and the correlation with the truth of jaw, rounding and closure."""
        self.net.eval()
        predicted, labels = self.tell(self.test_sound[:, 0]), torch.from_numpy(self.test_labels).to(self.device)
        rows = predicted.transpose(1, 2).cpu().numpy()
        scores = {
            f"r_{name}": float(np.corrcoef(rows[..., k].ravel(), self.test_labels[..., k].ravel())[0, 1])
            for k, name in enumerate(CHANNELS)
            if name in ("jaw", "round", "close")
        }
        return {"held_out_loss": float(self.loss(predicted, labels)), **scores}


def trainer(request: Request) -> ArticulationTraining:
    """The training that a request asks for; speaks its data first.

    Raises:
        UsageError: an unknown configuration, or a manifest (generated speech alone has known articulation).
    """
    config, cached = configuration(request, CONFIGS), request.out / "cache"
    generated_only(request, "articulation", "recorded clips do not tell what jaw and lips do")
    n = int(request.options.get("identities", 44)) * int(request.options.get("clips", 9))
    train, held_out = data(cached, "train", n, config, request), data(cached, "held-out", 24, config, request)
    return ArticulationTraining(config, train, held_out, request.seed, request.device)
