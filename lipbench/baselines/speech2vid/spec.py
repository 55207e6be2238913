"""Speech2Vid: what is known about the method, its weights and its trainer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lipbench.baselines.own_weights import WeightsParams
from lipbench.core.method import MethodSpec
from lipbench.core.weights import WeightsEntry, packaged

_SPEECH2VID_TERMS = "none stated (github.com/joonson/yousaidthat has no licence file)"

PUBLISHED, DEBLUR = "speech2vid", "speech2vid_deblur"


class Speech2VidParams(WeightsParams):
    """`auto` is what upstream does with the published weights, and what the demo network learnt with others."""

    weights: str = Field(PUBLISHED, description="Name in the weights registry: speech2vid is v201.mat.")
    weights_file: str | None = Field(
        None, description="A v201.mat or speech2vid.npz of your own instead.", json_schema_extra={"path": True}
    )
    deblur: Literal["auto", "on", "off"] = Field(
        "auto", description="Sharpen with v114.mat; auto: with `weights: speech2vid` alone."
    )
    stills: Literal["auto", "own", "around", "spread"] = Field(
        "auto",
        description="Images shown: each frame's own and four around it, five around it, or the same five for all "
        "frames; auto: what the weights learnt with.",
    )
    paste: Literal["face", "change"] = Field(
        "face",
        description="face: the whole drawn face; change: to the frame is added by what the drawing to the dub differs "
        "from one to the source's own audio, so that it keeps its own sharpness.",
    )
    offset_frames: float = Field(
        0.0,
        ge=-25,
        le=25,
        description="Video frames by which the audio heard is later; 4 at 25 fps is upstream's demo.",
    )

    @property
    def sharpens(self) -> bool:
        """Whether the drawn face passes through the deblurring network."""
        if self.deblur == "auto":
            return self.weights_file is None and self.weights == PUBLISHED
        return self.deblur == "on"


SPEC = MethodSpec(
    id="speech2vid",
    version="1",
    title="Speech2Vid",
    paper="Chung, Jamaludin, Zisserman, You said that?, BMVC 2017; Jamaludin et al., IJCV 2019",
    # github.com/joonson/yousaidthat has no licence file but MatConvNet's own.
    licence="code: Apache-2.0 (own); published weights: none stated",
    needs=frozenset({"faces"}),
    uses_gpu=("synthesize",),
    weights=(PUBLISHED, DEBLUR),
    params=Speech2VidParams,
    # LipNeRF (FG 2023), Table I: dubbed audio in all available languages.
    paper_results={"lse_d": 10.97, "lse_c": 1.71, "psnr_full": 27.67, "ssim_full": 0.84, "lpips_full": 0.26},
    deviations=(
        "landmarks come from the shared face track; upstream runs dlib's 68 points",
        "eyes and nose are laid on the procedural head's mean face; upstream's mean landmarks are not shipped",
        "audio windows are centered on their frame; `offset_frames: 4` is upstream's",
        "stills come from the dubbed clip itself; upstream's demo has images of six people",
        "the face goes back into the frame with faded edges; upstream returns the 109 px face, the paper names "
        "Poisson blending",
        "frames without a face are framed between their neighbors",
        "weights: speech2vid-demo is a quarter as wide, trained on generated faces in a way of its own",
        "paste: change adds the difference of two drawings to the frame; the published method shows the drawing",
    ),
    implementation="lipbench.baselines.speech2vid.method:Speech2Vid",
    demo={"weights": "speech2vid-demo"},
)

METHODS = (SPEC,)

WEIGHTS = (
    WeightsEntry(
        "speech2vid",
        "v201.mat",
        "method speech2vid: the face from audio and five stills",
        _SPEECH2VID_TERMS,
        112_000_000,
        where="v201.mat from http://www.robots.ox.ac.uk/~vgg/software/yousaidthat/model/",
        loader="lipbench.baselines.speech2vid.checkpoint:load",
    ),
    WeightsEntry(
        "speech2vid_deblur",
        "v114.mat",
        "method speech2vid: sharpens the drawn face",
        _SPEECH2VID_TERMS,
        1_200_000,
        where="v114.mat from http://www.robots.ox.ac.uk/~vgg/software/yousaidthat/model/",
        loader="lipbench.baselines.speech2vid.checkpoint:load_deblur",
    ),
    packaged(
        "speech2vid-demo",
        "method speech2vid on the procedural head; say `weights: speech2vid-demo`",
        "887cdab0382f151aa388b09233c12e111c23e38c16827c3395900eeefbd17efe",
        3298503,
    ),
)

TRAINERS = {"speech2vid": "lipbench.training.speech2vid.trainer:trainer"}
