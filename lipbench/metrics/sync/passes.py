"""The two passes of protocol realvideo over the frames of a video: finding shots and faces, cutting the faces out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.core.ticks import ticking
from lipbench.faces.shots import ShotDetector
from lipbench.faces.track import Box
from lipbench.media.recent import read_again
from lipbench.metrics.sync.codec import CROP_SIZE, CropRoute, on_disk, read_published
from lipbench.metrics.sync.face_boxes import Detect
from lipbench.metrics.sync.folded import FoldedSyncNet, VideoStream
from lipbench.metrics.sync.protocol import FPS, SyncOptions
from lipbench.metrics.sync.tracks import Track, crop, crop_path

#: Frames handed to the face detector at once.
DETECTION_BATCH = 8


def scan(video: Path, detect: Detect | None, options: SyncOptions) -> tuple[ShotDetector, list[list[Box]]]:
    """One pass over the frames: cuts, and boxes where a detector is given."""
    shots = ShotDetector()
    seen: list[list[Box]] = []
    waiting: list[NDArray[np.uint8]] = []
    for frame in ticking(frames(video, options)):
        shots.push(frame)
        if detect is not None:
            waiting.append(frame)
            if len(waiting) == DETECTION_BATCH:
                seen += detect(np.stack(waiting))
                waiting.clear()
    if detect is not None and waiting:
        seen += detect(np.stack(waiting))
    return shots, seen


def cut(
    video: Path, net: FoldedSyncNet, tracks: tuple[Track, ...], options: SyncOptions, late: int
) -> list[VideoStream]:
    """A second pass: every track's crops go into the network, straight or through the published codecs.

    Args:
        late: frames by which the published route shows the pictures later, see `codec.on_disk`.
    """
    paths = [crop_path(track.boxes) for track in tracks]
    streams = [net.video_stream() for _ in tracks]
    routes = [CropRoute() if options.codec != "none" else None for _ in tracks]
    size = CROP_SIZE if options.codec != "none" else net.size
    end = max(track.end for track in tracks)
    for n, frame in enumerate(on_disk(ticking(frames(video, options)), late)):
        if n >= end:
            break
        for track, path, route, stream in zip(tracks, paths, routes, streams, strict=True):
            if track.first <= n < track.end:
                t = n - track.first
                face = crop(frame, path.x[t], path.y[t], path.s[t], size)
                _push(stream, [face] if route is None else route.push(face), net.size)
    for route, stream in zip(routes, streams, strict=True):
        _push(stream, [] if route is None else route.flush(), net.size)
    return streams


def _push(stream: VideoStream, faces: list[NDArray[np.uint8]], size: int) -> None:
    for face in faces:
        seen = face if face.shape[0] == size else cv2.resize(face, (size, size))
        stream.push(np.ascontiguousarray(seen[..., ::-1]))  # the sync model reads BGR


def frames(video: Path, options: SyncOptions) -> Iterator[NDArray[np.uint8]]:
    """The frames at 25 fps, as decoded or as the published route sees them."""
    if options.codec != "none":
        return read_published(video, options.route)
    return read_again(video, fps=FPS)
