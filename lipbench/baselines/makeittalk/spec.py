"""MakeItTalk: what is known about the method, its weights and its trainer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from lipbench.baselines.own_weights import WeightsParams
from lipbench.core.method import MethodSpec
from lipbench.core.renames import former_values
from lipbench.core.weights import WeightsEntry, packaged

_MAKEITTALK_TERMS = "CC BY-NC 4.0 (README of github.com/yzhou359/MakeItTalk)"
_MAKEITTALK_LINK = "from the link to pre-trained models in the README of github.com/yzhou359/MakeItTalk"

DEMO = "makeittalk-demo"
CONTENT, SPEAKER, AUTOVC, IMAGE = "makeittalk_content", "makeittalk_speaker", "makeittalk_autovc", "makeittalk_i2i"


class MakeItTalkParams(WeightsParams):
    """`auto` is what the weights allow: everything with the published ones, warp, own voice, still head with demo."""

    weights: Annotated[
        Literal["published", "makeittalk-demo"], BeforeValidator(former_values("makeittalk: weights", {"demo": DEMO}))
    ] = Field(
        "published",
        description="published: the four checkpoints; makeittalk-demo: the packaged content branch, nothing else.",
    )
    weights_file: str | None = Field(
        None,
        description="A content.npz of `lipbench train makeittalk` instead of the packaged one, with "
        "weights: makeittalk-demo.",
        json_schema_extra={"path": True},
    )
    renderer: Literal["auto", "network", "warp"] = Field(
        "auto", description="network: image translation; warp: piecewise-affine bending of the image, no network."
    )
    voice: Literal["auto", "converted", "own"] = Field(
        "auto", description="converted: through AutoVC into the voice that the networks know; own: as it is."
    )
    head: Literal["auto", "speaker", "still"] = Field(
        "auto", description="speaker: head and face move as the speaker branch says; still: lips and lids only."
    )
    image: Literal["auto", "first", "open"] = Field(
        "auto",
        description="Which frame is animated: the first with a face (network), or one with an open mouth (warp).",
    )
    checkout: str | None = Field(
        None,
        description="Clone of github.com/yzhou359/MakeItTalk, for the small files its networks need.",
        json_schema_extra={"path": True},
    )
    speaker_embedding: str | None = Field(
        None,
        description="256 numbers (.npy or text) of the dub's voice, made with Resemblyzer.",
        json_schema_extra={"path": True},
    )
    amp_lip_x: float = Field(2.0, description="Lips sideways; demo weights need no amplification and are left alone.")
    amp_lip_y: float = Field(2.0, description="Lips up and down.")
    amp_pos: float = Field(0.5, description="Head movement.")
    blink: bool = Field(True, description="Shut the eyes now and then.")

    @model_validator(mode="after")
    def _possible(self) -> MakeItTalkParams:
        if self.weights == DEMO:
            for name, value in (("renderer", "network"), ("voice", "converted"), ("head", "speaker")):
                if getattr(self, name) == value:
                    raise ValueError(f"the demo weights have no network for {name}: {value}; use weights: published")
        elif self.weights_file is not None:
            raise ValueError("weights_file goes with weights: makeittalk-demo")
        return self

    def chosen(self, name: str) -> str:
        """renderer, voice, head or image with `auto` resolved."""
        value: str = getattr(self, name)
        if value != "auto":
            return value
        if name == "image":
            return "first" if self.chosen("renderer") == "network" else "open"
        published = {"renderer": "network", "voice": "converted", "head": "speaker"}
        demo = {"renderer": "warp", "voice": "own", "head": "still"}
        return (published if self.weights == "published" else demo)[name]


SPEC = MethodSpec(
    id="makeittalk",
    version="1",
    title="MakeItTalk",
    paper="Zhou et al., MakeItTalk: Speaker-Aware Talking-Head Animation, ACM TOG (SIGGRAPH Asia) 2020",
    licence="code: Apache-2.0 (own); published weights: CC BY-NC 4.0 (upstream's README)",
    needs=frozenset({"faces"}),
    uses_gpu=("synthesize",),
    weights=(CONTENT, SPEAKER, AUTOVC, IMAGE),
    params=MakeItTalkParams,
    # LipNeRF (FG 2023), Table I: dubbed audio in all available languages.
    paper_results={"lse_d": 10.23, "lse_c": 2.21, "psnr_full": 14.15, "ssim_full": 0.25, "lpips_full": 0.39},
    deviations=(
        "landmarks come from the shared face track; upstream runs face-alignment's 3D FAN",
        "the voice embedding is a file of yours; upstream runs Resemblyzer in the same process",
        "pitch by normalized autocorrelation; upstream runs RAPT (pysptk)",
        "the face is leveled before its landmarks are normalized; upstream expects upright photos",
        "landmarks are brought from 62.5 to 25 frames per second, then drawn; upstream's video has 62.5",
        "the last 0.29 s of a dub, which upstream drops, hear its audio backwards",
        "the 256 px square is put back into the image; upstream returns the square beside its inputs",
    ),
    implementation="lipbench.baselines.makeittalk.method:MakeItTalk",
    demo={"weights": DEMO},
)

METHODS = (SPEC,)

WEIGHTS = (
    WeightsEntry(
        "makeittalk_content",
        "ckpt_content_branch.pth",
        "method makeittalk: what the words do to the face",
        _MAKEITTALK_TERMS,
        7_880_000,
        where=f"ckpt_content_branch.pth {_MAKEITTALK_LINK}",
        loader="lipbench.baselines.makeittalk.checkpoint:load:ContentBranch",
    ),
    WeightsEntry(
        "makeittalk_speaker",
        "ckpt_speaker_branch.pth",
        "method makeittalk: how this speaker moves",
        _MAKEITTALK_TERMS,
        15_400_000,
        where=f"ckpt_speaker_branch.pth {_MAKEITTALK_LINK}",
        loader="lipbench.baselines.makeittalk.checkpoint:load:SpeakerBranch",
    ),
    WeightsEntry(
        "makeittalk_autovc",
        "ckpt_autovc.pth",
        "method makeittalk: voice conversion of the dub",
        _MAKEITTALK_TERMS,
        172_000_000,
        where=f"ckpt_autovc.pth {_MAKEITTALK_LINK}",
        loader="lipbench.baselines.makeittalk.checkpoint:load:AutoVC",
    ),
    WeightsEntry(
        "makeittalk_i2i",
        "ckpt_116_i2i_comb.pth",
        "method makeittalk: image from landmarks",
        _MAKEITTALK_TERMS,
        839_000_000,
        where=f"ckpt_116_i2i_comb.pth {_MAKEITTALK_LINK}",
        loader="lipbench.baselines.makeittalk.checkpoint:load:ImageTranslator",
    ),
    packaged(
        "makeittalk-demo",
        "method makeittalk with `weights: makeittalk-demo`: a small content branch",
        "9c40a31dcf636552b4af3e0bdd038455c74f5ab497279f18e5f5bc4945e6c23e",
        995809,
    ),
)

TRAINERS = {"makeittalk": "lipbench.training.makeittalk:trainer"}
