"""Judging one video: read it, find the face, cut it out, compare it with the audio."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench import media
from lipbench.core.errors import LipbenchError, TooShort
from lipbench.core.ticks import ticking
from lipbench.faces.track import FaceTrack
from lipbench.media.clock import as_rate
from lipbench.media.grids import ffmpeg_5_avi, mean_lag
from lipbench.metrics.sync import models
from lipbench.metrics.sync.codec import on_disk
from lipbench.metrics.sync.face_boxes import (
    RULES,
    FaceBoxes,
    boxes_of_track,
    frame_detector,
    resolve_detector,
    track_prediction,
)
from lipbench.metrics.sync.folded import FoldedSyncNet, VideoStream
from lipbench.metrics.sync.network import SyncNet
from lipbench.metrics.sync.passes import cut, frames, scan
from lipbench.metrics.sync.protocol import FPS, RATE, SAMPLES_PER_FRAME, SyncOptions, as_json
from lipbench.metrics.sync.result import SyncResult, TrackResult
from lipbench.metrics.sync.sound_codec import heard_of_a_crop, read_published_sound
from lipbench.metrics.sync.tracks import Tracking, track_faces


def evaluate(
    video: str | Path,
    audio: str | Path | NDArray[np.int16] | None = None,
    *,
    sync_model: str | SyncNet | FoldedSyncNet = "syncnet_v2",
    protocol: str = "realvideo",
    faces: FaceTrack | str | Path | None = None,
    device: str = "cpu",
    **options: Any,
) -> SyncResult:
    """LSE-D, LSE-C and AV offset of one video.

    Args:
        video: any video file; read at 25 fps, converted by time stamps when it has another rate.
        audio: the audio to score against: a file, or (N,) int16 at 16 kHz; None = the video's own.
        sync_model: a name that `lipbench list sync-models` shows, or a network.
        protocol: "realvideo" (find, track and cut out the face) or "cropped" (the whole frame is the face).
        faces: a face track (or its file) to take the boxes from, frame by frame with `video`; None = a detector runs
            on the video.
        device: "cpu" or "cuda:N".
        options: the other fields of `SyncOptions` (detector, min_track, min_face_size, aggregate, codec, precision);
            detector is "auto" here unless given: S3FD where its weights are, else mediapipe-face.

    Returns:
        The result. What the input lacks (no face, too short, no audio) is its `reason`, not an exception.

    Raises:
        UsageError: a wrong option or name.
        WeightsError: the sync model's or the detector's weights are missing or wrong; the message holds the command.
        MediaError: the file cannot be read at all.
    """
    name = sync_model if isinstance(sync_model, str) else "custom"
    chosen = {
        "detector": "auto",
        **options,
        "sync_model": name,
        "protocol": protocol,
        "boxes_from": "prediction" if faces is None else "reference",
    }
    parsed = SyncOptions.parse(chosen)
    if isinstance(sync_model, str):
        net = models.load(sync_model, device, bfloat16=parsed.precision == "bfloat16")
    elif isinstance(sync_model, SyncNet):
        net = sync_model.folded(device)
    else:
        net = sync_model
    track = FaceTrack.load(faces) if isinstance(faces, (str, Path)) else faces
    return run(Path(video), audio, net, parsed, track, "", device)


def run(
    video: Path,
    audio: str | Path | NDArray[np.int16] | None,
    net: FoldedSyncNet,
    options: SyncOptions,
    track: FaceTrack | None,
    track_reason: str,
    device: str = "cpu",
    source_fps: float | None = None,
) -> SyncResult:
    """`evaluate` with everything loaded.

    Args:
        track: boxes for `options.boxes_from == "reference"`.
        track_reason: why it is None.
        source_fps: rate of the file that `video` was brought to 25 fps from; None = it is the file itself.
    """
    info = media.probe(video)
    fps = float(info.fps) if source_fps is None else source_fps
    result = _Draft(
        options,
        {
            "constants": as_json(),
            "options": options.model_dump(mode="json"),
            "deviations": [*options.deviations, *grid_deviation(fps)],
            "source_fps": round(fps, 4),
            "resampled": info.vfr or fps != FPS,
            "video_s": info.duration_s,
            "size": [info.width, info.height],
        },
    )
    try:
        sound, late = _heard(video if audio is None else audio, options)
        result.facts["audio_s"] = len(sound) / RATE
        if silent := media.silence(sound):
            return result.refuse(f"silent: {silent}")
        if options.protocol == "cropped":
            return _cropped(video, sound, net, result)
        result.late = late
        if options.boxes_from == "reference" and track is None:
            return result.refuse(track_reason or _NO_TRACK)
        return _realvideo(video, sound, net, result, track, (info.width, info.height), device)
    except LipbenchError as error:
        if error.reason in ("weights", "weights_missing", "weights_mismatch", "usage", "unknown_name"):
            raise
        return result.refuse(f"{error.reason}: {error.one_line()}")


def _heard(sound: str | Path | NDArray[np.int16], options: SyncOptions) -> tuple[NDArray[np.int16], int]:
    """The sound at 16 kHz as the options want it, and by how many frames the pictures are late with it."""
    given = sound if isinstance(sound, np.ndarray) else Path(sound)
    if options.codec != "none":
        published = read_published_sound(given, options.route)
        return published.samples, published.late
    return given if isinstance(given, np.ndarray) else media.read_audio(given, RATE), 0


_NO_TRACK = "no_face: there is no face track of the undubbed video; set boxes_from to prediction to detect faces here"


def grid_deviation(fps: float) -> list[str]:
    """In what the frames of a video of `fps` differ from those that the published route judges; nothing at 25."""
    late = published_lag_s(fps)
    if late < 0.002:
        return []
    return [
        f"the published route (ffmpeg -r {FPS} to AVI) shows the pictures of a {fps:.5g} fps video "
        f"{1000 * late:.0f} ms late in the mean; here they are picked by time stamps, 0 ms late, so av_offset differs "
        f"by about {late * FPS:.1f} frames"
    ]


@lru_cache
def published_lag_s(fps: float) -> float:
    """How much later than its own time the published route shows a picture, mean over a minute, seconds.

    Source:
        ffmpeg up to version 5 as syncnet_python's `run_pipeline.py` calls it: `media.grids.ffmpeg_5_avi`.
    """
    rate = as_rate(fps)
    starts = [n / rate for n in range(round(60 * rate))]
    return float(mean_lag(ffmpeg_5_avi(starts, starts[-1] + 1 / rate, Fraction(FPS)), starts, Fraction(FPS)))


@dataclass
class _Draft:
    """A result on its way."""

    options: SyncOptions
    facts: dict[str, Any]
    n_frames: int = 0
    late: int = 0  # frames by which the published files show the pictures later

    def refuse(self, reason: str, tracks: tuple[TrackResult, ...] = ()) -> SyncResult:
        return self.done(tracks, reason)

    def done(self, tracks: tuple[TrackResult, ...], reason: str | None = None) -> SyncResult:
        if reason is None and all(track.score is None for track in tracks):
            reason = tracks[0].reason
        o = self.options
        return SyncResult(o.sync_model, o.protocol, o.aggregate, tracks, reason, self.n_frames, self.facts)


def _scored(net: FoldedSyncNet, stream: VideoStream, sound: NDArray[np.int16], **span: Any) -> TrackResult:
    if silent := media.silence(sound):
        return TrackResult(**span, score=None, reason=f"silent: while this face is seen {silent}")
    try:
        return TrackResult(**span, score=net.score_video(stream.finish(), sound))
    except TooShort as error:
        return TrackResult(**span, score=None, reason=f"{error.reason}: {error.one_line()}")


# -- protocol "cropped" -------------------------------------------------------------------------------------------


def _cropped(video: Path, sound: NDArray[np.int16], net: FoldedSyncNet, result: _Draft) -> SyncResult:
    """The route of Wav2Lip's LRS evaluation: every frame, squeezed to the sync model's square."""
    stream = net.video_stream()
    for frame in ticking(frames(video, result.options)):
        stream.push(np.ascontiguousarray(cv2.resize(frame, (net.size, net.size))[..., ::-1]))
    n = result.n_frames = stream.n_frames
    row = _scored(net, stream, sound, first=0, n_frames=n, n_detections=n, face_size=None)
    return result.done((row,))


# -- protocol "realvideo" -----------------------------------------------------------------------------------------


def _realvideo(
    video: Path,
    sound: NDArray[np.int16],
    net: FoldedSyncNet,
    result: _Draft,
    track: FaceTrack | None,
    size: tuple[int, int],
    device: str,
) -> SyncResult:
    """The route of syncnet_python's `run_pipeline.py`: shots, faces, tracks, crops."""
    options = result.options
    detector = resolve_detector(options.detector) if options.boxes_from == "prediction" else None
    detect = frame_detector(detector, device) if detector else None
    shots, seen = scan(video, detect, options)
    result.n_frames = shots.n_frames
    if detector is None:
        assert track is not None
        boxes = boxes_of_track(track, shots.n_frames, size, "reference")
    elif detect is not None:
        boxes = FaceBoxes(seen, detector, "detector", "prediction")
    else:
        boxes = boxes_of_track(track_prediction(video, detector), shots.n_frames, size, "prediction")
    found = list(on_disk(boxes.faces, result.late))[: shots.n_frames]
    tracking = track_faces(found, shots.shots(), min_track=options.min_track, min_face_size=options.min_face_size)
    result.facts |= {
        "detector": boxes.backend,
        "who": "" if track is None else track.who(),
        "boxes_from": boxes.source,
        "box_rule": RULES[boxes.rule],
        "frames_with_face": boxes.n_found,
        "shots": [list(shot) for shot in shots.shots()],
        "tracks_too_short": len(tracking.short),
        "tracks_too_small": len(tracking.small),
    }
    if not tracking.kept:
        return result.refuse(why_no_track(tracking, boxes, options))
    streams = cut(video, net, tracking.kept, options, result.late)
    rows = [
        _scored(
            net,
            stream,
            heard_of_a_crop(sound[t.first * SAMPLES_PER_FRAME : t.end * SAMPLES_PER_FRAME], options.route),
            first=t.first,
            n_frames=len(t.boxes),
            n_detections=t.n_detections,
            face_size=t.face_size,
            box=t.mean_box,
        )
        for t, stream in zip(tracking.kept, streams, strict=True)
    ]
    return result.done(tuple(rows))


def why_no_track(tracking: Tracking, boxes: FaceBoxes, options: SyncOptions) -> str:
    """The reason of a video without a usable track, with what was seen and what can be done."""
    if boxes.n_found == 0:
        return f"no_face: {boxes.backend} saw no face in {len(boxes.faces)} frames"
    if tracking.small:
        largest = max(max(track.face_size) for track in tracking.small)
        return (
            f"face_too_small: the largest face is {largest:.0f} px, more than {options.min_face_size:g} px are needed "
            "(option min_face_size)"
        )
    longest = max(track.n_detections for track in tracking.short)
    return (
        f"too_short: the longest face track has {longest} frames, more than {options.min_track} are needed "
        "(option min_track)"
    )
