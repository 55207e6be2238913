"""Training the sync expert."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from lipbench.baselines.wav2lip.networks import SyncExpert
from lipbench.baselines.wav2lip.training.config import ExpertConfig
from lipbench.baselines.wav2lip.training.data import SyncBatch, Talk, sync_batch
from lipbench.baselines.wav2lip.training.losses import agreement


class ExpertTraining:
    """Sync expert and optimiser; `step` and `validate` go through the talks.

    Args:
        talks, held_out: clips of different speakers.
    """

    def __init__(
        self, talks: Sequence[Talk], held_out: Sequence[Talk], config: ExpertConfig, device: str = "cpu"
    ) -> None:
        self.talks, self.held_out, self.config, self.device = talks, held_out, config, torch.device(device)
        torch.manual_seed(config.seed)
        self.net = SyncExpert(config.width).to(self.device)
        self.optimizer = torch.optim.Adam(self.net.parameters(), config.lr)

    def step(self, number: int) -> dict[str, float]:
        """One step of Adam on batch `number`; returns its losses."""
        self.net.train()
        loss, _ = self._loss(sync_batch(self.talks, self.config.batch, self.config.seed, number))
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return {"sync": loss.item()}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Held-out loss, and how often the cosine is on the right side of a half."""
        self.net.eval()
        losses, right = [], []
        for number in range(self.config.held_out_batches):
            batch = sync_batch(self.held_out, self.config.batch, self.config.seed + 1, number)
            loss, hits = self._loss(batch)
            losses.append(loss.item())
            right.append(hits)
        return {"sync": sum(losses) / len(losses), "accuracy": sum(right) / len(right)}

    def _loss(self, batch: SyncBatch) -> tuple[torch.Tensor, float]:
        together = batch.together.to(self.device)
        audio, video = self.net(batch.mel.to(self.device), batch.face.to(self.device))
        right = ((audio * video).sum(1, keepdim=True) > 0.5) == (together > 0.5)
        return agreement(audio, video, together), right.float().mean().item()

    def state_dict(self) -> dict[str, Any]:
        return {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
