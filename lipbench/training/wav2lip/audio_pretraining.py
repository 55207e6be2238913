"""A head start, not in the paper: how do the mouths of two sounds differ?

A generator's audio encoder is 2 % of its work but most of what has to be learnt from many clips. Here it learns alone:
principal components of the difference between the mouth images of one moment in two languages, in which face, pose
and light cancel. Clips in one language give two moments instead. The expert's two encoders learn the same from sounds
and from windows of five frames; finding them together is then a short way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lipbench.baselines.wav2lip.networks import SIZE, SYNC_FRAMES
from lipbench.core import optim
from lipbench.synthetic.corpus.spec import stream
from lipbench.training.wav2lip.clips import LipTrainingClip
from lipbench.training.wav2lip.losses import MOUTH

EDGE = 20  # px, of the mouth images
COMPONENTS = 10
_SAMPLED = 40  # moments per clip that the components are found from

Pair = tuple[tuple[str, int], tuple[str, int]]


def images(faces: NDArray[np.uint8], at: Sequence[int]) -> NDArray[np.float32]:
    """(n, EDGE^2) gray mouths of the given frames in [0, 1]."""
    size = (EDGE, EDGE)
    gray = [cv2.cvtColor(np.ascontiguousarray(faces[t][MOUTH]), cv2.COLOR_BGR2GRAY) for t in at]
    small = [cv2.resize(g, size, interpolation=cv2.INTER_AREA).astype(np.float32).ravel() / 255 for g in gray]
    return np.stack(small)


def pair(talk: LipTrainingClip, rng: np.random.Generator) -> Pair:
    """Two (language, frame): one moment in two languages, or two moments."""
    n = min(talk.starts(tag) for tag in talk.languages)
    at = int(rng.integers(n))
    if len(talk.languages) == 1:
        return (talk.languages[0], at), (talk.languages[0], int(rng.integers(n)))
    a, b = rng.permutation(len(talk.languages))[:2]
    return (talk.languages[int(a)], at), (talk.languages[int(b)], at)


class AudioPretraining:
    """Trains a sound encoder, and an encoder of windows if there is one, in place.

    Args:
        sound: (B, 1, 80, 16) -> (B, C, 1, 1).
        faces: (B, 15, 48, 96) -> (B, C, 1, 1), or None.
        talks: to learn from.
        lr: of Adam.
        batch: pairs per step.
    """

    def __init__(
        self,
        sound: nn.Sequential,
        talks: Sequence[LipTrainingClip],
        *,
        faces: nn.Sequential | None = None,
        lr: float = 1e-3,
        batch: int = 32,
        seed: int = 0,
    ) -> None:
        self.sound, self.faces, self.talks, self.batch, self.seed = sound, faces, talks, batch, seed
        self.lr = lr
        self.device = next(sound.parameters()).device
        self.basis, self.spread = components(talks, seed)
        channels = int(sound[-1].conv_block[0].out_channels)  # type: ignore[union-attr, index, arg-type]
        self.nets = nn.ModuleList([n for n in (sound, faces) if n is not None])
        self.heads = nn.ModuleList([nn.Linear(channels, COMPONENTS, bias=False) for _ in self.nets]).to(self.device)
        self.optimizer = torch.optim.Adam([*self.nets.parameters(), *self.heads.parameters()], lr)

    def step(self, number: int) -> dict[str, float]:
        """One step of Adam; returns the losses, 1 where nothing is known."""
        self.nets.train()
        losses = self._losses(self.talks, self.seed, number)
        optim.step(self.optimizer, torch.stack(list(losses.values())).sum(), self.lr)
        return {name: loss.item() for name, loss in losses.items()}

    @torch.no_grad()
    def validate(self, talks: Sequence[LipTrainingClip]) -> dict[str, float]:
        """The same losses on held-out clips."""
        self.nets.eval()
        found = [self._losses(talks, self.seed + 1, k) for k in range(8)]
        return {name: float(np.mean([f[name].item() for f in found])) for name in found[0]}

    def _losses(self, talks: Sequence[LipTrainingClip], seed: int, number: int) -> dict[str, Tensor]:
        rng = stream(seed, "wav2lip", "hearing", number)
        mels, windows, wanted = [], [], []
        for _ in range(self.batch):
            talk = talks[int(rng.integers(len(talks)))]
            seen = []
            for tag, at in pair(talk, rng):
                mels.append(talk.mel(tag, int(rng.integers(len(talk.sounds[tag]))), at))
                middle = at
                if self.faces is not None:
                    middle = at + SYNC_FRAMES // 2
                    windows.append(window(talk.faces[tag][at : at + SYNC_FRAMES]))
                seen.append(images(talk.faces[tag], [middle])[0])
            wanted.append((seen[0] - seen[1]) @ self.basis / self.spread)
        target = torch.from_numpy(np.stack(wanted)).to(self.device)
        sounds = torch.from_numpy(np.stack(mels))[:, None].to(self.device)
        losses = {"hearing": self._error(self.sound(sounds), self.heads[0], target)}
        if self.faces is not None:
            losses["seeing"] = self._error(self.faces(torch.stack(windows).to(self.device)), self.heads[1], target)
        return losses

    def _error(self, encoded: Tensor, head: nn.Module, target: Tensor) -> Tensor:
        shape = head(encoded.flatten(1)).view(self.batch, 2, COMPONENTS)
        return ((shape[:, 0] - shape[:, 1] - target) ** 2).mean()

    def state_dict(self) -> dict[str, Any]:
        return {"heads": self.heads.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.heads.load_state_dict(state["heads"])
        self.optimizer.load_state_dict(state["optimizer"])


def window(frames: NDArray[np.uint8]) -> Tensor:
    """(5, 96, 96, 3) uint8 -> (15, 48, 96) in [0, 1]: lower halves, channels together."""
    lower = np.ascontiguousarray(frames[:, SIZE // 2 :].transpose(0, 3, 1, 2))
    return torch.from_numpy(lower).flatten(0, 1).float() / 255


def components(talks: Sequence[LipTrainingClip], seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(EDGE^2, COMPONENTS) principal components of pairs' differences, and their standard deviations."""
    rows = []
    for number, talk in enumerate(talks):
        rng = stream(seed, "wav2lip", "components", number)
        for _ in range(_SAMPLED):
            (a, s), (b, t) = pair(talk, rng)
            rows.append(images(talk.faces[a], [s])[0] - images(talk.faces[b], [t])[0])
    x = np.stack(rows).astype(np.float64)
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    basis = vectors[:, ::-1][:, :COMPONENTS]
    spread = np.sqrt(np.maximum(values[::-1][:COMPONENTS], 1e-12))
    return basis.astype(np.float32), spread.astype(np.float32)
