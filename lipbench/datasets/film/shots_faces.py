"""Every face of a shot, followed from its first frame to its last; nobody is followed across a boundary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from lipbench.core import weights
from lipbench.core.errors import UsageError
from lipbench.faces.backend_table import backend
from lipbench.faces.boxes import overlaps
from lipbench.faces.mesh_tracker import FACE_SCORE, INSIDE, SAME_FACE
from lipbench.faces.track import COUNT_EVERY, MESH_TO_68
from lipbench.faces.which import CONTINUES

if TYPE_CHECKING:
    from lipbench.faces.landmarks import Roi

Image = NDArray[np.uint8]
#: A face that is seen in less of a shot's frames is a mistake of the detector.
LEAST = 0.1
#: Backends that can follow several faces, or say that they see one at most.
BACKENDS = ("mediapipe-face", "demo-face")


@dataclass(frozen=True)
class ShotFace:
    """A face through a shot.

    Attributes:
        rows: (N,) which of the frames that were looked at show it, rising.
        points: (N, 68, 2) px, iBUG order.
        boxes: (N, 4) x1 y1 x2 y2 px, from forehead to chin.
    """

    rows: NDArray[np.int64]
    points: NDArray[np.float32]
    boxes: NDArray[np.float32]

    @property
    def height(self) -> float:
        """Median height of the face, px."""
        return float(np.median(self.boxes[:, 3] - self.boxes[:, 1]))

    def at(self, row: int) -> NDArray[np.float32] | None:
        """The box in one of the frames, None where it is not seen there."""
        k = int(np.searchsorted(self.rows, row))
        return self.boxes[k] if k < len(self.rows) and self.rows[k] == row else None


class FaceFinder(Protocol):
    """Finds and follows the faces of one shot; called once for each."""

    def __call__(self, frames: Iterable[Image]) -> list[ShotFace]: ...


def face_finder(name: str) -> FaceFinder:
    """The finder of a face backend.

    Raises:
        UnknownName: there is no such backend.
        UsageError: it follows one face in a whole video only, or reads files.
        WeightsMissing, WeightsMismatch: its weights are not here.
    """
    found = backend(name)
    if name not in BACKENDS:
        raise UsageError(
            f"the face backend {name!r} cannot follow all faces of a shot",
            "heads and mouths are told by landmarks",
            f"use one of {', '.join(BACKENDS)}",
        )
    folder = weights.path(found.weights)
    return MeshFinder(folder) if name == "mediapipe-face" else DemoFinder(folder)


@dataclass
class _Face:
    """A face that is being followed, or was."""

    last: NDArray[np.float32]
    rows: list[int] = field(default_factory=list)
    points: list[NDArray[np.float32]] = field(default_factory=list)
    boxes: list[NDArray[np.float32]] = field(default_factory=list)

    def seen(self, row: int, points: NDArray[np.float32]) -> None:
        self.last = points
        self.rows.append(row)
        self.points.append(points[list(MESH_TO_68), :2])
        self.boxes.append(_box(points))

    @property
    def result(self) -> ShotFace:
        return ShotFace(np.asarray(self.rows, np.int64), np.stack(self.points), np.stack(self.boxes))


class MeshFinder:
    """BlazeFace finds, the attention mesh follows: the square of the last landmarks is where the next ones are.

    Args:
        folder: weights of both.
        count_every: frames between two looks for new faces.
    """

    def __init__(self, folder: Path, count_every: int = COUNT_EVERY) -> None:
        from lipbench.faces.detect import BlazeFacePair
        from lipbench.faces.landmarks import FaceMesh

        self.detector, self.mesh, self.count_every = BlazeFacePair(folder), FaceMesh(folder), count_every

    def __call__(self, frames: Iterable[Image]) -> list[ShotFace]:
        from lipbench.faces.landmarks import roi_from_points

        live: list[_Face] = []
        every: list[_Face] = []
        n = 0
        for n, frame in enumerate(frames, 1):
            row = n - 1
            points = self._measure(frame, [roi_from_points(face.last) for face in live]) if live else []
            still: list[_Face] = []
            for face, found in zip(live, points, strict=True):
                if found is not None and not _among(_box(found), [_box(other.last) for other in still]):
                    face.seen(row, found)
                    still.append(face)
            live = still
            if row % self.count_every == 0:
                live += self._new(frame, row, live, every)
        faces = [face.result for face in every if len(face.rows) >= max(2, LEAST * n)]
        return sorted(faces, key=lambda f: -len(f.rows) * f.height)

    def _new(self, frame: Image, row: int, live: Sequence[_Face], every: list[_Face]) -> list[_Face]:
        """Faces that nobody follows; one that stands where a lost one stood is that one."""
        from lipbench.faces.landmarks import roi_from_box, roi_from_points

        begun: list[_Face] = []
        for box in self.detector.detect(frame[None])[0]:
            corners = np.asarray([box.x1, box.y1, box.x2, box.y2], np.float32)
            followed = [_box(face.last) for face in (*live, *begun)]
            if _among(corners, followed):
                continue
            first = self._measure(frame, [roi_from_box(box)])[0]
            # The detector's square is roughly placed; look again with the landmarks' own.
            found = None if first is None else self._measure(frame, [roi_from_points(first)])[0]
            if found is None or _among(_box(found), followed):
                continue
            gone = [face for face in every if not any(face is other for other in (*live, *begun))]
            near = [float(overlaps(_box(found), _box(face.last)[None])[0]) for face in gone]
            if near and max(near) > CONTINUES:
                face = gone[int(np.argmax(near))]
            else:
                face = _Face(found)
                every.append(face)
            face.seen(row, found)
            begun.append(face)
        return begun

    def _measure(self, frame: Image, rois: Sequence[Roi]) -> list[NDArray[np.float32] | None]:
        """Landmarks in each square, None where no face is there or most of it is outside of the image."""
        points, scores = self.mesh([frame] * len(rois), rois)
        size = np.asarray(frame.shape[1::-1])
        inside = ((points[..., :2] >= 0) & (points[..., :2] <= size)).all(2).mean(1)
        good = (scores >= FACE_SCORE) & (inside >= INSIDE)
        return [one if fine else None for one, fine in zip(points, good, strict=True)]


class DemoFinder:
    """The demo's own networks: one generated face, nothing else.

    Args:
        file: their weights.
    """

    def __init__(self, file: Path) -> None:
        from lipbench.faces.demo_face import DemoFace

        self.net = DemoFace.from_file(file)

    def __call__(self, frames: Iterable[Image]) -> list[ShotFace]:
        from lipbench.faces.demo_face import landmarks
        from lipbench.faces.files import from_landmarks

        size = (0, 0)

        def sized() -> Iterable[Image]:
            nonlocal size
            for frame in frames:
                size = (frame.shape[1], frame.shape[0])
                yield frame

        points = landmarks(self.net, sized())
        if not len(points):
            return []
        track = from_landmarks(points, fps=25, size=size, backend="demo-face")
        rows = np.flatnonzero(track.found)
        if len(rows) < max(2, LEAST * len(points)):
            return []
        return [ShotFace(rows, points[rows], track.boxes[rows])]


def _box(points: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([points[:, :2].min(0), points[:, :2].max(0)])


def _among(box: NDArray[np.float32], others: Sequence[NDArray[np.float32]]) -> bool:
    return bool(others) and float(overlaps(box, np.stack(others)).max()) > SAME_FACE
