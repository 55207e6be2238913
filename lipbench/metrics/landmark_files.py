"""LMD, F-LMD and the error of the mouth's opening on landmark files of the user's, on request.

Papers' LMD is of FAN's or dlib's points. Who has them for a video and its reference gets the number here, without any
face backend; the files are found by their video (`video_files`), their forms are those of `faces.files`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lipbench import media
from lipbench.core.errors import LipbenchError
from lipbench.core.metric import MetricSpec, Pair, Score
from lipbench.faces.files import KINDS, read_track
from lipbench.metrics.functional.landmarks import Points
from lipbench.metrics.landmark_variants import DISTANCES, distance_score, distance_spec
from lipbench.metrics.pair_reader import ABSENT, SUFFIX
from lipbench.metrics.video_files import VIDEOS, VideoFiles, VideoFilesFamily

_HOW = f"give {KINDS} of both videos"
#: Beginning of the ids -> title, region, convention, and which of `DISTANCES` it is.
_ABOUT = {
    "lmd_given": ("LMD given", "mouth", "20 points,centred,mean L2", "mld_px"),
    "flmd_given": ("F-LMD given", "face", "68 points,centred,mean L2", "flmd_px"),
    "mouth_opening_error_given": ("Opening given", "mouth", "gap of inner lips,mean absolute", "mouth_opening_error"),
}


def _spec(name: str, against: str) -> MetricSpec:
    title, region, convention, _ = _ABOUT[name]
    return distance_spec(
        name,
        title,
        against,
        region,
        frozenset({against}),
        f"{convention},px,given points",
        f"How far the {region}'s landmarks in files of yours are off",
        source="Fictionarry/ER-NeRF, LMDMeter; the points are the user's",
        tolerance=1e-6,
        decimals=3,
    )


class LandmarkFilesFamily(VideoFilesFamily):
    """lmd_given, flmd_given, mouth_opening_error_given, and the same with `_truth`."""

    id = "landmark-files"
    how = _HOW
    metrics = tuple(_spec(name, against) for against in SUFFIX for name in _ABOUT)

    def score(self, pair: Pair) -> Mapping[str, Score]:
        parsed = self.parse(pair.options)
        points = {video: _read(parsed, video, getattr(pair, video)) for video in VIDEOS}
        return {
            name + SUFFIX[against]: distance_score(
                points["prediction"], points[against], against, DISTANCES[_ABOUT[name][3]]
            )
            if not isinstance(points[against], str)
            else Score(None, str(points[against]))
            for against in SUFFIX
            for name in _ABOUT
        }


def _read(options: VideoFiles, video: str, path: Path | None) -> Points | str:
    """(T, 68, 2) px of a video, or why there are none."""
    if path is None:
        return ABSENT.get(video, f"no_{video}: there is no {video}")
    try:
        file = options.find(video, path, (".npy", ".npz", ""), LandmarkFilesFamily.id, _HOW)
        info = media.probe(path)
        points = read_track(file, backend="file", fps=float(info.fps), size=(info.width, info.height)).points68()
    except LipbenchError as error:
        return f"{error.reason}: {error.one_line()}"
    if points is None:
        return f"unsupported: {file} holds boxes and no landmarks"
    return points.astype(np.float64)
