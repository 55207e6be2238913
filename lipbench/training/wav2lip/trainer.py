"""`lipbench train wav2lip`: the expert, then the generator; `lipbench train wav2lip-expert`: the expert alone.

A run trains its own expert in the first part of its budget. Where its folder holds a folder `expert`, another run
trains that one (`lipbench train wav2lip-expert --out RUN/expert`), before or at the same time: then the generator
begins at once and takes the finished expert in at the first validation that finds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lipbench.baselines.wav2lip.checkpoint import load, read_info
from lipbench.baselines.wav2lip.networks import SyncExpert
from lipbench.core.training import Request
from lipbench.datasets.manifest import resolve
from lipbench.training.base import SupervisedTraining, configuration
from lipbench.training.wav2lip.clips import LipTrainingClip, clip_facts, split, usable
from lipbench.training.wav2lip.config import CONFIGS, Wav2LipConfig
from lipbench.training.wav2lip.expert import EXPORT, ExpertTraining
from lipbench.training.wav2lip.generator import GeneratorTraining
from lipbench.training.wav2lip.sources import LipDatasetConfig, from_manifest, generated

#: Added to the expert's held-out loss: every generator is further than every expert.
FIRST_PHASE = 10.0


class Wav2LipTraining(SupervisedTraining[Wav2LipConfig]):
    """Both networks, one after the other: the expert's training, then the generator's.

    Args:
        beside: folder of a run that trains the expert; None: it is trained here, first.
    """

    name, monitor = "wav2lip", "held_out"

    def __init__(
        self,
        config: Wav2LipConfig,
        talks: list[LipTrainingClip],
        held_out: list[LipTrainingClip],
        seed: int = 0,
        device: str = "cpu",
        beside: Path | None = None,
    ) -> None:
        super().__init__(config, seed, device, clip_facts(talks, held_out))
        self.beside = beside
        self.generator = GeneratorTraining(talks, held_out, config.generator, seed, device)
        self.expert = ExpertTraining(talks, held_out, config.expert, seed, device) if beside is None else None
        self.began = 0 if beside is not None else -1  # step at which the generator began; -1: not yet
        self.expert_far = 0.0
        if beside is not None:  # that run tells about the expert
            settings = {k: v for k, v in self.facts["config"].items() if k not in ("expert", "expert_share")}
            self.facts = {**self.facts, "config": settings}

    @property
    def phase(self) -> ExpertTraining | GeneratorTraining:
        """The training whose turn it is."""
        return self.expert if self.began < 0 and self.expert is not None else self.generator

    def objective(self, number: int) -> tuple[Tensor, Mapping[str, Tensor | float]]:
        return self.phase.objective(number)

    def step(self, number: int, progress: float) -> dict[str, float]:
        share = 0.0 if self.expert is None else self.config.expert_share
        if self.began < 0 and self.expert is not None:
            if progress < share:
                return self.expert.step(number, progress / share)
            self.began = number
            self._take(self.expert.net, self.expert.scale, self.expert.validate())
        return self.generator.step(number - self.began, (progress - share) / (1 - share))

    def validate(self) -> dict[str, float]:
        if self.began < 0 and self.expert is not None:
            found = self.expert.validate()
            return {**found, "held_out": FIRST_PHASE + found["expert_loss"]}
        if self.beside is not None and self.generator.expert is None and (self.beside / EXPORT).is_file():
            info = read_info(self.beside / EXPORT)
            self._take(load(self.beside / EXPORT, SyncExpert), float(info["scale"]), info["held_out"])
        found = self.generator.validate()
        return {**found, "expert_far": self.expert_far, "held_out": found["mouth_l1"]}

    def _take(self, net: SyncExpert, scale: float, found: Mapping[str, float]) -> None:
        """Let the expert rate, if it has learnt something."""
        self.expert_far = float(found["expert_far"])
        if self.expert_far >= self.config.good_enough:
            self.generator.hear(net, scale)

    def image(self) -> NDArray[np.uint8]:
        return self.phase.image()

    def parts(self) -> dict[str, Any]:
        return {"generator" if self.phase is self.generator else "expert": self.phase}

    def state_dict(self) -> dict[str, Any]:
        return {"began": self.began, "expert_far": self.expert_far, **super().state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.began, self.expert_far = int(state["began"]), float(state["expert_far"])
        super().load_state_dict(state)

    def export(self, folder: Path, facts: Mapping[str, Any]) -> Path:
        return self.generator.export(folder, facts)


def trainer(request: Request) -> Wav2LipTraining:
    """Both networks; builds or completes the cache of crops in the run's folder first.

    Raises:
        UsageError: an unknown configuration, or a manifest with fewer than two speakers.
    """
    config = configuration(request, CONFIGS)
    beside = request.out / "expert"
    talks, held_out = _talks(request, request.out / "cache")
    return Wav2LipTraining(config, talks, held_out, request.seed, request.device, beside if beside.is_dir() else None)


def expert_trainer(request: Request) -> ExpertTraining:
    """The expert alone; in a folder `expert` of another run it uses that run's cache of crops.

    Raises:
        UsageError: as `trainer`.
    """
    config = configuration(request, CONFIGS)
    home = request.out.parent if request.out.name == "expert" else request.out
    talks, held_out = _talks(request, home / "cache")
    return ExpertTraining(talks, held_out, config.expert, request.seed, request.device)


def _talks(request: Request, cache: Path) -> tuple[list[LipTrainingClip], list[LipTrainingClip]]:
    if request.data is not None:
        return split(usable(from_manifest(resolve(request.data))), 0.2, request.seed)
    o = request.options
    train = LipDatasetConfig("train", o.get("identities", 50), o.get("clips", 2), request.seed)
    few = max(2, train.identities // 5)
    held_out = LipDatasetConfig("held-out", few, seed=request.seed, seconds=4.0, pool="test", shuffled=0.0)
    made = [generated(recipe, cache, workers=request.workers, log=request.log) for recipe in (held_out, train)]
    return usable(made[1]), usable(made[0])
