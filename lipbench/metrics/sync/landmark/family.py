"""The metrics of the sync model on landmarks as lipbench's tables know them. None of them is an LSE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from lipbench.core import weights
from lipbench.core.errors import LipbenchError, UsageError
from lipbench.core.metric import MetricFamily, MetricSpec, Options, Pair, Score, none_for, parse_options
from lipbench.metrics.sync.protocol import FPS, VSHIFT

WEIGHTS = "landmark-sync"
_SOURCE = "lipbench; contrast over shifts as in Afouras et al. 2020"
_CONVENTION = (
    "sync model landmarks: twelve measures of the prediction's own landmarks and 40 log-mels, 31 shifts of +-15 "
    "frames at 25 fps"
)


def _spec(name: str, title: str, better: Any, convention: str, description: str, **more: Any) -> MetricSpec:
    return MetricSpec(
        name,
        more.pop("version", "1"),
        title,
        more.pop("unit", ""),
        better,
        more.pop("needs", frozenset({"audio", "prediction_faces"})),
        region="mouth",
        aggregate="whole_clip",
        source=_SOURCE,
        weights=(WEIGHTS,),
        convention=f"{convention}; {_CONVENTION}",
        description=description,
        headline=False,
        **{"tolerance": 1e-2, **more},
    )


METRICS = (
    _spec(
        "sync_offset",
        "Sync offset",
        "zero",
        "the shift of the highest mean similarity; positive: the audio leads the video, negative: it lags",
        "The shift at which sound and landmarks of the lips fit best, with an interval in the details.",
        good="0, or what the recording itself has",
        unit="frames",
        tolerance=0.0,
        decimals=1,
    ),
    _spec(
        "sync_confidence",
        "Sync confidence",
        "higher",
        "calibrated probability that the offset is right within one frame, be the audio the mouth's own or not",
        "How sure the offset is; low where the audio may be somebody else's.",
        good="near 1; below 0.1 lips and audio may not belong together",
        version="2",
        tolerance=0.05,
    ),
    _spec(
        "sync_d",
        "Sync D",
        "lower",
        "1 minus the mean similarity at the source's own offset (option own_offset, 0 unless given)",
        "How far the lips are from the audio where it belongs; about 1 for lips that say something else.",
        good="low: next to the row of a correct or recorded video",
    ),
    _spec(
        "sync_gain",
        "Sync gain",
        "none",
        "slope of 5 measures (gap, height, widths, lower lip) over those that the sound asks for, at own_offset",
        "How far the lips move with the sound: 1 as usual, below it damped, 0 still or something else.",
        good="next to the row of a correct or recorded video; 0 is a still mouth",
        tolerance=0.02,
    ),
    _spec(
        "sync_agreement",
        "Sync agreement",
        "zero",
        "offset minus the AV offset of the sync model of the option agree_with",
        "By how many frames two sync models differ about the offset.",
        good="0; farther apart than 1 at least one of the two is wrong",
        unit="frames",
        needs=frozenset({"audio", "prediction_faces", "faces"}),
        tolerance=0.0,
        decimals=1,
    ),
)


class LandmarkSyncOptions(Options):
    """Options of the family landmark-sync."""

    own_offset: int | None = Field(
        None,
        ge=-VSHIFT,
        le=VSHIFT,
        description="Frames at 25 fps by which the audio of the undubbed source leads its own image: sync_d and "
        "sync_gain are taken there, at 0 without it. `score` measures it where the reference has its own sound.",
    )
    agree_with: str = Field("", description="A sync model whose AV offset sync_agreement is taken from, e.g. demo.")


class LandmarkSyncFamily(MetricFamily):
    """Offset, confidence, distance and gain by the sync model on landmarks, which is packaged."""

    id = "landmark-sync"
    metrics = METRICS
    options = LandmarkSyncOptions
    on_request = True

    def needs(self, options: Mapping[str, Any]) -> frozenset[str]:
        compared = parse_options(LandmarkSyncOptions, options, self.id).agree_with
        return super().needs(options) - (set() if compared else {"faces"})

    def uses_gpu(self, options: Mapping[str, Any]) -> bool:
        return False

    def identity(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        found: dict[str, Any] = {"weights_sha256": weights.sha256(WEIGHTS)}
        if other := parse_options(LandmarkSyncOptions, options, self.id).agree_with:
            from lipbench.metrics.sync import models

            found["agree_with_sha256"] = weights.sha256(models.pixel_model(other).weights)
        return found

    def weights(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        other = parse_options(LandmarkSyncOptions, options, self.id).agree_with
        if not other:
            return (WEIGHTS,)
        from lipbench.metrics.sync import models

        return (WEIGHTS, models.pixel_model(other).weights)

    def too_short(self, options: Mapping[str, Any], seconds: float) -> str:
        from lipbench.metrics.sync.landmark.score import SHORTEST

        n_frames = int(seconds * FPS)
        if n_frames >= SHORTEST:
            return ""
        return f"too_short: {n_frames} frames at {FPS} fps, {SHORTEST} are needed"

    def score(self, pair: Pair) -> Mapping[str, Score]:
        """Score one video.

        Raises:
            UsageError: wrong options, or no such sync model; everything that the input lacks is a Score's reason.
        """
        options: LandmarkSyncOptions = self.parse(pair.options)
        try:
            return self._score(pair, options)
        except UsageError:
            raise
        except LipbenchError as error:
            return none_for(METRICS, f"{error.reason}: {error.one_line()}")

    def _score(self, pair: Pair, options: LandmarkSyncOptions) -> dict[str, Score]:
        from lipbench import media
        from lipbench.faces.track import FaceTrack
        from lipbench.metrics.sync.landmark.score import score_track

        if pair.prediction_faces is None:
            return none_for(METRICS, pair.prediction_faces_reason or "no_face: there is no face track of the video")
        sound = media.read_audio(pair.prediction if pair.audio is None else pair.audio)
        if silent := media.silence(sound):
            return none_for(METRICS, f"silent: {silent}")
        track = FaceTrack.load(pair.prediction_faces)
        found = score_track(track, sound, at=options.own_offset)
        values = {
            "sync_offset": float(found.offset.frames),
            "sync_confidence": found.offset.confidence,
            "sync_d": found.d,
            "sync_gain": found.gain,
        }
        base = {"sync_model": "landmarks", "per_frame_fps": FPS, "face_backend": track.backend}
        scores = {
            name: Score(
                value,
                found.remark,
                found.per_frame if name == "sync_d" else None,
                found.n_frames,
                len(found.per_frame),
                {**base, **(found.as_json() if name == "sync_offset" else {})},
            )
            for name, value in values.items()
        }
        return {**scores, "sync_agreement": self._agreement(pair, options, found.offset.frames)}

    def _agreement(self, pair: Pair, options: LandmarkSyncOptions, offset: int) -> Score:
        if not options.agree_with:
            return Score(None, "not_asked: the option landmark-sync.agree_with names no other sync model")
        from lipbench.faces.track import FaceTrack
        from lipbench.metrics.sync import measure, models
        from lipbench.metrics.sync.protocol import SyncOptions

        other = SyncOptions.parse({"sync_model": options.agree_with, "min_track": 0})
        net = models.load(options.agree_with, pair.device)
        track = None if pair.faces is None else FaceTrack.load(pair.faces)
        result = measure.run(
            pair.prediction, pair.audio, net, other, track, pair.faces_reason, pair.device, pair.source_fps
        )
        theirs = result.value("av_offset")
        if theirs is None:
            return Score(None, result.remark or "no_offset: the other sync model gives none")
        facts = {"agree_with": options.agree_with, "av_offset": theirs}
        return Score(offset - theirs, result.remark, None, result.n_windows, result.n_windows, facts)
