"""Training the sync expert."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipbench.baselines.wav2lip.checkpoint import save_npz
from lipbench.baselines.wav2lip.networks import SyncExpert
from lipbench.core import optim
from lipbench.training.base import SupervisedTraining
from lipbench.training.wav2lip.audio_pretraining import AudioPretraining
from lipbench.training.wav2lip.clips import LipTrainingClip, clip_facts
from lipbench.training.wav2lip.config import ExpertConfig
from lipbench.training.wav2lip.data import row_batch, sync_batch
from lipbench.training.wav2lip.losses import agreement, contrast

SCALE = 15.0  # of the cosine, before it is learned
EXPORT = "expert.npz"


class ExpertTraining(SupervisedTraining[ExpertConfig]):
    """The sync expert, after its encoders' own task (`audio_pretraining`).

    Args:
        talks: clips of different speakers.
        held_out: clips of different speakers.
    """

    name, monitor = "wav2lip-expert", "expert_loss"
    net: SyncExpert

    def __init__(
        self,
        talks: Sequence[LipTrainingClip],
        held_out: Sequence[LipTrainingClip],
        config: ExpertConfig,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.talks, self.held_out = talks, held_out
        super().__init__(config, seed, device, clip_facts(talks, held_out))
        self.max_norm = 5.0 if config.windows else None
        self.net = SyncExpert(config.width).to(self.device)
        self.log_scale = torch.nn.Parameter(torch.tensor(math.log(SCALE), device=self.device))
        self.optimizer = torch.optim.Adam([*self.net.parameters(), self.log_scale], config.lr)
        self.hearing = (
            AudioPretraining(self.net.audio_encoder, talks, faces=self.net.face_encoder, seed=seed)
            if config.hearing
            else None
        )

    @property
    def scale(self) -> float:
        """Factor on the cosine in the softmax."""
        return float(self.log_scale.detach().exp())

    def step(self, number: int, progress: float) -> dict[str, float]:
        """One step of Adam on batch `number`, at first of the encoders' own task; returns its losses."""
        if self.hearing is not None:
            if number < self.config.hearing:
                return self.hearing.step(number)
            self.hearing = None
        return super().step(number, progress)

    def lr(self, number: int, progress: float) -> float:
        """The rate falls over the last half if there is a softmax; as published it is constant."""
        c = self.config
        fall = optim.linear(progress, floor=0.05, share=0.475) if c.windows else 1.0
        return c.lr * optim.warmup(number - c.hearing, c.warm_up) * fall

    def objective(self, number: int) -> tuple[Tensor, dict[str, Tensor | float]]:
        if self.config.windows:
            loss, right, _ = self._rows(self.talks, self.seed, number)
        else:
            loss, right = self._pairs(self.talks, self.seed, number)
        return loss, {"loss": loss, "right": right}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Held-out loss; share of windows that are nearest to their own of 16 sounds, and nearer to it than to each
        audio at least five frames away."""
        self.net.eval()
        heard = {} if self.hearing is None else self.hearing.validate(self.held_out)
        rows = [self._rows(self.held_out, self.seed + 1, k) for k in range(self.config.held_out_batches)]
        losses = [float(loss) for loss, _, _ in rows]
        if not self.config.windows:
            losses = [float(self._pairs(self.held_out, self.seed + 1, k)[0]) for k in range(len(rows))]
        return {
            "expert_loss": float(np.mean(losses)),
            "expert_right": float(np.mean([right for _, right, _ in rows])),
            "expert_far": float(np.mean([far for _, _, far in rows])),
            **heard,
        }

    def _pairs(self, talks: Sequence[LipTrainingClip], seed: int, number: int) -> tuple[Tensor, float]:
        batch = sync_batch(talks, self.config.batch, seed, number)
        together = batch.together.to(self.device)
        audio, video = self.net(batch.mel.to(self.device), batch.face.to(self.device))
        right = ((audio * video).sum(1, keepdim=True) > 0.5) == (together > 0.5)
        return agreement(audio, video, together), right.float().mean().item()

    def _rows(self, talks: Sequence[LipTrainingClip], seed: int, number: int) -> tuple[Tensor, float, float]:
        c = self.config
        n, size = (c.windows, c.batch) if c.windows else (16, max(1, c.batch // 16))
        batch = row_batch(talks, size, seed, number, n=n, wrong=c.wrong)
        faces = torch.cat([batch.face, batch.wrong]).to(self.device)
        audio = self.net.audio_encoder(batch.mel.to(self.device)).flatten(1)
        video = self.net.face_encoder(faces).flatten(1)
        audio, video = (torch.nn.functional.normalize(x, dim=1) for x in (audio, video))
        wrong = video[size * n :].view(size, c.wrong, -1) if c.wrong else None
        audio, video = audio.view(size, n, -1), video[: size * n].view(size, n, -1)
        stride = batch.stride.to(self.device)
        loss = contrast(audio, video, stride, self.log_scale.exp(), wrong)
        cosine = (video @ audio.transpose(1, 2)).detach()
        at = torch.arange(n, device=cosine.device)
        own = cosine.diagonal(dim1=1, dim2=2)
        far = (at[:, None] - at).abs() * stride[:, None, None] >= 5
        beats = (own[..., None] > cosine)[far].float().mean().item()
        return loss, (cosine.argmax(2) == at).float().mean().item(), beats

    def image(self) -> NDArray[np.uint8]:
        """Middle frames of a batch as the network sees them, one row per clip, wrong ones at the end of the row."""
        batch = row_batch(self.held_out, 4, self.seed + 1, 0, n=8, wrong=2)
        rows = torch.cat([batch.face.view(4, 8, 15, 48, 96), batch.wrong.view(4, 2, 15, 48, 96)], 1)[:, :, 6:9]
        bgr = (rows.permute(0, 3, 1, 4, 2).reshape(4 * 48, 10 * 96, 3) * 255).to(torch.uint8).numpy()
        return np.ascontiguousarray(bgr[..., ::-1])

    def state_dict(self) -> dict[str, Any]:
        state = {**super().state_dict(), "scale": self.log_scale.detach()}
        return state if self.hearing is None else {**state, "hearing": self.hearing.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        if "hearing" not in state:
            self.hearing = None
        elif self.hearing is not None:
            self.hearing.load_state_dict(state["hearing"])
        with torch.no_grad():
            self.log_scale.copy_(state["scale"])

    def export(self, folder: Path, facts: Mapping[str, Any]) -> Path:
        """expert.npz, float16."""
        return save_npz(self.net, folder / EXPORT, {**facts, "scale": self.scale, "held_out": self.validate()})
