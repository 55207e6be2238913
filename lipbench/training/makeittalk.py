"""`lipbench train makeittalk`: a content branch from generated people, whose lips are known exactly.

A reduced training: no images, no speaker branch, no voice conversion. The network hears every voice as it is instead
of one converted voice, so it is trained on many; it predicts how far 68 points move from the face at rest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipbench.baselines.makeittalk import sound
from lipbench.baselines.makeittalk.checkpoint import LIMIT, NET
from lipbench.baselines.makeittalk.landmark_nets import COORDINATES, STEPS, ContentBranch
from lipbench.baselines.makeittalk.landmarks import JAW_WIDTH, LOWER_INNER, UPPER_INNER, mouth_gap
from lipbench.core import optim
from lipbench.core.errors import Unsupported
from lipbench.core.keys import key_of
from lipbench.core.training import Request
from lipbench.synthetic.corpus.corpus import GENERATOR_VERSION
from lipbench.synthetic.corpus.scene import plan
from lipbench.synthetic.corpus.spec import DIFFICULTIES, ClipSpec, stream
from lipbench.synthetic.head.landmarks import landmarks
from lipbench.synthetic.speech.espeak import Espeak
from lipbench.training.base import SupervisedTraining, configuration
from lipbench.training.cached import render_missing

#: First number of the people of each split, far from those of the packaged corpus and of the other trainings.
PEOPLE = {"train": 1_400_000, "held-out": 1_500_000}
LANGUAGES = ("en", "fr", "es", "de")
Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class ContentConfig:
    """Settings of the training.

    Attributes:
        width: of the network.
        batch: windows per step.
        rate: Adam's, linear to a tenth.
        noise: on the face at rest.
        mouth: weights of the points in the L1 loss.
        jaw: weights of the points in the L1 loss.
        rest: weights of the points in the L1 loss.
        opening: of the lips' distance in it.
    """

    width: float = 0.5
    batch: int = 128
    rate: float = 1e-3
    noise: float = 0.02
    mouth: float = 4.0
    jaw: float = 1.0
    rest: float = 0.1
    opening: float = 4.0


CONFIGS = {"demo": ContentConfig(), "official": ContentConfig(width=1.0, rate=1e-4)}


@dataclass(frozen=True)
class Speaking:
    """One language of one person.

    Attributes:
        id: of clip and language.
        face: (204,) normalized landmarks at rest, depth 0.
        moved: (T, 204) displacement at 62.5 per second.
        sounds: (takes, T', 80) mel rows of the same words by different voices.
    """

    id: str
    face: Float32
    moved: Float32
    sounds: Float32


def specs(split: str, identities: int, seconds: float = 6.0, seed: int = 0, takes: int = 3) -> list[ClipSpec]:
    """The clips of a split: every person speaks two languages; two thirds say random words, for their variety."""
    out = []
    for person in range(identities):
        rng = stream(seed, "makeittalk", split, person)
        spoken = [LANGUAGES[int(i)] for i in rng.permutation(len(LANGUAGES))[:2]]
        out.append(
            ClipSpec(
                id=f"{split}-{person:03d}",
                seed=int(rng.integers(1 << 62)),
                identity=PEOPLE[split] + person,
                source=spoken[0],
                dubs=tuple(spoken[1:]),
                seconds=seconds,
                difficulty=list(DIFFICULTIES)[int(rng.integers(len(DIFFICULTIES)))],
                pool="train",
                shuffle_words=split == "train" and bool(rng.uniform() < 0.67),
                takes=takes,
            )
        )
    return out


def speaking(spec: ClipSpec, engine: Espeak | None) -> list[Speaking]:
    """What a planned clip says, and where the face is; nothing is rendered."""
    scene, index = plan(spec, engine), landmarks().points
    neutral = scene.head.neutral()[index]
    middle, scale = (neutral[0] + neutral[16]) / 2, JAW_WIDTH / float(np.linalg.norm(neutral[0] - neutral[16]))
    found = []
    for tag in spec.languages:
        frames = np.stack([scene.head.deform(weights)[index] for weights in scene.semantic[tag]])  # (F, 68, 3) dm
        mels = np.stack([sound.melspectrogram(sound.leveled(take.audio)) for take in scene.takes[tag]])
        at = np.minimum(np.arange(mels.shape[1]) / sound.ROWS_PER_SECOND * spec.fps, spec.n_frames - 1)
        low = np.minimum(at.astype(int), spec.n_frames - 2)
        part = (at - low)[:, None, None]
        there = (1 - part) * frames[low] + part * frames[low + 1]
        moved = _flat((there - neutral) * scale)
        found.append(Speaking(f"{spec.id}/{tag}", _flat((neutral - middle) * scale), moved, mels.astype(np.float32)))
    return found


def _flat(points: NDArray[np.float64]) -> Float32:
    """(..., 68, 3) model space (y up) -> (..., 204) x right, y down, depth 0."""
    out = points * (1.0, -1.0, 0.0)
    return out.reshape(*points.shape[:-2], COORDINATES).astype(np.float32)


def gather(
    wanted: Sequence[ClipSpec], cache: Path, *, workers: int = 1, log: Callable[[str], None] = lambda _: None
) -> list[Speaking]:
    """All of the specs, planned where the folder `cache` does not have them."""
    cache.mkdir(parents=True, exist_ok=True)
    files = {s.id: cache / f"{s.id}-{key_of({'v': GENERATOR_VERSION, 'spec': s.to_dict()})[:12]}.npz" for s in wanted}

    def keep(spec: ClipSpec, spoken: list[Speaking]) -> None:
        arrays = {f"{s.id}|{k}": getattr(s, k) for s in spoken for k in ("face", "moved", "sounds")}
        np.savez(files[spec.id], **arrays)  # type: ignore[arg-type]

    render_missing(
        wanted, lambda spec: files[spec.id].is_file(), speaking, keep, doing="planning", workers=workers, log=log
    )
    out = []
    for file in files.values():
        with np.load(file, allow_pickle=False) as z:
            for name in dict.fromkeys(k.split("|")[0] for k in z.files):
                out.append(Speaking(name, *(z[f"{name}|{k}"] for k in ("face", "moved", "sounds"))))
    return out


class ContentTraining(SupervisedTraining[ContentConfig]):
    """Displacements of 68 points by L1, the lips' opening counted once more."""

    name, monitor, max_norm = "makeittalk", "held_out_lips", 1.0
    net: ContentBranch

    def __init__(
        self,
        config: ContentConfig,
        train: Sequence[Speaking],
        held_out: Sequence[Speaking],
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        ids = sorted(s.id for s in (*train, *held_out))
        super().__init__(config, seed, device, {"clips": len(ids), "data": key_of({"ids": ids})})
        self.train, self.held_out = list(train), list(held_out)
        rows = np.concatenate([s.sounds.reshape(-1, sound.BANDS) for s in self.train])
        self.mean, self.std = rows.mean(0), rows.std(0) + 1e-3
        self.net = ContentBranch(config.width).to(self.device)
        self.optimizer = torch.optim.Adam(self.net.parameters(), config.rate)
        weight = np.full((68, 3), config.rest, np.float32)
        weight[:17], weight[48:] = config.jaw, config.mouth
        weight[:, 2] = 0
        self.weight = torch.from_numpy(weight.reshape(COORDINATES)).to(self.device)

    def _batch(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        rng = self.rng(number)
        heard, faces, moved = [], [], []
        for _ in range(self.config.batch):
            one = self.train[int(rng.integers(len(self.train)))]
            j = int(rng.integers(len(one.moved) - STEPS))
            heard.append(one.sounds[int(rng.integers(len(one.sounds))), j : j + STEPS])
            faces.append(one.face + rng.normal(0, self.config.noise, COORDINATES) * np.tile((1, 1, 0), 68))
            moved.append(one.moved[j])
        # Level and color of the microphone: one offset per recording and a slope over the bands.
        tilt = rng.normal(0, 0.03, (len(heard), 1, 1)) + rng.normal(0, 0.03, (len(heard), 1, 1)) * np.linspace(
            -1, 1, sound.BANDS
        )
        return self._tensor(self._normal(np.stack(heard) + tilt)), self._tensor(faces), self._tensor(moved)

    def _normal(self, mel: NDArray[Any]) -> NDArray[Any]:
        return np.clip((mel - self.mean) / self.std, -LIMIT, LIMIT)

    def _tensor(self, values: Any) -> Tensor:
        return torch.from_numpy(np.asarray(values, np.float32)).to(self.device)

    def lr(self, number: int, progress: float) -> float:
        return self.config.rate * optim.linear(progress, floor=0.1)

    def objective(self, number: int) -> tuple[Tensor, dict[str, Tensor]]:
        heard, faces, moved = self._batch(number)
        made = self.net(heard, faces)
        points = ((made - moved).abs() * self.weight).mean()
        opening = (_opening(made) - _opening(moved)).abs().mean()
        loss = points + self.config.opening * opening
        return loss, {"loss": loss, "points": points, "opening": opening}

    def predict(self, one: Speaking, take: int = 0) -> Float32:
        """(T, 68, 3) displacement of a whole recording."""
        self.net.eval()
        heard = sound.windows(self._normal(one.sounds[take]).astype(np.float32), len(one.moved))
        with torch.no_grad():
            made = self.net(self._tensor(heard), self._tensor(one.face[None]))
        found: Float32 = made.cpu().numpy().reshape(-1, 68, 3)
        return found

    def validate(self) -> dict[str, float]:
        """On people, voices and sentences that were not trained on.

        held_out_lips: mean error of the mouth's points, of the face's width (1.6); still: that of a mouth at rest.
        opening: correlation of the lips' opening with the truth, mean over recordings.
        """
        errors, still, correlations = [], [], []
        for one in self.held_out:
            made, truth = self.predict(one), one.moved.reshape(-1, 68, 3)
            errors.append(np.abs(made - truth)[:, 48:, :2].mean())
            still.append(np.abs(truth)[:, 48:, :2].mean())
            rest = one.face.reshape(68, 3)
            correlations.append(np.corrcoef(mouth_gap(rest + made), mouth_gap(rest + truth))[0, 1])
        return {
            "held_out_lips": float(np.mean(errors)),
            "still": float(np.mean(still)),
            "opening": float(np.mean(correlations)),
        }

    def image(self) -> NDArray[np.uint8] | None:
        """Opening of the lips over three seconds of four recordings: truth white, network green."""
        import cv2

        out = np.zeros((4 * 90, 380, 3), np.uint8)
        for k, one in enumerate(self.held_out[:4]):
            rest = one.face.reshape(68, 3)
            for moved, color in ((one.moved.reshape(-1, 68, 3), (255, 255, 255)), (self.predict(one), (80, 255, 80))):
                gap = mouth_gap(rest + moved)[:187]
                line = np.stack([2 * np.arange(len(gap)), 90 * k + 85 - 110 * gap], 1)
                cv2.polylines(out, [np.round(line).astype(np.int32)], False, color, 1, cv2.LINE_AA)
        return out

    def export(self, folder: Path, facts: Mapping[str, Any]) -> Path:
        """content.npz: what `lipbench.baselines.makeittalk.checkpoint.load_demo` reads."""
        state = {NET + k: v.cpu().numpy() for k, v in self.net.state_dict().items()}
        half = {k: v.astype(np.float16) if v.dtype == np.float32 else v for k, v in state.items()}
        file = folder / "content.npz"
        bands = {"mean": self.mean.astype(np.float32), "std": self.std.astype(np.float32)}
        np.savez_compressed(file, **half, **bands, facts=json.dumps(dict(facts)))  # type: ignore[arg-type]
        return file


def _opening(moved: Tensor) -> Tensor:
    y = moved.reshape(-1, 68, 3)[..., 1]
    return y[:, torch.from_numpy(LOWER_INNER.copy())] - y[:, torch.from_numpy(UPPER_INNER.copy())]


def trainer(request: Request) -> ContentTraining:
    """What `lipbench train makeittalk` trains.

    Raises:
        Unsupported: asked for data other than generated.
        UsageError: an unknown configuration.
    """
    if request.data is not None:
        raise Unsupported(
            "MakeItTalk's content branch is trained on generated people only",
            "its loss needs the exact place of 68 points under every sound",
            "leave out --data",
        )
    config = configuration(request, CONFIGS)
    people = int(request.options.get("identities", 120))
    cache = request.out / "data"
    train = gather(specs("train", people, seed=request.seed), cache, workers=request.workers, log=request.log)
    few = specs("held-out", max(2, people // 10), seed=request.seed)
    held_out = gather(few, cache, workers=request.workers, log=request.log)
    return ContentTraining(config, train, held_out, request.seed, request.device)
