"""Training `PhoneNet` on generated speech, whose sound of every moment is known.

Voices, rooms, noise and sentences vary from clip to clip; nothing is rendered. Sentences and voices of the benchmark's
corpora never occur: training speaks the pool "train" with voices drawn for each clip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from lipbench.baselines.adnerf.phones import CLASS_OF, CLASSES, PER_ROW, PhoneNet
from lipbench.core.descent import cosine, descend
from lipbench.core.errors import UsageError
from lipbench.core.training import Request
from lipbench.lipnerf.expression.articulation import PER_FRAME, features
from lipbench.synthetic.corpus.spec import ClipSpec, stream
from lipbench.synthetic.speech import script, sound
from lipbench.synthetic.speech.phones import Unit
from lipbench.training.speech import espeak_engine, kept_speech

LANGUAGES = ("en", "fr", "es", "de")
UNHEARD = "it"  # spoken in the held-out data alone
DATA_VERSION = 1


@dataclass(frozen=True)
class PhoneConfig:
    """width: of the network. batch: stretches of `rows` of 20 ms. rate: AdamW's, cosine."""

    width: int = 96
    batch: int = 16
    rows: int = 150
    rate: float = 3e-3
    warm_up: int = 50
    seconds: float = 6.0
    takes: int = 3


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
    rng, heard = stream(seed, "phones", split, number), split == "train"
    spoken_in = LANGUAGES if heard else (*LANGUAGES, UNHEARD)
    language = spoken_in[number % len(spoken_in)]
    engine = bool(rng.uniform() < share)
    spec = ClipSpec(
        f"{split}-{number}",
        int(rng.integers(1 << 62)),
        600_000 + 10_000 * (not heard) + number,
        language,
        seconds=config.seconds,
        pool="train" if heard else "test",
        shuffle_words=heard and bool(rng.uniform() < 0.6),
        takes=config.takes if heard else 1,
        voices="espeak" if engine else "formant",
        studio=bool(rng.uniform() < 0.5),
    )
    part = script.compose(
        spec.duration_s, language, (), stream(spec.seed, "script"), pool=spec.pool, shuffle_words=spec.shuffle_words
    )[language]
    part, takes = sound.record(spec, part, bool(rng.integers(2)), espeak_engine() if engine else None)
    bands = np.stack([features(take.audio, spec.n_frames) for take in takes])
    return bands, labels(part.units, spec.n_frames * PER_FRAME // PER_ROW)


def data(folder: Path, split: str, n: int, config: PhoneConfig, request: Request) -> tuple[Any, Any, str]:
    """(n, takes, 40, 2 R) float16 log bands, (n, R) classes and a digest; kept in the folder.

    Raises:
        UsageError: espeak-ng voices are asked for and not installed.
    """
    return kept_speech(folder, split, n, config, request, _speech, "phone data", "classes", DATA_VERSION)


class PhoneTraining:
    """The network, its optimiser, its data: see `lipbench.core.training.Trainable`."""

    monitor = "held_out_loss"

    def __init__(
        self,
        config: PhoneConfig,
        train: tuple[Any, Any, str],
        held_out: tuple[Any, Any, str],
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        torch.manual_seed(seed)
        self.config, self.seed, self.device = config, seed, torch.device(device)
        self.sound, self.classes, digest = train
        self.test_sound, self.test_classes, test_digest = held_out
        self.net = PhoneNet(config.width).to(self.device)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), config.rate, weight_decay=1e-3)
        self.facts: Mapping[str, Any] = {
            "name": "phones",
            "config": asdict(config),
            "clips": len(self.sound),
            "data": digest,
            "held_out": test_digest,
            "classes": list(CLASSES),
        }

    def step(self, number: int, progress: float) -> dict[str, float]:
        c, rng = self.config, np.random.default_rng([self.seed, number])
        sounds, wanted = [], []
        for _ in range(c.batch):
            i, take = int(rng.integers(len(self.sound))), int(rng.integers(self.sound.shape[1]))
            start = int(rng.integers(self.classes.shape[1] - c.rows + 1))
            piece = self.sound[i, take, :, PER_ROW * start : PER_ROW * (start + c.rows)].astype(np.float32)
            piece = _warped(piece, float(rng.uniform(-1.5, 1.5)))  # longer and shorter vocal tracts
            sounds.append(piece + rng.uniform(-0.4, 0.4) + rng.normal(0, 0.05, (piece.shape[0], 1)))  # level, timbre
            wanted.append(self.classes[i, start : start + c.rows])
        self.net.train()
        heard = self.net(torch.from_numpy(np.stack(sounds).astype(np.float32)).to(self.device))
        loss = _loss(heard, torch.from_numpy(np.stack(wanted).astype(np.int64)).to(self.device))
        rate = c.rate * cosine(number, c.warm_up, progress)
        descend(self.optimizer, loss, self.net.parameters(), rate, longest=5.0)
        return {"loss": float(loss.detach())}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Loss, and the share of rows whose class is right: of all rows, and per language of those with speech."""
        self.net.eval()
        heard = self.net(torch.from_numpy(self.test_sound[:, 0].astype(np.float32)).to(self.device))
        wanted = torch.from_numpy(self.test_classes.astype(np.int64)).to(self.device)
        right, speech = (heard.argmax(1) == wanted).cpu().numpy(), self.test_classes > 0
        spoken_in = (*LANGUAGES, UNHEARD)
        scores = {
            f"{tag}_accuracy": float(right[k :: len(spoken_in)][speech[k :: len(spoken_in)]].mean())
            for k, tag in enumerate(spoken_in)
            if len(right) > k
        }
        return {"held_out_loss": float(_loss(heard, wanted)), "accuracy": float(right.mean()), **scores}

    def picture(self) -> None:
        return None

    def state_dict(self) -> dict[str, Any]:
        return {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])

    @torch.no_grad()
    def export(self, folder: Path, facts: Mapping[str, Any]) -> Path:
        """phones.npz, float16; mean and spread of the scores are taken from the training speech."""
        self.net.eval()
        some = self.sound[:: max(1, len(self.sound) // 64), 0].astype(np.float32)
        scores = self.net(torch.from_numpy(some).to(self.device))
        self.net.mean.copy_(scores.mean((0, 2)))
        self.net.spread.copy_(scores.std((0, 2)))
        return self.net.save(folder / "phones.npz", facts)


def _warped(bands: NDArray[np.float32], shift: float) -> NDArray[np.float32]:
    """(40, N) with every band moved by `shift` bands on the mel scale, the outermost held."""
    at = np.clip(np.arange(len(bands)) + shift, 0, len(bands) - 1)
    low = np.minimum(at.astype(int), len(bands) - 2)
    part = (at - low)[:, None].astype(np.float32)
    out: NDArray[np.float32] = bands[low] * (1 - part) + bands[low + 1] * part
    return out


def _loss(scores: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Cross-entropy per row; the ends of a stretch lack their context."""
    return F.cross_entropy(scores[..., 8:-8], wanted[..., 8:-8], label_smoothing=0.05)


def trainer(request: Request) -> PhoneTraining:
    """The training that a request asks for; speaks its data first.

    Raises:
        UsageError: an unknown configuration, or a manifest (generated speech alone has known sounds).
    """
    if request.config not in CONFIGS:
        raise UsageError(f"there is no configuration {request.config!r}", "", f"choose from {', '.join(CONFIGS)}")
    if request.data is not None:
        raise UsageError(
            "phones cannot be trained on a manifest", "recordings do not tell which sound is when", "leave out --data"
        )
    config, cached = CONFIGS[request.config], request.out / "cache"
    n = int(request.options.get("identities", 100)) * int(request.options.get("clips", 8))
    train, held_out = data(cached, "train", n, config, request), data(cached, "held-out", 60, config, request)
    return PhoneTraining(config, train, held_out, request.seed, request.device)
