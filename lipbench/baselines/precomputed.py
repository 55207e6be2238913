"""Videos that somebody else made, scored like any method's."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench import media
from lipbench.baselines.spec import PLACEHOLDERS, PRECOMPUTED, PrecomputedParams
from lipbench.core import keys
from lipbench.core.errors import Refused
from lipbench.core.method import DubJob, Method, Outputs

_COPYABLE = frozenset({"h264", "hevc", "mpeg4", "av1", "vp9"})  # codecs that an mp4 takes as they are


class Precomputed(Method):
    """A folder of finished videos.

    Every file is brought to the clip's frame rate and gets the dub's audio; what does not fit is refused with a reason,
    never stretched. The hash of the file is part of the key, so an edited file is scored again.
    """

    spec = PRECOMPUTED

    def identity(self, params: PrecomputedParams, clip_id: str, language: str) -> Mapping[str, Any]:
        """Hash of every file that the pattern can mean for this clip and language.

        Raises:
            Refused: reason "missing_video", there is none.
        """
        if not language:  # asked for stages that this method does not have
            return {}
        known = {"clip": glob.escape(clip_id), "language": glob.escape(language)}
        wanted = params.pattern.format(**{**dict.fromkeys(PLACEHOLDERS, "*"), **known})
        folder = Path(params.folder)
        files = sorted(file for file in folder.glob(wanted) if file.is_file())
        if not files:
            raise _missing(folder / wanted)
        return {"files": {file.relative_to(folder).as_posix(): keys.sha256_file(file) for file in files}}

    def synthesize(self, job: DubJob) -> Outputs:
        dub, clip, params = job.dub, job.clip, job.params
        source = Path(params.folder) / params.pattern.format(
            clip=clip.id,
            language=dub.language,
            dub=dub.id,
            seed=job.seed,
            seconds="full" if job.train_seconds is None else f"{job.train_seconds:g}",
        )
        if not source.is_file():
            raise _missing(source)
        found = media.probe(source)
        info: dict[str, Any] = {"file": source.name, "source_fps": float(found.fps), "resampled": False}

        size, wanted = (found.width, found.height), (clip.width, clip.height)
        if size != wanted and not params.resize:
            raise Refused(
                f"{source} has the wrong size",
                f"it is {size[0]} x {size[1]}, the clip is {wanted[0]} x {wanted[1]}",
                "make it at the clip's size, or allow scaling with `resize: true`",
                reason="wrong_size",
            )
        resample = found.vfr or abs(float(found.fps) - clip.fps) > 1e-3
        n_frames = round(found.duration_s * clip.fps) if resample else found.n_frames
        if abs(n_frames - dub.n_frames) > 1:
            raise Refused(
                f"{source} has the wrong length",
                f"it has {n_frames} frames at {clip.fps:g} fps, dub {dub.id} has {dub.n_frames}",
                "cut or make it to the dub's length",
                reason="length_mismatch",
            )

        video = job.out / "video.mp4"
        if size == wanted and not resample and found.rotation == 0 and found.codec in _COPYABLE:
            media.remux(source, dub.audio, video)
        else:
            info |= {"resampled": resample, "resized_from": list(size) if size != wanted else None}
            frames = media.read_frames(source, fps=clip.fps if resample else None)
            media.write_video(video, _scaled(frames, wanted), clip.fps, dub.audio, lossless=True)
        return Outputs({"video": video}, info)


def _scaled(frames: Iterator[NDArray[np.uint8]], size: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    for frame in frames:
        if frame.shape[1::-1] == size:
            yield frame
        else:
            shrink = frame.shape[1] > size[0]
            way = cv2.INTER_AREA if shrink else cv2.INTER_CUBIC
            yield np.asarray(cv2.resize(frame, size, interpolation=way), np.uint8)


def _missing(path: Path) -> Refused:
    return Refused(
        f"there is no video {path}",
        "the pattern of `precomputed` names it for this clip and language",
        "put it there, or correct `folder` and `pattern`",
        reason="missing_video",
    )
