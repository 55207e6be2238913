"""Whether the face is still the same person's, frame by frame, on request: cosines of recognition networks (CSIM).

Faces are brought to each network's place by the landmarks that were tracked in either video. Which network measured is
in the name: their numbers do not compare.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from lipbench.core import weights
from lipbench.core.errors import LipbenchError
from lipbench.core.metric import MetricSpec, Options, Pair
from lipbench.metrics.arrays import Frame
from lipbench.metrics.frame_metric import FrameMetric, Value
from lipbench.metrics.functional.landmarks import Points
from lipbench.metrics.landmarks import track_points
from lipbench.metrics.pair_reader import ABSENT, SUFFIX, FrameStep
from lipbench.metrics.regions import Box
from lipbench.metrics.remarks import WHAT

#: (H, W, 3) uint8 RGB frame and its (68, 2) points -> embedding.
Embed = Callable[[Frame, Points], Any]


def _specs(name: str, title: str, source: str, convention: str, **fields: Any) -> tuple[MetricSpec, ...]:
    needs = {
        "reference": frozenset({"reference", "faces", "prediction_faces"}),
        "truth": frozenset({"truth", "faces", "truth_faces", "prediction_faces"}),
    }
    return tuple(
        MetricSpec(
            name + SUFFIX[against],
            "1",
            title + (" (truth)" if against == "truth" else ""),
            "",
            "higher",
            needs[against],
            "face",
            tolerance=1e-3,
            decimals=3,
            headline=False,
            good="near 1, next to the row of a correct video",
            source=source,
            convention=f"{name}[{convention},vs frame t of {WHAT[against]}]",
            description=f"How much the face is still that person's to a recognition network, against {WHAT[against]}.",
            **fields,
        )
        for against in SUFFIX
    )


@dataclass(frozen=True)
class _Shared:
    embed: Embed
    mine: Points
    others: Mapping[str, Points | str]


class IdentityMetric(FrameMetric):
    """The cosine of two embeddings, for every frame with a face in both videos."""

    on_request = True
    options: type[Options] = Options

    @abstractmethod
    def network(self, device: str, **options: Any) -> Embed:
        """What embeds a face of a frame.

        Raises:
            LipbenchError: it cannot be had; it becomes the reason of every metric.
        """

    def begin(self, pair: Pair, **options: Any) -> _Shared:
        mine = track_points(
            pair.prediction_faces, pair.prediction_faces_reason or "no_face: no face track of the prediction"
        )
        if isinstance(mine, str):
            kind, _, why = mine.partition(": ")
            raise LipbenchError(why, reason=kind)
        others = {
            "reference": track_points(pair.faces, pair.faces_reason or "no_face: no face track of the reference"),
            "truth": track_points(pair.truth_faces, pair.truth_faces_reason or ABSENT["truth"]),
        }
        return _Shared(self.network(pair.device, **options), mine, others)

    def measure(
        self, step: FrameStep, boxes: Mapping[str, Box | None], shared: _Shared, **options: Any
    ) -> Iterator[Value]:
        from lipbench.metrics.functional.identity import cosine

        mine = _embedded(shared, step.prediction, shared.mine, step.t)
        for spec in self.metrics:
            against = "truth" if "truth" in spec.needs else "reference"
            if against not in step.others:
                continue
            points = shared.others[against]
            if isinstance(points, str):
                yield spec.id, points
                continue
            theirs = None if mine is None else _embedded(shared, step.others[against], points, step.t)
            yield spec.id, None if mine is None or theirs is None else cosine(mine, theirs)


def _embedded(shared: _Shared, frame: Frame, points: Points, t: int) -> Any:
    if t >= len(points) or not (points[t] == points[t]).all():
        return None
    return shared.embed(frame, points[t])


class DlibIdentityFamily(IdentityMetric):
    """csim_dlib, csim_dlib_truth."""

    id = "identity-dlib"
    metrics = _specs(
        "csim_dlib",
        "CSIM dlib",
        "dlib_face_recognition_resnet_model_v1 by Davis E. King; cosine as in Zakharov et al., ICCV 2019",
        "dlib resnet v1,150 px by 5 of 68 points",
        weights=("dlib-resnet",),
    )

    def identity(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**super().identity(options), "dlib-resnet": weights.sha256("dlib-resnet")}

    def network(self, device: str, **options: Any) -> Embed:
        from lipbench.metrics.functional import dlib_resnet, face_crop

        net = dlib_resnet.load(device)
        return lambda frame, points: dlib_resnet.embed(net, face_crop.dlib_crop(frame, points))


class ArcfaceOptions(Options):
    """Options of the family identity-arcface."""

    model: str = Field("", description="ONNX file of an ArcFace network of yours: (N, 3, 112, 112) RGB faces in.")
    raw: bool = Field(False, description="It takes pixels in 0..255, not in -1..1.")


class ArcfaceIdentityFamily(IdentityMetric):
    """csim_arcface, csim_arcface_truth."""

    id = "identity-arcface"
    options = ArcfaceOptions
    metrics = _specs(
        "csim_arcface",
        "CSIM ArcFace",
        "Deng et al., CVPR 2019; the network is the user's",
        "user's arcface,112 px by 5 of 68 points",
    )

    def identity(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        from lipbench.metrics.functional.identity import file_facts

        model = self.parse(options).model
        return {**super().identity(options), "model": file_facts(Path(model).expanduser()) if model else ""}

    def obstacles(self, options: Mapping[str, Any]) -> dict[str, LipbenchError]:
        from lipbench.metrics.functional.identity import missing

        found = super().obstacles(options)
        if not self.parse(options).model:
            found["the option identity-arcface.model"] = _NO_MODEL
        if (why := missing()) is not None:
            found["the package onnxruntime"] = why
        return found

    def uses_gpu(self, options: Mapping[str, Any]) -> bool:
        return False

    def network(self, device: str, **options: Any) -> Embed:
        from lipbench.metrics.functional import face_crop
        from lipbench.metrics.functional.identity import arcface

        if not options["model"]:
            raise _NO_MODEL
        net = arcface(Path(options["model"]).expanduser(), options["raw"])
        return lambda frame, points: net(face_crop.arcface_crop(frame, points))


_NO_MODEL = LipbenchError(
    "no ArcFace network is named",
    "none may be passed on with lipbench",
    "set the option identity-arcface.model to an ONNX file, as insightface's w600k_r50.onnx",
    reason="not_asked",
)
