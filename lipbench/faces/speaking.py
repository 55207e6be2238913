"""Who says what is heard: the choice among several faces where nobody made one.

A sync model that is handed in is asked first. Where it is not sure, or there is none, motion and loudness decide.
In every shot the faces that are there most of the time are followed, and how much each mouth moves is compared with
the loudness of the sound. Where one of them goes with it and no other comes near, that one is the main face; where it
is not clear, the face that would be taken without sound stays.

On two speakers side by side, 5 s under the sound of either, the correlation of the one who is heard was 0.28 and 0.48,
that of the other 0.05 and 0.11.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from lipbench.faces.boxes import overlaps
from lipbench.faces.track import Box, FaceTrack
from lipbench.faces.which import Which

RATE = 16000
SAME = 0.3  # boxes of two counts that overlap more are one person
SHARE = 0.5  # a candidate was seen in this share of the counts of its shot
MOST = 4  # candidates of a shot
SHORTEST = 50  # frames; less sound decides nothing
SMOOTH = 2.0  # frames, standard deviation of the window that motion and loudness are averaged with
LAG = 5  # frames that mouth and sound may be apart
#: The best correlation must reach CLEAR, and be MARGIN above every other face's.
CLEAR, MARGIN = 0.2, 0.15
#: FaceMesh: inner lips above and below; nose and lower lip; forehead and chin.
LIPS, JAW, HEIGHT = (13, 14), (1, 17), (10, 152)


@dataclass
class _Candidate:
    boxes: list[Box] = field(default_factory=list)

    @property
    def place(self) -> Which:
        x = float(np.median([(b.x1 + b.x2) / 2 for b in self.boxes]))
        y = float(np.median([(b.y1 + b.y2) / 2 for b in self.boxes]))
        return Which("", (max(x, 1.0), max(y, 1.0)))


class Speaker(Protocol):
    """Tells which of several faces says what is heard."""

    def __call__(self, tracks: Sequence[FaceTrack], audio: NDArray[np.int16]) -> int | None:
        """The number of the face, None where it is not sure.

        Args:
            tracks: of the same frames of one shot, with landmarks.
            audio: (N,) at 16 kHz, from the first of these frames on.
        """
        ...


def prefer(
    track: FaceTrack,
    counted: Mapping[int, Sequence[Box]],
    frames: Callable[[], Iterable[NDArray[np.uint8]]],
    folder: Path,
    sound: NDArray[np.int16],
    speaker: Speaker | None = None,
) -> FaceTrack:
    """The track, in every shot of the face that says what is heard where that is clear.

    Args:
        track: of the main face without sound.
        counted: frame -> all boxes seen there.
        frames: opens the video once more.
        folder: weights of the mesh.
        sound: (N,) at 16 kHz from the first frame on.
        speaker: is asked first; where it does not know, the mouth decides that moves with the sound.
    """
    edges = [0, *track.cuts, len(track)]
    people = {
        (a, b): found for a, b in pairwise(edges) if b - a >= SHORTEST and len(found := candidates(counted, a, b)) > 1
    }
    if not people:
        return track
    loudness = envelope(sound, track.fps, len(track))
    tracks = _follow(people, frames(), folder, track)
    for span, theirs in tracks.items():
        part = slice(*span)
        heard = sound[round(span[0] * RATE / track.fps) : round(span[1] * RATE / track.fps)]
        best = None if speaker is None else speaker(theirs, heard)
        if best is None:
            best = clearest([motion(one.landmarks) for one in theirs], loudness[part])
        if best is not None:
            track = _with(track, part, theirs[best])
    return track


def candidates(counted: Mapping[int, Sequence[Box]], first: int, end: int) -> list[_Candidate]:
    """The people of a shot: boxes of successive counts that overlap, kept where they are seen often enough."""
    people: list[_Candidate] = []
    at = sorted(t for t in counted if first <= t < end)
    for t in at:
        for box in counted[t]:
            corners = np.asarray([(p.boxes[-1].x1, p.boxes[-1].y1, p.boxes[-1].x2, p.boxes[-1].y2) for p in people])
            near = overlaps(np.asarray([box.x1, box.y1, box.x2, box.y2]), corners) if people else np.zeros(0)
            if len(near) and near.max() > SAME:
                people[int(near.argmax())].boxes.append(box)
            else:
                people.append(_Candidate([box]))
    often = [p for p in people if len(p.boxes) >= SHARE * len(at)]
    return sorted(often, key=lambda p: len(p.boxes), reverse=True)[:MOST]


def envelope(sound: NDArray[np.int16], fps: float, n_frames: int) -> NDArray[np.float64]:
    """(n_frames,) loudness of the sound under each frame, dB above one step of 16 bits."""
    edges = np.minimum(np.round(np.arange(n_frames + 1) * RATE / fps).astype(int), len(sound))
    power = np.concatenate([[0.0], np.cumsum(sound.astype(np.float64) ** 2)])
    count = np.maximum(np.diff(edges), 1)
    return 10 * np.log10(np.maximum(np.diff(power[edges]) / count, 1.0))


def motion(landmarks: NDArray[np.float32] | None) -> NDArray[np.float64]:
    """(T, 478, 3) -> (T,) how much lips and jaw move, each over its own deviation; 0 where the face is lost."""
    assert landmarks is not None
    points = landmarks[..., :2].astype(np.float64)

    def distance(pair: tuple[int, int]) -> NDArray[np.float64]:
        return np.asarray(np.linalg.norm(points[:, pair[0]] - points[:, pair[1]], axis=-1))

    total = np.zeros(len(points))
    for pair in (LIPS, JAW):
        change = np.nan_to_num(np.abs(np.gradient(distance(pair) / distance(HEIGHT))))
        smooth = gaussian_filter1d(change, SMOOTH)
        total += smooth / max(float(smooth.std()), 1e-9)
    return total


def together(moved: NDArray[np.float64], loudness: NDArray[np.float64]) -> float:
    """The highest correlation of a mouth's motion with the loudness at any shift up to LAG frames; 0 if unknown."""
    heard, best = gaussian_filter1d(loudness, SMOOTH), 0.0
    for lag in range(-LAG, LAG + 1):
        a = moved[max(lag, 0) : len(moved) + min(lag, 0)]
        b = heard[max(-lag, 0) : len(heard) + min(-lag, 0)]
        if len(a) > LAG and a.std() > 1e-9 and b.std() > 1e-9:
            best = max(best, float(np.corrcoef(a, b)[0, 1]))
    return best


def clearest(mouths: Sequence[NDArray[np.float64]], loudness: NDArray[np.float64]) -> int | None:
    """Number of the mouth that moves with the sound; None where that is not clear."""
    scores = [together(mouth, loudness) for mouth in mouths]
    order = np.argsort(scores)[::-1]
    best, second = scores[order[0]], scores[order[1]] if len(scores) > 1 else 0.0
    return int(order[0]) if best >= CLEAR and best - second >= MARGIN else None


def _follow(
    people: Mapping[tuple[int, int], Sequence[_Candidate]],
    frames: Iterable[NDArray[np.uint8]],
    folder: Path,
    track: FaceTrack,
) -> dict[tuple[int, int], list[FaceTrack]]:
    """Every candidate through its shot."""
    from lipbench.faces.detect import BlazeFacePair
    from lipbench.faces.landmarks import POINTS, FaceMesh
    from lipbench.faces.mesh_tracker import MainFace, MeshTracker

    detector, mesh = BlazeFacePair(folder), FaceMesh(folder)
    ends = max(end for _, end in people)
    seen: dict[tuple[int, int], list[list[MainFace | None]]] = {
        span: [[] for _ in them] for span, them in people.items()
    }
    trackers: dict[tuple[int, int], list[MeshTracker]] = {}
    for t, frame in enumerate(frames):
        if t >= ends:
            break
        for span, them in people.items():
            if not span[0] <= t < span[1]:
                continue
            if span not in trackers:
                trackers[span] = [MeshTracker(detector, mesh, 1 << 30, one.place) for one in them]
            for tracker, faces in zip(trackers[span], seen[span], strict=True):
                faces.append(tracker.step(frame))
    lost, counts = np.full((POINTS, 3), np.nan, np.float32), np.maximum(track.n_faces, 1)

    def as_track(faces: list[MainFace | None], span: tuple[int, int]) -> FaceTrack:
        return replace(
            track,
            boxes=np.stack([np.full(4, np.nan) if f is None else f.box for f in faces]).astype(np.float32),
            score=np.asarray([0 if f is None else f.score for f in faces], np.float32),
            n_faces=np.where([f is None for f in faces], 0, counts[slice(*span)]).astype(np.int16),
            landmarks=np.stack([lost if f is None else f.points for f in faces]),
            cuts=(),
        )

    return {span: [as_track(faces, span) for faces in each] for span, each in seen.items()}


def _with(track: FaceTrack, part: slice, other: FaceTrack) -> FaceTrack:
    arrays = {name: getattr(track, name).copy() for name in ("boxes", "score", "n_faces", "landmarks")}
    for name, array in arrays.items():
        array[part] = getattr(other, name)
    return replace(track, **arrays)
