"""Looking at one shot: its faces, its camera, its light, who speaks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench import media
from lipbench.core.errors import NoAudio, TooShort
from lipbench.datasets.film.people import Embedding, Vector
from lipbench.datasets.film.shots import FaceFacts, ShotFacts, Span, percentiles
from lipbench.datasets.film.shots_constraints import ShotPictures, background, camera, light_stops
from lipbench.datasets.film.shots_faces import FaceFinder, Image, ShotFace
from lipbench.datasets.film.shots_pose import head_angles
from lipbench.datasets.film.shots_speaking import Speaking

#: Frames a second that faces are looked for in.
LOOKS = 12.5
#: Frames from which a face's look is taken, and which of them are on the contact sheet.
SAMPLES, SHOWN = 7, (0, 3, 6)
STILL_WIDTH = 240
JPEG = 85


@dataclass(frozen=True)
class Eyes:
    """What a shot is looked at with.

    Attributes:
        faces: finds and follows faces.
        embedding: what a face looks like.
        speaking: who speaks.
        sound: which sound of the film is the original; False: the film is looked at without one.
    """

    faces: FaceFinder
    embedding: Embedding
    speaking: Speaking
    sound: media.SoundChoice | bool = True


def measure(film: Path, span: Span, eyes: Eyes) -> ShotFacts:
    """Everything about one shot.

    Raises:
        MediaError: the film cannot be decoded there.
    """
    n_frames = span.end - span.first
    fps = n_frames / span.seconds
    step = max(1, round(fps / LOOKS))
    n_rows = -(-n_frames // step)
    samples = sorted({round(q * (n_rows - 1)) for q in np.linspace(0.1, 0.9, SAMPLES)})
    pictures = ShotPictures(frozenset(samples))
    faces = eyes.faces(pictures.watch(_every(_frames(film, span), step)))
    n_rows = max(n_rows, 1)
    said = eyes.speaking(faces, n_rows, fps / step, _sound(film, span, eyes.sound))
    seen = np.zeros((len(faces), n_rows), bool)
    for k, face in enumerate(faces):
        seen[k, face.rows] = True
    count = seen.sum(0) if len(faces) else np.zeros(n_rows, int)
    free = background(faces, pictures.size)
    shown = [row for k, row in enumerate(samples) if k in SHOWN or len(samples) <= len(SHOWN)]
    return ShotFacts(
        span,
        tuple(
            _facts(face, float(seen[k].mean()), said[k], pictures, shown, eyes.embedding)
            for k, face in enumerate(faces)
        ),
        tuple((a, b) for a, b in combinations(range(len(faces)), 2) if (seen[a] & seen[b]).any()),
        float((count == 1).mean()),
        int(count.max(initial=0)),
        camera(pictures, free),
        light_stops(pictures, free),
        tuple(_jpeg(pictures.stills[row]) for row in shown if row in pictures.stills),
    )


def _frames(film: Path, span: Span) -> Iterator[Image]:
    return media.read_frames(film, start_s=span.from_s, end_s=span.to_s)


def _every(frames: Iterable[Image], step: int) -> Iterator[Image]:
    for n, frame in enumerate(frames):
        if n % step == 0:
            yield frame


def _sound(film: Path, span: Span, choice: media.SoundChoice | bool) -> NDArray[np.int16] | None:
    if choice is False:
        return None
    try:
        return media.read_audio(
            film, start_s=span.from_s, end_s=span.to_s, choice=None if choice is True else choice or None
        )
    except (NoAudio, TooShort):
        return None


def _facts(
    face: ShotFace, share: float, speaking: float | None, pictures: ShotPictures, shown: list[int], embedding: Embedding
) -> FaceFacts:
    width, height = pictures.size
    angles = head_angles(face.points, width, height)
    boxes = {}
    for k, row in enumerate(row for row in shown if row in pictures.stills):
        if (box := face.at(row)) is not None:
            x1, y1, x2, y2 = (float(v) for v in box / (width, height, width, height))
            boxes[k] = (x1, y1, x2, y2)
    vector = _look(face, pictures, embedding)
    return FaceFacts(
        share,
        face.height,
        percentiles(angles[:, 0]),
        percentiles(angles[:, 1]),
        speaking,
        None if vector is None else tuple(round(float(v), 5) for v in vector),
        boxes,
    )


def _look(face: ShotFace, pictures: ShotPictures, embedding: Embedding) -> Vector | None:
    """The mean of what the face looks like in the stills."""
    found = []
    for row, still in pictures.stills.items():
        k = int(np.searchsorted(face.rows, row))
        if k < len(face.rows) and face.rows[k] == row:
            vector = embedding(still, face.boxes[k], face.points[k])
            if vector is not None:
                found.append(vector)
    return None if not found else np.asarray(np.mean(found, axis=0), np.float32)


def _jpeg(frame: Image) -> bytes:
    size = (STILL_WIDTH, max(1, round(frame.shape[0] * STILL_WIDTH / frame.shape[1])))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG])
    assert done
    return bytes(data)
