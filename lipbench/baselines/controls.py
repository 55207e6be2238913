"""Controls: rows that bound the metrics and are never ranked.

dubbed         the source frames under the dub: PSNR inf, SSIM 1, LPIPS 0, and the sync of a plain dub
truth          the correct video, known for generated clips: what a perfect method would score
still-mouth    the head moves, the mouth does not: sync must be bad, the image good
shifted-audio  the right image at the wrong time: sync metrics must see the delay
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice, repeat

import numpy as np
from numpy.typing import NDArray

from lipbench import media
from lipbench.baselines.jobs import lips_of
from lipbench.baselines.spec import DUBBED, SHIFTED_AUDIO, TRUTH
from lipbench.baselines.still_mouth import StillMouth
from lipbench.core.errors import Unsupported
from lipbench.core.method import DubJob, Method, Outputs

__all__ = ["Dubbed", "ShiftedAudio", "StillMouth", "Truth", "delayed"]

Frame = NDArray[np.uint8]


class Dubbed(Method):
    """The undubbed image under the dubbed audio, bit by bit: what visual dubbing starts from."""

    spec = DUBBED

    def synthesize(self, job: DubJob) -> Outputs:
        dub, video = job.dub, job.out / "video.mp4"
        # A copy of the lossless file: decoding gives the reference's pixels exactly.
        shutil.copyfile(dub.video, video)
        return Outputs({"video": video, **lips_of(job.clip.annotations, dub.index, job)})


class Truth(Method):
    """The correct video of a dub. Only generated clips have one."""

    spec = TRUTH

    def synthesize(self, job: DubJob) -> Outputs:
        dub = job.dub
        if dub.truth is None:
            raise Unsupported(
                f"there is no truth video of {dub.id}",
                "only generated clips have one; a recorded speaker never said the dub",
                "leave `truth` out of the run, or run it on a generated data set",
            )
        video = media.remux(dub.truth, dub.audio, job.out / "video.mp4")
        return Outputs({"video": video, **lips_of(dub.truth_annotations, range(dub.n_frames), job)})


class ShiftedAudio(Method):
    """The image delayed against the audio.

    Takes the truth video where there is one, so that sync metrics must report a good match at `frames` frames of
    offset; otherwise the source frames, whose sync is right only under the original audio (dub of kind `original`).
    The audio is the dub, unchanged. The frames that the delay leaves open repeat the first (or last) one.
    """

    spec = SHIFTED_AUDIO

    def synthesize(self, job: DubJob) -> Outputs:
        dub, video = job.dub, job.out / "video.mp4"
        frames = delayed(media.read_frames(dub.truth or dub.video), job.params.frames)
        media.write_video(
            video,
            islice(frames, dub.n_frames),
            job.clip.fps,
            dub.audio,
            lossless=True,
            synthetic=dub.truth is not None,
            like=dub.truth or dub.video,
        )
        late = [max(t - job.params.frames, 0) for t in range(dub.n_frames)]
        mesh = (
            lips_of(dub.truth_annotations, late, job)
            if dub.truth
            else lips_of(job.clip.annotations, [dub.index[min(t, dub.n_frames - 1)] for t in late], job)
        )
        info = {"frames": job.params.frames, "picture": "truth" if dub.truth else "source"}
        return Outputs({"video": video, **mesh}, info)


def delayed(frames: Iterable[Frame], by: int) -> Iterator[Frame]:
    """As many frames, shown `by` frames later with the first one filling the gap (negative: earlier, the last one)."""
    if by >= 0:
        held: deque[Frame] = deque(maxlen=by + 1)
        for frame in frames:
            if not held:
                held.extend(repeat(frame, by))
            held.append(frame)
            yield held[0]
        return
    stream = iter(frames)
    skipped = list(islice(stream, -by))
    last = skipped[-1] if skipped else None
    for last in stream:
        yield last
    if last is not None:
        yield from repeat(last, len(skipped))
