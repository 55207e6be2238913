"""What a radiance field is trained on: posed frames of a head over a clean plate.

Lengths are meters (AD-NeRF's unit; the fit's decimeters / 10), matrices map camera to head space, the camera looks down
-z with x right and y up. The head stands still in its own space; every frame has its own camera.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipbench.core import npz
from lipbench.core.errors import TooShort, UsageError
from lipbench.media.held import hold, taken

Float32 = NDArray[np.float32]

SCHEMA = 2
NO_EYES: NDArray[np.int64] = np.zeros((0, 0, 4), np.int64)
NO_LIDS: Float32 = np.zeros(0, np.float32)
MIN_FRAMES = 5


@dataclass(frozen=True)
class Scene:
    """T frames of one head, of one shot or of several.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB, the head over the plate: torso and neck are replaced by the plate.
        head: (T, H, W) bool, pixels of the head (skin, features, ears, hair).
        plates: (S, H, W, 3) uint8 RGB, one clean plate per shot; none where it is only rendered.
        shot: (T,) int, which plate lies behind each frame.
        c2w: (T, 3, 4) float32, camera to head space: [R^T | -R^T t] of the fit's pose, meters.
        focal: px.
        center: (cx, cy) px; pixel (row i, column j) is seen along ((j - cx) / f, -(i - cy) / f, -1) (AD-NeRF's pixel
            corners).
        near_far: (T, 2) float32 depth along the axis, meters.
        condition: (T, C) float32: expression coefficients, or any other code of a frame.
        mouth: (T, 4) int, x0, y0, x1, y1 px (exclusive) of the box from which extra rays are drawn.
        bounds: (2, 3) float32, corners of a box in head space that holds the head, meters.
        eyes: (T, E, 4) int, boxes like the mouth's round E eyes; none when it is left out.
        lids: (T,) float32, how far the eyes are open, in any unit; all the same where nothing is known about it.
    """

    frames: NDArray[np.uint8]
    head: NDArray[np.bool_]
    plates: NDArray[np.uint8]
    shot: NDArray[np.int64]
    c2w: Float32
    focal: float
    center: tuple[float, float]
    near_far: Float32
    condition: Float32
    mouth: NDArray[np.int64]
    bounds: Float32
    eyes: NDArray[np.int64] = field(default_factory=lambda: NO_EYES)
    lids: Float32 = field(default_factory=lambda: NO_LIDS)

    def __len__(self) -> int:
        return len(self.frames)

    def __post_init__(self) -> None:
        t, h, w = len(self.frames), *self.frames.shape[1:3]
        for name, unknown in (("eyes", np.zeros((t, 0, 4), np.int64)), ("lids", np.zeros(t, np.float32))):
            if not getattr(self, name).size:
                object.__setattr__(self, name, unknown)
        expected = {
            "frames": (t, h, w, 3),
            "head": (t, h, w),
            "plates": (len(self.plates), h, w, 3),
            "shot": (t,),
            "c2w": (t, 3, 4),
            "near_far": (t, 2),
            "condition": (t, *self.condition.shape[1:2]),
            "mouth": (t, 4),
            "bounds": (2, 3),
            "eyes": (t, self.eyes.shape[1], 4),
            "lids": (t,),
        }
        for name, shape in expected.items():
            found = getattr(self, name).shape
            if found != shape:
                raise UsageError(
                    f"a scene's {name} has the shape {found}",
                    f"with these frames it has to be {shape}",
                    "one row per frame, all images of one size",
                )

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.frames.shape[1], self.frames.shape[2]

    def take(self, index: ArrayLike) -> Scene:
        """The frames `index` (ints, a slice's range or bools) in that order; plates and bounds stay.

        Raises:
            TooShort: fewer than 5 frames are left.
        """
        rows = np.arange(len(self))[np.asarray(index)]
        require_views(len(rows))
        small = ("shot", "c2w", "near_far", "condition", "mouth", "eyes", "lids")
        images: dict[str, Any] = {name: taken(getattr(self, name), rows) for name in ("frames", "head")}
        return replace(self, **images, **{name: getattr(self, name)[rows] for name in small})

    def with_condition(self, condition: ArrayLike) -> Scene:
        """The same frames under other (T, C) codes."""
        return replace(self, condition=np.asarray(condition, np.float32))

    def resized(self, factor: float) -> Scene:
        """The same scene at `factor` <= 1 times the resolution, by area averaging."""
        import cv2

        if factor >= 1.0:
            return self
        h, w = self.size
        size = (max(8, round(w * factor)), max(8, round(h * factor)))
        sx, sy = size[0] / w, size[1] / h

        def shrunk(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
            return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)

        def shrink(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
            if not len(images):
                return np.zeros((0, size[1], size[0], 3), np.uint8)
            return hold(shrunk(image) for image in images)

        if abs(sx - sy) > 0.02 * sx:
            raise UsageError(f"cannot shrink {w}x{h} by {factor:g}", "its pixels would not stay square", "shrink less")
        head = hold(shrunk(mask.astype(np.uint8) * 255) >= 128 for mask in self.head)
        scale = np.array([sx, sy, sx, sy])

        def scaled(box: NDArray[np.int64]) -> NDArray[np.int64]:
            return (np.floor(box * scale) + np.array([0, 0, 1, 1])).astype(np.int64)

        # The old corner lattice stands at j = 0 .. w; the color of a new pixel is the mean about its middle.
        offset = 0.5 * (1 - np.array([sx, sy]))
        center = (float(self.center[0] * sx - offset[0]), float(self.center[1] * sy - offset[1]))
        return replace(
            self,
            frames=shrink(self.frames),
            head=head,
            plates=shrink(self.plates),
            focal=self.focal * sx,
            center=center,
            mouth=scaled(self.mouth),
            eyes=scaled(self.eyes),
        )

    def save(self, path: str | Path) -> Path:
        """Write as npz; returns the path."""
        np.savez_compressed(path, schema=SCHEMA, **{f.name: getattr(self, f.name) for f in fields(self)})
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Scene:
        """Read what `save` wrote.

        Raises:
            MediaError: not such a file.
        """
        names = [f.name for f in fields(cls)]
        found = npz.load(path, SCHEMA, "the scene", "make it again from the fit", names)
        values: dict[str, Any] = {name: found[name] for name in names}
        values["focal"] = float(values["focal"])
        values["center"] = (float(values["center"][0]), float(values["center"][1]))
        return cls(**values)


def require_views(count: int) -> None:
    """Raises:
    TooShort: fewer frames than a field can learn a head from.
    """
    if count < MIN_FRAMES:
        raise TooShort(
            f"a scene of {count} frames is too short",
            f"a field needs at least {MIN_FRAMES} views of the head",
            "use a longer clip, about 3 s or more",
        )


def pool(scenes: Sequence[Scene]) -> Scene:
    """Several shots of one person as one scene; every shot keeps its plates.

    Raises:
        UsageError: no scene; sizes, cameras or condition lengths that differ.
    """
    if not scenes:
        raise UsageError("no scene to pool", "the list is empty", "give at least one shot")
    first = scenes[0]
    for k, other in enumerate(scenes):
        ours = (first.size, round(first.focal, 3), first.center, first.condition.shape[1])
        theirs = (other.size, round(other.focal, 3), other.center, other.condition.shape[1])
        if ours != theirs:
            raise UsageError(
                f"cannot pool shot {k} with shot 0",
                f"size, focal length, center, code length: {theirs}, not {ours}",
                "fit all shots of a video together, with one camera",
            )
    if len(scenes) == 1:
        return first
    offsets = np.cumsum([0, *(len(s.plates) for s in scenes[:-1])])

    def joined(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(s, name) for s in scenes])

    def held(name: str) -> NDArray[Any]:
        return hold(chain.from_iterable(getattr(s, name) for s in scenes))

    return Scene(
        frames=held("frames"),
        head=held("head"),
        plates=held("plates") if any(len(s.plates) for s in scenes) else first.plates,
        shot=np.concatenate([s.shot + o for s, o in zip(scenes, offsets, strict=True)]),
        c2w=joined("c2w"),
        focal=first.focal,
        center=first.center,
        near_far=joined("near_far"),
        condition=joined("condition"),
        mouth=joined("mouth"),
        eyes=joined("eyes"),
        lids=joined("lids"),
        bounds=np.stack([np.min([s.bounds[0] for s in scenes], 0), np.max([s.bounds[1] for s in scenes], 0)]),
    )  # type: ignore[arg-type]
