"""Sizes and constants of a training run."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ExpertConfig:
    """The sync expert: as published but for `width`, unless said otherwise.

    Attributes:
        width: of the network, 1 is published.
        batch: windows per step; with `windows`, clips per step.
        windows: consecutive windows of each clip, each of which must find its own audio among the others' (softmax);
            0 is published: windows and moments paired at random, binary cross entropy on the cosine.
        wrong: windows per clip that show the same moments in another language: wrong answers for every sound.
        lr: of Adam.
        warm_up: steps until it is reached.
        hearing: first steps, in which both encoders learn apart, from 32 pairs each; 0 is published.
        held_out_batches: looked at by `validate`.
    """

    width: float = 1.0
    batch: int = 64
    windows: int = 0
    wrong: int = 0
    lr: float = 1e-4
    warm_up: int = 1
    hearing: int = 0
    held_out_batches: int = 8


@dataclass(frozen=True)
class GeneratorConfig:
    """The generator: as published but for `width`, unless said otherwise.

    Attributes:
        width: of the network, 1 is published.
        gated: see `networks.Wav2LipGenerator`.
        batch: windows per step.
        frames: of a window.
        singles: single frames per step beside them; half as many again and nothing else while the sync loss is off.
            0 is published: windows always.
        lr: of Adam.
        warm_up: steps until it is reached.
        decay: last share of the training over which it falls to a twentieth; 0 is published.
        hearing: first steps, in which only the audio encoder learns, from 32 pairs each; 0 is published.
        sync_weight: of the sync loss once it joins: 0.01 published, 0.03 with the quality discriminator.
        sync_threshold: held-out sync loss at which it joins; infinity: with the expert.
        contrast: moments on either side of a window whose audio the drawn lips must not fit better (softmax); 0 is
            published: binary cross entropy on the cosine.
        quality_weight: of the discriminator's loss: 0 none, 0.07 published.
        mouth_weight: in the L1 loss, see `losses.reconstruction`; 1 and 0 are published.
        change_weight: in the L1 loss, see `losses.reconstruction`; 1 and 0 are published.
        paired: see `data.lip_batch`; 0 is published.
        pick: of single frames, see `data.lip_batch`; 1 is published.
        mel_shift: see `data.lip_batch`; upstream has -1, its inference 0.
        held_out_batches: looked at by `validate`.
    """

    width: float = 1.0
    gated: bool = False
    batch: int = 16
    frames: int = 5
    singles: int = 0
    lr: float = 1e-4
    warm_up: int = 1
    decay: float = 0.0
    hearing: int = 0
    sync_weight: float = 0.01
    sync_threshold: float = 0.75
    contrast: int = 0
    quality_weight: float = 0.0
    mouth_weight: float = 1.0
    change_weight: float = 0.0
    paired: float = 0.0
    pick: int = 1
    mel_shift: int = 0
    held_out_batches: int = 4


@dataclass(frozen=True)
class Wav2LipConfig:
    """Both networks of a run.

    Attributes:
        expert_share: share of the budget that goes to the expert, which is trained first.
        good_enough: share of held-out windows nearer to their own audio than to another moment's below which an expert
            is not used: one that has learnt nothing is right in half of the cases, and its loss of 0.69 passes the
            published threshold of 0.75. Upstream asks for a loss of about 0.25 but checks nothing.
    """

    expert: ExpertConfig = field(default_factory=ExpertConfig)
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    expert_share: float = 0.3
    good_enough: float = 0.8


CONFIGS = {
    "official": Wav2LipConfig(),
    #: For a CPU: narrow networks, and the deviations that make a short training on generated clips go far.
    "demo": Wav2LipConfig(
        ExpertConfig(width=0.125, batch=5, windows=10, wrong=6, lr=1e-3, warm_up=40, hearing=200, held_out_batches=4),
        GeneratorConfig(
            width=0.1875,
            gated=True,
            batch=2,
            frames=8,
            singles=6,
            lr=2e-3,
            warm_up=50,
            decay=0.3,
            hearing=800,
            sync_weight=0.01,
            sync_threshold=float("inf"),
            contrast=6,
            mouth_weight=4.0,
            change_weight=10.0,
            paired=1.0,
            pick=1,
        ),
    ),
}
