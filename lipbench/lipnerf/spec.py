"""LipNeRF: what is known about the method, its weights and the trainer of its articulation network."""

from __future__ import annotations

from lipbench.core.method import MethodSpec
from lipbench.core.weights import WeightsEntry, packaged
from lipbench.lipnerf.params import LipNerfParams

SPEC = MethodSpec(
    id="lipnerf",
    version="1",
    title="LipNeRF",
    paper="Chatziagapi et al., LipNeRF: What is the right feature space to lip-sync a NeRF?, FG 2023",
    licence="Apache-2.0 (own code); morphable models and parsing weights of the user keep theirs",
    stages=("prepare", "fit", "synthesize"),
    needs=frozenset({"faces"}),
    uses_gpu=("prepare", "fit", "synthesize"),
    uses_train_seconds=True,
    uses_seed=True,
    params=LipNerfParams,
    # The paper's Table I: dubbed audio in all available languages.
    paper_results={"lse_d": 9.92, "lse_c": 2.71, "psnr_full": 30.10, "ssim_full": 0.89, "lpips_full": 0.16},
    deviations=(
        "the morphable model is the procedural head unless another one is named; the paper fits a BFM",
        "head masks come from landmarks and image evidence unless parser: celebamask; the paper has MaskGAN",
        "head masks are put right by the fitted mesh, the clean plate and time, in every preset",
        "the neck is filled from other frames of the clip unless inpainter: gated",
        "fit: landmarks (the packaged demo run) has no photo-consistency term",
        "the presets quick and demo are smaller than the paper's, and their field is a relief about the fitted mesh, "
        "which moves it; field: mlp is the paper's network, field: triplane a third model",
        "quick and demo take the lids out of the expression, start the codes with the eyes' images, draw more "
        "rays on eyes and blinks, and train the mouth under other frames' codes",
        "the relief puts every frame in its place by optical flow against the mean of all, beside its fitted pose; a "
        "dub has its frame's displacement, and its frame's code mixes images of the head without lips and chin",
        "upper_face: source keeps the source's eyes and brows in the driving expressions; the paper's is dub",
        "center_expression takes out what the lip source gets wrong in all frames alike; not with preset: paper",
        "clamp_expression holds driving expressions in the range of the training's; not with preset: paper",
        "smooth_training filters the training's expressions too; not with preset: paper",
        "paste: moved leaves the source's head as filmed where the dub's expression does not move it; the paper's is "
        "head, and that of preset: paper",
        "residuals puts right about a dub's lips what the field gets wrong in own frames of such lips; not with "
        "preset: paper",
        "preset: paper starts its layers as He et al. and its density dense, or training often collapses; AD-NeRF's "
        "code has torch's own start",
        "near and far are 0.2 m before and 0.4 m behind each frame's head; AD-NeRF's code has the clip's mean depth",
        "in the lip source's video expressions alone are fitted again: identity, focal length and pose are the clip's",
    ),
    implementation="lipbench.lipnerf.method:LipNerf",
)

METHODS = (SPEC,)

WEIGHTS = (
    WeightsEntry(
        "deepfill_celeba",
        "states_tf_celebahq.pth",
        "inpainter gated: the neck under LipNeRF's head",
        "CC BY-NC 4.0 (JiahuiYu/generative_inpainting); trained on CelebA-HQ, non-commercial",
        16_500_000,
        where="the CelebA-HQ weights (TensorFlow ones as a torch file) from the README of "
        "github.com/nipponjo/deepfillv2-pytorch",
        loader="lipbench.lipnerf.composite.gated_inpainter:load",
    ),
    packaged(
        "articulation-demo",
        "LipNeRF's expression_from: audio, on the procedural head",
        "0a61a91605fa01b36f543732053fa3cc0950d5843297d55526a129336c6eb989",
        525299,
    ),
)

TRAINERS = {"articulation": "lipbench.training.articulation:trainer"}
