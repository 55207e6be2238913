"""A face through a video: boxes, landmarks and the frames where no face was seen.

Lost is lost: a frame without a face holds NaN, never a guess. Whoever needs a box on every frame fills the gaps itself
and says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.core import npz

SCHEMA = 1
#: Frames between two looks for other faces (n_faces); in between the count is carried on.
COUNT_EVERY = 5

# FaceMesh's 478 points -> the 68-point convention (iBUG): jaw, brows, nose, eyes, outer and inner lips.
# Starts from the choices that public converters share; where they differ (jaw, nostrils, the lips' lower outer and
# inner points) the mesh point nearest to the mean 68-point face, measured on near-frontal frames of two real clips.
MESH_TO_68 = (
    127,
    234,
    93,
    58,
    172,
    136,
    149,
    176,
    152,
    400,
    378,
    365,
    397,
    288,
    323,
    454,
    356,
    70,
    63,
    105,
    66,
    107,
    336,
    296,
    334,
    293,
    300,
    168,
    197,
    5,
    4,
    240,
    97,
    2,
    326,
    460,
    33,
    160,
    158,
    133,
    153,
    144,
    362,
    385,
    387,
    263,
    373,
    380,
    61,
    39,
    37,
    0,
    267,
    269,
    291,
    321,
    314,
    17,
    84,
    91,
    78,
    82,
    13,
    312,
    308,
    317,
    14,
    87,
)
MOUTH_68 = slice(48, 68)


@dataclass(frozen=True)
class Box:
    """A detected face. x1, y1, x2, y2 in pixels (x right, y down, edges), score in [0, 1], keypoints (K, 2) or None."""

    x1: float
    y1: float
    x2: float
    y2: float
    score: float
    keypoints: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class FaceTrack:
    """The main face of every frame of a video.

    Attributes:
        backend: what produced it, e.g. "mediapipe-face", "s3fd", "file", "corpus".
        fps: frames per second.
        width: of the video, px.
        height: of the video, px.
        boxes: (T, 4) float32 x1 y1 x2 y2 in px, NaN where lost.
        score: (T,) float32 confidence, 0 where lost.
        n_faces: (T,) int16 faces seen in the frame (0 = lost; >1 = somebody else is in the image too).
        landmarks: (T, K, 3) float32 px (z in px, same scale, 0 is the head's center), NaN where lost;
            K = 478 or 468 (mesh), 68 (iBUG); None for detectors without landmarks.
        cuts: frames that begin another shot; who is followed there is not who was followed before.
    """

    backend: str
    fps: float
    width: int
    height: int
    boxes: NDArray[np.float32]
    score: NDArray[np.float32]
    n_faces: NDArray[np.int16]
    landmarks: NDArray[np.float32] | None = None
    cuts: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def found(self) -> NDArray[np.bool_]:
        """(T,) whether a face was seen."""
        return np.isfinite(self.boxes[:, 0])

    @property
    def lost_frames(self) -> list[int]:
        """Frame numbers without a face."""
        return [int(i) for i in np.flatnonzero(~self.found)]

    def take(self, index: NDArray[np.integer] | list[int] | tuple[int, ...]) -> FaceTrack:
        """The track of a video that shows frame `index[t]` of this one at its frame t."""
        i = np.asarray(index, dtype=np.int64)
        return replace(
            self,
            boxes=self.boxes[i],
            score=self.score[i],
            n_faces=self.n_faces[i],
            landmarks=None if self.landmarks is None else self.landmarks[i],
            cuts=tuple(int(t) + 1 for t in np.flatnonzero(np.diff(self.shot_of(i)))),
        )

    def shot_of(self, frames: NDArray[np.integer]) -> NDArray[np.int64]:
        """(N,) frame numbers -> the number of the shot that each is in."""
        return np.searchsorted(np.asarray(self.cuts, np.int64), frames, side="right")

    @property
    def mean_box(self) -> tuple[float, float, float, float] | None:
        """x1 y1 x2 y2 in px, mean over the frames with a face; None without any."""
        if not self.found.any():
            return None
        x1, y1, x2, y2 = (float(v) for v in self.boxes[self.found].mean(axis=0, dtype=np.float64))
        return x1, y1, x2, y2

    def who(self) -> str:
        """Which face was followed, for people; "" where nobody else was in the picture."""
        several, box = int((self.n_faces > 1).sum()), self.mean_box
        if not several or box is None:
            return ""
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        side = "left" if x < self.width / 3 else "right" if x > self.width * 2 / 3 else "middle"
        return (
            f"up to {int(self.n_faces.max())} faces in {several} of {len(self)} frames; measured is the one at "
            f"x = {x:.0f}, y = {y:.0f} of {self.width} x {self.height} ({side})"
        )

    def points68(self) -> NDArray[np.float32] | None:
        """(T, 68, 2) px in the iBUG order, or None when the backend has no landmarks."""
        if self.landmarks is None:
            return None
        if self.landmarks.shape[1] == 68:
            return self.landmarks[..., :2]
        return self.landmarks[:, list(MESH_TO_68), :2]

    def save(self, path: str | Path) -> Path:
        """Write as npz; returns the path."""
        path = Path(path)
        arrays: dict[str, Any] = {"boxes": self.boxes, "score": self.score, "n_faces": self.n_faces}
        if self.landmarks is not None:
            arrays["landmarks"] = self.landmarks
        if self.cuts:
            arrays["cuts"] = np.asarray(self.cuts, np.int64)
        np.savez_compressed(
            path, schema=SCHEMA, backend=self.backend, fps=self.fps, size=(self.width, self.height), **arrays
        )
        return path

    @classmethod
    def load(cls, path: str | Path) -> FaceTrack:
        """Read what `save` wrote.

        Raises:
            MediaError: not such a file, or of another schema.
        """
        needs = ("backend", "fps", "size", "boxes", "score", "n_faces")
        z = npz.load(path, SCHEMA, "the face track", "delete it: it is made again on the next run", needs)
        width, height = (int(v) for v in z["size"])
        arrays = z["boxes"], z["score"], z["n_faces"], z.get("landmarks")
        cuts = tuple(int(t) for t in z.get("cuts", ()))
        return cls(str(z["backend"]), float(z["fps"]), width, height, *arrays, cuts)
