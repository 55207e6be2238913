"""AU error of OpenFace's CSV files, on request: how far the face's action units are from another video's.

OpenFace 2.2 is its authors' to give; this family reads what its FeatureExtraction wrote. A CSV file is found by the
video it tells of: in `folder`, under the first twelve digits of that video's SHA-256; or it is named itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from lipbench.core.errors import LipbenchError, UsageError
from lipbench.core.keys import sha256_file
from lipbench.core.metric import MetricFamily, MetricSpec, Options, Pair, Score
from lipbench.metrics.functional import action_units
from lipbench.metrics.functional.action_units import Units
from lipbench.metrics.pair_reader import ABSENT, SUFFIX
from lipbench.metrics.remarks import WHAT

#: Digits of the hash in a file's name.
DIGITS = 12
VIDEOS = ("prediction", "reference", "truth")
_TITLES = {"lower": "AUE-L", "upper": "AUE-U"}


class ActionUnitOptions(Options):
    """Options of the family action-units."""

    folder: str = Field("", description="Folder of CSV files, each named by 12 digits of its video's SHA-256.")
    prediction: str = Field("", description="The prediction's CSV file itself, for one video.")
    reference: str = Field("", description="The reference's CSV file itself.")
    truth: str = Field("", description="The truth's CSV file itself.")

    def file(self, video: str, path: Path) -> Path:
        """Where the action units of a video should be.

        Raises:
            LipbenchError: neither a folder nor the file is named.
        """
        if named := getattr(self, video):
            return Path(named).expanduser()
        if not self.folder:
            raise NO_FOLDER
        return Path(self.folder).expanduser() / f"{sha256_file(path)[:DIGITS]}.csv"


NO_FOLDER = LipbenchError(
    "no files of OpenFace are named",
    "",
    "set the option action-units.folder to where FeatureExtraction's CSV files are",
    reason="not_asked",
)


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


class ActionUnitsFamily(MetricFamily):
    """au_error_lower, au_error_upper, and the same with `_truth`."""

    id = "action-units"
    on_request = True
    options = ActionUnitOptions
    metrics = tuple(_spec(part, against) for against in SUFFIX for part in _TITLES)

    def identity(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """The content of every file that may be read, in place of where it is."""
        parsed = self.parse(options)
        found: dict[str, Any] = {}
        for video in VIDEOS:
            path = Path(getattr(parsed, video)).expanduser()
            found[video] = sha256_file(path) if getattr(parsed, video) and path.is_file() else ""
        files = sorted(Path(parsed.folder).expanduser().glob("*.csv")) if parsed.folder else []
        return {**found, "folder": {file.name: sha256_file(file) for file in files}}

    def obstacles(self, options: Mapping[str, Any]) -> dict[str, LipbenchError]:
        parsed = self.parse(options)
        named = parsed.folder or parsed.prediction
        return {**super().obstacles(options), **({} if named else {"the option action-units.folder": NO_FOLDER})}

    def uses_gpu(self, options: Mapping[str, Any]) -> bool:
        return False

    def score(self, pair: Pair) -> Mapping[str, Score]:
        parsed = self.parse(pair.options)
        units = {video: _read(parsed, video, getattr(pair, video)) for video in VIDEOS}
        return {
            f"au_error_{part}{SUFFIX[against]}": _score(units["prediction"], units[against], part)
            for against in SUFFIX
            for part in _TITLES
        }


def _read(options: ActionUnitOptions, video: str, path: Path | None) -> Units | str:
    """The action units of a video, or why there are none."""
    if path is None:
        return ABSENT.get(video, f"no_{video}: there is no {video}")
    try:
        file = options.file(video, path)
        if not file.is_file():
            wanted = f"run OpenFace's FeatureExtraction -aus on the {video} {path} and put its CSV file there"
            raise LipbenchError(f"there are no action units of the {video}", f"there is no {file}", wanted)
        return action_units.read_openface(file)
    except LipbenchError as error:
        reason = error.reason if error.reason == "not_asked" else "no_action_units"
        return f"{reason}: {error.one_line()}"


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
