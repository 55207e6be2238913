"""What MakeItTalk does with a dub: landmarks from audio, then one image drawn with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lipbench import media
from lipbench.baselines.jobs import track_of
from lipbench.baselines.makeittalk import checkpoint, sound
from lipbench.baselines.makeittalk.autovc import AutoVC
from lipbench.baselines.makeittalk.checkpoint import Content
from lipbench.baselines.makeittalk.drawing import NetworkPainter, Warp
from lipbench.baselines.makeittalk.files import files
from lipbench.baselines.makeittalk.image import choose
from lipbench.baselines.makeittalk.image_net import ImageTranslator
from lipbench.baselines.makeittalk.landmark_nets import ContentBranch, SpeakerBranch
from lipbench.baselines.makeittalk.landmarks import Frame, Points, resampled, wider_eyes_slimmer_lips
from lipbench.baselines.makeittalk.predict import Amounts, converted, normalized_landmarks, placed, standardized
from lipbench.baselines.makeittalk.spec import AUTOVC, CONTENT, DEMO, IMAGE, SPEAKER
from lipbench.core import weights
from lipbench.core.by_file import small_net
from lipbench.core.method import DubJob, Outputs

_load_demo = small_net(checkpoint.load_demo)


def synthesize(job: DubJob) -> Outputs:
    """Predict landmarks from the dub and animate one image with them."""
    dub, clip, params = job.dub, job.clip, job.params
    torch.set_num_threads(job.threads)
    photo, points, rest, info = choose(dub.video, track_of(job), params.chosen("image"))
    painter = _painter(params, photo, points, job.device)
    frame, face = _face(params, painter, rest)
    content, amounts = _content(params, job.device)

    signal = sound.leveled(media.read_audio(dub.audio))
    mel = sound.melspectrogram(signal)
    speaker, voice = _speaker(params, job.device)
    if params.chosen("voice") == "converted":
        mel = _converted(params, signal, mel, voice, job.device)
    count = max(2, round(dub.n_frames / clip.fps * sound.ROWS_PER_SECOND))
    normal = normalized_landmarks(
        standardized(mel, content, count), face, content, amounts, speaker=speaker, voice=voice, device=job.device
    )
    there = placed(normal, frame, blink=params.blink, seed=job.seed)
    there = resampled(there, sound.ROWS_PER_SECOND, dub.n_frames, clip.fps)
    if params.chosen("renderer") == "network":
        there = painter.from_square(there)
    video = job.out / "video.mp4"
    media.write_video(video, painter.frames(there), clip.fps, dub.audio, like=dub.video)
    chosen = {name: params.chosen(name) for name in ("renderer", "voice", "head", "image")}
    return Outputs({"video": video}, {"weights": params.weights, **chosen, **info})


def _painter(params: Any, photo: NDArray[np.uint8], points: Points, device: str) -> Any:
    if params.chosen("renderer") == "warp":
        return Warp(photo, points)

    return NetworkPainter(checkpoint.load(weights.path(IMAGE), ImageTranslator).to(device), photo, points, device)


def _face(params: Any, painter: Any, rest: Points) -> tuple[Any, NDArray[np.float32]]:
    """The frame of normalization (in the square's pixels for the network) and the (204,) face at rest."""
    depth = np.zeros(68)
    if params.chosen("renderer") == "network":
        rest = wider_eyes_slimmer_lips(painter.to_square(rest))
    if params.weights == "published":
        depth = 0.1 * checkpoint.numbers(params.checkout, checkpoint.FACE, 204).reshape(68, 3)[:, 2]
    frame = Frame.of(rest)
    face = np.concatenate([frame.normalize(rest), depth[:, None]], 1)
    return frame, face.reshape(204).astype(np.float32)


def _content(params: Any, device: str) -> tuple[Content, Any]:
    if params.weights == DEMO:
        content = _load_demo(params.weights_path())
        content.net.to(device)
        # Its training hardly asked for brows and eyes, which no audio tells; what it says about them is noise.
        return content, Amounts(1.0, 1.0, 0.0, calibrate=False, upper_face=False)
    scale = checkpoint.numbers(params.checkout, checkpoint.MEAN_STD, 160).astype(np.float32)
    net = checkpoint.load(weights.path(CONTENT), ContentBranch).to(device)
    return checkpoint.Content(net, scale[:80], scale[80:]), Amounts(params.amp_lip_x, params.amp_lip_y, params.amp_pos)


def _speaker(params: Any, device: str) -> tuple[Any, NDArray[np.float32] | None]:
    """The speaker branch (None for a still head) and the dub's voice embedding (None where nothing needs it)."""
    moving, converted = params.chosen("head") == "speaker", params.chosen("voice") == "converted"
    voice = checkpoint.voice(files(params)["speaker_embedding"]) if moving or converted else None
    return (checkpoint.load(weights.path(SPEAKER), SpeakerBranch).to(device) if moving else None), voice


def _converted(
    params: Any, signal: NDArray[np.float64], mel: NDArray[np.float32], voice: NDArray[np.float32] | None, device: str
) -> NDArray[np.float32]:

    wanted = checkpoint.numbers(params.checkout, checkpoint.VOICE, 256).astype(np.float32)
    steps = sound.pitch_steps(sound.pitch(signal, len(mel)))
    net = checkpoint.load(weights.path(AUTOVC), AutoVC).to(device)
    assert voice is not None
    return converted(net, mel, steps, voice, wanted, device)
