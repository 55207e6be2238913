"""A video in, a FaceTrack out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lipbench import media
from lipbench.core import weights
from lipbench.core.by_file import remembered, small_net
from lipbench.core.errors import MediaError, UsageError
from lipbench.core.ticks import ticking
from lipbench.faces.backend_table import backend as named
from lipbench.faces.box_tracker import follow
from lipbench.faces.files import from_landmarks, read_track
from lipbench.faces.shots import ShotDetector
from lipbench.faces.track import COUNT_EVERY, Box, FaceTrack
from lipbench.faces.which import Which
from lipbench.media.recent import read_again

if TYPE_CHECKING:
    from lipbench.faces.demo_face import DemoFace
    from lipbench.faces.speaking import Speaker


def track_faces(
    video: str | Path | Iterable[NDArray[np.uint8]],
    *,
    backend: str = "mediapipe-face",
    fps: float | None = None,
    size: tuple[int, int] | None = None,
    n_frames: int | None = None,
    count_every: int = COUNT_EVERY,
    device: str = "cpu",
    face: str | None = None,
    sound: NDArray[np.int16] | None = None,
    speaker: Speaker | None = None,
) -> FaceTrack:
    """Find the main face of every frame and follow it.

    The main face is the one that continues the last known box, otherwise the one that `face` means, otherwise the
    largest. Every shot begins anew. Where there are several and none was chosen, "mediapipe-face" prefers in every shot
    the one who says what is heard, where that is clear (`faces.speaking`). Frames without a face hold NaN;
    a video without any gives a track with `found` all False (`require_face` turns that into an error). A face counts
    as gone when less than half of its points are in the image. Boxes may reach outside of the image.

    Args:
        video: a file, or its frames (H, W, 3) uint8 RGB; for the backends "file" and "corpus" the landmark file.
        backend: a name from `backends()`.
        fps: frames per second; required for frames and landmark arrays, otherwise the file's.
        size: (width, height), only for the backends "file" and "corpus".
        n_frames: of the video, only for "file" and "corpus": another length is refused.
        count_every: "mediapipe-face" counts the faces of every n-th frame (and of those where it lost its own) and
            carries the count on; S3FD counts in every frame.
        device: where S3FD runs; the mesh is fastest on one CPU thread and stays there.
        face: which face, where there are several: "left", "right", "largest" or "X,Y", a place in it.
        sound: (N,) at 16 kHz, what is said in the video, from its first frame on.
        speaker: tells who says it; without, and where it is not sure, motion and loudness do.

    Raises:
        UnknownName: no such backend.
        WeightsMissing, WeightsMismatch: its weights are not here.
        MediaError: the video cannot be read, or has no frames.
        UsageError: fps is missing, or `face` has none of its forms.
    """
    found, which = named(backend), Which.parse(face)
    if not found.weights:
        if not isinstance(video, (str, Path)):
            raise UsageError(f"the face backend {backend!r} reads a file", "frames were given", "give the path")
        return read_track(video, backend=backend, fps=fps, size=size, n_frames=n_frames)
    folder = weights.path(found.weights)  # before the video is opened: cheaper to fail
    if isinstance(video, (str, Path)) and sound is None:
        return _of_file(Path(video), folder, backend, fps, count_every, device, which)
    return _tracked(video, folder, backend, fps, count_every, device, which, sound, speaker)


def _tracked(
    video: str | Path | Iterable[NDArray[np.uint8]],
    folder: Path,
    backend: str,
    fps: float | None,
    count_every: int,
    device: str,
    which: Which | None,
    sound: NDArray[np.int16] | None = None,
    speaker: Speaker | None = None,
) -> FaceTrack:
    """`track_faces` with weights, which are at `folder`."""
    if isinstance(video, (str, Path)):
        fps = float(media.probe(video).fps) if fps is None else fps
        frames: Iterable[NDArray[np.uint8]] = read_again(video)  # in a run metrics look at it next
    elif fps is None:
        raise UsageError("frames do not say how many there are per second", "", "give fps")
    else:
        frames = video
    watched = _SizedFrames(frames)
    if backend == "mediapipe-face":
        said = (video, sound) if which is None and sound is not None and isinstance(video, (str, Path)) else None
        track = _track_mesh(watched, folder, fps, count_every, which, said, speaker)
    elif backend == "demo-face":
        track = _track_points(watched, folder, fps)
    else:
        track = _track_boxes(watched, folder, fps, backend, device, which)
    return track


#: A lip source's face is asked for by LipNeRF and by the metrics. Tracks of long videos are not worth their memory.
_of_file = remembered(kept=8, largest=16 << 20)(_tracked)


class _SizedFrames:
    """Frames on their way through, all of one size, which is known at the end."""

    def __init__(self, frames: Iterable[NDArray[np.uint8]]) -> None:
        self.frames = frames
        self.size: tuple[int, int] | None = None

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        for frame in ticking(self.frames):
            size = (frame.shape[1], frame.shape[0])
            if self.size is None:
                self.size = size
            elif size != self.size:
                raise MediaError("the video changes its size", f"from {self.size} to {size}", "cut it there")
            yield frame

    def known_size(self) -> tuple[int, int]:
        if self.size is None:
            raise MediaError("the video has no frames", "", "give a video with at least one frame")
        return self.size


def _track_mesh(
    frames: _SizedFrames,
    folder: Path,
    fps: float,
    count_every: int,
    which: Which | None,
    said: tuple[str | Path, NDArray[np.int16]] | None,
    speaker: Speaker | None = None,
) -> FaceTrack:
    """The face that is meant; with `said`, a video and what is said in it, the one who says it where that is clear."""
    from lipbench.faces import speaking
    from lipbench.faces.detect import BlazeFacePair
    from lipbench.faces.landmarks import POINTS, FaceMesh
    from lipbench.faces.mesh_tracker import MainFace, MeshTracker

    with _one_thread():
        tracker = MeshTracker(BlazeFacePair(folder), FaceMesh(folder), count_every, which)
        shots = ShotDetector()
        seen: list[MainFace | None] = []
        for frame in frames:
            shots.push(frame)
            if shots.cuts[-1:] == (len(seen),):
                tracker.cut()
            seen.append(tracker.step(frame))
    width, height = frames.known_size()
    lost = np.full((POINTS, 3), np.nan, np.float32)
    track = FaceTrack(
        "mediapipe-face",
        fps,
        width,
        height,
        np.stack([np.full(4, np.nan) if s is None else s.box for s in seen]).astype(np.float32),
        np.asarray([0 if s is None else s.score for s in seen], np.float32),
        np.asarray([0 if s is None else s.faces for s in seen], np.int16),
        np.stack([lost if s is None else s.points for s in seen]),
        shots.cuts,
    )
    if said is None:
        return track
    video, sound = said
    with _one_thread():
        return speaking.prefer(track, tracker.counted, lambda: media.read_frames(video), folder, sound, speaker)


def _track_points(frames: _SizedFrames, file: Path, fps: float) -> FaceTrack:
    from lipbench.faces.demo_face import landmarks

    with _one_thread():
        points = landmarks(_demo_face(file), frames)
    return from_landmarks(points, fps=fps, size=frames.known_size(), backend="demo-face")


@small_net
def _demo_face(file: Path) -> DemoFace:
    from lipbench.faces.demo_face import DemoFace

    return DemoFace.from_file(file)


def _track_boxes(
    frames: _SizedFrames, file: Path, fps: float, backend: str, device: str, which: Which | None
) -> FaceTrack:
    from lipbench.faces.detect import S3FD

    detector = S3FD("syncnet" if backend == "s3fd-syncnet" else "wav2lip").load(file)
    detector.to(device)
    main, counts, cuts = follow(detector, frames, which)
    width, height = frames.known_size()
    return FaceTrack(
        backend,
        fps,
        width,
        height,
        np.stack([_corners(box) for box in main]),
        np.asarray([0 if box is None else box.score for box in main], np.float32),
        np.asarray(counts, np.int16),
        cuts=cuts,
    )


def _corners(box: Box | None) -> NDArray[np.float32]:
    return np.asarray([np.nan] * 4 if box is None else [box.x1, box.y1, box.x2, box.y2], np.float32)


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch  # here, not above: landmark files are read without it

    # These nets gain nothing from threads on an idle machine and lose a hundredfold on a busy one.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
