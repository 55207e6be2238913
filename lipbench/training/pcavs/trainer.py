"""`lipbench train pc-avs`: the four networks together, in the demo's size.

Upstream's training is not released. Here: L1 on pixels, the mouth counted more, and on what differs between the lips
of two languages at one moment. No discriminator, no face or perceptual features, no contrastive loss. First the audio
encoder alone learns where the lips are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from lipbench.baselines.pcavs import checkpoint
from lipbench.baselines.pcavs.layout import DEMO, Layout, Networks
from lipbench.core import optim
from lipbench.core.training import Request
from lipbench.datasets.manifest import resolve
from lipbench.training.base import SupervisedTraining, configuration
from lipbench.training.pcavs import clips
from lipbench.training.pcavs.data import PcAvsBatch, assemble, draw, heard, opening
from lipbench.training.pcavs.readout import Readout
from lipbench.training.wav2lip.clips import digest, split

WEIGHTS = "pcavs.npz"
#: Added to the audio encoder's error while it learns alone: every drawing is better than none.
FIRST_PHASE = 10.0
#: Rows and columns, of the image's width, in which lips and chin lie.
MOUTH = (0.52, 0.88, 0.30, 0.70)


@dataclass(frozen=True)
class PcAvsConfig:
    """Settings of the training.

    Attributes:
        layout: of the networks.
        hearing: first steps, in which the audio encoder learns alone, from `windows` sounds.
        moments: per step, two images each where there are two languages.
        rate: Adam's, cosine after warm_up steps.
        mouth: weight of the mouth's pixels.
        change: weight of pixels by how far two languages differ there.
        pair: weight of the L1 loss on that difference itself.
        lips: weight of the audio encoder's own task once the rest joins.
    """

    layout: Layout = DEMO
    hearing: int = 300
    windows: int = 64
    moments: int = 8
    rate: float = 2e-3
    warm_up: int = 30
    mouth: float = 4.0
    change: float = 10.0
    pair: float = 4.0
    lips: float = 0.05


CONFIGS = {"demo": PcAvsConfig(), "official": PcAvsConfig(Layout(), hearing=0, rate=2e-4)}


class PcAvsTraining(SupervisedTraining[PcAvsConfig]):
    """All four networks by one loss, after the audio encoder alone."""

    name, monitor = "pc-avs", "held_out"
    net: Networks

    def __init__(
        self,
        config: PcAvsConfig,
        train: Sequence[clips.PcAvsTrainingClip],
        held_out: Sequence[clips.PcAvsTrainingClip],
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        data = {
            "clips": len(train),
            "speakers": len({t.speaker for t in train}),
            "data": digest(train, "pcavs"),
            "held_out_data": digest(held_out, "pcavs"),
        }
        super().__init__(config, seed, device, data)
        self.talks, self.held_out = list(train), list(held_out)
        self.net = config.layout.networks()
        self.net.E.model.m0.drop = 0.0
        self.head = nn.Linear(config.layout.mouth, 40)
        lips = np.concatenate([x for talk in self.talks for x in talk.lips.values()])
        self.spread = float(np.sqrt((lips**2).mean()))  # px
        self.net.to(self.device)
        self.head.to(self.device)
        self.optimizer = torch.optim.Adam([*self.net.parameters(), *self.head.parameters()], config.rate, (0.9, 0.99))
        size = config.layout.size
        top, bottom, left, right = (round(size * x) for x in MOUTH)
        self.mouth = (..., slice(top, bottom), slice(left, right))
        self.weight = torch.ones(1, 1, size, size, device=self.device)
        self.weight[self.mouth] = config.mouth
        self.alone = config.hearing > 0  # the audio encoder is learning alone
        self.readout = Readout(self.talks, size, MOUTH)

    def _since(self, number: int) -> int:
        """Steps done of the present phase."""
        return number if number < self.config.hearing else number - self.config.hearing

    def lr(self, number: int, progress: float) -> float:
        c = self.config
        return c.rate * optim.warmup(self._since(number), c.warm_up) * optim.cosine(progress, floor=0.02)

    def objective(self, number: int) -> tuple[Tensor, dict[str, Tensor]]:
        c, rng = self.config, self.rng(number)
        self.alone = number < c.hearing
        if self.alone:
            mel, lips = (x.to(self.device) for x in heard(self.talks, c.windows, rng))
            loss = self._heard(self.net.mouth(mel), lips)
            losses = {"hearing": loss}
        else:
            batch = draw(self.talks, c.moments, c.layout.size, rng).to(self.device)
            if self._since(number) == 0:
                self._even(batch)
            losses = self._losses(batch)
            loss = losses["l1"] + c.pair * losses["pair"] + c.lips * losses["hearing"]
        return loss, losses

    @torch.no_grad()
    def _even(self, batch: PcAvsBatch) -> None:
        """Scale the last layers that make mouth and pose codes: over a batch, every number differs by about 1.

        The generator's modulation adds up identity, mouth and pose; left alone the audio's share of the sum is a
        hundredth, and the network learns to do without.
        """
        for layer, codes in (
            (self.net.E.mouth_embed[1], self.net.mouth(batch.mel)),
            (self.net.E.headpose_embed[1], self.net.pose(batch.pose)),
        ):
            spread, mean = codes.std(0).square().mean().sqrt().clamp_min(1e-3), codes.mean(0)
            assert isinstance(layer, nn.Linear)
            layer.weight.div_(spread)
            layer.bias.copy_((layer.bias - mean) / spread)
            if layer is self.net.E.mouth_embed[1]:  # what it had learnt stays true
                self.head.bias.add_(self.head.weight @ mean)
                self.head.weight.mul_(spread)

    def _heard(self, mouth: Tensor, lips: Tensor) -> Tensor:
        """Mean squared error of the lips' points, 1 for lips that never move."""
        return F.mse_loss(self.head(mouth), lips / self.spread)

    def _drawn(self, batch: PcAvsBatch, mouth: Tensor) -> Tensor:
        vector, where, finer = self.net.who(batch.who)
        own = batch.owner
        return self.net.draw((vector[own], where[own], [f[own] for f in finer]), mouth, self.net.pose(batch.pose)[own])

    def _losses(self, batch: PcAvsBatch) -> dict[str, Tensor]:
        c, mouth = self.config, self.net.mouth(batch.mel)
        drawn, (a, b) = self._drawn(batch, mouth), batch.pairs.unbind(1)
        weight = self.weight.expand(len(drawn), -1, -1, -1).clone()
        differ = batch.truth[a] - batch.truth[b]
        for side in (a, b):
            weight[side] += c.change * differ.abs().mean(1, keepdim=True)
        l1 = ((drawn - batch.truth).abs() * weight).mean()
        pair = ((drawn[a] - drawn[b] - differ)[self.mouth]).abs().mean() if len(a) else l1 * 0
        return {"l1": l1, "pair": pair, "hearing": self._heard(mouth, batch.lips)}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """People never seen: see the keys of the answer.

        held_out: weighted L1. mouth, mouth_wrong: L1 of the mouth, 0..255, with its own and another clip's audio.
        opening, opening_wrong: correlation over a clip of the lips' opening read off the drawing with the true one;
        opening_truth: read off the true image. hearing: error of the lips' points, 1 is still.
        """
        self.net.eval()
        rows: dict[str, list[float]] = {}
        other = self.net.mouth(self._whole(self.held_out[-1]).mel)
        for talk in self.held_out:
            batch = self._whole(talk)
            codes = self.net.mouth(batch.mel)
            found = {"hearing": float(self._heard(codes, batch.lips))}
            if self.alone:
                found["held_out"] = FIRST_PHASE + found["hearing"]
            else:
                n = min(len(codes), len(other))
                for name, code in (("", codes), ("_wrong", torch.cat([other[:n], codes[n:]]))):
                    drawn = self._drawn(batch, code)
                    gap = (drawn - batch.truth).abs()
                    found.setdefault("held_out", float((gap * self.weight).mean()))
                    found[f"mouth{name}"] = 127.5 * float(gap[self.mouth].mean())
                    found[f"opening{name}"] = self._correlation(drawn, batch)
                found["opening_truth"] = self._correlation(batch.truth, batch)
            other = codes
            for name, value in found.items():
                rows.setdefault(name, []).append(value)
        return {name: float(np.mean(values)) for name, values in rows.items()}

    def _whole(self, talk: clips.PcAvsTrainingClip, most: int = 6) -> PcAvsBatch:
        """Images of one held-out clip, spread over it; the person is its first."""
        kept = np.linspace(1, len(talk.at) - 1, min(most, len(talk.at) - 1)).astype(int)
        chosen = [(talk, int(i), 0) for i in kept]
        return assemble(chosen, self.config.layout.size, np.random.default_rng(0), plain=True).to(self.device)

    def _correlation(self, images: Tensor, batch: PcAvsBatch) -> float:
        """Mean over the languages of the clip."""
        read, true = self.readout(images), opening(batch.lips.cpu().numpy())
        sets = batch.pairs.cpu().numpy().T if len(batch.pairs) else [np.arange(len(true))]
        found = [np.corrcoef(read[s], true[s])[0, 1] for s in sets if true[s].std() > 0 and read[s].std() > 0]
        return float(np.mean(found)) if found else 0.0

    @torch.no_grad()
    def image(self) -> NDArray[np.uint8]:
        """People never seen, two columns each: the person, the truth, what is drawn, drawn with a neighbor's audio."""
        self.net.eval()
        rng = np.random.default_rng(7)
        batch = draw(self.held_out, 6, self.config.layout.size, rng, plain=True).to(self.device)
        codes = self.net.mouth(batch.mel)
        rows = [batch.who[batch.owner], batch.truth, self._drawn(batch, codes), self._drawn(batch, codes.roll(3, 0))]
        tiles = torch.cat([torch.cat(list(row), 2) for row in rows], 1)  # (3, 4 S, N S)
        return ((tiles + 1) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()

    def parts(self) -> dict[str, Any]:
        return {**super().parts(), "head": self.head}

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "alone": self.alone}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.alone = bool(state["alone"])

    def export(self, folder: Path, facts: Mapping[str, Any]) -> Path:
        """pcavs.npz, float16: what the method takes as `weights_file`."""
        return checkpoint.save(self.net, self.config.layout, folder / WEIGHTS, facts)


def trainer(request: Request) -> PcAvsTraining:
    """What `lipbench train pc-avs` trains; renders its clips first.

    Raises:
        UsageError: an unknown configuration, or a manifest with fewer than two speakers.
    """
    config = configuration(request, CONFIGS)
    if request.data is not None:
        train, held_out = split(clips.from_manifest(resolve(request.data)), 0.2, request.seed, "pcavs")
    else:
        people, folder = int(request.options.get("identities", 160)), request.out / "cache"
        more: dict[str, Any] = {"workers": request.workers, "log": request.log}
        seed = int(request.options.get("data_seed", request.seed))
        held_out = clips.generated(clips.specs("held-out", max(2, people // 11), seed), folder, **more)
        train = clips.generated(clips.specs("train", people, seed), folder, **more)
    return PcAvsTraining(config, train, held_out, request.seed, request.device)
