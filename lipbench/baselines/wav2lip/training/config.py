"""Sizes and constants of a training run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ExpertConfig:
    """The sync expert: as published but for `width`.

    Attributes:
        width: of the network, 1 is published.
        batch: windows per step. lr: of Adam. seed: of weights and batches.
        held_out_batches: looked at by `validate`.
        good_enough: held-out loss above which the generator is trained without this expert. An expert that has learnt
            nothing answers 0.69 whatever it sees, which the published threshold of 0.75 takes for agreement; upstream
            asks for about 0.25 but checks nothing.
    """

    width: float = 1.0
    batch: int = 64
    lr: float = 1e-4
    seed: int = 0
    held_out_batches: int = 8
    good_enough: float = 0.5


@dataclass(frozen=True)
class GeneratorConfig:
    """The generator: as published but for `width`, unless said otherwise.

    Attributes:
        width: of the network, 1 is published.
        batch: windows of five frames per step. lr: of Adam. seed: of weights and batches.
        sync_weight: of the sync loss once it joins: 0.01 published, 0.03 with the quality discriminator.
        sync_threshold: held-out sync loss at which it joins.
        quality_weight: of the discriminator's loss: 0 none, 0.07 published.
        mouth_weight: of the mouth's pixels in the L1 loss; 1 is published.
        paired: see `data.lip_batch`; 0 is published.
        single_frames: while the sync loss has no weight, draw 5 x batch single frames; off is published.
        mel_shift: see `data.lip_batch`; upstream has -1, its inference 0.
        held_out_batches: looked at by `validate`.
    """

    width: float = 1.0
    batch: int = 16
    lr: float = 1e-4
    seed: int = 0
    sync_weight: float = 0.01
    sync_threshold: float = 0.75
    quality_weight: float = 0.0
    mouth_weight: float = 1.0
    paired: float = 0.0
    single_frames: bool = False
    mel_shift: int = 0
    held_out_batches: int = 4


OFFICIAL = (ExpertConfig(), GeneratorConfig())
#: For a CPU: narrow networks, and the deviations that make a short training on generated clips go far.
DEMO = (
    ExpertConfig(width=0.25, batch=32, lr=1e-3),
    GeneratorConfig(width=0.25, batch=8, lr=2e-3, sync_weight=0.03, mouth_weight=4.0, paired=0.8, single_frames=True),
)
SIZES = {"official": OFFICIAL, "demo": DEMO}
