"""`lipbench train speech2vid`: a small Speech2Vid on generated people.

The published training is not released; its loss was L1 on pixels and on the features of a VGG-M face network. Here: L1
on pixels alone, what speech changes counted more. Four things that a short training needs come on top: the audio
encoder learns first (`audio_pretraining`); the decoder is normalized while it learns (`norms`); images and audio differ
in language (`pairs`), so that no image tells the mouth; and every moment is drawn to the sounds of two languages, whose
drawings have to differ as the truths do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipbench.baselines.speech2vid import checkpoint
from lipbench.baselines.speech2vid.framing import MOUTH as BOX
from lipbench.baselines.speech2vid.networks import DRAWN, Speech2VidNet
from lipbench.core.training import Request
from lipbench.training.base import SupervisedTraining, configuration
from lipbench.training.speech2vid import pairs
from lipbench.training.speech2vid.audio_pretraining import AudioPretraining, SpeechClip
from lipbench.training.speech2vid.batches import Speech2VidBatch, draw
from lipbench.training.speech2vid.norms import folded, normed
from lipbench.training.syncnet.footage import from_manifest
from lipbench.training.wav2lip.clips import LipTrainingClip, digest
from lipbench.training.wav2lip.sources import LipDatasetConfig

HELD_OUT_BATCHES = 6
#: The mouth's box in the 109 px answer, which begins with the still's second row and column.
MOUTH = (slice(BOX[0].start - 1, BOX[0].stop - 1), slice(BOX[1].start - 1, BOX[1].stop - 1))


@dataclass(frozen=True)
class Speech2VidConfig:
    """Sizes and constants.

    Attributes:
        width: of the network.
        batch: drawings per step; of paired clips half as many moments, each drawn to two languages.
        rate: Adam's, cosine after warm_up steps of drawing. Of the audio encoder a fifth of it.
        hearing: first steps, in which the audio encoder learns alone; none on clips whose articulation is not known.
        listening: weight of the audio encoder's own error while the network draws, so that it does not forget.
        mouth: weight of the mouth's pixels.
        change: by how much a pixel counts more for each unit between the truth and the first still.
        difference: weight of the error of what two drawings of one moment differ by.
    """

    width: float = 0.25
    batch: int = 16
    rate: float = 1e-3
    warm_up: int = 200
    hearing: int = 1500
    listening: float = 0.02
    mouth: float = 3.0
    change: float = 10.0
    difference: float = 2.0


CONFIGS = {"demo": Speech2VidConfig(), "official": Speech2VidConfig(width=1.0, batch=32, rate=3e-4)}


class Speech2VidTraining(SupervisedTraining[Speech2VidConfig]):
    """The whole network by L1 on pixels, after its audio side alone (`audio_pretraining`)."""

    name, max_norm = "speech2vid", 1.0
    net: Speech2VidNet

    def __init__(
        self,
        config: Speech2VidConfig,
        train: Sequence[LipTrainingClip],
        held_out: Sequence[LipTrainingClip],
        seed: int = 0,
        device: str = "cpu",
        speech: Sequence[SpeechClip] = (),
    ) -> None:
        self.talks, self.held_out = list(train), list(held_out)
        heard, self.unheard = [*pairs.speeches(self.talks), *speech], pairs.speeches(self.held_out)
        data = {
            "clips": len(self.talks),
            "paired": self.paired,
            "speakers": len({talk.speaker for talk in self.talks}),
            "data": digest(self.talks),
            "held_out_data": digest(self.held_out),
            "speeches": len(heard),
        }
        super().__init__(config, seed, device, data)
        self.net = normed(Speech2VidNet(config.width))
        for weight in self.net.parameters():
            if weight.dim() == 4:  # torch's own start lets neither image nor audio through thirty layers
                torch.nn.init.kaiming_normal_(weight, nonlinearity="relu")
        self.net.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.hearing = AudioPretraining(self.net, heard, seed) if config.hearing and heard and self.unheard else None
        self._start()
        encoder = [p for name, p in self.net.named_parameters() if name.split(".")[0].endswith("_audio")]
        known = {id(p) for p in encoder}
        rest = [p for p in self.net.parameters() if id(p) not in known]
        groups = [{"params": rest, "lr_scale": 1.0}, {"params": encoder, "lr_scale": 0.2}]
        self.optimizer = torch.optim.Adam(groups, config.rate, betas=(0.9, 0.99))
        self.weight = torch.ones(1, 1, DRAWN, DRAWN, device=self.device)
        self.weight[0, 0][MOUTH] = config.mouth

    @property
    def paired(self) -> bool:
        """Whether every clip is there in several languages."""
        return all(len(talk.languages) > 1 for talk in self.talks)

    def _start(self) -> None:
        """Drawing begins with the mean color: from further away the first steps are needlessly long."""
        truth = draw(self.talks, 16, np.random.default_rng([self.seed, 2**31])).truth
        torch.nn.init.normal_(self.net.conv5_3.weight, std=0.02)
        with torch.no_grad():
            self.net.get_parameter("conv5_3.bias").copy_(torch.logit(truth.mean((0, 2, 3))))

    def step(self, number: int, progress: float) -> dict[str, float]:
        """One step, at first of the audio side alone."""
        if self.hearing is not None and number < self.config.hearing:
            return {"hearing": self.hearing.step(number)}
        return super().step(number, progress)

    def lr(self, number: int, progress: float) -> float:
        return super().lr(number - (0 if self.hearing is None else self.config.hearing), progress)

    def objective(self, number: int) -> tuple[Tensor, dict[str, Tensor]]:
        moments = max(2, self.config.batch // 2) if self.paired else self.config.batch
        loss = self._loss(draw(self.talks, moments, self.rng(number)))
        whole = loss
        if self.hearing is not None and self.config.listening:
            whole = loss + self.config.listening * self.hearing.error(number)
        return whole, {"loss": loss}

    def _drawn(self, batch: Speech2VidBatch, sounds: Sequence[Tensor]) -> Tensor:
        """(S B, 3, 109, 109): the moments drawn to each of the sounds."""
        looked = self.net.look(batch.stills.to(self.device, memory_format=torch.channels_last))
        repeated = tuple(torch.cat([x] * len(sounds)) for x in looked)
        return self.net.say(self.net.hear(torch.cat(list(sounds)).to(self.device)), repeated)  # type: ignore[arg-type]

    def _loss(self, batch: Speech2VidBatch) -> Tensor:
        truth, first = batch.truth.to(self.device), batch.first.to(self.device)
        weight = self.weight * (1 + self.config.change * (truth - first).abs().mean(dim=1, keepdim=True))
        if not self.paired:
            return ((self._drawn(batch, [batch.sound]) - truth).abs() * weight).mean() / weight.mean()
        said, seen = self._drawn(batch, [batch.sound, batch.its_sound]).chunk(2)
        error = ((said - truth).abs() + (seen - first).abs()) / 2
        error = error + self.config.difference * ((said - seen) - (truth - first)).abs()
        return (error * weight).mean() / weight.mean()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """On people never seen: the loss, and the mean error of the mouth, 0..255.

        mouth, mouth_wrong_sound: of what is drawn to the right audio, and to another frame's. mouth_still: of the first
        still, left as it is. follows: of pairs, the correlation of what two languages' drawings of a mouth differ by
        with what the truths do; 0: ignores the audio.
        """
        self.net.eval()
        found: dict[str, list[float]] = {}
        for k in range(HELD_OUT_BATCHES):
            batch = draw(self.held_out, 8, np.random.default_rng([2**31, k]))
            others = batch.sound.roll(1, 0)
            right, wrong, seen = self._drawn(batch, [batch.sound, others, batch.its_sound]).cpu().chunk(3)
            images = {"mouth": right, "mouth_wrong_sound": wrong, "mouth_still": batch.first}
            found.setdefault("held_out_loss", []).append(float(self._loss(batch)))
            for name, image in images.items():
                gap = (image - batch.truth)[..., MOUTH[0], MOUTH[1]]
                found.setdefault(name, []).append(255 * float(gap.abs().mean()))
            if self.paired:
                found.setdefault("follows", []).append(_alike(right - seen, batch.truth - batch.first))
        means = {name: float(np.mean(values)) for name, values in found.items()}
        return means if self.hearing is None else {**means, "hearing": self.hearing.validate(self.unheard)}

    @torch.no_grad()
    def image(self) -> NDArray[np.uint8]:
        """People never seen, a column each: the first still, the truth, what is drawn, what another's audio gives."""
        self.net.eval()
        batch = draw(self.held_out, 8, np.random.default_rng(7))
        drawn = self._drawn(batch, [batch.sound, batch.sound.roll(1, 0)]).cpu().chunk(2)
        rows = torch.stack([batch.first, batch.truth, *drawn])
        shown = rows.permute(0, 3, 1, 4, 2).reshape(len(rows) * DRAWN, -1, 3)
        return (shown * 255).round().clamp(0, 255).byte().numpy()

    def parts(self) -> dict[str, Any]:
        return super().parts() if self.hearing is None else {**super().parts(), "hearing": self.hearing}

    def export(self, folder: Path, facts: Mapping[str, Any]) -> Path:
        """speech2vid.npz, float16."""
        stills: checkpoint.Stills = "own" if self.paired else "around"
        return checkpoint.save(folded(self.net), folder / "speech2vid.npz", "psf", "box", facts, stills)


def _alike(drawn: Tensor, true: Tensor) -> float:
    """Cosine of two changes of mouths, (B, 3, 109, 109) each."""
    a, b = (x[..., MOUTH[0], MOUTH[1]].flatten() for x in (drawn, true))
    return float(torch.nn.functional.cosine_similarity(a, b, dim=0))


def trainer(request: Request) -> Speech2VidTraining:
    """The training that a request asks for; renders its clips first.

    Raises:
        UsageError: an unknown configuration.
    """
    config = configuration(request, CONFIGS)
    folder, o = request.out / "cache", request.options
    speech: list[SpeechClip] = []
    if request.data is not None:
        found = from_manifest(request.data, folder, pairs.SYNCNET_CROP, request.seed, log=request.log)
        train, held_out = (pairs.from_cached(clips) for clips in found)
    else:
        people, each, seed = o.get("identities", 44), o.get("clips", 1), o.get("data_seed", request.seed)
        recipe = LipDatasetConfig("train", people, each, seed, size=pairs.RENDERED, spoken=pairs.SPOKEN)
        unseen = LipDatasetConfig("held-out", max(2, people // 7), 1, seed, size=pairs.RENDERED, pool="test")
        more_speech = LipDatasetConfig("train", 3 * people, each, seed + 1, size=pairs.RENDERED, spoken=pairs.SPOKEN)
        more: dict[str, Any] = {"workers": request.workers, "log": request.log}
        held_out = pairs.generated(unseen, folder, **more)
        train = pairs.generated(recipe, folder, **more)
        speech = pairs.spoken(more_speech, folder / "speech", **more)
    return Speech2VidTraining(config, train, held_out, request.seed, request.device, speech)
