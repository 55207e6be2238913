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
    """

    backend: str
    fps: float
    width: int
    height: int
    boxes: NDArray[np.float32]
    score: NDArray[np.float32]
    n_faces: NDArray[np.int16]
    landmarks: NDArray[np.float32] | None = None

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
        return cls(
            str(z["backend"]), float(z["fps"]), width, height, z["boxes"], z["score"], z["n_faces"], z.get("landmarks")
        )
