"""Metrics on tracked landmarks: where the lips are, not what they look like.

    mld                        mouth landmark distance to the reference, % of the reference's inter-ocular distance
    mld_px                     the same in px (ER-NeRF's LMD: 20 mouth points, each set minus its own mean, mean L2)
    mld_truth                  to the correct video, both found by one tracker: its bias cancels
    mouth_opening_corr_truth   Pearson correlation of the inner-lip gap with the generator's

A dub moves the lips away from the reference on purpose: `mld` shows by how much and is never ranked, `mld_truth` is.
The true gap comes from the generator and the prediction's from a tracker, so a correct video does not correlate
perfectly: the row of the method `truth` shows what the tracker itself costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lipbench.core.errors import MediaError
from lipbench.core.metric import MetricFamily, MetricSpec, Pair, Score
from lipbench.faces.track import FaceTrack
from lipbench.metrics import timing
from lipbench.metrics.functional.landmarks import Points, interocular, lip_gap, mouth_distance, pearson
from lipbench.metrics.pair_reader import ABSENT, AGAINST, size_mismatch
from lipbench.metrics.remarks import Remarks
from lipbench.metrics.series import from_frames
from lipbench.metrics.timing import AlignOptions

#: Fewer frames give no correlation worth the name.
FEWEST = 5


def _distance_spec(name: str, title: str, unit: str, better: Any, needs: frozenset[str], **fields: Any) -> MetricSpec:
    return MetricSpec(name, "1", title, unit, better, needs, "mouth", tolerance=0.5, decimals=2, **fields)


class LandmarkFamily(MetricFamily):
    """mld, mld_px, mld_truth, mouth_opening_corr_truth."""

    id = "landmarks"
    options = AlignOptions
    metrics = (
        _distance_spec(
            "mld",
            "MLD",
            "% iod",
            "none",
            frozenset({"faces", "prediction_faces"}),
            source="ER-NeRF's LMD over the inter-ocular distance of 300-W",
            convention="mld[20 points,centred,mean L2,/outer eye corners,vs the undubbed source]",
            headline=False,
            description="How far the mouth's landmarks are from the source's, in percent of the eyes' distance.",
            good="neither high nor low is good: it says how far the lips were moved",
        ),
        _distance_spec(
            "mld_px",
            "MLD px",
            "px",
            "none",
            frozenset({"faces", "prediction_faces"}),
            source="ER-NeRF, LMD",
            convention="mld[20 points,centred,mean L2,px,vs the undubbed source]",
            headline=False,
            description="How far the mouth's landmarks are from the source's, in px.",
            good="neither high nor low is good: it says how far the lips were moved",
        ),
        _distance_spec(
            "mld_truth",
            "MLD (truth)",
            "% iod",
            "lower",
            frozenset({"truth", "truth_faces", "prediction_faces"}),
            source="ER-NeRF's LMD over the inter-ocular distance of 300-W",
            convention="mld[20 points,centred,mean L2,/outer eye corners,vs the correct video]",
            description="How far the mouth's landmarks are from the correct video's, in percent of the eyes' distance.",
            good="near 0",
        ),
        MetricSpec(
            "mouth_opening_corr_truth",
            "1",
            "Mouth opening r",
            "",
            "higher",
            frozenset({"truth", "prediction_faces"}),
            "mouth",
            "whole_clip",
            tolerance=0.02,
            decimals=3,
            source="Pearson correlation of the inner-lip gap, this toolkit's own definition",
            convention="pearson[gap of points 61-67 62-66 63-65 in px, the generator's gap]",
            description="Whether the mouth opens when the correct mouth does: correlation of the gap of the lips.",
            good="near 1",
        ),
    )

    def uses_gpu(self, options: Mapping[str, Any]) -> bool:
        return False

    def score(self, pair: Pair) -> Mapping[str, Score]:
        mine = track_points(
            pair.prediction_faces, pair.prediction_faces_reason or "no_face: no face track of the prediction"
        )
        # The truth's landmarks are found by the same tracker, not taken from the generator: its bias cancels.
        theirs, truth = (points_beside(pair, name) for name in AGAINST)
        gap = _annotation(pair, "lip_gap", ())  # mm: a correlation has no scale
        align = bool(self.parse(pair.options).align)
        found = {name: timing.find(pair, name) for name in AGAINST}
        at = {
            name: shift.frames if shift is not None and align and not shift.start else 0
            for name, shift in found.items()
        }
        about = {name: Remarks.of(None, shift, name, at[name] != 0) for name, shift in found.items()}
        return {
            "mld": about["reference"].added(_distance(mine, theirs, "reference", at["reference"], relative=True)),
            "mld_px": about["reference"].added(_distance(mine, theirs, "reference", at["reference"], relative=False)),
            "mld_truth": about["truth"].added(_distance(mine, truth, "truth", at["truth"], relative=True)),
            "mouth_opening_corr_truth": about["truth"].added(_correlation(mine, gap, at["truth"])),
        }


def track_points(path: Path | None, absent: str) -> Points | str:
    """The (T, 68, 2) points of a saved track, or why there are none."""
    if path is None:
        return absent
    try:
        track = FaceTrack.load(path)
    except MediaError as error:
        return f"{error.reason}: {error.one_line()}"
    points = track.points68()
    if points is None:
        return f"unsupported: the face backend {track.backend!r} finds no landmarks"
    return points.astype(np.float64)


def points_beside(pair: Pair, against: str) -> Points | str:
    """The points of the reference or truth, or why the prediction's are not compared with them.

    Without a reference the track in its place is the prediction's own, from which the regions come.
    """
    if against == "truth":
        path, why = pair.truth_faces, pair.truth_faces_reason or ABSENT["truth"]
    else:
        path, why = pair.faces, pair.faces_reason or "no_face: no face track of the reference"
        if pair.reference is None:
            return ABSENT["reference"]
    points = track_points(path, why)
    if isinstance(points, str) or path is None or pair.prediction_faces is None:
        return points
    mine, theirs = FaceTrack.load(pair.prediction_faces), FaceTrack.load(path)
    sizes = ((mine.width, mine.height), (theirs.width, theirs.height))
    return points if sizes[0] == sizes[1] else size_mismatch(*sizes, against)


def _annotation(pair: Pair, name: str, shape: tuple[int, ...]) -> Points | str:
    """The named (T, *shape) array of the truth's annotations, or why there is none."""
    if pair.truth_annotations is None:
        return ABSENT["truth"] if pair.truth is None else "no_truth: the truth video has no annotations"
    try:
        with np.load(pair.truth_annotations, allow_pickle=False) as file:
            if name not in file:
                return f"no_truth: the annotations of the truth hold no {name}"
            found = np.asarray(file[name], np.float64)
    except (OSError, ValueError) as error:
        return f"bad_media: cannot read {pair.truth_annotations}: {error}."
    if found.ndim != 1 + len(shape) or found.shape[1:] != shape:
        return f"bad_media: {name} in the annotations of the truth has shape {found.shape}"
    return found


def common(mine: Points, theirs: Points, name: str, shift: int) -> int | str:
    """How many frames both have, or why they cannot be compared; what a shift explains is no difference."""
    if min(abs(len(mine) - len(theirs)), abs(len(theirs) - shift - len(mine))) > 1:
        return f"length_mismatch: prediction has {len(mine)} frames, {name} {len(theirs)}"
    return min(len(mine), len(theirs))


def _at_shift(mine: Points, theirs: Points, shift: int) -> tuple[Points, Points]:
    """Frames that stand beside each other; those of `mine` before the first of `theirs` get NaN for a partner."""
    if shift >= 0:
        theirs = theirs[shift:]
    else:
        theirs = np.concatenate([np.full((-shift, *theirs.shape[1:]), np.nan), theirs])
    n = min(len(mine), len(theirs))
    return mine[:n], theirs[:n]


def _distance(mine: Points | str, theirs: Points | str, name: str, shift: int, *, relative: bool) -> Score:
    for side in (mine, theirs):
        if isinstance(side, str):
            return Score(None, side)
    assert not isinstance(mine, str)
    assert not isinstance(theirs, str)
    n = common(mine, theirs, name, shift)
    if isinstance(n, str):
        return Score(None, n)
    unit = interocular(theirs)
    mine, theirs = _at_shift(mine, theirs, shift)
    n = len(mine)
    per_frame = mouth_distance(mine, theirs)
    if np.isnan(per_frame).all():
        return Score(None, "no_face: no frame has a face in both videos", per_frame, 0, n)
    if not relative:
        return from_frames(per_frame, extra={"interocular_px": unit})
    if unit == 0:
        return Score(None, f"bad_landmarks: the eyes of the {name} coincide", n_total=n)
    return from_frames(100 * per_frame / unit, extra={"interocular_px": unit})


def _correlation(mine: Points | str, gap: Points | str, shift: int) -> Score:
    for side in (mine, gap):
        if isinstance(side, str):
            return Score(None, side)
    assert not isinstance(mine, str)
    assert not isinstance(gap, str)
    n = common(mine, gap, "truth", shift)
    if isinstance(n, str):
        return Score(None, n)
    mine, gap = _at_shift(mine, gap, shift)
    a, b, n = lip_gap(mine), gap, len(mine)
    known = np.isfinite(a) & np.isfinite(b)
    n_valid = int(known.sum())
    if n_valid < FEWEST:
        return Score(None, f"too_short: {n_valid} frames with a face, {FEWEST} are needed", None, n_valid, n)
    value = pearson(a[known], b[known])
    if value is None:
        still = "prediction's" if np.linalg.norm(a[known] - a[known].mean()) < 1e-9 else "true"
        return Score(None, f"undefined: the {still} mouth does not move", None, n_valid, n)
    return Score(value, None, None, n_valid, n)
