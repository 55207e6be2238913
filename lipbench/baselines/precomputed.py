"""Videos that somebody else made, scored like any method's."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lipbench import media
from lipbench.baselines.spec import PLACEHOLDERS, PRECOMPUTED, PrecomputedParams
from lipbench.core import keys
from lipbench.core.errors import Refused
from lipbench.core.method import DubJob, Expected, Method, Outputs
from lipbench.media.resize import scaled

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
        wanted = [pattern.format(**{**dict.fromkeys(PLACEHOLDERS, "*"), **known}) for pattern in params.patterns]
        folder = Path(params.folder)
        files = sorted({file for pattern in wanted for file in folder.glob(pattern) if file.is_file()})
        if not files:
            raise _missing([folder / pattern for pattern in wanted])
        return {"files": {file.relative_to(folder).as_posix(): keys.sha256_file(file) for file in files}}

    def examine(self, params: PrecomputedParams, expected: Expected, train_seconds: float | None, seed: int) -> None:
        _fitting(params, expected, train_seconds, seed)

    def synthesize(self, job: DubJob) -> Outputs:
        dub, clip, params = job.dub, job.clip, job.params
        wanted = clip.width, clip.height
        expected = Expected(clip.id, dub.language, dub.id, *wanted, clip.fps, dub.n_frames)
        source, found, resample = _fitting(params, expected, job.train_seconds, job.seed)
        size = found.width, found.height
        info: dict[str, Any] = {"file": source.name, "source_fps": float(found.fps), "resampled": False}
        video = job.out / "video.mp4"
        if size == wanted and not resample and found.rotation == 0 and found.codec in _COPYABLE:
            media.remux(source, dub.audio, video)
        else:
            info |= {"resampled": resample, "resized_from": list(size) if size != wanted else None}
            if size == wanted:  # its pixels, not a copy of them
                uniform = job.out / "uniform.mp4"
                media.normalize_clip(source, uniform, fps=clip.fps)
                media.remux(uniform, dub.audio, video)
                uniform.unlink()
                return Outputs({"video": video}, info)
            frames = media.read_frames(source, fps=clip.fps if resample else None)
            media.write_video(video, scaled(frames, wanted), clip.fps, dub.audio, lossless=True, like=source)
        return Outputs({"video": video}, info)


def _fitting(
    params: PrecomputedParams, expected: Expected, train_seconds: float | None, seed: int
) -> tuple[Path, media.MediaInfo, bool]:
    """A cell's file, what it is, and whether it has to be brought to another frame rate.

    Raises:
        Refused: there is none, or it is of another size or length.
        MediaError: it is no video, or a damaged one.
    """
    values = {
        "clip": expected.clip,
        "language": expected.language,
        "dub": expected.dub,
        "seed": seed,
        "seconds": "full" if train_seconds is None else f"{train_seconds:g}",
    }
    named = [Path(params.folder) / pattern.format(**values) for pattern in params.patterns]
    there = [path for path in dict.fromkeys(named) if path.is_file()]
    if not there:
        raise _missing(named)
    if len(there) > 1:
        raise Refused(
            f"two videos could be the one of dub {expected.dub}",
            f"both {there[0]} and {there[1]} are there",
            "remove one of them, or narrow `pattern`",
            reason="several_videos",
        )
    source = there[0]
    found = media.probe(source)
    size, wanted = (found.width, found.height), (expected.width, expected.height)
    if size != wanted and not params.resize:
        raise Refused(
            f"{source} has the wrong size",
            f"it is {size[0]} x {size[1]}, the clip is {wanted[0]} x {wanted[1]}",
            "make it at the clip's size, or allow scaling with `resize: true`",
            reason="wrong_size",
        )
    resample = found.vfr or abs(float(found.fps) - expected.fps) > 1e-3
    n_frames = round(found.duration_s * expected.fps) if resample else found.n_frames
    if abs(n_frames - expected.n_frames) > 1:
        raise Refused(
            f"{source} has the wrong length",
            f"it has {n_frames} frames at {expected.fps:g} fps, dub {expected.dub} has {expected.n_frames}",
            "cut or make it to the dub's length",
            reason="length_mismatch",
        )
    return source, found, resample


def _missing(paths: list[Path]) -> Refused:
    return Refused(
        f"there is no video {' or '.join(map(str, paths))}",
        "the pattern of `precomputed` names it for this clip and language",
        "put it there, or correct `folder` and `pattern`",
        reason="missing_video",
    )
