"""The sync metrics as lipbench's tables know them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lipbench.core import weights
from lipbench.core.errors import LipbenchError, UsageError, WeightsError
from lipbench.core.metric import MetricFamily, MetricSpec, Pair, Score, none_for
from lipbench.faces.track import FaceTrack
from lipbench.metrics.sync import models
from lipbench.metrics.sync.protocol import CONSTANTS_VERSION, FPS, TAIL, SyncOptions

_SOURCE = "joonson/syncnet_python SyncNetInstance.py and run_pipeline.py; Wav2Lip evaluation/scores_LSE"
_OURS = "lipbench; distances as in joonson/syncnet_python SyncNetInstance.py"
_CONVENTION = (
    "31 shifts of +-15 frames at 25 fps, embeddings not normalised, zero padding at both ends; face boxes from the "
    "undubbed video unless boxes_from says otherwise"
)


def _spec(
    name: str, title: str, better: Any, convention: str, description: str, source: str = _SOURCE, **more: Any
) -> MetricSpec:
    return MetricSpec(
        name,
        "1",
        title,
        more.pop("unit", ""),
        better,
        frozenset({"audio", "faces"}),
        region="face",
        aggregate="whole_clip",
        source=source,
        convention=f"{convention}; {_CONVENTION}",
        description=description,
        **{"tolerance": 1e-3, **more},
    )


METRICS = (
    _spec(
        "lse_d",
        "LSE-D",
        "lower",
        "smallest of the 31 mean distances",
        "How far the lips are from the audio at the best shift of the audio.",
    ),
    _spec(
        "lse_c",
        "LSE-C",
        "higher",
        "median of the 31 mean distances minus the smallest",
        "How clearly the best shift of the audio stands out from the others.",
    ),
    _spec(
        "av_offset",
        "AV offset",
        "zero",
        "15 minus the index of the smallest mean distance; positive: the audio leads the video, negative: it lags",
        "The shift at which sound and lips fit best.",
        unit="frames",
        tolerance=0.0,
        decimals=1,
    ),
    _spec(
        "lse_d_at_zero",
        "LSE-D at 0",
        "lower",
        "mean distance without any shift; not a published metric",
        "How far the lips are from the audio as the video stands: a delay counts.",
        _OURS,
    ),
    _spec(
        "lse_c_valid",
        "LSE-C valid",
        "higher",
        "LSE-C over pairs of existing windows only, without the zero padding; not a published metric",
        "LSE-C without the padding that makes it depend on the clip's length.",
        _OURS,
        headline=False,
    ),
)


class SyncFamily(MetricFamily):
    """LSE-D, LSE-C, AV offset and two variants of ours, by the sync model that the options name."""

    id = "sync"
    metrics = METRICS
    options = SyncOptions

    def needs(self, options: Mapping[str, Any]) -> frozenset[str]:
        parsed = SyncOptions.parse(options)
        unused = parsed.protocol == "cropped" or parsed.boxes_from == "prediction"
        return super().needs(options) - ({"faces"} if unused else set())

    def identity(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Hashes of the weights in use (None while missing) and the version of the constants.

        Raises:
            UsageError: wrong options.
            UnknownName: no such sync model.
        """
        from lipbench.metrics.sync.face_boxes import detector_identity

        parsed = SyncOptions.parse(options)
        sync_model = models.sync_model(parsed.sync_model)
        found: dict[str, Any] = {
            "sync_model": sync_model.name,
            "sync_model_sha256": sync_model.sha256(),
            "constants": CONSTANTS_VERSION,
            "options": parsed.model_dump(mode="json"),
        }
        if parsed.protocol == "realvideo" and parsed.boxes_from == "prediction":
            found["boxes"] = detector_identity(parsed.detector)
        return found

    def weights(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        from lipbench.metrics.sync import models

        # A file is there, or is refused.
        return tuple(name for name in (models.sync_model(SyncOptions.parse(options).sync_model).weights,) if name)

    def obstacles(self, options: Mapping[str, Any]) -> dict[str, LipbenchError]:
        from lipbench.faces.backend_table import backend
        from lipbench.metrics.sync import face_boxes

        found = super().obstacles(options)
        parsed = SyncOptions.parse(options)
        if parsed.protocol == "realvideo" and parsed.boxes_from == "prediction":
            name = face_boxes.PUBLISHED_WEIGHTS
            try:
                if name := backend(face_boxes.resolve_detector(parsed.detector)).weights:
                    weights.path(name)
            except WeightsError as error:
                found[name] = error
        return found

    def too_short(self, options: Mapping[str, Any], seconds: float) -> str:
        parsed = SyncOptions.parse(options)
        needed = parsed.min_track if parsed.protocol == "realvideo" else 0
        n_frames = round(seconds * FPS)
        if n_frames > needed:
            return ""
        return f"too_short: {n_frames} frames at {FPS} fps, more than {needed} are needed (option sync.min_track)"

    def score(self, pair: Pair) -> Mapping[str, Score]:
        """Score one video.

        Raises:
            UsageError: wrong options, or no such sync model; everything that the input lacks is a Score's reason.
        """
        options = SyncOptions.parse(pair.options)
        sync_model = models.sync_model(options.sync_model)
        facts = {"sync_model": sync_model.name, "protocol": options.protocol, "aggregate": options.aggregate}
        try:
            return self._score(pair, options)
        except UsageError:
            raise
        except LipbenchError as error:
            reason = f"{error.reason}: {error.one_line()}"
            return {name: Score(None, reason, extra=facts) for name in none_for(METRICS, reason)}

    def _score(self, pair: Pair, options: SyncOptions) -> dict[str, Score]:
        from lipbench.metrics.sync.arithmetic import offset_words
        from lipbench.metrics.sync.measure import run

        net = models.load(options.sync_model, pair.device, bfloat16=options.precision == "bfloat16")
        given = pair.faces if options.boxes_from == "reference" else None
        track = None if given is None else FaceTrack.load(given)
        result = run(pair.prediction, pair.audio, net, options, track, pair.faces_reason, pair.device, pair.source_fps)
        published = models.sync_model(options.sync_model).published
        base = {
            "sync_model": models.sync_model(options.sync_model).name,
            "sync_model_published": published,
            "protocol": result.protocol,
            "published_protocol": options.published_protocol,
            "aggregate": result.aggregate,
            "codec": options.codec,
            "per_frame_fps": FPS,
        }
        scores = {}
        for spec in METRICS:
            value = result.value(spec.id)
            reason = result.remark
            if value is None and result.reason is None:
                reason = "too_short: fewer than 16 windows, some shift has no pair"
            extra: dict[str, Any] = dict(base)
            if spec.id == "av_offset" and value is not None:
                extra["words"] = offset_words(value)
            if spec.id == "lse_d":  # the details once
                extra |= {**result.facts, "tracks": [track.as_json(distances=True) for track in result.tracks]}
            scores[spec.id] = Score(
                value, reason, result.per_frame(spec.id), result.n_windows, max(0, result.n_frames - TAIL), extra
            )
        return scores
