"""The sync metrics as lipbench's tables know them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lipbench.core import weights
from lipbench.core.errors import LipbenchError, UsageError, WeightsError
from lipbench.core.metric import MetricFamily, MetricSpec, Pair, Score, none_for
from lipbench.faces.track import FaceTrack
from lipbench.metrics.sync import models
from lipbench.metrics.sync.protocol import CONSTANTS_VERSION, FPS, TAIL, SyncOptions

#: The sync model of published numbers.
PUBLISHED = "syncnet_v2"
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
        good="low: next to the row of a correct or recorded video",
        published="recorded speech of LRS2 6.3 to 7.2 (LipVoicer issue 5); film dubs (LipNeRF paper, Table I): six "
        "methods 8.1 to 11.4, lips left as they were 12.0",
    ),
    _spec(
        "lse_c",
        "LSE-C",
        "higher",
        "median of the 31 mean distances minus the smallest",
        "How clearly the best shift of the audio stands out from the others.",
        good="high: next to the row of a correct or recorded video",
        published="recorded speech of LRS2 6.8 to 8.2 (LipVoicer issue 5); film dubs (LipNeRF paper, Table I): six "
        "methods 1.3 to 4.8, lips left as they were 0.8",
    ),
    _spec(
        "av_offset",
        "AV offset",
        "zero",
        "15 minus the index of the smallest mean distance; positive: the audio leads the video, negative: it lags",
        "The shift at which sound and lips fit best.",
        good="0, or what the recording itself has",
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
        good="low, and close to LSE-D: then the lips are neither early nor late",
    ),
    _spec(
        "lse_d_at_own",
        "LSE-D at own",
        "lower",
        "mean distance at the offset of the source's own audio (option own_offset); not a published metric",
        "How far the lips are from the audio where the source's own audio lies: found footage is rarely in sync.",
        _OURS,
        good="low, and close to LSE-D: then the lips are where the recording has them",
        headline=False,
    ),
    _spec(
        "lse_c_valid",
        "LSE-C valid",
        "higher",
        "LSE-C over pairs of existing windows only, without the zero padding; not a published metric",
        "LSE-C without the padding that makes it depend on the clip's length.",
        _OURS,
        good="high: next to the row of a correct or recorded video",
        headline=False,
    ),
)


UNKNOWN_OFFSET = (
    "not_asked: the option sync.own_offset, or av_offset of the clip, does not say where the source's own audio lies "
    "(`lipbench data offsets` measures it)"
)


class SyncFamily(MetricFamily):
    """LSE-D, LSE-C, AV offset and two variants of ours, by the sync model that the options name."""

    id = "sync"
    metrics = METRICS
    options = SyncOptions

    def named(self, spec: MetricSpec, options: Mapping[str, Any]) -> MetricSpec:
        """Published numbers were measured with one sync model: beside those of another they would mislead."""
        return spec if SyncOptions.parse(options).sync_model == PUBLISHED else replace(spec, published="")

    def needs(self, options: Mapping[str, Any]) -> frozenset[str]:
        parsed = SyncOptions.parse(options)
        unused = parsed.protocol == "cropped" or parsed.boxes_from == "prediction"
        heard = {"sound"} if parsed.codec != "none" else set()
        return super().needs(options) - ({"faces"} if unused else set()) | heard

    def identity(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Hashes of the weights in use (None while missing) and the version of the constants.

        Raises:
            UsageError: wrong options.
            UnknownName: no such sync model.
        """
        from lipbench.metrics.sync.face_boxes import detector_identity

        parsed = SyncOptions.parse(options)
        sync_model = models.pixel_model(parsed.sync_model)
        found: dict[str, Any] = {
            "sync_model": sync_model.name,
            "sync_model_sha256": sync_model.sha256(),
            "constants": CONSTANTS_VERSION,
            "options": parsed.model_dump(mode="json", exclude_none=True, exclude={"sync_model"}),
        }
        if parsed.protocol == "realvideo" and parsed.boxes_from == "prediction":
            found["boxes"] = detector_identity(parsed.detector)
        return found

    def weights(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        from lipbench.metrics.sync import models

        # A file is there, or is refused.
        return tuple(name for name in (models.pixel_model(SyncOptions.parse(options).sync_model).weights,) if name)

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
        sync_model = models.pixel_model(options.sync_model)
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
        audio = (pair.sound or pair.audio) if options.codec != "none" else pair.audio
        result = run(pair.prediction, audio, net, options, track, pair.faces_reason, pair.device, pair.source_fps)
        published = models.pixel_model(options.sync_model).published
        base = {
            "sync_model": models.pixel_model(options.sync_model).name,
            "sync_model_published": published,
            "protocol": result.protocol,
            "published_protocol": options.published_protocol,
            "aggregate": result.aggregate,
            "codec": options.codec,
            "per_frame_fps": FPS,
        }
        scores = {}
        for spec in METRICS:
            at_own = spec.id == "lse_d_at_own"
            value = result.value_at(options.own_offset) if at_own else result.value(spec.id)
            reason = result.remark
            if value is None and result.reason is None:
                reason = UNKNOWN_OFFSET if at_own else "too_short: fewer than 16 windows, some shift has no pair"
            extra: dict[str, Any] = dict(base)
            if spec.id == "av_offset" and value is not None:
                extra["words"] = offset_words(value)
            if at_own and value is not None:
                extra["at"] = options.own_offset
            if spec.id == "lse_d":  # the details once
                extra |= {**result.facts, "tracks": [track.as_json(distances=True) for track in result.tracks]}
            scores[spec.id] = Score(
                value, reason, result.per_frame(spec.id), result.n_windows, max(0, result.n_frames - TAIL), extra
            )
        return scores
