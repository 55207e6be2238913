"""Networks that tell from speech what is said: generated speech, spoken once and kept, and the training they share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipbench.core import keys
from lipbench.core.atomic import atomic_write
from lipbench.core.errors import UsageError
from lipbench.core.threads import one_thread_each
from lipbench.core.training import Request
from lipbench.core.weights.small import SmallNet
from lipbench.lipnerf.expression.articulation import PER_FRAME, features
from lipbench.synthetic.corpus.spec import ClipSpec, stream
from lipbench.synthetic.speech import espeak, script, sound
from lipbench.synthetic.speech.espeak import Espeak
from lipbench.synthetic.speech.phones import Unit
from lipbench.training.base import SupervisedTraining

LANGUAGES = ("en", "fr", "es", "de")

#: (number, seed, split, config, share of espeak-ng voices) -> features of the takes and their labels.
Speaker = Callable[[int, int, str, Any, float], tuple[Any, Any]]


@cache
def espeak_engine() -> Espeak:
    """espeak-ng, started once a process."""
    return Espeak()


def kept_speech(
    folder: Path,
    split: str,
    n: int,
    config: Any,
    request: Request,
    speak: Speaker,
    kind: str,
    target: str,
    version: int,
) -> tuple[Any, Any, str]:
    """n clips' features as float16, their labels, and a digest.

    Args:
        config: has `seconds` and `takes`.
        speak: a function of a module (worker processes import it).
        kind: of data, for the key.
        target: name of the labels, in the file.
        version: of `speak`.

    Raises:
        UsageError: espeak-ng voices are asked for and not installed.
    """
    share = float(request.options.get("espeak", 0.0))
    if share > 0 and not espeak.available():
        raise UsageError(
            "espeak-ng voices are asked for", "the extra `speech` is not installed", "pip install 'lipbench[speech]'"
        )
    facts = {"version": version, "split": split, "n": n, "seed": request.seed, "espeak": share}
    key = keys.key_of({"kind": kind, "seconds": config.seconds, "takes": config.takes, **facts})
    file = folder / f"{split}-{key[:12]}.npz"
    if not file.exists():
        request.log(f"speaking {n} clips of {config.seconds:g} s ({split})")
        found: list[Any] = [None] * n
        with one_thread_each(), ProcessPoolExecutor(max(1, request.workers), mp_context=get_context("spawn")) as pool:
            jobs = {pool.submit(speak, i, request.seed, split, config, share): i for i in range(n)}
            for job in as_completed(jobs):
                found[jobs[job]] = job.result()
        sounds = np.stack([s for s, _ in found]).astype(np.float16)
        arrays: dict[str, Any] = {"sound": sounds, target: np.stack([labels for _, labels in found])}
        with atomic_write(file) as draft:
            np.savez(draft, **arrays)
    with np.load(file) as z:
        return z["sound"], z[target], key


def spoken_takes(
    stream_name: str,
    people: int,
    number: int,
    seed: int,
    split: str,
    config: Any,
    share: float,
    languages: Sequence[str],
    takes: int,
) -> tuple[list[sound.Take], Sequence[Unit], ClipSpec]:
    """One generated clip that is heard and not seen.

    Args:
        stream_name: of the random numbers.
        people: number of the first speaker.
        number: of the clip; clips take turns with the languages.
        split: "train" or "held-out".
        config: has `seconds`.
        share: of espeak-ng voices.
        takes: voices that say the same.

    Returns:
        The takes, the timed sounds, and the clip's description.
    """
    rng, trained = stream(seed, stream_name, split, number), split == "train"
    language = languages[number % len(languages)]
    engine = bool(rng.uniform() < share)
    spec = ClipSpec(
        f"{split}-{number}",
        int(rng.integers(1 << 62)),
        people + 10_000 * (not trained) + number,
        language,
        seconds=config.seconds,
        pool="train" if trained else "test",
        shuffle_words=trained and bool(rng.uniform() < 0.6),
        takes=takes,
        voices="espeak" if engine else "formant",
        studio=bool(rng.uniform() < 0.5),
    )
    part = script.compose(
        spec.duration_s, language, (), stream(spec.seed, "script"), pool=spec.pool, shuffle_words=spec.shuffle_words
    )[language]
    part, recorded = sound.record(spec, part, bool(rng.integers(2)), espeak_engine() if engine else None)
    return recorded, part.units, spec


def spoken_clip(
    stream_name: str,
    people: int,
    number: int,
    seed: int,
    split: str,
    config: Any,
    share: float,
    languages: Sequence[str],
    takes: int,
) -> tuple[NDArray[np.float32], Sequence[Unit], ClipSpec]:
    """The features of `spoken_takes`.

    Returns:
        (takes, 40, 4 T) log bands, the timed sounds, and the clip's description (T frames).
    """
    recorded, units, spec = spoken_takes(stream_name, people, number, seed, split, config, share, languages, takes)
    return np.stack([features(take.audio, spec.n_frames) for take in recorded]), units, spec


class SpeechConfig(Protocol):
    """What a configuration of these trainings has: stretches per batch, their length, the optimizer's rate."""

    @property
    def batch(self) -> int: ...
    @property
    def length(self) -> int: ...
    @property
    def rate(self) -> float: ...


Config = TypeVar("Config", bound=SpeechConfig)


class SpeechToLabels(SupervisedTraining[Config]):
    """Stretches of sound and their labels, row by row.

    Args:
        net: one that tells `labels` from sound.
        train: (n, takes, 40, `per_row` R) features, (n, R) or (n, R, K) labels, and a digest.
        held_out: see `train`.

    Attributes:
        per_row: columns of the features per row of the labels.
        file: that the network is written to.
    """

    per_row: int = PER_FRAME
    file: str
    net: SmallNet

    def __init__(
        self,
        net: Callable[[], SmallNet],
        config: Config,
        train: tuple[Any, Any, str],
        held_out: tuple[Any, Any, str],
        seed: int = 0,
        device: str = "cpu",
        **facts: Any,
    ) -> None:
        self.sound, self.labels, digest = train
        self.test_sound, self.test_labels, test_digest = held_out
        data = {"clips": len(self.sound), "data": digest, "held_out": test_digest, **facts}
        super().__init__(config, seed, device, data)
        self.net = net().to(self.device)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), config.rate, weight_decay=1e-3)

    @abstractmethod
    def loss(self, predicted: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch, and the figures to report.

        Args:
            predicted: what the network answers, (B, K, R).
            labels: (B, R) or (B, R, K).
        """

    def varied(self, bands: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """A stretch (40, N) as another speaker would say it; as it is by default."""
        return bands

    def objective(self, number: int) -> tuple[Tensor, dict[str, Tensor]]:
        c, rng, sounds, labels = self.config, self.rng(number), [], []
        for _ in range(c.batch):
            i, take = int(rng.integers(len(self.sound))), int(rng.integers(self.sound.shape[1]))
            start = int(rng.integers(self.labels.shape[1] - c.length + 1))
            rows = slice(start, start + c.length)
            columns = slice(self.per_row * rows.start, self.per_row * rows.stop)
            bands = self.varied(self.sound[i, take, :, columns].astype(np.float32), rng)
            sounds.append(bands + rng.uniform(-0.4, 0.4) + rng.normal(0, 0.05, (len(bands), 1)))  # level, timbre
            labels.append(self.labels[i, rows])
        loss = self.loss(self.tell(np.stack(sounds)), torch.from_numpy(np.stack(labels)).to(self.device))
        return loss, {"loss": loss}

    def tell(self, sounds: NDArray[Any]) -> Tensor:
        """(B, 40, N) features -> what the network answers."""
        predicted: Tensor = self.net(torch.from_numpy(sounds.astype(np.float32)).to(self.device))
        return predicted

    def export(self, folder: Path, facts: Mapping[str, Any]) -> Path:
        """The network's npz, float16."""
        return self.net.save(folder / self.file, facts)
