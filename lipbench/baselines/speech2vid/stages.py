"""What Speech2Vid does with a dub."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lipbench import media
from lipbench.baselines.jobs import reported, track_of
from lipbench.baselines.speech2vid import checkpoint, framing, sound
from lipbench.baselines.speech2vid.framing import without_mouth
from lipbench.baselines.speech2vid.spec import DEBLUR
from lipbench.core import weights
from lipbench.core.by_file import small_net
from lipbench.core.errors import NoAudio
from lipbench.core.method import DubJob, Outputs

BATCH = 16  # frames drawn at once
_load = small_net(checkpoint.load)


def synthesize(job: DubJob) -> Outputs:
    """Draw the face of every frame to the dub and put it back."""
    dub, clip, params = job.dub, job.clip, job.params
    torch.set_num_threads(job.threads)
    track = track_of(job)
    drawer = _load(params.weights_path())
    nets = [drawer.net.to(job.device)]
    if params.sharpens:
        nets.append(checkpoint.load_deblur(weights.path(DEBLUR)).to(job.device))  # type: ignore[arg-type]

    matrices = framing.similarities(track, drawer.framing)
    stills = np.stack([framing.still(f, m) for f, m in zip(media.read_frames(dub.video), matrices, strict=False)])
    count = len(stills)
    chosen = drawer.stills if params.stills == "auto" else params.stills
    shown = [_shown(chosen, t, count) for t in range(count)]

    def hear(audio: Path, frames: int) -> NDArray[np.float32]:
        features = sound.features(media.read_audio(audio), drawer.sound)
        return sound.windows(features, sound.window_starts(frames, clip.fps, params.offset_frames))

    heard = [hear(dub.audio, count)]
    if params.paste == "change":
        if clip.audio is None:
            raise NoAudio(f"clip {clip.id} has no audio", "paste: change draws it as well", "use paste: face")
        heard.append(hear(clip.audio, clip.n_frames)[np.asarray(dub.index[:count])])
    faces = draw(nets, heard, stills, shown, job.device, own=chosen == "own")
    frames = zip(media.read_frames(dub.video), faces, matrices, strict=False)
    video = job.out / "video.mp4"
    put = framing.pasted if params.paste == "face" else framing.changed
    made = (put(frame, faces, matrix) for frame, faces, matrix in frames)
    media.write_video(video, reported(made, count, job, "speech2vid"), clip.fps, dub.audio, like=dub.video)
    info = {
        "framing": drawer.framing,
        "paste": params.paste,
        "stills": chosen,
        "sound": drawer.sound,
        "width": drawer.net.width,
        "deblurred": params.sharpens,
        "offset_frames": params.offset_frames,
        "frames_without_face": len(track.lost_frames),
    }
    return Outputs({"video": video}, info)


def draw(
    nets: list[Any],
    heard: Sequence[NDArray[np.float32]],
    stills: NDArray[np.uint8],
    shown: list[list[int]],
    device: str,
    own: bool = False,
) -> Iterator[list[NDArray[np.uint8]]]:
    """Per frame the drawn faces, (109, 109, 3) each, one for every sound: the generator, then what else is in `nets`.

    Args:
        heard: (T, 1, 12, 35) each.
        stills: (T, 112, 112, 3).
        shown: per frame, the five stills that the network sees.
        own: the first of them is the frame's own; its mouth is blanked.
    """

    def seen(t: int) -> NDArray[np.uint8]:
        first = without_mouth(stills[shown[t][0]]) if own else stills[shown[t][0]]
        return np.concatenate([p.transpose(2, 0, 1) for p in (first, *(stills[i] for i in shown[t][1:]))])

    for first in range(0, len(shown), BATCH):
        part = range(first, min(first + BATCH, len(shown)))
        images = np.stack([seen(t) for t in part])
        with torch.inference_mode():
            x = torch.from_numpy(images).to(device, torch.float32)  # (B, 15, 112, 112)
            looked, drawn = nets[0].look(x), []
            for sound in heard:
                x = nets[0].hear(torch.from_numpy(sound[part.start : part.stop]).to(device))
                x = nets[0].say(x, looked)  # (B, 3, 109, 109)
                for net in nets[1:]:
                    x = net(x)
                drawn.append((x.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy())
        yield from (list(faces) for faces in zip(*drawn, strict=True))


def _shown(stills: str, t: int, count: int) -> list[int]:
    """The five frames whose images are shown while frame t is drawn."""
    if stills == "own":
        return framing.with_own(t, count)
    return framing.around(t, count) if stills == "around" else framing.spread(count)
