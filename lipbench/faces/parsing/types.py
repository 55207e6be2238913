"""Label maps of a clip, and what is known about the head beforehand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipbench.core import npz
from lipbench.core.errors import UsageError
from lipbench.faces.track import MESH_TO_68, FaceTrack
from lipbench.media.held import room, taken

#: parser -> its entry of the weights registry.
WEIGHTS = {"projection": "mediapipe-selfie", "bisenet": "bisenet_face", "celebamask": "celebamask_unet"}

SCHEMA = 1


class Label(IntEnum):
    """What a pixel shows.

    HEAD is everything that moves with the skull: skin above the jaw line, features, ears, hair, glasses, hat,
    earrings, as AD-NeRF (data_util/face_parsing/test.py) and LipNeRF cut it. NECK includes necklaces; TORSO is
    clothing and whatever else of the person is in the image.
    """

    BACKGROUND = 0
    HEAD = 1
    NECK = 2
    TORSO = 3


@dataclass(frozen=True)
class Parsing:
    """Labels of every frame.

    Attributes:
        labels: (T, H, W) uint8 of `Label`.
        parser: what made them, e.g. "projection+selfie", "bisenet", "truth".
        notes: what a reader of the result should know: evidence that was missing, frames without a face.
    """

    labels: NDArray[np.uint8]
    parser: str
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.labels.ndim != 3 or self.labels.dtype != np.uint8:
            raise UsageError(
                f"labels of shape {self.labels.shape}, {self.labels.dtype} are no label maps",
                "they are (T, H, W) uint8",
                "stack one map per frame",
            )

    def __len__(self) -> int:
        return len(self.labels)

    def mask(self, *labels: Label) -> NDArray[np.bool_]:
        """(T, H, W) where one of the labels is."""
        table = np.zeros(256, np.bool_)
        table[list(labels)] = True
        return table[self.labels]

    @property
    def head(self) -> NDArray[np.bool_]:
        """(T, H, W)."""
        return self.labels == Label.HEAD

    def head_pixels(self) -> int:
        """How many pixels of all frames are the head's."""
        return sum(int(np.count_nonzero(labels == Label.HEAD)) for labels in self.labels)

    @property
    def neck(self) -> NDArray[np.bool_]:
        """(T, H, W)."""
        return self.labels == Label.NECK

    @property
    def torso(self) -> NDArray[np.bool_]:
        """(T, H, W)."""
        return self.labels == Label.TORSO

    @property
    def background(self) -> NDArray[np.bool_]:
        """(T, H, W)."""
        return self.labels == Label.BACKGROUND

    def take(self, index: NDArray[np.integer] | list[int] | tuple[int, ...]) -> Parsing:
        """The labels of a video that shows frame `index[t]` of this one at its frame t."""
        return replace(self, labels=taken(self.labels, np.asarray(index, np.int64)))

    def save(self, path: str | Path) -> Path:
        """Write as npz; returns the path."""
        path = Path(path)
        np.savez_compressed(
            path, schema=SCHEMA, labels=self.labels, parser=self.parser, notes=np.array(self.notes, np.str_)
        )
        return path

    @classmethod
    def load(cls, path: str | Path) -> Parsing:
        """Read what `save` wrote.

        Raises:
            MediaError: not such a file, or of another schema.
        """
        fix = "delete them: they are made again on the next run"
        z = npz.load(path, SCHEMA, "the label maps", fix, ("labels", "parser", "notes"), room=room)
        return cls(z["labels"], str(z["parser"]), tuple(str(note) for note in z["notes"]))


@dataclass(frozen=True)
class HeadGuide:
    """Where the head is, as far as it is known before looking at colors.

    Attributes:
        silhouette: (T, H, W) bool, the fitted head model's projection, or None. It need not have hair.
        landmarks: (T, n, 2) px, n = 68 (iBUG), 468 or 478 (mesh); NaN where the face was lost; or None.
    """

    silhouette: NDArray[np.bool_] | None = None
    landmarks: NDArray[np.floating] | None = None

    @classmethod
    def from_track(cls, track: FaceTrack, silhouette: NDArray[np.bool_] | None = None) -> HeadGuide:
        """The guide that a face track gives.

        Raises:
            UsageError: the track's backend has no landmarks and there is no silhouette either.
        """
        if track.landmarks is None and silhouette is None:
            raise UsageError(
                f"the face track of {track.backend} does not say where the chin is",
                "it has boxes but no landmarks",
                "track with the backend mediapipe-face, or give the fitted model's silhouette",
            )
        return cls(silhouette, None if track.landmarks is None else track.landmarks[..., :2])

    def points68(self) -> NDArray[np.float64] | None:
        """(T, 68, 2) px in the iBUG order, gaps filled linearly in time; None without landmarks or when all are lost.

        Raises:
            UsageError: landmarks of a layout that is not known.
        """
        if self.landmarks is None:
            return None
        points = np.asarray(self.landmarks, np.float64)
        n = points.shape[1]
        if n in (468, 478):
            points = points[:, list(MESH_TO_68)]
        elif n != 68:
            raise UsageError(f"{n} landmarks are no layout that is known", "68, 468 or 478 are", "convert them first")
        seen = np.isfinite(points).all((1, 2))
        if not seen.any():
            return None
        t = np.arange(len(points))
        flat = points.reshape(len(points), -1)
        filled = np.stack([np.interp(t, t[seen], flat[seen, k]) for k in range(flat.shape[1])], 1)
        return filled.reshape(-1, 68, 2)
