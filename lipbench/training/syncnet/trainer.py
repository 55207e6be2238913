"""`lipbench train syncnet`: a sync model, on generated people or on any manifest's crops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lipbench.core.training import Request
from lipbench.metrics.sync.network import SyncNet
from lipbench.training.base import SupervisedTraining, configuration
from lipbench.training.syncnet import cache, data
from lipbench.training.syncnet.footage import from_manifest
from lipbench.training.syncnet.generated import SyncNetDatasetConfig, build
from lipbench.training.syncnet.loss import flat_lip, sync_loss

HELD_OUT_BATCHES = 4


@dataclass(frozen=True)
class SyncConfig:
    """Settings of the training.

    Attributes:
        width: of the network.
        size: of the network.
        batch: clips.
        windows: of each clip.
        rate: AdamW's, cosine after `warm_up` steps.
        clean: steps with undamaged images.
        harmed: step from which damage and hard negatives count in full. With both from the first step on, a width of
            0.25 was still at chance after 150 steps; without, it is off it after 100.
    """

    width: float = 0.25
    size: int = 112
    batch: int = 8
    windows: int = 16
    rate: float = 1e-3
    warm_up: int = 60
    weight_decay: float = 1e-3
    clean: int = 250
    harmed: int = 700


CONFIGS = {"demo": SyncConfig(), "official": SyncConfig(width=1.0, size=224)}


class SyncTraining(SupervisedTraining[SyncConfig]):
    """A SyncNet by contrast within clips."""

    name = "syncnet"
    net: SyncNet

    def __init__(
        self,
        config: SyncConfig,
        train: Sequence[cache.CachedClip],
        held_out: Sequence[cache.CachedClip],
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        facts = {
            "clips": len(train),
            "speakers": len({c.facts.speaker for c in train}),
            "data": cache.digest(train),
            "held_out": cache.digest(held_out),
        }
        super().__init__(config, seed, device, facts)
        self.clips, self.held_out = list(train), list(held_out)
        self.net = SyncNet(config.width, config.size).to(self.device)
        self.log_scale = torch.nn.Parameter(torch.zeros((), device=self.device))
        self.optimizer = torch.optim.AdamW(
            [*self.net.parameters(), self.log_scale], config.rate, weight_decay=config.weight_decay
        )
        self._drawer = ThreadPoolExecutor(1)
        self._next: Future[data.SyncNetBatch] | None = None
        self._next_number = -1

    def objective(self, number: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        loss, right = self._loss(self._ahead(number), self._harm(number))
        return loss, {"loss": loss, "right": right}

    def _harm(self, number: int) -> float:
        c = self.config
        return min(1.0, max(0.0, (number - c.clean) / max(1, c.harmed - c.clean)))

    def _draw(self, number: int) -> data.SyncNetBatch:
        c, rng = self.config, self.rng(number)
        return data.draw(self.clips, c.size, rng, batch=c.batch, n=c.windows, harm=self._harm(number))

    def _ahead(self, number: int) -> data.SyncNetBatch:
        """The batch of that step, while the next one is being drawn in a thread beside the network's."""
        waiting = self._next.result() if self._next and self._next_number == number else self._draw(number)
        self._next, self._next_number = self._drawer.submit(self._draw, number + 1), number + 1
        return waiting

    def _loss(self, batch: data.SyncNetBatch, harm: float) -> tuple[torch.Tensor, torch.Tensor]:
        c = self.config
        b = len(batch.still)
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
            lips = flat_lip(self.net, torch.cat([batch.frames, batch.still]).to(self.device))
            sound = self.net.forward_aud(batch.sound.to(self.device))
        lips, sound = lips.float(), sound.float()
        return sync_loss(
            lips[:-b].view(b, c.windows, -1),
            sound.view(b, c.windows, -1),
            self.log_scale,
            lips[-b:].view(b, 1, -1),
            harm,
        )

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        self.net.eval()
        c = self.config
        draws = [np.random.default_rng([2**31, k]) for k in range(HELD_OUT_BATCHES)]
        found = [self._loss(data.draw(self.held_out, c.size, rng, batch=c.batch, n=c.windows), 1.0) for rng in draws]
        return {
            "held_out_loss": float(np.mean([float(x) for x, _ in found])),
            "held_out_right": float(np.mean([float(x) for _, x in found])),
        }

    def image(self) -> NDArray[np.uint8]:
        """The middle frames of a batch as the network sees them, one row per clip."""
        batch = data.draw(self.clips, self.config.size, np.random.default_rng(self.seed), batch=4, n=8)
        pixels = batch.frames[:, 6:9].permute(0, 2, 3, 1).numpy() * data.SCALE + data.MEAN
        rows = pixels.clip(0, 255).astype(np.uint8).reshape(4, 8, self.config.size, self.config.size, 3)[..., ::-1]
        return np.concatenate([np.concatenate(list(row), axis=1) for row in rows])

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "scale": self.log_scale.detach()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        with torch.no_grad():
            self.log_scale.copy_(state["scale"])

    def export(self, folder: Path, facts: Mapping[str, Any]) -> Path:
        """syncnet.npz: float16, takes frames of 0..255 and plain MFCC as the published network does."""
        net = SyncNet(self.config.width, self.config.size)
        net.load_state_dict(self.net.state_dict())
        net.eval()
        net.absorb_scaling(data.MEAN, data.SCALE, data.MFCC_SCALE)
        return net.save(folder / "syncnet.npz", info=facts)


def trainer(request: Request) -> SyncTraining:
    """The training that a request asks for; builds or completes the cache of crops in its folder first.

    Raises:
        UsageError: an unknown configuration, or a manifest with fewer than two speakers.
    """
    config = configuration(request, CONFIGS)
    folder = request.out / "cache"
    if request.data is not None:
        train, held_out = from_manifest(request.data, folder, config.size, request.seed, log=request.log)
    else:
        o = request.options
        more: dict[str, Any] = {"workers": request.workers, "log": request.log}
        drawn = int(o.get("data_seed", request.seed))
        recipe = SyncNetDatasetConfig(
            "train", drawn, o.get("identities", 44), o.get("clips", 9), espeak=o.get("espeak", 0.0)
        )
        train = build(recipe, folder, config.size, **more)
        held_out = build(
            SyncNetDatasetConfig("held-out", drawn, max(2, recipe.identities // 6), 2, pool="test", damped=0.0),
            folder,
            config.size,
            **more,
        )
    return SyncTraining(config, train, held_out, request.seed, request.device)
