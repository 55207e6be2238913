"""Training AD-NeRF's head: LipNeRF's field and rays, conditioned on what an audio network makes of the audio.

The audio networks learn together with the field. Neighboring codes are mixed by the attention network from a share of
the training on (published: iteration 200,000 of 400,000); before that every frame has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipbench.baselines.adnerf.audionet import AudioAttNet, AudioNet, codes, neighbors, spread_out
from lipbench.core.weights import torch_file
from lipbench.core.weights.opening import reading
from lipbench.nerf.scene import Scene
from lipbench.nerf.training.presets import Preset
from lipbench.nerf.training.running import MODEL, run_training
from lipbench.nerf.training.trained import TrainedField
from lipbench.nerf.training.trainer import FieldTraining

DIM = 64
AUDIO = "audio.pt"
#: Settings of every preset: the audio is all that a frame is conditioned on. What presets do for codes of frames is
#: left out.
ALONE: dict[str, Any] = {
    "condition": DIM,
    "latent": 0,
    "eye_share": 0.0,
    "mouth_codes": "own",
    "code_start": "random",
    "lids": "expression",
}
#: Learning rates relative to the field's (AD-NeRF run_nerf.py: the attention network's is five times as high).
AUDIO_RATE, ATTENTION_RATE = 1.0, 5.0
#: The short presets' field learns up to ten times as fast as the published one. The audio networks do not: at 5e-3 they
#: learn the clip by heart, and dubs follow their audio less well. Their codes begin with this deviation instead.
PUBLISHED_RATE, START = 5e-4, 0.5


class AudioCodes(torch.nn.Module):
    """Both audio networks, under the names of AD-NeRF's checkpoints."""

    def __init__(self) -> None:
        super().__init__()
        self.audnet, self.audattnet = AudioNet(DIM), AudioAttNet()

    @torch.no_grad()
    def every(self, windows: NDArray[np.float32], smooth: bool = True) -> NDArray[np.float32]:
        """(T, 16, 29) windows -> (T, 64) codes of all frames."""
        device = next(self.parameters()).device
        made = codes(self.audnet, torch.from_numpy(windows).to(device), self.audattnet if smooth else None)
        out: NDArray[np.float32] = made.cpu().numpy()
        return out


class AudioFieldTraining(FieldTraining):
    """`FieldTraining` whose conditions come from the audio.

    Args:
        scene: its conditions are not looked at.
        windows: (T, 16, 29) of the scene's frames.
        smooth_after: share of the training after which neighboring codes are mixed.
    """

    def __init__(
        self,
        scene: Scene,
        windows: NDArray[np.float32],
        preset: Preset,
        seed: int = 0,
        device: str = "cpu",
        smooth_after: float = 0.5,
    ) -> None:
        self.windows = torch.from_numpy(np.asarray(windows, np.float32)).to(device)
        self.smooth_after, self._smooth = smooth_after, smooth_after <= 0
        blank = scene.with_condition(np.zeros((len(scene), DIM), np.float32))
        super().__init__(blank, replace(preset, field=replace(preset.field, condition=DIM)), seed, device)
        self.facts = {**self.facts, "smooth_after": smooth_after, "windows": float(np.abs(windows).mean())}

    def _build(self) -> None:
        super()._build()
        self.audio = AudioCodes().to(self.device)
        if self.preset.name != "adnerf":
            spread_out(self.audio.audnet, self.windows, START)
        share = min(1.0, PUBLISHED_RATE / self.preset.lr)
        for net, rate in ((self.audio.audnet, AUDIO_RATE), (self.audio.audattnet, ATTENTION_RATE)):
            self.optimizer.add_param_group({"params": list(net.parameters()), "lr_scale": rate * share})

    def codes(self, frames: Tensor) -> Tensor:
        """(F,) training frames -> (F, 64 + L), with a way back to the audio networks."""
        if self._smooth:
            around = neighbors(self.windows, frames)  # (F, 8, 16, 29)
            each = self.audio.audnet(around.flatten(0, 1)).view(*around.shape[:2], DIM)
            made = self.audio.audattnet(each)
        else:
            made = self.audio.audnet(self.windows[frames])
        return torch.cat([made, self.latents[frames]], 1)

    def step(self, number: int, progress: float) -> dict[str, float]:
        smooth = progress >= self.smooth_after
        if smooth != self._smooth:
            self._smooth, self.graphed = smooth, None  # a graph would go on with the codes as they were made before
        return super().step(number, progress)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        made = self.audio.every(self.windows.cpu().numpy(), self._smooth)
        self.drawer.condition = torch.from_numpy(made[: len(self.drawer)]).to(self.device)
        return super().validate()

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "audio": self.audio.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.audio.load_state_dict(state["audio"])

    def export(self, folder: Path, facts: Mapping[str, Any]) -> Path:
        """field.pt and audio.pt."""
        torch.save({"audio": self.audio.state_dict(), "smooth": self._smooth}, folder / AUDIO)
        return super().export(folder, facts)


def train(
    scene: Scene,
    windows: NDArray[np.float32],
    preset: Preset,
    folder: Path,
    *,
    seed: int = 0,
    device: str = "cpu",
    smooth_after: float = 0.5,
    log: Callable[[str], None] = lambda _: None,
) -> Path:
    """Train head field and audio networks; the same call goes on with an interrupted folder.

    Returns:
        The folder, for `load`.

    Raises:
        FieldCollapsed, UsageError, DiskFull: see `lipbench.nerf.training.trainer.train`.
    """
    training = AudioFieldTraining(scene, windows, preset, seed, device, smooth_after)
    run_training(training, folder, log=log)
    return folder


def load(folder: Path, device: str = "cpu") -> tuple[TrainedField, AudioCodes, bool]:
    """The field, the audio networks, and whether codes are mixed, as `train` left them.

    Raises:
        WeightsError: the folder holds no finished training.
    """
    with reading(folder / AUDIO, "train it again") as path:
        state = torch_file.read(path, "train it again")
        audio = AudioCodes().to(device)
        audio.load_state_dict(state["audio"])
    return TrainedField.load(folder / MODEL, device), audio.eval(), bool(state["smooth"])
