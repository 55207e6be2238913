"""Speech2Vid as a lipbench method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lipbench import media
from lipbench.baselines.jobs import reported, track_of
from lipbench.core import keys, weights
from lipbench.core.errors import NoAudio
from lipbench.core.method import DubJob, Method, MethodSpec, Outputs, Params

PUBLISHED, DEBLUR = "speech2vid", "speech2vid_deblur"
BATCH = 16  # frames drawn at once


class Speech2VidParams(Params):
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
        description="Pictures shown: each frame's own and four around it, five around it, or the same five for all "
        "frames; auto: what the weights learnt with.",
    )
    paste: Literal["face", "change"] = Field(
        "face",
        description="face: the whole drawn face; change: to the frame is added by what the drawing to the dub differs "
        "from one to the source's own sound, so that it keeps its own sharpness.",
    )
    offset_frames: float = Field(
        0.0,
        ge=-25,
        le=25,
        description="Video frames by which the sound heard is later; 4 at 25 fps is upstream's demo.",
    )


class Speech2Vid(Method):
    """Draws the whole face from five pictures of it and 0.35 s of sound, and puts it back where the face was."""

    spec = MethodSpec(
        id="speech2vid",
        version="1",
        title="Speech2Vid",
        paper="Chung, Jamaludin, Zisserman, You said that?, BMVC 2017; Jamaludin et al., IJCV 2019",
        # github.com/joonson/yousaidthat has no licence file but MatConvNet's own.
        licence="code: Apache-2.0 (own); published weights: none stated",
        needs=frozenset({"faces"}),
        weights=(PUBLISHED, DEBLUR),
        params=Speech2VidParams,
        deviations=(
            "landmarks come from the shared face track; upstream runs dlib's 68 points",
            "eyes and nose are laid on the procedural head's mean face; upstream's mean landmarks are not shipped",
            "sound windows are centred on their frame; `offset_frames: 4` is upstream's",
            "stills come from the dubbed clip itself; upstream's demo has pictures of six people",
            "the face goes back into the frame with faded edges; upstream returns the 109 px face, the paper names "
            "Poisson blending",
            "frames without a face are framed between their neighbours",
            "weights: speech2vid-demo is a quarter as wide, trained on generated faces in a way of its own",
            "paste: change adds the difference of two drawings to the frame; the published method shows the drawing",
        ),
    )

    def weights(self, params: Any) -> tuple[str, ...]:
        own = () if params.weights_file else (params.weights,)
        return (*own, DEBLUR) if _sharpens(params) else own

    def identity(self, params: Any, clip_id: str, language: str) -> Mapping[str, Any]:
        """The hash of a weights file of the user's own.

        Raises:
            WeightsMissing: there is no file `weights_file`.
        """
        return (
            {"weights_file": keys.sha256_file(weights.existing(params.weights_file, "weights_file"))}
            if params.weights_file
            else {}
        )

    def synthesize(self, job: DubJob) -> Outputs:
        import torch

        from lipbench.baselines.speech2vid import checkpoint, framing, sound

        dub, clip, params = job.dub, job.clip, job.params
        torch.set_num_threads(job.threads)
        track = track_of(job)
        drawer = checkpoint.load(
            weights.existing(params.weights_file, "weights_file")
            if params.weights_file
            else weights.path(params.weights)
        )
        nets = [drawer.net.to(job.device)]
        if _sharpens(params):
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
                raise NoAudio(f"clip {clip.id} has no sound", "paste: change draws it as well", "use paste: face")
            heard.append(hear(clip.audio, clip.n_frames)[np.asarray(dub.index[:count])])
        faces = draw(nets, heard, stills, shown, job.device, own=chosen == "own")
        frames = zip(media.read_frames(dub.video), faces, matrices, strict=False)
        video = job.out / "video.mp4"
        put = framing.pasted if params.paste == "face" else framing.changed
        made = (put(frame, faces, matrix) for frame, faces, matrix in frames)
        media.write_video(video, reported(made, count, job, "speech2vid"), clip.fps, dub.audio)
        info = {
            "framing": drawer.framing,
            "paste": params.paste,
            "stills": chosen,
            "sound": drawer.sound,
            "width": drawer.net.width,
            "deblurred": _sharpens(params),
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
    import torch

    from lipbench.baselines.speech2vid.framing import without_mouth

    def seen(t: int) -> NDArray[np.uint8]:
        first = without_mouth(stills[shown[t][0]]) if own else stills[shown[t][0]]
        return np.concatenate([p.transpose(2, 0, 1) for p in (first, *(stills[i] for i in shown[t][1:]))])

    for first in range(0, len(shown), BATCH):
        part = range(first, min(first + BATCH, len(shown)))
        pictures = np.stack([seen(t) for t in part])
        with torch.inference_mode():
            x = torch.from_numpy(pictures).to(device, torch.float32)  # (B, 15, 112, 112)
            looked, drawn = nets[0].look(x), []
            for sound in heard:
                x = nets[0].hear(torch.from_numpy(sound[part.start : part.stop]).to(device))
                x = nets[0].say(x, looked)  # (B, 3, 109, 109)
                for net in nets[1:]:
                    x = net(x)
                drawn.append((x.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy())
        yield from (list(faces) for faces in zip(*drawn, strict=True))


def _sharpens(params: Any) -> bool:
    if params.deblur == "auto":
        return params.weights_file is None and bool(params.weights == PUBLISHED)
    return bool(params.deblur == "on")


def _shown(stills: str, t: int, count: int) -> list[int]:
    """The five frames whose pictures are shown while frame t is drawn."""
    from lipbench.baselines.speech2vid import framing

    if stills == "own":
        return framing.with_own(t, count)
    return framing.around(t, count) if stills == "around" else framing.spread(count)
