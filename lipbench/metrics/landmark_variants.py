"""Further distances of tracked landmarks, each under its own name, on request.

mld_px_truth                 `mld_px` to the correct video: ER-NeRF's LMD on this toolkit's landmarks
flmd_px, flmd_px_truth       the same over all 68 points, the set minus its own mean (F-LMD)
mouth_opening_error(_truth)  mean absolute difference of the inner-lip gap, px
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.core.metric import MetricFamily, MetricSpec, Pair, Score
from lipbench.metrics.functional.landmarks import Points, face_distance, mouth_distance, mouth_opening_error
from lipbench.metrics.landmarks import common, points_beside, track_points
from lipbench.metrics.pair_reader import AGAINST, SUFFIX
from lipbench.metrics.remarks import WHAT
from lipbench.metrics.series import from_frames

Distance = Callable[[Points, Points], NDArray[np.float64]]
#: Beginning of the ids -> its function of two series of points.
DISTANCES: dict[str, Distance] = {
    "mld_px": mouth_distance,
    "flmd_px": face_distance,
    "mouth_opening_error": mouth_opening_error,
}


def distance_spec(
    name: str,
    title: str,
    against: str,
    region: str,
    needs: frozenset[str],
    convention: str,
    description: str,
    **more: Any,
) -> MetricSpec:
    """The column of a distance in px to the reference or the truth.

    Args:
        name: beginning of the id.
        against: reference or truth.
        more: `source`, `tolerance`, `decimals` of the spec.
    """
    truth = against == "truth"
    return MetricSpec(
        name + SUFFIX[against],
        "1",
        title + (" (truth)" if truth else ""),
        "px",
        "lower" if truth else "none",  # a dub moves the lips away from the source on purpose
        needs,
        region,
        headline=False,
        good="near 0" if truth else "neither high nor low is good: it says how far the face was moved",
        convention=f"{name}[{convention},vs {WHAT[against]}]",
        description=f"{description}, against {WHAT[against]}, in px.",
        **more,
    )


_LMD = ("mld_px", "MLD px", "mouth", "20 points,centred,mean L2", "ER-NeRF, LMD", "How far the mouth's landmarks are")
_FLMD = (
    "flmd_px",
    "F-LMD px",
    "face",
    "68 points,centred,mean L2",
    "Fictionarry/TalkingGaussian, metrics.py, region face",
    "How far the face's landmarks are",
)
_OPENING = (
    "mouth_opening_error",
    "Mouth opening error",
    "mouth",
    "gap of points 61-67 62-66 63-65,mean absolute",
    "mean absolute difference of the inner-lip gap, this toolkit's own definition",
    "How far the opening of the mouth is off",
)


def _of(about: tuple[str, ...], against: str) -> MetricSpec:
    name, title, region, convention, source, description = about
    needs = {"truth", "truth_faces"} if against == "truth" else {"faces"}
    return distance_spec(
        name,
        title,
        against,
        region,
        frozenset({*needs, "prediction_faces"}),
        f"{convention},px",
        description,
        source=source,
        tolerance=0.5,
        decimals=2,
    )


class LandmarkVariantsFamily(MetricFamily):
    """mld_px_truth, flmd_px, flmd_px_truth, mouth_opening_error, mouth_opening_error_truth."""

    id = "landmark-variants"
    on_request = True
    metrics = (
        _of(_LMD, "truth"),
        *(_of(_FLMD, against) for against in SUFFIX),
        *(_of(_OPENING, against) for against in SUFFIX),
    )

    def uses_gpu(self, options: Mapping[str, object]) -> bool:
        return False

    def score(self, pair: Pair) -> Mapping[str, Score]:
        mine = track_points(
            pair.prediction_faces, pair.prediction_faces_reason or "no_face: no face track of the prediction"
        )
        others = {name: points_beside(pair, name) for name in AGAINST}
        found = {}
        for spec in self.metrics:
            against = "truth" if "truth" in spec.needs else "reference"
            found[spec.id] = distance_score(
                mine, others[against], against, DISTANCES[spec.id.removesuffix(SUFFIX[against])]
            )
        return found


def distance_score(mine: Points | str, theirs: Points | str, name: str, distance: Distance) -> Score:
    """The mean of a distance over the frames with a face in both, or why there is none."""
    if isinstance(mine, str) or isinstance(theirs, str):
        return Score(None, mine if isinstance(mine, str) else str(theirs))
    n = common(mine, theirs, name, 0)
    if isinstance(n, str):
        return Score(None, n)
    per_frame = distance(mine[:n], theirs[:n])
    if np.isnan(per_frame).all():
        return Score(None, "no_face: no frame has a face in both videos", per_frame, 0, n)
    return from_frames(per_frame)
