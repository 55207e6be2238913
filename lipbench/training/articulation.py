"""`lipbench train articulation`: sound to articulation, on generated speech. No picture is drawn for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lipbench.core.descent import cosine, descend
from lipbench.core.errors import UsageError
from lipbench.core.training import Request
from lipbench.faces.morphable.visemes import CHANNELS
from lipbench.lipnerf.expression.articulation import PER_FRAME, Articulator, features
from lipbench.synthetic.corpus import articulation
from lipbench.synthetic.corpus.spec import ClipSpec, stream
from lipbench.synthetic.speech import script, sound
from lipbench.training.speech import espeak_engine, kept_speech

LANGUAGES = ("en", "fr", "es", "de")
DATA_VERSION = 1
#: Lips that must be shut, or under the teeth, weigh more than a jaw that is a little too open.
WEIGHT = np.array([1.5, 1.0, 1.0, 1.0, 1.0, 1.0, 3.0, 2.0, 0.3, 0.3], np.float32)


@dataclass(frozen=True)
class ArticulationConfig:
    """width: of the network. batch: stretches of `frames` video frames. rate: AdamW's, cosine."""

    width: int = 96
    batch: int = 16
    frames: int = 75
    rate: float = 2e-3
    warm_up: int = 50
    seconds: float = 6.0
    takes: int = 3


CONFIGS = {"demo": ArticulationConfig(), "wide": ArticulationConfig(width=256)}


def _speech(number: int, seed: int, split: str, config: ArticulationConfig, share: float) -> tuple[Any, Any]:
    """(takes, 40, 4 T) features and (T, 10) articulation of one generated clip."""
    rng = stream(seed, "articulation", split, number)
    language = LANGUAGES[number % len(LANGUAGES)]
    spoken = bool(rng.uniform() < share)
    spec = ClipSpec(
        f"{split}-{number}",
        int(rng.integers(1 << 62)),
        400_000 + 10_000 * (split != "train") + number,
        language,
        seconds=config.seconds,
        pool="train" if split == "train" else "test",
        shuffle_words=split == "train" and bool(rng.uniform() < 0.6),
        takes=config.takes,
        voices="espeak" if spoken else "formant",
        studio=bool(rng.uniform() < 0.5),
    )
    part = script.compose(
        spec.duration_s, language, (), stream(spec.seed, "script"), pool=spec.pool, shuffle_words=spec.shuffle_words
    )[language]
    part, takes = sound.record(spec, part, bool(rng.integers(2)), espeak_engine() if spoken else None)
    channels = articulation.track(part.units, spec.n_frames, spec.fps)
    return np.stack([features(take.audio, spec.n_frames) for take in takes]), channels.astype(np.float32)


def data(folder: Path, split: str, n: int, config: ArticulationConfig, request: Request) -> tuple[Any, Any, str]:
    """(n, takes, 40, 4 T) float16 features, (n, T, 10) articulation and a digest; kept in the folder."""
    return kept_speech(folder, split, n, config, request, _speech, "articulation data", "channels", DATA_VERSION)


class ArticulationTraining:
    """The network, its optimiser, its data: see `lipbench.core.training.Trainable`."""

    monitor = "held_out_loss"

    def __init__(
        self,
        config: ArticulationConfig,
        train: tuple[Any, Any, str],
        held_out: tuple[Any, Any, str],
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        torch.manual_seed(seed)
        self.config, self.seed, self.device = config, seed, torch.device(device)
        self.sound, self.channels, digest = train
        self.test_sound, self.test_channels, test_digest = held_out
        self.net = Articulator(config.width).to(self.device)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), config.rate, weight_decay=1e-3)
        self.weight = torch.from_numpy(WEIGHT).to(self.device)[:, None]
        self.facts: Mapping[str, Any] = {
            "name": "articulation",
            "config": asdict(config),
            "clips": len(self.sound),
            "data": digest,
            "held_out": test_digest,
        }

    def step(self, number: int, progress: float) -> dict[str, float]:
        c, rng = self.config, np.random.default_rng([self.seed, number])
        sounds, wanted = [], []
        for _ in range(c.batch):
            i, take = int(rng.integers(len(self.sound))), int(rng.integers(self.sound.shape[1]))
            start = int(rng.integers(self.channels.shape[1] - c.frames + 1))
            piece = self.sound[i, take, :, PER_FRAME * start : PER_FRAME * (start + c.frames)].astype(np.float32)
            sounds.append(piece + rng.uniform(-0.4, 0.4) + rng.normal(0, 0.05, (piece.shape[0], 1)))  # level, timbre
            wanted.append(self.channels[i, start : start + c.frames].T)
        self.net.train()
        loss = self._loss(np.stack(sounds).astype(np.float32), np.stack(wanted))
        rate = c.rate * cosine(number, c.warm_up, progress)
        descend(self.optimizer, loss, self.net.parameters(), rate, longest=5.0)
        return {"loss": float(loss.detach())}

    def _loss(self, sound: NDArray[np.float32], wanted: NDArray[np.float32]) -> torch.Tensor:
        found = self.net(torch.from_numpy(sound).to(self.device))
        error = (found - torch.from_numpy(wanted).to(self.device)).square() * self.weight
        return error[..., 4:-4].mean()  # the ends of a stretch lack their context

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        self.net.eval()
        take = self.test_sound[:, 0].astype(np.float32)
        wanted = np.ascontiguousarray(self.test_channels.transpose(0, 2, 1))
        found = self.net(torch.from_numpy(take).to(self.device)).cpu().numpy()
        names = dict(zip(CHANNELS, range(10), strict=True))
        scores = {
            f"r_{name}": float(np.corrcoef(found[:, k].ravel(), wanted[:, k].ravel())[0, 1])
            for name, k in names.items()
            if name in ("jaw", "round", "close")
        }
        return {"held_out_loss": float(self._loss(take, wanted)), **scores}

    def picture(self) -> None:
        return None

    def state_dict(self) -> dict[str, Any]:
        return {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])

    def export(self, folder: Path, facts: Mapping[str, Any]) -> Path:
        """articulation.npz, float16."""
        return self.net.save(folder / "articulation.npz", facts)


def trainer(request: Request) -> ArticulationTraining:
    """The training that a request asks for; speaks its data first.

    Raises:
        UsageError: an unknown configuration, or a manifest (generated speech alone has known articulation).
    """
    if request.config not in CONFIGS:
        raise UsageError(f"there is no configuration {request.config!r}", "", f"choose from {', '.join(CONFIGS)}")
    if request.data is not None:
        raise UsageError(
            "articulation cannot be trained on a manifest",
            "recorded clips do not tell what jaw and lips do",
            "leave out --data",
        )
    config, cached = CONFIGS[request.config], request.out / "cache"
    n = int(request.options.get("identities", 44)) * int(request.options.get("clips", 9))
    train, held_out = data(cached, "train", n, config, request), data(cached, "held-out", 24, config, request)
    return ArticulationTraining(config, train, held_out, request.seed, request.device)
