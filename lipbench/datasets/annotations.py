"""Per-frame truth of a generated video, as one npz file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.core import npz
from lipbench.faces.files import from_landmarks
from lipbench.faces.track import FaceTrack

SCHEMA = 1
Float32 = NDArray[np.float32]

#: Bits after the point that are kept in the file, far finer than any fit resolves (1/64 px, 0.02 mm): halves its size.
_BITS = {
    "expression": 11,
    "semantic": 14,
    "gaze": 13,
    "rotation": 20,
    "translation": 16,
    "landmarks68": 6,
    "landmark_depth": 3,
    "lip_gap": 9,
    "mouth_width": 9,
    "lip_vertices": 12,
}


@dataclass(frozen=True)
class Phoneme:
    """One timed phoneme as a synthesiser names it.

    Attributes:
        ipa: with stress and length marks, e.g. "ˈaɪ", "tʃ", "ɑ̃"; "" is a pause.
        start_s: seconds from the start of the audio.
        end_s: seconds from the start of the audio.
    """

    ipa: str
    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True)
class Annotations:
    """What is known about every frame of a video. T frames, L lip vertices, P phonemes.

    Attributes:
        language: of the speech.
        fps: of the video.
        width: of the video.
        height: of the video.
        expression: (T, 79) coefficients of the procedural model in standard deviations.
        semantic: (T, 36) weights of its semantic expressions.
        gaze: (T, 2) radians, yaw to the image's right, pitch up, relative to the head.
        rotation: (T, 3, 3), model to camera space, X = R x + t; the camera looks down -z.
        translation: (T, 3) dm, t of the same.
        camera: (3,) focal length and principal point, px.
        landmarks68: (T, 68, 2) px, iBUG order, x right, y down.
        landmark_depth: (T, 68) px, 0 at the head's joint, smaller nearer to the camera.
        lip_gap: (T,) mm, opening of the lips at the middle of the mouth; 0 when they meet.
        mouth_width: (T,) mm between the outer corners.
        lip_vertices: (T, L, 3) dm in model space (without the head's pose): every second vertex of the line where the
            lips meet, then of the border of the red, each counter-clockwise from the image's right corner.
        identity: (40,) coefficients of the person's shape.
        phoneme_ipa: (P,) str.
        phoneme_start_s: (P,) seconds.
        phoneme_end_s: (P,) seconds.
    """

    language: str
    fps: float
    width: int
    height: int
    expression: Float32
    semantic: Float32
    gaze: Float32
    rotation: Float32
    translation: Float32
    camera: Float32
    landmarks68: Float32
    landmark_depth: Float32
    lip_gap: Float32
    mouth_width: Float32
    lip_vertices: Float32
    identity: Float32
    phoneme_ipa: NDArray[np.str_]
    phoneme_start_s: Float32
    phoneme_end_s: Float32

    def __len__(self) -> int:
        return len(self.expression)

    @property
    def phonemes(self) -> list[Phoneme]:
        """The timed phonemes."""
        rows = zip(self.phoneme_ipa, self.phoneme_start_s, self.phoneme_end_s, strict=True)
        return [Phoneme(str(ipa), float(start), float(end)) for ipa, start, end in rows]

    def face_track(self) -> FaceTrack:
        """The face as a tracker that makes no mistake would see it, backend "corpus"."""
        points = np.concatenate(
            [_quantize(self.landmarks68, _BITS["landmarks68"]), _quantize(self.landmark_depth, 3)[..., None]], -1
        )
        return from_landmarks(points, fps=self.fps, size=(self.width, self.height), backend="corpus")

    def save(self, path: str | Path) -> Path:
        """Write as npz; returns the path. Equal annotations give equal bytes."""
        arrays: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            arrays[field.name] = _quantize(value, _BITS[field.name]) if field.name in _BITS else value
        np.savez_compressed(path, schema=SCHEMA, **arrays)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Annotations:
        """Read what `save` wrote.

        Raises:
            MediaError: not such a file, or of another schema.
        """
        names = [field.name for field in fields(cls)]
        found = npz.load(path, SCHEMA, "the annotations", "generate the corpus again, or fetch it again", names)
        values = {name: found[name] for name in names}
        for name, kind in (("language", str), ("fps", float), ("width", int), ("height", int)):
            values[name] = kind(values[name])
        return cls(**values)


def _quantize(values: Float32, bits: int) -> Float32:
    """To multiples of 2^-bits."""
    return (np.round(values.astype(np.float64) * 2.0**bits) / 2.0**bits).astype(np.float32)


def phoneme_arrays(phonemes: Sequence[Phoneme]) -> dict[str, NDArray[np.generic]]:
    """The three phoneme arrays."""
    return {
        "phoneme_ipa": np.array([p.ipa for p in phonemes] or [""], dtype=np.str_)[: len(phonemes)],
        "phoneme_start_s": np.array([p.start_s for p in phonemes], np.float32),
        "phoneme_end_s": np.array([p.end_s for p in phonemes], np.float32),
    }
