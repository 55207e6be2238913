"""Face tracks of several shots as people: clusters of tracks that look alike."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from lipbench.core.errors import UsageError

Image = NDArray[np.uint8]
Vector = NDArray[np.float32]
#: A face in an image, by its box (4,) and 68 points: what it looks like, None where too little of it is seen.
Embedding = Callable[[Image, NDArray[np.floating], NDArray[np.floating]], Vector | None]

#: Tracks that are nearer than this on average are one person.
COLORS_APART, DLIB_APART = 0.5, 0.45
#: Luma that a face is brought to, so that colors are the same in the dark; by no more than this factor.
FACE_LUMA, GAIN = 130.0, 6.0
#: a and b of CIE Lab beyond this are one color.
COLORFUL = 32.0
#: Fewer pixels say nothing.
LEAST_PIXELS = 300
#: Two faces of one shot that are seen at once are two people: as far apart as it gets.
STRANGERS = 10.0


def colors(image: Image, box: NDArray[np.floating], points: NDArray[np.floating]) -> Vector | None:
    """Colors of the face, the hair above it and the clothes below it: (384,), the roots of the shares of 128 each.

    A part that lies outside of the image is all 0 and does not count (`colors_apart`). Good within one scene: other
    clothes are another person.
    """
    x1, y1, x2, y2 = (float(v) for v in box)
    w, h = x2 - x1, y2 - y1
    top, bottom, left, right = y1 - 0.5 * h, y2 + h, x1 - 0.3 * w, x2 + 0.3 * w
    face = _cut(image, y1, y2, x1, x2)
    if face.size < 3 * LEAST_PIXELS:
        return None
    luma = float(np.median(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)))
    gain = float(np.clip(FACE_LUMA / max(luma, 1.0), 1 / GAIN, GAIN))
    parts = [face, _cut(image, y2 + 0.2 * h, bottom, left, right), _cut(image, top, y1, x1, x2)]
    return np.concatenate([_histogram(part, gain) for part in parts]).astype(np.float32)


def colors_apart(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 384) from `colors` -> (N, N): root of the mean square distance of the parts that both show."""
    parts = table.reshape(len(table), 3, -1)
    shown = np.asarray(parts.any(2), bool)
    both = shown[:, None] & shown[None]
    away = ((parts[:, None] - parts[None]) ** 2).sum(3)
    return np.asarray(np.sqrt((away * both).sum(2) / np.maximum(both.sum(2), 1)))


def euclidean(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, D) -> (N, N)."""
    return np.asarray(np.linalg.norm(table[:, None] - table[None], axis=-1))


def _cut(image: Image, y1: float, y2: float, x1: float, x2: float) -> Image:
    h, w = image.shape[:2]
    top, bottom, left, right = (round(float(np.clip(v, 0, n))) for v, n in ((y1, h), (y2, h), (x1, w), (x2, w)))
    return np.ascontiguousarray(image[top:bottom, left:right])


def _histogram(part: Image, gain: float) -> NDArray[np.float64]:
    """(128,) roots of the shares of colors (a, b of CIE Lab); zeros where there is too little to see."""
    if part.size < 3 * LEAST_PIXELS:
        return np.zeros(128)
    lab = cv2.cvtColor(np.clip(part * np.float32(gain / 255), 0, 1), cv2.COLOR_RGB2LAB)
    a, b = (np.clip(lab[..., k].ravel(), -COLORFUL, COLORFUL) for k in (1, 2))
    counts, _, _ = np.histogram2d(a, b, (8, 16), ((-COLORFUL, COLORFUL), (-COLORFUL, COLORFUL)))
    total = counts.sum()
    return np.sqrt(counts.ravel() / total) if total else np.zeros(128)


def dlib_embedding() -> Embedding:
    """The 128 numbers of dlib's face recognition network (CC0 weights of `face_recognition_models`).

    Raises:
        UsageError: dlib or the weights are not installed.
    """
    try:
        import dlib
        import face_recognition_models
    except ImportError as error:
        raise UsageError(
            "people cannot be told apart by dlib's network",
            f"{error.name or error} is not installed",
            "pip install dlib face_recognition_models setuptools, or leave out --embedding",
        ) from error
    net: Any = dlib.face_recognition_model_v1(face_recognition_models.face_recognition_model_location())
    marks: Any = dlib.shape_predictor(face_recognition_models.pose_predictor_five_point_model_location())

    def embed(image: Image, box: NDArray[np.floating], points: NDArray[np.floating]) -> Vector | None:
        x1, y1, x2, y2 = (round(float(v)) for v in box)
        if min(x2 - x1, y2 - y1) < 20:
            return None
        pixels = np.ascontiguousarray(image)
        return np.asarray(net.compute_face_descriptor(pixels, marks(pixels, dlib.rectangle(x1, y1, x2, y2)), 1), "f4")

    return embed


@dataclass(frozen=True)
class Look:
    """A way to tell people apart.

    Attributes:
        make: what makes the embedding.
        apart: the distance from which on two clusters of tracks are two people.
        distances: (N, D) embeddings -> (N, N).
    """

    make: Callable[[], Embedding]
    apart: float
    distances: Callable[[NDArray[np.float64]], NDArray[np.float64]] = euclidean


EMBEDDINGS = {"colors": Look(lambda: colors, COLORS_APART, colors_apart), "dlib": Look(dlib_embedding, DLIB_APART)}


def cluster(
    vectors: Sequence[Vector | None], look: Look, together: Collection[tuple[int, int]] = ()
) -> list[int | None]:
    """Tracks -> the number of the person that each shows, from 0; None where nothing is known of a track.

    Average linkage.

    Args:
        vectors: one for each track.
        look: what they are.
        together: pairs of tracks that are seen at the same time: two people.
    """
    known = [i for i, vector in enumerate(vectors) if vector is not None]
    people: list[int | None] = [None] * len(vectors)
    if not known:
        return people
    if len(known) == 1:
        people[known[0]] = 0
        return people
    table = np.stack([v for v in vectors if v is not None]).astype(np.float64)
    distance = look.distances(table)
    at = {track: k for k, track in enumerate(known)}
    for a, b in together:
        if a in at and b in at:
            distance[at[a], at[b]] = distance[at[b], at[a]] = STRANGERS
    np.fill_diagonal(distance, 0)
    labels = fcluster(linkage(squareform(distance, checks=False), "average"), look.apart, "distance")
    for track, label in zip(known, labels, strict=True):
        people[track] = int(label) - 1
    return people
