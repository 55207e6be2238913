"""`lipbench train speech2vid`: a small Speech2Vid on generated people.

The published training is not released; its loss was L1 on pixels and on the features of a VGG-M face network. Here: L1
on pixels alone, the mouth counted more, on the judge's cached crops and its sound features.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipbench.baselines.speech2vid import checkpoint
from lipbench.baselines.speech2vid.framing import BOX_SCALE
from lipbench.baselines.speech2vid.networks import COEFFICIENTS, COLUMNS, DRAWN, SIZE, STILLS, Speech2VidNet
from lipbench.baselines.speech2vid.sound import window_starts, windows
from lipbench.core.errors import UsageError
from lipbench.core.training import Request
from lipbench.metrics.sync.constants import CROP_SCALE
from lipbench.metrics.sync.training import cache
from lipbench.metrics.sync.training.generated import Recipe, build

FPS, JUDGE_SIZE = 25.0, 112
HELD_OUT_BATCHES = 4
#: Stills lie this many frames before or after the drawn one: far enough that their lips do not tell its own.
NEAREST, FARTHEST = 5, 20
#: Rows and columns of the 109 px answer in which lips and chin of the framed face lie.
MOUTH = (slice(58, 98), slice(26, 84))


@dataclass(frozen=True)
class Config:
    """width: of the network. batch: frames. rate: Adam's, cosine after warm_up steps. mouth: weight of its pixels."""

    width: float = 0.25
    batch: int = 8
    rate: float = 2e-3
    warm_up: int = 30
    mouth: float = 4.0


CONFIGS = {"demo": Config(), "official": Config(width=1.0, batch=32, rate=3e-4)}


@dataclass(frozen=True)
class Batch:
    """sound (B, 1, 12, 35), stills (B, 15, 112, 112) 0..255, truth (B, 3, 109, 109) 0..1."""

    sound: Tensor
    stills: Tensor
    truth: Tensor


def framed(crop: NDArray[np.uint8], shift: NDArray[np.float64], scale: float, flip: bool) -> NDArray[np.uint8]:
    """(112, 112, 3) RGB: the square around the face box, out of a cached BGR crop, moved by `shift` px."""
    # The judge's crop, margin included, is 2 (1 + CROP_SCALE) MARGIN face half edges wide; its centre lies CROP_SCALE
    # of one below the box's.
    edge = crop.shape[0]
    unit = edge / (2 * (1 + CROP_SCALE) * cache.MARGIN)
    k = SIZE / (2 * BOX_SCALE * unit) * scale
    x, y = edge / 2 - 0.5, edge / 2 - 0.5 - CROP_SCALE * unit
    centre = SIZE / 2 - 0.5
    matrix = np.array([[k, 0, centre - k * x + shift[0]], [0, k, centre - k * y + shift[1]]])
    out = cv2.warpAffine(crop, matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(out[:, ::-1, ::-1] if flip else out[..., ::-1])


def draw(clips: Sequence[cache.CachedClip], batch: int, rng: np.random.Generator) -> Batch:
    """Frames drawn at random, each with five stills around it and the sound under it."""
    sound, stills, truth = [], [], []
    for _ in range(batch):
        clip = clips[int(rng.integers(len(clips)))]
        n = clip.facts.n_frames
        t = int(rng.integers(n))
        away = np.arange(max(0, t - FARTHEST), min(n, t + FARTHEST + 1))
        away = away[np.abs(away - t) >= NEAREST]
        shown = rng.choice(away, STILLS, replace=len(away) < STILLS)
        shift, scale, flip = rng.normal(0, 1.5, 2), float(rng.uniform(0.97, 1.03)), bool(rng.integers(2))
        gain = rng.uniform(0.8, 1.2, 3) * rng.uniform(0.85, 1.15)
        pictures = [framed(clip.frames[i], shift, scale, flip) * gain for i in (t, *shown)]
        clipped = np.clip(np.stack(pictures), 0, 255).astype(np.float32)
        take = clip.sound[int(rng.integers(len(clip.sound)))][1 : COEFFICIENTS + 1]
        sound.append(windows(take, window_starts(n, FPS)[t : t + 1])[0])
        stills.append(clipped[1:].transpose(0, 3, 1, 2).reshape(3 * STILLS, SIZE, SIZE))
        truth.append(clipped[0].transpose(2, 0, 1)[:, 1 : 1 + DRAWN, 1 : 1 + DRAWN] / 255)
    assert sound[0].shape == (1, COEFFICIENTS, COLUMNS)
    return Batch(*(torch.from_numpy(np.stack(x)) for x in (sound, stills, truth)))


@torch.no_grad()
def even(net: Speech2VidNet, batch: Batch) -> None:
    """Scale every layer behind the bottleneck until its answers to the batch differ with standard deviation 1.

    (Mishkin and Matas, All you need is a good init, ICLR 2016.) These layers have no batch norm; left alone, what comes
    through the bottleneck, the sound, is 60 times weaker than the skip it is joined to, and the network never hears it.
    """

    def scale(layer: torch.nn.Module, _: Any, out: Tensor) -> Tensor:
        size = out.std(0).mean().clamp_min(1e-3)  # a layer that is dead for this batch is left near to where it is
        for weight in layer.parameters():
            weight.div_(size)
        return out / size

    names = [name for name, _ in net.named_children()]
    decoder = names[names.index("conv8") : names.index("conv5_3")]
    hooks = [getattr(net, name).register_forward_hook(scale) for name in decoder]
    net.train()(batch.sound, batch.stills)
    for hook in hooks:
        hook.remove()
    for part in net.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.reset_running_stats()


class Speech2VidTraining:
    """The network, its optimiser, its data: see `lipbench.core.training.Trainable`."""

    monitor = "held_out_loss"

    def __init__(
        self, config: Config, train: Sequence[cache.CachedClip], held_out: Sequence[cache.CachedClip],
        seed: int = 0, device: str = "cpu",
    ) -> None:  # fmt: skip
        torch.manual_seed(seed)
        self.config, self.seed, self.device = config, seed, torch.device(device)
        self.clips, self.held_out = list(train), list(held_out)
        self.net = Speech2VidNet(config.width)
        for weight in self.net.parameters():
            if weight.dim() == 4:  # torch's own start lets neither picture nor sound through thirty layers
                torch.nn.init.kaiming_normal_(weight, nonlinearity="relu")
        even(self.net, draw(self.clips, 8, np.random.default_rng([seed, 2**31])))
        torch.nn.init.normal_(self.net.conv5_3.weight, std=0.02)
        self.net.to(self.device)
        self.optimizer = torch.optim.Adam(self.net.parameters(), config.rate, betas=(0.9, 0.99))
        self.weight = torch.ones(1, 1, DRAWN, DRAWN, device=self.device)
        self.weight[0, 0][MOUTH] = config.mouth
        self.facts: Mapping[str, Any] = {
            "name": "speech2vid", "config": asdict(config), "clips": len(self.clips),
            "speakers": len({c.facts.speaker for c in self.clips}), "data": cache.digest(self.clips),
            "held_out_data": cache.digest(self.held_out),
        }  # fmt: skip

    def step(self, number: int, progress: float) -> dict[str, float]:
        warm = min(1.0, (number + 1) / self.config.warm_up)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate * warm * (0.5 * (1 + math.cos(math.pi * progress)) + 0.01)
        self.net.train()
        batch = draw(self.clips, self.config.batch, np.random.default_rng([self.seed, number]))
        loss = self._loss(batch)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimizer.step()
        return {"loss": float(loss.detach())}

    def _drawn(self, batch: Batch) -> Tensor:
        out: Tensor = self.net(batch.sound.to(self.device), batch.stills.to(self.device))
        return out

    def _loss(self, batch: Batch) -> Tensor:
        return ((self._drawn(batch) - batch.truth.to(self.device)).abs() * self.weight).mean() / self.weight.mean()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """L1 on people never seen; that of the mouth with the right and with another frame's sound, 0..255."""
        self.net.eval()
        losses: list[float] = []
        right: list[float] = []
        wrong: list[float] = []
        for k in range(HELD_OUT_BATCHES):
            batch = draw(self.held_out, 8, np.random.default_rng([2**31, k]))
            losses.append(float(self._loss(batch)))
            others = Batch(batch.sound.roll(1, 0), batch.stills, batch.truth)
            for heard, errors in ((batch, right), (others, wrong)):
                gap = (self._drawn(heard).cpu() - batch.truth)[..., MOUTH[0], MOUTH[1]]
                errors.append(255 * float(gap.abs().mean()))
        return {
            "held_out_loss": float(np.mean(losses)), "mouth": float(np.mean(right)),
            "mouth_wrong_sound": float(np.mean(wrong)),
        }  # fmt: skip

    @torch.no_grad()
    def picture(self) -> NDArray[np.uint8]:
        """People never seen, a column each: the first still, the truth, what is drawn."""
        self.net.eval()
        batch = draw(self.held_out, 8, np.random.default_rng(7))
        still = batch.stills[:, :3, 1 : 1 + DRAWN, 1 : 1 + DRAWN] / 255
        rows = torch.stack([still, batch.truth, self._drawn(batch).cpu()])  # (3, 8, 3, 109, 109)
        shown = rows.permute(0, 3, 1, 4, 2).reshape(3 * DRAWN, -1, 3)
        return (shown * 255).round().clamp(0, 255).byte().numpy()

    def state_dict(self) -> dict[str, Any]:
        return {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])

    def export(self, folder: Path, facts: Mapping[str, Any]) -> Path:
        """speech2vid.npz, float16."""
        return checkpoint.save(self.net, folder / "speech2vid.npz", "psf", "box", facts)


def trainer(request: Request) -> Speech2VidTraining:
    """The training that a request asks for; renders its clips first, the same as `lipbench train syncnet` does.

    Raises:
        UsageError: an unknown configuration.
    """
    if request.config not in CONFIGS:
        raise UsageError(f"there is no configuration {request.config!r}", "", f"choose from {', '.join(CONFIGS)}")
    folder, o = request.out / "cache", request.options
    if request.data is not None:
        from lipbench.metrics.sync.training.footage import from_manifest

        train, held_out = from_manifest(request.data, folder, JUDGE_SIZE, request.seed, say=request.say)
    else:
        more: dict[str, Any] = {"workers": request.workers, "say": request.say}
        recipe = Recipe("train", request.seed, o.get("identities", 44), o.get("clips", 9), espeak=o.get("espeak", 0.0))
        train = build(recipe, folder, JUDGE_SIZE, **more)
        people = max(2, recipe.identities // 6)
        held_out = build(
            Recipe("held-out", request.seed, people, 2, pool="test", damped=0.0), folder, JUDGE_SIZE, **more
        )
    return Speech2VidTraining(CONFIGS[request.config], train, held_out, request.seed, request.device)
