"""A clip made ready for training: fit, parsing and the crop that the field sees."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import NoFace
from lipbench.faces.parsing import Label, Parsing, Plate
from lipbench.faces.parsing.shot_plates import ShotPlates
from lipbench.faces.track import FaceTrack
from lipbench.lipnerf.face_boxes import eye_boxes, eye_opening, mouth_boxes
from lipbench.lipnerf.fitting import Fit
from lipbench.media.held import hold
from lipbench.nerf.relief.scene import ReliefScene
from lipbench.nerf.scene import Scene, pool
from lipbench.nerf.scene_from_fit import make_scene

#: Air around the head in the crop, as a share of its size: dubs open the jaw further than the source did.
AIR = 0.15
Crop = tuple[int, int, int, int]


@dataclass(frozen=True)
class PreparedClip:
    """A clip as `prepare` leaves it.

    Attributes:
        fit: of all frames of the clip.
        parsing: of all frames of the clip.
        crop: x0, y0, x1, y1 px, what the field is trained on.
    """

    fit: Fit
    parsing: Parsing
    crop: Crop

    def save(self, folder: Path) -> dict[str, Path]:
        """Write; returns the files by name."""
        (folder / "crop.json").write_text(json.dumps(self.crop))
        return {
            "fit": self.fit.save(folder / "fit.npz"),
            "parsing": self.parsing.save(folder / "parsing.npz"),
            "crop": folder / "crop.json",
        }

    @property
    def facts(self) -> dict[str, Any]:
        """What the stage's record keeps."""
        return {
            "landmark_error_px": round(float(np.nanmean(self.fit.landmark_error_px)), 3),
            "focal_px": round(self.fit.focal, 1),
            "frames_without_face": int((~self.fit.found).sum()),
            "parser": self.parsing.parser,
            "crop": list(self.crop),
            "notes": [*self.fit.notes, *self.parsing.notes],
        }

    def part(self, first: int, end: int) -> PreparedClip:
        """Of frames [first, end) of the clip."""
        rows = np.arange(first, end)
        return PreparedClip(self.fit.take(rows), self.parsing.take(rows), self.crop)

    @classmethod
    def load(cls, folder: Path) -> PreparedClip:
        """What `save` wrote."""
        x0, y0, x1, y1 = json.loads((folder / "crop.json").read_text())
        return cls(Fit.load(folder / "fit.npz"), Parsing.load(folder / "parsing.npz"), (x0, y0, x1, y1))


def head_crop(heads: Iterable[NDArray[np.bool_]]) -> Crop:
    """The even box around all heads of a clip, with air; inside the image.

    Args:
        heads: (H, W) bool of each frame.

    Raises:
        NoFace: the masks are empty.
    """
    somewhere = reduce(np.logical_or, heads)
    rows, columns = np.flatnonzero(somewhere.any(1)), np.flatnonzero(somewhere.any(0))
    if not len(rows):
        raise NoFace("no head was found in the clip", "the parser's head masks are empty", "use another clip or parser")
    air = AIR * max(rows[-1] - rows[0], columns[-1] - columns[0])
    h, w = somewhere.shape
    x0, y0 = max(0, int(columns[0] - air)), max(0, int(rows[0] - air))
    x1, y1 = min(w, int(columns[-1] + 1 + air)), min(h, int(rows[-1] + 1 + air))
    return x0 - x0 % 2, y0 - y0 % 2, x1 + x1 % 2, y1 + y1 % 2


def scene_of(
    prepared: PreparedClip,
    frames: NDArray[np.uint8],
    plate: Plate | None,
    condition: NDArray[np.floating],
    track: FaceTrack,
) -> Scene:
    """The scene of the crop.

    Args:
        frames: (T, H, W, 3) uint8 RGB of the clip.
        plate: of the same frames; of a clip of several shots that of each (`faces.parsing.shot_plates`). None: the
            scene is not trained on but rendered, and has no plates.
        condition: (T, C).
        track: for the boxes of mouth and eyes.
    """
    if isinstance(plate, ShotPlates):  # every shot keeps its plates
        return pool(
            [
                scene_of(prepared.part(a, b), frames[a:b], own, condition[a:b], track.take(np.arange(a, b)))
                for own, (a, b) in zip(plate.plates, plate.shots, strict=True)
            ]
        )
    x0, y0, x1, y1 = prepared.crop
    fit, window = prepared.fit, np.s_[y0:y1, x0:x1]
    points = track.points68()
    if points is None:
        raise NoFace("the face track has no landmarks", f"{track.backend} finds boxes only", "use another face backend")
    corner = np.array([x0, y0, x0, y0])
    mouth, eyes = mouth_boxes(points) - corner, eye_boxes(points) - corner
    behind: NDArray[np.uint8] | None = None
    if plate is not None:
        static = plate.static
        behind = plate.frame(0)[window] if static else hold(plate.frame(t)[window] for t in range(len(frames)))
    cx, cy = fit.camera.center
    return make_scene(
        frames[:, y0:y1, x0:x1],
        hold(labels == Label.HEAD for labels in prepared.parsing.labels[:, y0:y1, x0:x1]),
        behind,
        fit.rotation,
        fit.translation,
        fit.focal,
        (cx - x0, cy - y0),
        condition,
        mouth,
        eyes,
        eye_opening(points),
    )


def relief_scene_of(
    prepared: PreparedClip,
    frames: NDArray[np.uint8],
    plate: Plate | None,
    expression: NDArray[np.floating],
    track: FaceTrack,
) -> ReliefScene:
    """The same for a relief, which is moved by the fitted mesh; `expression` is (T, K)."""
    x0, y0, x1, y1 = prepared.crop
    window = np.s_[:, y0:y1, x0:x1]
    scene = scene_of(prepared, frames, plate, expression, track)
    other = hold(np.isin(labels, (Label.NECK, Label.TORSO)) for labels in prepared.parsing.labels[window])
    return ReliefScene(scene, frames[window], other, prepared.fit.load_model(), prepared.fit.identity)
