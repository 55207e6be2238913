"""Training the generator, with a frozen expert or without, with the quality discriminator or without."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lipbench.baselines.wav2lip.checkpoint import save_npz
from lipbench.baselines.wav2lip.networks import QualityDiscriminator, SyncExpert, Wav2LipGenerator
from lipbench.core import optim
from lipbench.training.base import SupervisedTraining
from lipbench.training.wav2lip.audio_pretraining import AudioPretraining
from lipbench.training.wav2lip.clips import LipTrainingClip, clip_facts
from lipbench.training.wav2lip.config import GeneratorConfig
from lipbench.training.wav2lip.data import LipBatch, lip_batch
from lipbench.training.wav2lip.losses import MOUTH, SyncSchedule, contrast_loss, reconstruction, sync_loss

WEIGHTS = "wav2lip.npz"


class GeneratorTraining(SupervisedTraining[GeneratorConfig]):
    """Generator, discriminator if wanted, their optimizers, the expert once it is there, and the sync schedule.

    The expert is frozen and kept in eval mode; upstream leaves it in train mode, so that its batch norms follow the
    drawn faces that it is to rate.

    Args:
        talks: clips of different speakers.
        held_out: clips of different speakers.
    """

    name, monitor, max_norm = "wav2lip-generator", "mouth_l1", None
    net: Wav2LipGenerator

    def __init__(
        self,
        talks: Sequence[LipTrainingClip],
        held_out: Sequence[LipTrainingClip],
        config: GeneratorConfig,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        super().__init__(config, seed, device, clip_facts(talks, held_out))
        self.talks, self.held_out = talks, held_out
        self.net = Wav2LipGenerator(config.width, config.gated).to(self.device)
        quality = config.quality_weight > 0
        betas = (0.5, 0.999) if quality else (0.9, 0.999)
        self.optimizer = torch.optim.Adam(self.net.parameters(), config.lr, betas)
        self.critic = QualityDiscriminator(config.width).to(self.device) if quality else None
        self.critic_optimizer = (
            torch.optim.Adam(self.critic.parameters(), config.lr, betas) if self.critic is not None else None
        )
        self.hearing = AudioPretraining(self.net.audio_encoder, talks, seed=seed) if config.hearing else None
        self.schedule = SyncSchedule(config.sync_weight, config.sync_threshold)
        self.expert: SyncExpert | None = None
        self.scale = 1.0
        self._shown: tuple[Tensor, Tensor] = (torch.empty(0), torch.empty(0))  # drawn and true frames of the last batch

    def hear(self, expert: SyncExpert, scale: float) -> None:
        """Let an expert rate from now on; `scale` is the factor on the cosine that it was trained with."""
        self.expert = expert.to(self.device).eval().requires_grad_(False)
        self.scale = scale
        if math.isinf(self.config.sync_threshold):
            self.schedule.on = True

    def step(self, number: int, progress: float) -> dict[str, float]:
        """One step of the generator (and of the discriminator) on batch `number`, at first of the audio encoder's own
        task; returns its losses."""
        if self.hearing is not None:
            if number < self.config.hearing:
                return self.hearing.step(number)
            self.hearing = None
        losses = super().step(number, progress)
        if self.critic is not None and self.critic_optimizer is not None:
            real, fake = self.critic(self._shown[1]), self.critic(self._shown[0].detach())
            critic = F.binary_cross_entropy(real, torch.ones_like(real))
            critic = critic + F.binary_cross_entropy(fake, torch.zeros_like(fake))
            optim.step(self.critic_optimizer, critic, self.config.lr)
            losses["critic"] = critic.item()
        return losses

    def lr(self, number: int, progress: float) -> float:
        """Constant after the warm-up as published; with `decay` it falls over the last share of the budget."""
        c = self.config
        fall = optim.linear(progress, floor=0.05, share=c.decay) if c.decay else 1.0
        return c.lr * optim.warmup(number - c.hearing, c.warm_up) * fall

    def objective(self, number: int) -> tuple[Tensor, dict[str, Tensor | float]]:
        c, weight = self.config, self.schedule.weight
        row = self._row(self.talks, self.seed, number) if weight or not c.singles else None
        drawn, l1, self._shown = self._draw(row, self._singles(number, bool(weight)))
        losses: dict[str, Tensor | float] = {"l1": l1}
        loss = (1 - weight - c.quality_weight) * l1
        if weight and row is not None:
            losses["sync"] = sync = self._sync(row, drawn)
            loss = loss + weight * sync
        if self.critic is not None:
            believed = self.critic(self._shown[0])
            losses["quality"] = quality = F.binary_cross_entropy(believed, torch.ones_like(believed))
            loss = loss + c.quality_weight * quality
        return loss, losses

    def _singles(self, number: int, beside: bool) -> LipBatch | None:
        """Single frames: `singles` of them beside windows, half as many again without."""
        c = self.config
        if not c.singles:
            return None
        size = c.singles if beside else c.singles + c.singles // 2
        return lip_batch(
            self.talks, size, self.seed, number, frames=1, paired=c.paired, mel_shift=c.mel_shift, pick=c.pick
        ).to(self.device)

    def _row(self, talks: Sequence[LipTrainingClip], seed: int, number: int) -> LipBatch:
        c = self.config
        return lip_batch(
            talks, c.batch, seed, number, frames=c.frames, paired=c.paired, mel_shift=c.mel_shift, contrast=c.contrast
        ).to(self.device)

    def _draw(self, row: LipBatch | None, singles: LipBatch | None) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """Draws both in one pass, so that batch norm sees them together.

        Returns:
            The windows (B, 3, T, 96, 96), the L1 loss over everything, and (drawn, truth), each (N, 3, 96, 96).
        """
        batches = [b for b in (row, singles) if b is not None]
        face = torch.cat([b.face.transpose(1, 2).flatten(0, 1) for b in batches])  # (N, 6, 96, 96)
        mels = torch.cat([b.mels.flatten(0, 1) for b in batches])
        target = torch.cat([b.target.transpose(1, 2).flatten(0, 1) for b in batches])
        drawn: Tensor = self.net(mels, face)
        l1 = reconstruction(
            drawn[:, :, None],
            target[:, :, None],
            self.config.mouth_weight,
            face[:, 3:, None],
            self.config.change_weight,
        )
        rows = drawn[: len(row.face) * row.face.shape[2]] if row is not None else drawn[:0]
        windows = rows.unflatten(0, row.mels.shape[:2]).transpose(1, 2) if row is not None else rows
        return windows, l1, (drawn, target)

    def _sync(self, batch: LipBatch, drawn: Tensor) -> Tensor:
        assert self.expert is not None
        if self.config.contrast:
            return contrast_loss(self.expert, self.scale, batch.around, batch.valid, drawn, self.config.contrast)
        own = batch.around[:, : drawn.shape[2] - 4].flatten(0, 1)
        return sync_loss(self.expert, own, drawn)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Held-out L1 of the crop and of the mouth, the mouth's L1 of the reference itself, sync loss if there is an
        expert; lets the sync loss join when it is time."""
        self.net.eval()
        heard = {} if self.hearing is None else self.hearing.validate(self.held_out)
        totals = {"l1": 0.0, "mouth_l1": 0.0, "untouched_l1": 0.0, "sync": 0.0}
        for number in range(self.config.held_out_batches):
            batch = self._row(self.held_out, self.seed + 1, number)
            drawn = self.net(batch.mels, batch.face)
            totals["l1"] += reconstruction(drawn, batch.target).item()
            totals["mouth_l1"] += (drawn - batch.target)[..., MOUTH[0], MOUTH[1]].abs().mean().item()
            totals["untouched_l1"] += (batch.face[:, 3:] - batch.target)[..., MOUTH[0], MOUTH[1]].abs().mean().item()
            if self.expert is not None:
                totals["sync"] += self._sync(batch, drawn).item()
        means = {name: total / self.config.held_out_batches for name, total in totals.items()}
        if self.expert is None:
            del means["sync"]
        else:
            self.schedule.observe(means["sync"])
        return {**means, "sync_weight": self.schedule.weight, **heard}

    @torch.no_grad()
    def image(self, columns: int = 10) -> NDArray[np.uint8]:
        """(3 * 96, columns * 96, 3) RGB of held-out clips: reference, drawn, truth."""
        self.net.eval()
        batch = lip_batch(self.held_out, columns, self.seed + 1, 0, frames=1, paired=1.0).to(self.device)
        drawn = self.net(batch.mels, batch.face)
        rows = [batch.face[:, 3:], drawn, batch.target]
        tiles = [torch.cat(row[:, :, 0].unbind(0), dim=2) for row in rows]  # (3, 96, columns * 96)
        bgr = (torch.cat(tiles, dim=1) * 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
        return np.ascontiguousarray(bgr[..., ::-1])

    def export(self, folder: Path, facts: Mapping[str, Any]) -> Path:
        """wav2lip.npz, float16: what the method takes as `weights_file`."""
        return save_npz(self.net, folder / WEIGHTS, facts)

    def parts(self) -> dict[str, Any]:
        parts = {**super().parts(), "schedule": self.schedule}
        optional = {
            "hearing": self.hearing,
            "expert": self.expert,
            "critic": self.critic,
            "critic_optimizer": self.critic_optimizer,
        }
        return parts | {name: part for name, part in optional.items() if part is not None}

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "scale": self.scale}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if "hearing" not in state:
            self.hearing = None
        if "expert" in state:
            widest = state["expert"]["face_encoder.16.conv_block.0.weight"]
            self.hear(SyncExpert(widest.shape[0] / 512), float(state["scale"]))
        super().load_state_dict(state)
