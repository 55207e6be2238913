"""PC-AVS: what is known about the method, its weights and its trainer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from lipbench.baselines.own_weights import WeightsParams
from lipbench.core.method import MethodSpec
from lipbench.core.renames import former_values
from lipbench.core.weights import WeightsEntry, packaged

_PCAVS_TERMS = "CC BY 4.0 (the repository github.com/Hangz-nju-cuhk/Talking-Face_PC-AVS)"
_PCAVS_LINK = "out of demo.zip, linked in the README of github.com/Hangz-nju-cuhk/Talking-Face_PC-AVS"

DEMO = "pcavs-demo"
#: name in the weights registry -> upstream's file name
FILES = {
    "pcavs_generator": "latest_net_G.pth",
    "pcavs_identity": "latest_net_V.pth",
    "pcavs_pose": "latest_net_E.pth",
    "pcavs_audio": "latest_net_A_sync.pth",
}


class PcAvsParams(WeightsParams):
    """Where the networks are and how the crop goes back."""

    checkpoints: str | None = Field(
        default=None,
        description="Folder with latest_net_G, _V, _E and _A_sync.pth of your own instead.",
        json_schema_extra={"path": True},
    )
    weights: Annotated[
        Literal["published", "pcavs-demo"], BeforeValidator(former_values("pc-avs: weights", {"demo": DEMO}))
    ] = Field(default="published", description="published: the four files; pcavs-demo: the packaged small ones.")
    weights_file: str | None = Field(
        default=None, description="A pcavs.npz of `lipbench train pc-avs` instead.", json_schema_extra={"path": True}
    )
    paste: Literal["feather", "hard"] = Field(
        default="feather", description="How the crop goes back: faded out at the edges, or as it is."
    )


SPEC = MethodSpec(
    id="pc-avs",
    version="1",
    title="PC-AVS",
    paper="Zhou et al., Pose-Controllable Talking Face Generation by Implicitly Modularized Audio-Visual "
    "Representation, CVPR 2021",
    licence="code: Apache-2.0 (own); published weights: CC BY 4.0 (upstream's repository)",
    stages=("prepare", "synthesize"),
    needs=frozenset({"faces"}),
    uses_gpu=("prepare", "synthesize"),
    weights=tuple(FILES),
    params=PcAvsParams,
    # LipNeRF (FG 2023), Table I: dubbed audio in all available languages.
    paper_results={"lse_d": 8.78, "lse_c": 3.65, "psnr_full": 14.68, "ssim_full": 0.30, "lpips_full": 0.48},
    deviations=(
        "the crop is put back into the frame, faded out at its edges; the paper scores the 224 px crop as it comes",
        "landmarks come from the shared face track; upstream runs face-alignment's 2D FAN",
        "frames without a face get landmarks interpolated from their neighbors; upstream gives up on the clip",
        "the first and last two frames, which upstream drops, hear silence where there is no audio",
        "the person is the first frame with a face; upstream draws one of the given images at random",
        "the generator's noise is the one stored in the file; upstream draws new noise at every call",
        "crops are not saved as JPEG on the way",
        "weights: pcavs-demo are smaller networks of another layout, trained on generated faces; no published losses",
    ),
    implementation="lipbench.baselines.pcavs.method:PcAvs",
    demo={"weights": DEMO},
)

METHODS = (SPEC,)

WEIGHTS = (
    WeightsEntry(
        "pcavs_generator",
        "latest_net_G.pth",
        "method pc-avs: draws the face",
        _PCAVS_TERMS,
        359_000_000,
        where=f"latest_net_G.pth {_PCAVS_LINK}",
        loader="lipbench.baselines.pcavs.checkpoint:load:PcAvsGenerator",
    ),
    WeightsEntry(
        "pcavs_identity",
        "latest_net_V.pth",
        "method pc-avs: who it is",
        _PCAVS_TERMS,
        152_000_000,
        where=f"latest_net_V.pth {_PCAVS_LINK}",
        loader="lipbench.baselines.pcavs.checkpoint:load:IdentityEncoder",
    ),
    WeightsEntry(
        "pcavs_pose",
        "latest_net_E.pth",
        "method pc-avs: where the head points",
        _PCAVS_TERMS,
        57_000_000,
        where=f"latest_net_E.pth {_PCAVS_LINK}",
        loader="lipbench.baselines.pcavs.checkpoint:load:PoseMouthEncoder",
    ),
    WeightsEntry(
        "pcavs_audio",
        "latest_net_A_sync.pth",
        "method pc-avs: what is said",
        _PCAVS_TERMS,
        41_500_000,
        where=f"latest_net_A_sync.pth {_PCAVS_LINK}",
        loader="lipbench.baselines.pcavs.checkpoint:load:AudioEncoder",
    ),
    packaged(
        "pcavs-demo",
        "method pc-avs with `weights: pcavs-demo`: small networks for the procedural head",
        "706b283306c6609d795ad66ee55c2367c40b9c991652f6c6c48b31626c041a8f",
        2230017,
    ),
)

TRAINERS = {"pc-avs": "lipbench.training.pcavs.trainer:trainer"}
