"""FVD between the pieces of a clip and those of the source or the truth, on request, by an I3D network of the user's.

The published number is of hundreds of clips or more, one piece of each. The pieces of one clip are few and alike, far
fewer than the 400 features: what is measured is how far the clip's motion is from that of its own source, and it
compares with clips of the same length and source alone, with no published number.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lipbench.core.errors import LipbenchError
from lipbench.core.metric import MetricFamily, Options, Pair, Score, none_for
from lipbench.metrics import regions as regions_module
from lipbench.metrics.arrays import Frame
from lipbench.metrics.fid import Rows, score_of_rows
from lipbench.metrics.frame_metric import specs
from lipbench.metrics.functional.identity import file_facts
from lipbench.metrics.pair_reader import AGAINST, PairReader

REGIONS = ("full", "face")


class FvdOptions(Options):
    """Options of the family fvd."""

    model: str = Field("", description="TorchScript file of an I3D network: i3d_torchscript.pt of StyleGAN-V.")
    trust: bool = Field(False, description="The program in that file may run: a TorchScript file is one.")
    step: int = Field(16, ge=1, description="Frames from the beginning of a piece of 16 to that of the next.")


class FvdFamily(MetricFamily):
    """fvd_full, fvd_face, and the same with `_truth`."""

    id = "fvd"
    on_request = True
    options = FvdOptions
    metrics = specs(
        "fvd",
        "FVD",
        regions=REGIONS,
        unit="",
        better="lower",
        tolerance=0.5,
        decimals=1,
        aggregate="whole_clip",
        source="Unterthiner et al., 2018; called as universome/stylegan-v; the network is the user's",
        convention="user's I3D,16 frames,224 px by the network,pieces of one clip",
        description="Distance of the clouds that pieces of 16 frames make among I3D's features, 0 when equal",
        good=dict.fromkeys(AGAINST, "low, next to clips of the same length; no published FVD compares with it"),
    )

    def identity(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        model = self.parse(options).model
        facts = file_facts(Path(model).expanduser()) if model else ""
        return {"regions": regions_module.VERSION, "model": facts}

    def obstacles(self, options: Mapping[str, Any]) -> dict[str, LipbenchError]:
        found = super().obstacles(options)
        return found | _refused(self.parse(options))

    def score(self, pair: Pair) -> Mapping[str, Score]:
        from lipbench.metrics.functional import video_features  # loads torch

        options, reader, rows = self.parse(pair.options), PairReader(pair), Rows()
        try:
            for error in _refused(options).values():
                raise error
            net = video_features.load(options.model, pair.device, trust=options.trust)
            places = regions_module.from_file(pair.faces, pair.faces_reason)
            open_pieces: dict[tuple[str, str], list[list[Frame]]] = {}
            for step in reader:
                for region in REGIONS:
                    for name, frame in {"prediction": step.prediction, **step.others}.items():
                        pieces = open_pieces.setdefault((region, name), [])
                        piece = _next(pieces, places.cut(frame, region, step.t), step.t % options.step == 0)
                        if piece is not None:
                            found = video_features.features(net, piece, pair.device)[0]
                            rows.setdefault((region, name), []).append(found)
        except LipbenchError as error:
            return none_for(self.metrics, f"{error.reason}: {error.one_line()}")
        return {spec.id: score_of_rows(spec, reader, places, rows) for spec in self.metrics}


def _next(pieces: list[list[Frame]], frame: Frame | None, begins: bool) -> NDArray[np.uint8] | None:
    """Put a frame into the pieces that are not whole yet; the (1, 16, H, W, 3) piece that it completes.

    A frame without a face ends them all: no piece has a hole.
    """
    from lipbench.metrics.functional.video_features import LENGTH

    if frame is None:
        pieces.clear()
        return None
    if begins:
        pieces.append([])
    for piece in pieces:
        piece.append(frame)
    return np.stack(pieces.pop(0))[None] if pieces and len(pieces[0]) == LENGTH else None


def _refused(options: FvdOptions) -> dict[str, LipbenchError]:
    """The option without which nothing is measured, and why."""
    if not options.model:
        return {"the option fvd.model": _NO_MODEL}
    return {} if options.trust else {"the option fvd.trust": _NOT_TRUSTED}


_NOT_TRUSTED = LipbenchError(
    "the file of FVD's network is not trusted",
    "TorchScript is a program: what is in the file is run",
    "set the option fvd.trust to true if you know where the file is from",
    reason="not_asked",
)
_NO_MODEL = LipbenchError(
    "no I3D network is named",
    "none may be passed on with lipbench",
    "set the option fvd.model to a TorchScript file, i3d_torchscript.pt of StyleGAN-V",
    reason="not_asked",
)
