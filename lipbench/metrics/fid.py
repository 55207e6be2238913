"""FID between the frames of a clip and those of the source or the truth, on request.

The published number is of thousands of pictures of a whole data set. A clip has fewer frames than the network has
features, which raises the distance: it compares with clips of the same length, and with no published number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.core import weights
from lipbench.core.errors import LipbenchError
from lipbench.core.metric import MetricFamily, MetricSpec, Pair, Score, none_for
from lipbench.metrics import regions as regions_module
from lipbench.metrics.arrays import Frame
from lipbench.metrics.frame_metric import against_of, specs
from lipbench.metrics.functional.frechet import frechet_distance
from lipbench.metrics.pair_reader import AGAINST, PairReader
from lipbench.metrics.regions import Regions

#: Region and video, or "prediction" -> features, a row a frame (or a piece).
Rows = dict[tuple[str, str], list[NDArray[np.float64]]]


class FidFamily(MetricFamily):
    """fid_full, fid_face, and the same with `_truth`."""

    id = "fid"
    on_request = True
    metrics = specs(
        "fid",
        "FID",
        regions=("full", "face"),
        unit="",
        better="lower",
        tolerance=0.05,
        decimals=2,
        weights=("fid-inception",),
        aggregate="whole_clip",
        source="Heusel et al., NeurIPS 2017; Inception of mseitzer/pytorch-fid",
        convention="inception 2015,2048 features,frames of one clip",
        description="Distance of the clouds that the frames make among Inception's features, 0 when equal",
        good=dict.fromkeys(AGAINST, "low, next to clips of the same length; no published FID compares with it"),
    )

    def identity(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"regions": regions_module.VERSION, "fid-inception": weights.sha256("fid-inception")}

    def score(self, pair: Pair) -> Mapping[str, Score]:
        from lipbench.metrics.functional import inception  # loads torch

        reader, rows = PairReader(pair), Rows()
        try:
            net = inception.load(pair.device)
            places = regions_module.from_file(pair.faces, pair.faces_reason)
            for step in reader:
                for region in ("full", "face"):
                    for name, frame in {"prediction": step.prediction, **step.others}.items():
                        cut = places.cut(frame, region, step.t)
                        if cut is not None:
                            rows.setdefault((region, name), []).append(inception.features(net, _whole(cut))[0])
        except LipbenchError as error:
            return none_for(self.metrics, f"{error.reason}: {error.one_line()}")
        return {spec.id: score_of_rows(spec, reader, places, rows) for spec in self.metrics}


def _whole(cut: Frame) -> Frame:
    return np.ascontiguousarray(cut)[None]


def score_of_rows(spec: MetricSpec, reader: PairReader, places: Regions, rows: Rows) -> Score:
    """The distance of the two clouds that a metric compares, or why there is none."""
    against = against_of(spec)
    if against in reader.refusals:
        return Score(None, reader.refusals[against])
    n = reader.compared(against)
    if refusal := places.refusal(spec.region, n, reader.size):
        return Score(None, refusal, n_total=n)
    theirs = rows.get((spec.region, against), [])
    mine = rows.get((spec.region, "prediction"), [])[: len(theirs)]
    facts = {**reader.facts(against), **places.facts(spec.region)}
    try:
        value = frechet_distance(np.array(mine), np.array(theirs)) if theirs else None
    except LipbenchError as error:
        return Score(None, f"{error.reason}: {error.one_line()}", None, 0, n, facts)
    if value is None:
        return Score(None, regions_module.NO_FACE, None, 0, n, facts)
    return Score(max(value, 0.0), None, None, len(theirs), n, facts)
