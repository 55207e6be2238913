"""What a stage of an external method gets: `{video}` and `{audio}` as its file asks for them."""

from __future__ import annotations

import math
import shutil
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from lipbench import media
from lipbench.baselines.external.config import Definition, Inputs
from lipbench.core.errors import NoAudio
from lipbench.core.job import DubJob, Job


@dataclass(frozen=True)
class Given:
    """What a stage hands over.

    Attributes:
        video: frames at the clip's rate.
        audio: 16 kHz mono wav, as long.
        frames: of the video that are used, the first ones.
        whole: whether that is all of them.
        image: whether the first frame is handed over instead, as an image.
        more: frames to add behind them: the video runs back, the sound is silent.
    """

    video: Path
    audio: Path
    frames: int
    whole: bool
    image: bool
    more: int = 0


def given(definition: Definition, job: Job, kind: str) -> Given:
    """The media of a stage: the dub's for the synthesis, else the clip's, cut to the train length for `fit`.

    Raises:
        NoAudio: the clip has none to learn from.
    """
    if isinstance(job, DubJob):
        n = job.dub.n_frames
        more = _longer(definition.inputs, n, job.clip.fps)
        return Given(job.dub.video, job.dub.audio, n, True, definition.inputs.kind == "image", more)
    if job.clip.audio is None:
        raise NoAudio(
            f"{definition.name} cannot learn from the clip {job.clip.id}", "it has no sound of its own", "use another"
        )
    n = train_frames(job) if kind == "fit" else job.clip.n_frames
    return Given(job.clip.video, job.clip.audio, n, n == job.clip.n_frames, False)


def _longer(inputs: Inputs, n: int, clip_fps: float) -> int:
    """Frames of the clip's rate to add, so that the method, at its own rate, makes the whole dub."""
    fps = rate(inputs, clip_fps)
    own = math.ceil(n / clip_fps * fps - 1e-9)
    return math.ceil((inputs.reached(own) - own) / fps * clip_fps - 1e-9)


def train_frames(job: Job) -> int:
    """How many of a clip's frames are trained on."""
    if job.train_seconds is None:
        return job.clip.n_frames
    return max(1, min(job.clip.n_frames, round(job.train_seconds * job.clip.fps)))


def rate(inputs: Inputs, clip_fps: float) -> float:
    """Frames per second of `{video}`."""
    return clip_fps if inputs.fps == "any" else float(inputs.fps)


def write_video(given: Given, clip_fps: float, inputs: Inputs, root: Path) -> None:
    """Write `{video}` into the private folder: frames at the rate and size of `inputs`, or the first one as PNG."""
    fps = rate(inputs, clip_fps)
    size = None if inputs.size == "any" else inputs.size
    same_fps = abs(fps - clip_fps) < 1e-6
    if given.image:
        target = root / "image.png"
        frame = next(media.read_frames(given.video))
        cv2.imwrite(str(target), (frame if size is None else cv2.resize(frame, size))[..., ::-1])
        return
    target = root / "video.mp4"
    if same_fps and size is None and given.whole and not given.more:
        shutil.copyfile(given.video, target)  # never a link: the method may overwrite it
        return
    frames = media.read_frames(given.video, fps=None if same_fps else fps)
    n = round((given.frames + given.more) / clip_fps * fps)
    used: Iterator[np.ndarray] = islice(frames, None if given.whole and not given.more else n)
    if given.more:
        used = _to_and_fro(used, n, 2 + round(given.more / clip_fps * fps))
    scaled = (frame if size is None else np.asarray(cv2.resize(frame, size), np.uint8) for frame in used)
    media.write_video(target, scaled, fps, given.audio, lossless=True, synthetic=False, like=given.video)


def write_audio(given: Given, clip_fps: float, audio_rate: int, root: Path) -> None:
    """Write `{audio}` into the private folder."""
    target = root / "audio.wav"
    samples, found = media.read_wav(given.audio)
    if found == audio_rate and given.whole and not given.more:
        shutil.copyfile(given.audio, target)
        return
    if found != audio_rate:
        samples = media.read_audio(given.audio, audio_rate)
    length = round((given.frames + given.more) / clip_fps * audio_rate)
    if given.more:
        samples = np.pad(samples, (0, max(0, length - len(samples))))
    media.write_wav(target, samples[:length] if given.more or not given.whole else samples, audio_rate)


def _to_and_fro(frames: Iterable[np.ndarray], n: int, reach: int) -> Iterator[np.ndarray]:
    """n frames: those that there are, then back from the last one, for at most `reach`, and forth again."""
    shown = 0
    last: deque[np.ndarray] = deque(maxlen=reach)
    for frame in frames:
        yield frame
        shown += 1
        last.append(frame)
    period = max(1, 2 * (len(last) - 1))
    for k in range(shown, n):
        back = (k - shown + 1) % period
        yield last[-1 - min(back, period - back)]
