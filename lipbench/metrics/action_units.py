"""AU error of OpenFace's CSV files, on request: how far the face's action units are from another video's.

OpenFace 2.2 is its authors' to give; this family reads what its FeatureExtraction wrote (`video_files`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lipbench.core.errors import LipbenchError, UsageError
from lipbench.core.metric import MetricSpec, Pair, Score
from lipbench.metrics.functional import action_units
from lipbench.metrics.functional.action_units import Units
from lipbench.metrics.pair_reader import ABSENT, SUFFIX
from lipbench.metrics.remarks import WHAT
from lipbench.metrics.video_files import VIDEOS, VideoFiles, VideoFilesFamily

_TITLES = {"lower": "AUE-L", "upper": "AUE-U"}
_HOW = "run OpenFace's FeatureExtraction -aus on it"


def _spec(part: str, against: str) -> MetricSpec:
    loose = part == "lower" and against == "reference"  # a dub moves the mouth on purpose
    return MetricSpec(
        f"au_error_{part}{SUFFIX[against]}",
        "1",
        _TITLES[part] + (" (truth)" if against == "truth" else ""),
        "",
        "none" if loose else "lower",
        frozenset({against}),
        "",
        "whole_clip",
        tolerance=1e-6,
        decimals=3,
        headline=False,
        good="neither high nor low is good: it says how far the lower face was moved" if loose else "near 0",
        source="Fictionarry/TalkingGaussian, auerror.py; OpenFace 2.2",
        convention=f"au_error[{part} face,sum over units of mean squared difference,vs {WHAT[against]}]",
        description=f"How far the action units of the {part} face are off, against {WHAT[against]}.",
    )


class ActionUnitsFamily(VideoFilesFamily):
    """au_error_lower, au_error_upper, and the same with `_truth`."""

    id = "action-units"
    how = _HOW
    metrics = tuple(_spec(part, against) for against in SUFFIX for part in _TITLES)

    def score(self, pair: Pair) -> Mapping[str, Score]:
        parsed = self.parse(pair.options)
        units = {video: _read(parsed, video, getattr(pair, video)) for video in VIDEOS}
        return {
            f"au_error_{part}{SUFFIX[against]}": _score(units["prediction"], units[against], part)
            for against in SUFFIX
            for part in _TITLES
        }


def _read(options: VideoFiles, video: str, path: Path | None) -> Units | str:
    """The action units of a video, or why there are none."""
    if path is None:
        return ABSENT.get(video, f"no_{video}: there is no {video}")
    try:
        return action_units.read_openface(options.find(video, path, (".csv",), ActionUnitsFamily.id, _HOW))
    except UsageError as error:
        return f"no_action_units: {error.one_line()}"
    except LipbenchError as error:
        return f"{error.reason}: {error.one_line()}"


def _score(mine: Units | str, theirs: Units | str, part: str) -> Score:
    if isinstance(theirs, str) or isinstance(mine, str):
        return Score(None, theirs if isinstance(theirs, str) else str(mine))
    units = action_units.PARTS[part]
    try:
        value = action_units.au_error(mine, theirs, part)
    except UsageError as error:
        return Score(None, f"no_action_units: {error.one_line()}")
    lengths = [len(side[units[0]]) for side in (mine, theirs)]
    if abs(lengths[0] - lengths[1]) > 1:
        return Score(None, f"length_mismatch: the files tell of {lengths[0]} and {lengths[1]} frames")
    each = {unit: action_units.unit_error(mine, theirs, unit) for unit in units}
    return Score(value, None, None, min(lengths), max(lengths), {"units": each})
