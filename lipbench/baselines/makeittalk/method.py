"""MakeItTalk as a lipbench method: one picture of the clip, animated by the dub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from lipbench import media
from lipbench.baselines.jobs import track_of
from lipbench.core import keys, weights
from lipbench.core.errors import UsageError
from lipbench.core.method import DubJob, Method, MethodSpec, Outputs, Params

if TYPE_CHECKING:
    from lipbench.baselines.makeittalk.checkpoint import Content
    from lipbench.baselines.makeittalk.landmarks import Points

DEMO = "makeittalk-demo"
CONTENT, SPEAKER, AUTOVC, IMAGE = "makeittalk_content", "makeittalk_speaker", "makeittalk_autovc", "makeittalk_i2i"


class MakeItTalkParams(Params):
    """`auto` is what the weights allow: everything with the published ones, warp, own voice, still head with demo."""

    weights: Literal["published", "demo"] = Field(
        "published", description="published: the four checkpoints; demo: the packaged content branch, nothing else."
    )
    weights_file: str | None = Field(
        None,
        description="A content.npz of `lipbench train makeittalk` instead of the packaged one (weights: demo).",
        json_schema_extra={"path": True},
    )
    renderer: Literal["auto", "network", "warp"] = Field(
        "auto", description="network: image translation; warp: piecewise-affine bending of the picture, no network."
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
        if self.weights == "demo":
            for name, value in (("renderer", "network"), ("voice", "converted"), ("head", "speaker")):
                if getattr(self, name) == value:
                    raise ValueError(f"the demo weights have no network for {name}: {value}; use weights: published")
        elif self.weights_file is not None:
            raise ValueError("weights_file goes with weights: demo")
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


class MakeItTalk(Method):
    """Predicts 68 landmarks from sound and redraws one picture with them.

    The answer is that picture, talking: the clip's own movement is not in it (the paper's method takes one photo).
    """

    spec = MethodSpec(
        id="makeittalk",
        version="1",
        title="MakeItTalk",
        paper="Zhou et al., MakeItTalk: Speaker-Aware Talking-Head Animation, ACM TOG (SIGGRAPH Asia) 2020",
        licence="code: Apache-2.0 (own); published weights: CC BY-NC 4.0 (upstream's README)",
        needs=frozenset({"faces"}),
        weights=(CONTENT, SPEAKER, AUTOVC, IMAGE),
        params=MakeItTalkParams,
        deviations=(
            "landmarks come from the shared face track; upstream runs face-alignment's 3D FAN",
            "the voice embedding is a file of yours; upstream runs Resemblyzer in the same process",
            "pitch by normalised autocorrelation; upstream runs RAPT (pysptk)",
            "the face is levelled before its landmarks are normalised; upstream expects upright photos",
            "landmarks are brought from 62.5 to 25 frames per second, then drawn; upstream's video has 62.5",
            "the last 0.29 s of a dub, which upstream drops, hear its sound backwards",
            "the 256 px square is put back into the picture; upstream returns the square beside its inputs",
        ),
    )

    def weights(self, params: Any) -> tuple[str, ...]:
        if params.weights == "demo":
            return () if params.weights_file else (DEMO,)
        wanted = {
            SPEAKER: params.chosen("head") == "speaker",
            AUTOVC: params.chosen("voice") == "converted",
            IMAGE: params.chosen("renderer") == "network",
        }
        return (CONTENT, *(name for name, needed in wanted.items() if needed))

    def identity(self, params: Any, clip_id: str, language: str) -> Mapping[str, Any]:
        """Hashes of the files that params point to.

        Raises:
            UsageError, WeightsMissing: `checkout` or `speaker_embedding` is needed and not there.
        """
        files = dict(_files(params))
        if params.weights_file:
            files["weights_file"] = params.weights_file
        return {name: keys.sha256_file(weights.existing(path, name)) for name, path in files.items()}

    def synthesize(self, job: DubJob) -> Outputs:
        import torch

        from lipbench.baselines.makeittalk import sound
        from lipbench.baselines.makeittalk.landmarks import resampled
        from lipbench.baselines.makeittalk.picture import choose
        from lipbench.baselines.makeittalk.predict import normalised_landmarks, placed, standardised

        dub, clip, params = job.dub, job.clip, job.params
        torch.set_num_threads(job.threads)
        photo, points, rest, info = choose(dub.video, track_of(job), params.chosen("image"))
        painter = _painter(params, photo, points, job.device)
        frame, face = _face(params, painter, rest)
        content, amounts = _content(params, job.device)

        signal = sound.levelled(media.read_audio(dub.audio))
        mel = sound.melspectrogram(signal)
        speaker, voice = _speaker(params, job.device)
        if params.chosen("voice") == "converted":
            mel = _converted(params, signal, mel, voice, job.device)
        count = max(2, round(dub.n_frames / clip.fps * sound.ROWS_PER_SECOND))
        normal = normalised_landmarks(
            standardised(mel, content, count), face, content, amounts, speaker=speaker, voice=voice, device=job.device
        )
        there = placed(normal, frame, blink=params.blink, seed=job.seed)
        there = resampled(there, sound.ROWS_PER_SECOND, dub.n_frames, clip.fps)
        if params.chosen("renderer") == "network":
            there = painter.from_square(there)
        video = job.out / "video.mp4"
        media.write_video(video, painter.frames(there), clip.fps, dub.audio)
        chosen = {name: params.chosen(name) for name in ("renderer", "voice", "head", "image")}
        return Outputs({"video": video}, {"weights": params.weights, **chosen, **info})


def _files(params: Any) -> dict[str, str]:
    """What the networks need besides checkpoints: name -> path.

    Raises:
        UsageError: a parameter is missing.
    """
    if params.weights == "demo":
        return {}
    from lipbench.baselines.makeittalk.checkpoint import FACE, MEAN_STD, VOICE

    if params.checkout is None:
        raise UsageError(
            "MakeItTalk's published networks need small files of its repository",
            f"`checkout` does not say where {MEAN_STD} is",
            "git clone https://github.com/yzhou359/MakeItTalk, then `checkout: MakeItTalk`; or use `weights: demo`",
        )
    root = Path(params.checkout)
    found = {"mean_std": str(root / MEAN_STD), "face": str(root / FACE)}
    converted, moving = params.chosen("voice") == "converted", params.chosen("head") == "speaker"
    if converted:
        found["voice"] = str(root / VOICE)
    if converted or moving:
        if params.speaker_embedding is None:
            raise UsageError(
                "MakeItTalk does not know whose voice it hears",
                "`speaker_embedding` is not given",
                "make one with Resemblyzer, or use `voice: own` and `head: still`",
            )
        found["speaker_embedding"] = params.speaker_embedding
    return found


def _painter(params: Any, photo: NDArray[np.uint8], points: Points, device: str) -> Any:
    from lipbench.baselines.makeittalk.drawing import NetworkPainter, Warp

    if params.chosen("renderer") == "warp":
        return Warp(photo, points)
    from lipbench.baselines.makeittalk.checkpoint import load
    from lipbench.baselines.makeittalk.image_net import ImageTranslator

    return NetworkPainter(load(weights.path(IMAGE), ImageTranslator).to(device), photo, points, device)


def _face(params: Any, painter: Any, rest: Points) -> tuple[Any, NDArray[np.float32]]:
    """The frame of normalisation (in the square's pixels for the network) and the (204,) face at rest."""
    from lipbench.baselines.makeittalk import checkpoint
    from lipbench.baselines.makeittalk.landmarks import Frame, wider_eyes_slimmer_lips

    depth = np.zeros(68)
    if params.chosen("renderer") == "network":
        rest = wider_eyes_slimmer_lips(painter.to_square(rest))
    if params.weights == "published":
        depth = 0.1 * checkpoint.numbers(params.checkout, checkpoint.FACE, 204).reshape(68, 3)[:, 2]
    frame = Frame.of(rest)
    face = np.concatenate([frame.normalise(rest), depth[:, None]], 1)
    return frame, face.reshape(204).astype(np.float32)


def _content(params: Any, device: str) -> tuple[Content, Any]:
    from lipbench.baselines.makeittalk import checkpoint
    from lipbench.baselines.makeittalk.landmark_nets import ContentBranch
    from lipbench.baselines.makeittalk.predict import Amounts

    if params.weights == "demo":
        content = checkpoint.load_demo(params.weights_file or weights.path(DEMO))
        content.net.to(device)
        # Its training hardly asked for brows and eyes, which no sound tells; what it says about them is noise.
        return content, Amounts(1.0, 1.0, 0.0, calibrate=False, upper_face=False)
    scale = checkpoint.numbers(params.checkout, checkpoint.MEAN_STD, 160).astype(np.float32)
    net = checkpoint.load(weights.path(CONTENT), ContentBranch).to(device)
    return checkpoint.Content(net, scale[:80], scale[80:]), Amounts(params.amp_lip_x, params.amp_lip_y, params.amp_pos)


def _speaker(params: Any, device: str) -> tuple[Any, NDArray[np.float32] | None]:
    """The speaker branch (None for a still head) and the dub's voice embedding (None where nothing needs it)."""
    from lipbench.baselines.makeittalk import checkpoint
    from lipbench.baselines.makeittalk.landmark_nets import SpeakerBranch

    moving, converted = params.chosen("head") == "speaker", params.chosen("voice") == "converted"
    voice = checkpoint.voice(_files(params)["speaker_embedding"]) if moving or converted else None
    return (checkpoint.load(weights.path(SPEAKER), SpeakerBranch).to(device) if moving else None), voice


def _converted(
    params: Any, signal: NDArray[np.float64], mel: NDArray[np.float32], voice: NDArray[np.float32] | None, device: str
) -> NDArray[np.float32]:
    from lipbench.baselines.makeittalk import checkpoint, sound
    from lipbench.baselines.makeittalk.autovc import AutoVC
    from lipbench.baselines.makeittalk.predict import converted

    wanted = checkpoint.numbers(params.checkout, checkpoint.VOICE, 256).astype(np.float32)
    steps = sound.pitch_steps(sound.pitch(signal, len(mel)))
    net = checkpoint.load(weights.path(AUTOVC), AutoVC).to(device)
    assert voice is not None
    return converted(net, mel, steps, voice, wanted, device)
