"""Wav2Lip: what is known about the method, its weights and its trainers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lipbench.baselines.own_weights import WeightsParams
from lipbench.core.method import MethodSpec
from lipbench.core.weights import WeightsEntry, packaged

_WAV2LIP_TERMS = "no licence file; its README allows personal, research and non-commercial use only (trained on LRS2)"


class Wav2LipParams(WeightsParams):
    """Options under upstream's names; boxes are x1, y1, x2, y2 here (upstream's --box is y1, y2, x1, x2)."""

    weights: str = Field(
        default="wav2lip", description="Name in the weights registry: wav2lip, wav2lip_gan, wav2lip-demo, ..."
    )
    weights_file: str | None = Field(
        default=None, description="A checkpoint of your own instead.", json_schema_extra={"path": True}
    )
    detector: Literal["faces", "s3fd"] = Field(
        default="faces",
        description="faces: from the clip's face track, framed like a detection; s3fd: the published detector.",
    )
    box: tuple[int, int, int, int] | None = Field(
        default=None, description="x1, y1, x2, y2 px: the same box on every frame, no pads, no smoothing."
    )
    pads: tuple[int, int, int, int] = Field(default=(0, 10, 0, 0), description="px: top, bottom, left, right.")
    nosmooth: bool = Field(default=False, description="Leave out the running mean of the boxes over 5 frames.")
    paste: Literal["hard", "feather", "change"] = Field(
        default="hard",
        description="hard: overwrite the box (published); feather: fade it out at the edges; change: add what changed.",
    )

    @property
    def detects(self) -> bool:
        """Whether the published face detector runs in `prepare`."""
        return self.detector == "s3fd" and self.box is None


SPEC = MethodSpec(
    id="wav2lip",
    version="1",
    title="Wav2Lip",
    paper="Prajwal et al., A Lip Sync Expert Is All You Need for Speech to Lip Generation in the Wild, ACM MM 2020",
    # The README of github.com/Rudrabha/Wav2Lip: "personal/research/non-commercial purposes only", trained on LRS2.
    licence="code and wav2lip-demo: Apache-2.0 (own); published weights: no licence file, non-commercial only",
    stages=("prepare", "synthesize"),
    needs=frozenset({"faces"}),
    uses_gpu=("prepare", "synthesize"),
    weights=("wav2lip",),
    params=Wav2LipParams,
    # LipNeRF (FG 2023), Table I: dubbed audio in all available languages.
    paper_results={"lse_d": 8.06, "lse_c": 4.77, "psnr_full": 28.90, "ssim_full": 0.89, "lpips_full": 0.17},
    deviations=(
        "boxes come from the shared face track, framed like S3FD's, unless `detector: s3fd` is chosen",
        "frames without a face get boxes interpolated from their neighbors; upstream gives up on the clip",
        "the last 0.1 s of a dub, which upstream drops, repeats the last window of audio",
        "where the dub is longer than the clip the frames play back and forth; upstream starts again (a jump cut)",
        "written as H.264 (crf 12) instead of DIVX",
    ),
    implementation="lipbench.baselines.wav2lip.method:Wav2Lip",
    demo={"weights": "wav2lip-demo"},
)

METHODS = (SPEC,)

WEIGHTS = (
    WeightsEntry(
        "wav2lip",
        "wav2lip.pth",
        "method wav2lip, without GAN training",
        _WAV2LIP_TERMS,
        435_900_000,
        where="Wav2Lip-SD-NOGAN.pt (or the older wav2lip.pth) from the link 'Wav2Lip' in the README of "
        "github.com/Rudrabha/Wav2Lip",
        sizes=(145_690_000,),  # without the optimizer, as TorchScript
        loader="lipbench.baselines.wav2lip.checkpoint:load:Wav2LipGenerator",
    ),
    WeightsEntry(
        "wav2lip_gan",
        "wav2lip_gan.pth",
        "method wav2lip with GAN training; LipNeRF's lip source",
        _WAV2LIP_TERMS,
        435_900_000,
        where="Wav2Lip-SD-GAN.pt (or the older wav2lip_gan.pth) from the link 'Wav2Lip + GAN' in the README of "
        "github.com/Rudrabha/Wav2Lip",
        sizes=(145_690_000,),  # without the optimizer, as TorchScript
        loader="lipbench.baselines.wav2lip.checkpoint:load:Wav2LipGenerator",
    ),
    WeightsEntry(
        "wav2lip_expert",
        "lipsync_expert.pth",
        "sync expert for training a Wav2Lip generator",
        _WAV2LIP_TERMS,
        197_200_000,
        where="lipsync_expert.pth from the checkpoint folder linked in the README of github.com/Rudrabha/Wav2Lip",
        sizes=(65_700_000,),  # without the optimizer
        loader="lipbench.baselines.wav2lip.checkpoint:load:SyncExpert",
    ),
    WeightsEntry(
        "wav2lip_disc",
        "visual_quality_disc.pth",
        "visual quality discriminator for training with GAN",
        _WAV2LIP_TERMS,
        169_400_000,
        where="visual_quality_disc.pth from the checkpoint folder linked in the README of github.com/Rudrabha/Wav2Lip",
        sizes=(56_500_000,),  # without the optimizer
        loader="lipbench.baselines.wav2lip.checkpoint:load:QualityDiscriminator",
    ),
    packaged(
        "wav2lip-demo",
        "method wav2lip on the procedural head; say `weights: wav2lip-demo`",
        "2b56f9719c93055c45671b95a5b6d4cf15112fbe49eebd934127d1a9a4872d68",
        2477966,
    ),
)

TRAINERS = {
    "wav2lip": "lipbench.training.wav2lip.trainer:trainer",
    "wav2lip-expert": "lipbench.training.wav2lip.trainer:expert_trainer",
}
