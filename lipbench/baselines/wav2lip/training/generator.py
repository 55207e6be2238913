"""Training the generator against a frozen expert, with or without the quality discriminator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lipbench.baselines.wav2lip.networks import SYNC_FRAMES, Generator, QualityDiscriminator, SyncExpert
from lipbench.baselines.wav2lip.training.config import GeneratorConfig
from lipbench.baselines.wav2lip.training.data import LipBatch, Talk, lip_batch
from lipbench.baselines.wav2lip.training.losses import MOUTH, SyncSchedule, reconstruction, sync_loss


class GeneratorTraining:
    """Generator, discriminator if wanted, their optimisers and the sync schedule.

    Args:
        talks, held_out: clips of different speakers.
        expert: frozen here and kept in eval mode; upstream leaves it in train mode, so that its batch norms follow
            the drawn faces it is to judge.
    """

    def __init__(
        self, talks: Sequence[Talk], held_out: Sequence[Talk], config: GeneratorConfig, expert: SyncExpert,
        device: str = "cpu",
    ) -> None:  # fmt: skip
        self.talks, self.held_out, self.config, self.device = talks, held_out, config, torch.device(device)
        self.expert = expert.to(self.device).eval().requires_grad_(False)
        torch.manual_seed(config.seed)
        self.net = Generator(config.width).to(self.device)
        quality = config.quality_weight > 0
        betas = (0.5, 0.999) if quality else (0.9, 0.999)
        self.optimizer = torch.optim.Adam(self.net.parameters(), config.lr, betas)
        self.critic = QualityDiscriminator(config.width).to(self.device) if quality else None
        self.critic_optimizer = (
            torch.optim.Adam(self.critic.parameters(), config.lr, betas) if self.critic is not None else None
        )
        self.schedule = SyncSchedule(config.sync_weight, config.sync_threshold)

    def step(self, number: int) -> dict[str, float]:
        """One step of the generator (and of the discriminator) on batch `number`; returns its losses."""
        self.net.train()
        c, sync_weight = self.config, self.schedule.weight
        single = c.single_frames and not sync_weight
        frames, size = (1, SYNC_FRAMES * c.batch) if single else (SYNC_FRAMES, c.batch)
        batch = self._to(lip_batch(
            self.talks, size, c.seed, number, frames=frames, paired=c.paired, mel_shift=c.mel_shift
        ))  # fmt: skip
        drawn: Tensor = self.net(batch.mels, batch.face)
        l1 = reconstruction(drawn, batch.target, c.mouth_weight)
        losses, loss = {"l1": l1.item()}, (1 - sync_weight - c.quality_weight) * l1
        if sync_weight:
            sync = sync_loss(self.expert, batch.mel, drawn)
            loss, losses["sync"] = loss + sync_weight * sync, sync.item()
        if self.critic is not None:
            believed = self.critic(drawn)
            quality = F.binary_cross_entropy(believed, torch.ones_like(believed))
            loss, losses["quality"] = loss + c.quality_weight * quality, quality.item()
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        if self.critic is not None and self.critic_optimizer is not None:
            self.critic_optimizer.zero_grad()  # the generator's step left gradients here
            real, fake = self.critic(batch.target), self.critic(drawn.detach())
            critic = F.binary_cross_entropy(real, torch.ones_like(real))
            critic = critic + F.binary_cross_entropy(fake, torch.zeros_like(fake))
            critic.backward()  # type: ignore[no-untyped-call]
            self.critic_optimizer.step()
            losses["critic"] = critic.item()
        return losses

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Held-out L1 of the whole crop and of the mouth, and sync loss; lets the sync loss join when it is time."""
        self.net.eval()
        totals = {"l1": 0.0, "mouth_l1": 0.0, "sync": 0.0}
        for number in range(self.config.held_out_batches):
            batch, drawn = self._held_out(number)
            totals["l1"] += reconstruction(drawn, batch.target).item()
            totals["mouth_l1"] += (drawn - batch.target)[..., MOUTH[0], MOUTH[1]].abs().mean().item()
            totals["sync"] += sync_loss(self.expert, batch.mel, drawn).item()
        means = {name: total / self.config.held_out_batches for name, total in totals.items()}
        self.schedule.observe(means["sync"])
        return {**means, "sync_weight": self.schedule.weight}

    @torch.no_grad()
    def picture(self, columns: int = 10) -> NDArray[np.uint8]:
        """(3 * 96, columns * 96, 3) RGB of held-out clips: reference, drawn, truth."""
        self.net.eval()
        batch, drawn = self._held_out(0)
        rows = [batch.face[:, 3:], drawn, batch.target]
        tiles = [torch.cat(row[:, :, 0][:columns].unbind(0), dim=2) for row in rows]  # (3, 96, columns * 96)
        bgr = (torch.cat(tiles, dim=1) * 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
        return np.ascontiguousarray(bgr[..., ::-1])

    def _held_out(self, number: int) -> tuple[LipBatch, Tensor]:
        c = self.config
        batch = self._to(lip_batch(
            self.held_out, max(c.batch, 2), c.seed + 1, number, paired=c.paired, mel_shift=c.mel_shift
        ))  # fmt: skip
        return batch, self.net(batch.mels, batch.face)

    def _to(self, batch: LipBatch) -> LipBatch:
        return LipBatch(*(t.to(self.device) for t in (batch.face, batch.mels, batch.mel, batch.target)))

    def state_dict(self) -> dict[str, Any]:
        state = {
            "net": self.net.state_dict(), "optimizer": self.optimizer.state_dict(),
            "expert": self.expert.state_dict(), "schedule": self.schedule.state_dict(),
        }  # fmt: skip
        if self.critic is not None and self.critic_optimizer is not None:
            state |= {"critic": self.critic.state_dict(), "critic_optimizer": self.critic_optimizer.state_dict()}
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.expert.load_state_dict(state["expert"])
        self.schedule.load_state_dict(state["schedule"])
        if self.critic is not None and self.critic_optimizer is not None:
            self.critic.load_state_dict(state["critic"])
            self.critic_optimizer.load_state_dict(state["critic_optimizer"])
