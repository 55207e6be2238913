"""`lipbench train landmark-sync`: the sync model on landmarks, on generated speech. No image is drawn for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipbench.core.training import Request
from lipbench.metrics.sync.landmark.mouth import FPS
from lipbench.metrics.sync.landmark.network import LandmarkSync, normalize_mouth, normalize_sound
from lipbench.metrics.sync.landmark.sound import PER_FRAME
from lipbench.training.base import SupervisedTraining, configuration, generated_only
from lipbench.training.landmark_sync import calibrate, mouths, speech
from lipbench.training.landmark_sync.loss import sync_loss
from lipbench.training.landmark_sync.sounds import heard, stretched

HELD_OUT = 120
_USUAL_CLIPS = 200  # clips that the usual deviation of the measures is taken from
_SLOW = (0.82, 1.2)


@dataclass(frozen=True)
class LandmarkSyncConfig:
    """Settings of the training.

    Attributes:
        voices: engines that take turns to speak.
        width: of the network.
        batch: clips.
        frames: of each, at 25 per second.
        rate: AdamW's, cosine after `warm_up` steps.
        lead_s: deviation of how much mouths are ahead of what they say, seconds.
    """

    voices: tuple[str, ...] = ("formant", "espeak", "flite", "flite")
    width: int = 72
    batch: int = 20
    frames: int = 80
    rate: float = 2e-3
    warm_up: int = 50
    weight_decay: float = 0.02
    seconds: float = 8.0
    takes: int = 2
    lead_s: float = 0.015


CONFIGS = {"demo": LandmarkSyncConfig(), "formant": LandmarkSyncConfig(voices=("formant",))}


class LandmarkSyncTraining(SupervisedTraining[LandmarkSyncConfig]):
    """Mouths and sounds by contrast over shifts and clips.

    Args:
        train: (n, takes, 4 T, 40) log-mels, (n, T, 10) articulation and a digest.
        held_out: see `train`.
    """

    name, file = "landmark-sync", "landmark-sync.npz"
    net: LandmarkSync

    def __init__(
        self,
        config: LandmarkSyncConfig,
        train: tuple[Any, Any, str],
        held_out: tuple[Any, Any, str],
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.sound, self.channels, digest = train
        self.test_sound, self.test_channels, test_digest = held_out
        facts = {"clips": len(self.sound), "data": digest, "held_out_data": test_digest}
        super().__init__(config, seed, device, facts)
        self.net = LandmarkSync(config.width).to(self.device)
        self.usual = usual_deviation(self.channels)
        self.net.usual.copy_(torch.from_numpy(self.usual))
        self.optimizer = torch.optim.AdamW(self.net.parameters(), config.rate, weight_decay=config.weight_decay)
        self.test = [self.sample(self.test_channels[i], self.test_sound[i], rng) for i, rng in self._tests()]

    def _tests(self) -> list[tuple[int, np.random.Generator]]:
        return [(i, np.random.default_rng([self.seed, 1, i])) for i in range(len(self.test_sound))]

    def sample(
        self,
        channels: NDArray[np.floating],
        takes: NDArray[np.floating],
        rng: np.random.Generator,
        n: int | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """A stretch of a clip as somebody's mouth is seen and somebody's voice is heard.

        Args:
            channels: (T, 10).
            takes: (K, 4 T, 40), of which one is drawn.
            n: frames; None: as many as there are.

        Returns:
            (n, 12) measures and (4 n, 40) log-mels, neither normalized.
        """
        factor = float(rng.uniform(*_SLOW))
        n = int(len(channels) / _SLOW[1]) if n is None else n
        start = int(rng.integers(len(channels) - int(n * factor)))
        lead = float(rng.normal(0, self.config.lead_s)) * FPS  # frames by which this mouth is early
        rows = np.asarray(channels[start:], np.float64)
        early = np.clip(np.arange(len(rows)) + lead, 0, len(rows) - 1)
        rows = np.stack([np.interp(early, np.arange(len(rows)), column) for column in rows.T], 1)
        points = mouths.seen(mouths.spoken(stretched(rows, n, factor, 1), rng), rng)
        mouth = mouths.misread(mouths.measures(points), self.usual, rng)
        bands = takes[int(rng.integers(len(takes)))][PER_FRAME * start :].astype(np.float64)
        sound = heard(stretched(bands, n, factor, PER_FRAME), rng)
        return mouth.astype(np.float32), sound.astype(np.float32)

    def tensors(self, pairs: list[tuple[Any, Any]]) -> tuple[Tensor, Tensor]:
        """Normalized (B, T, 12) and (B, 4 T, 40)."""
        mouth = np.stack([normalize_mouth(m, self.usual) for m, _ in pairs])
        sound = np.stack([normalize_sound(s) for _, s in pairs])
        return torch.from_numpy(mouth).to(self.device), torch.from_numpy(sound).to(self.device)

    def objective(self, number: int) -> tuple[Tensor, dict[str, Tensor]]:
        rng = self.rng(number)
        chosen = rng.integers(len(self.sound), size=self.config.batch)
        pairs = [self.sample(self.channels[i], self.sound[i], rng, self.config.frames) for i in chosen]
        mouth, sound = self.tensors(pairs)
        loss = sync_loss(self.net.embed_mouth(mouth), self.net.embed_sound(sound), self.net.log_scale)
        return loss, {"loss": loss}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Loss on held-out speech, and how often a second of it fits best within one frame of where it belongs."""
        self.net.eval()
        mouth, sound = self.tensors(self.test)
        loss = sync_loss(self.net.embed_mouth(mouth), self.net.embed_sound(sound), self.net.log_scale)
        return {"held_out_loss": float(loss), **calibrate.hits(self.net, self.test)}

    def export(self, folder: Path, facts: Mapping[str, Any]) -> Path:
        """landmark-sync.npz, float16, with its readout and calibration; the same run gives the same bytes."""
        self.net.eval()
        calibrate.fit_readout(self.net, [self.clean(i) for i in range(min(_USUAL_CLIPS, len(self.sound)))])
        calibrate.fit_certainty(self.net, self.test)
        calibrate.fit_credit(self.net, self.test, self.seed)
        steady = {key: value for key, value in facts.items() if key != "seconds"}
        return self.net.save(folder / self.file, steady)

    def clean(self, i: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(T, 12) measures of a training clip without errors, and its (4 T, 40) log-mels."""
        return mouths.clean(self.channels[i], _person(i)).astype(np.float32), self.sound[i, 0].astype(np.float32)


def _person(clip: int) -> int:
    return mouths.FIRST_PERSON + clip % mouths.PEOPLE


def usual_deviation(channels: NDArray[np.floating]) -> NDArray[np.float32]:
    """(n, T, 10) -> (12,) deviation of the measures within a clip, of clips spread over the data."""
    chosen = np.unique(np.linspace(0, len(channels) - 1, _USUAL_CLIPS).astype(int))
    variances = [mouths.clean(channels[i], _person(int(i))).var(0) for i in chosen]
    return np.sqrt(np.mean(variances, 0)).astype(np.float32)


def trainer(request: Request) -> LandmarkSyncTraining:
    """The training that a request asks for; speaks its data first.

    Raises:
        UsageError: an unknown configuration, an engine of its voices is not installed, or a manifest.
    """
    config, cached = configuration(request, CONFIGS), request.out / "cache"
    generated_only(request, "landmark-sync", "what shipped weights learnt from must be nobody's footage")
    n = int(request.options.get("identities", 100)) * int(request.options.get("clips", 12))
    train = speech.data(cached, "train", n, config, request)
    held_out = speech.data(cached, "held-out", HELD_OUT, config, request)
    return LandmarkSyncTraining(config, train, held_out, request.seed, request.device)
