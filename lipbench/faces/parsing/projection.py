"""The default parser: where the head is known to be, what a segmentation of the person says, and colors.

The known head (landmarks, or the fitted model's silhouette) says which skin lies above the jaw line; the person's
segmentation says where the background begins; color models of hair, skin and clothing, learnt from the clip itself,
tell hair that falls over the shoulders from the shoulders, and the neck from both. Nothing here needs licensed weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.core import weights
from lipbench.core.errors import UsageError
from lipbench.faces.parsing.colors import Histogram, bins
from lipbench.faces.parsing.geometry import HeadFrame, head_frames
from lipbench.faces.parsing.person import ColorPerson, Person, SelfieNet
from lipbench.faces.parsing.refine import connected, guided
from lipbench.faces.parsing.steady import steady
from lipbench.faces.parsing.types import WEIGHTS, HeadGuide, Label, Parsing
from lipbench.media.held import room

Map = NDArray[np.float32]

HAIR, SKIN, CLOTH = range(3)
#: The head's unit (eyes to chin) in px at which labels are decided; larger images are shrunk to it.
UNIT = 125.0
#: Frames from which a clip's colors are learnt, and rounds of learning.
SAMPLES, ROUNDS = 16, 3


class ProjectionParser:
    """Labels from a guide, a person segmentation and colors.

    Args:
        person: "auto" (the selfie network when its weights are here), "selfie" or "color".
        smoothing: temporal window in frames; 1 switches it off.
    """

    name = "projection"

    def __init__(self, *, person: str = "auto", smoothing: int = 3) -> None:
        if person not in ("auto", "selfie", "color"):
            raise UsageError(f"no person evidence is called {person!r}", "", "choose auto, selfie or color")
        self.person, self.smoothing = person, smoothing

    def parse(self, frames: NDArray[np.uint8], guide: HeadGuide | None = None) -> Parsing:
        """Labels of frames (T, H, W, 3) uint8 RGB.

        Raises:
            UsageError: no guide, or one of another length.
            NoFace: the guide has no frame with a face.
            WeightsMissing: `person="selfie"` and its weights are not here.
        """
        if guide is None:
            raise UsageError(
                "the parser projection has to know where the head is",
                "it was given no guide",
                "give a HeadGuide: landmarks (`HeadGuide.from_track`) or a fitted silhouette",
            )
        heads = head_frames(guide)
        if len(heads) != len(frames):
            raise UsageError(
                f"the guide has {len(heads)} frames, the clip {len(frames)}", "", "track the clip that is parsed"
            )
        clip = _Clip(frames, heads, guide.silhouette)
        person, notes = self._evidence(clip)
        models = _Colors(clip, person)
        labels = room(frames.shape[:3], np.uint8)
        votes = (self._votes(clip, t, person, models) for t in range(len(frames)))
        for t, chosen in enumerate(steady(votes, self.smoothing)):
            labels[t] = connected(chosen, clip.heads[t])
        if guide.landmarks is not None and (lost := int((~np.isfinite(guide.landmarks).all((1, 2))).sum())):
            notes += (f"{lost} of {len(frames)} frames without landmarks; the head was interpolated there",)
        return Parsing(labels, f"projection+{'selfie' if isinstance(person, SelfieNet) else 'color'}", notes)

    def _evidence(self, clip: _Clip) -> tuple[Person, tuple[str, ...]]:
        if self.person == "selfie" or (self.person == "auto" and weights.available(WEIGHTS["projection"])):
            return SelfieNet(), ()
        sample = clip.sample()
        color = ColorPerson([clip.small(t)[0] for t in sample], [clip.small(t)[1] for t in sample])
        if self.person == "color":
            return color, ()
        return color, (
            "person segmentation by color only: coarse outlines; `lipbench weights get mediapipe-selfie` gives better",
        )

    def _votes(self, clip: _Clip, t: int, person: Person, models: _Colors) -> Map:
        frame, head = clip.small(t)
        probability = soft_labels(clip, t, guided(frame, person(frame, head)), models)
        height, width = clip.frames.shape[1:3]
        if frame.shape[:2] != (height, width):
            probability = np.asarray(cv2.resize(probability, (width, height)), np.float32)
        return probability


class _Clip:
    """Frames with their heads, at the size at which labels are decided."""

    def __init__(self, frames: NDArray[np.uint8], heads: list[HeadFrame], silhouette: NDArray[np.bool_] | None) -> None:
        self.frames, self.heads, self.silhouette = frames, heads, silhouette
        unit = float(np.median([head.unit for head in heads]))
        self.factor = min(1.0, UNIT / unit)

    def sample(self) -> list[int]:
        return sorted({int(t) for t in np.linspace(0, len(self.frames) - 1, SAMPLES)})

    def small(self, t: int) -> tuple[NDArray[np.uint8], HeadFrame]:
        if self.factor == 1.0:
            return self.frames[t], self.heads[t]
        height, width = self.frames.shape[1:3]
        size = (round(width * self.factor), round(height * self.factor))
        return cv2.resize(self.frames[t], size, interpolation=cv2.INTER_AREA), self.heads[t].scaled(self.factor)

    def known_head(self, t: int, height: int, width: int) -> Map:
        """(H, W) 1 where the pixel is head whatever its color: face, and the fitted head a little inside its edge."""
        known = self.small(t)[1].face(height, width)
        if self.silhouette is not None:
            mask = cv2.resize(self.silhouette[t].astype(np.uint8), (width, height), interpolation=cv2.INTER_AREA)
            known = np.maximum(known, cv2.erode(mask, np.ones((3, 3), np.uint8)).astype(np.float32))
        return known


class _Colors:
    """Densities of the colors of hair, skin, clothing and background in one clip.

    Start from places that surely show each part; then a few rounds in which every pixel of the sampled frames counts
    for a part as much as it is believed to show it.
    """

    def __init__(self, clip: _Clip, person: Person) -> None:
        samples = []
        for t in clip.sample():
            frame, head = clip.small(t)
            known = clip.known_head(t, *frame.shape[:2])
            samples.append((bins(frame), person(frame, head), head, known))
        skin = self._seeds(samples, SKIN)
        self.density = np.stack([self._seeds(samples, HAIR), skin, self._seeds(samples, CLOTH)], -1)
        for _ in range(ROUNDS):
            found = [Histogram() for _ in range(3)]
            for image, p, head, known in samples:
                # The whole face is skin or feature, wherever else its colors occur.
                belief = self.belief(image, head) * ((p > 0.8) * (1 - known))[..., None]
                for part in range(3):
                    found[part].add(image, belief[..., part])
            self.density = np.stack([h.density() for h in found], -1)
            self.density[:, SKIN] = 0.5 * (self.density[:, SKIN] + skin)
        inside, outside = Histogram(), Histogram()
        for image, p, head, _ in samples:
            x, y = head.coordinates(*image.shape)
            inside.add(image, p * (p > 0.9))
            # Where shoulders may be the network is less sure of itself than it says.
            outside.add(image, (1 - p) * (p < 0.1) * ((y > -0.9) | (np.abs(x) > 1.8)))
        self._odds = np.log(inside.density()) - np.log(outside.density())
        if outside.total == 0:
            self._odds[:] = 0

    @staticmethod
    def _seeds(samples: list[tuple[NDArray[np.int32], Map, HeadFrame, Map]], part: int) -> Map:
        histogram = Histogram()
        for image, p, head, _ in samples:
            x, y = head.coordinates(*image.shape)
            side = np.abs(x)
            if part == SKIN:
                zone = (side < 0.5) & (y > -0.85) & (y < 0.3)
            elif part == HAIR:
                zone = (p > 0.9) & (((y > 0.8) & (y < 1.6) & (side < 0.9)) | ((y > 0.3) & (y < 0.9) & (side > 0.78)))
            else:
                zone = (p > 0.9) & (((y < -1.8) & (side > 0.9)) | (y < -2.3))
            histogram.add(image, zone.astype(np.float32))
        return histogram.density()

    def belief(self, image: NDArray[np.int32], head: HeadFrame) -> Map:
        """(H, W) bins -> (H, W, 3) probability of hair, skin, clothing, were the pixel the person's."""
        score = cv2.blur(self.density[image] * prior(head, *image.shape), (3, 3))
        return score / (score[..., HAIR] + score[..., SKIN] + score[..., CLOTH])[..., None]

    def person(self, image: NDArray[np.int32], mask: Map, head: HeadFrame) -> Map:
        """The person's mask (H, W), corrected where it is unsure by colors and by how shoulders usually lie."""
        odds = cv2.GaussianBlur(np.clip(self._odds[image], -3, 3).astype(np.float32), (0, 0), 1.2)
        shape = _coarse(shoulders, head, *image.shape)[..., 0]
        p = np.clip(mask, 0.004, 0.996)
        return 1 / (1 + np.exp(-(np.log(p / (1 - p)) + 0.6 * odds + shape)))


def _coarse(function: Callable[[Map, Map], Map], head: HeadFrame, height: int, width: int) -> Map:
    """A smooth function of head coordinates, computed on every fourth pixel and stretched: (H, W, n)."""
    step = 4
    rows, columns = -(-height // step), -(-width // step)
    x, y = head.scaled(1 / step).coordinates(rows, columns)
    big = np.asarray(cv2.resize(function(x, y), (columns * step, rows * step)), np.float32)
    return big.reshape(rows * step, columns * step, -1)[:height, :width]


def prior(head: HeadFrame, height: int, width: int) -> Map:
    """(H, W, 3) how often hair, skin and clothing are found at a place (set by hand, in head coordinates)."""
    return _coarse(_prior, head, height, width)


def _sigmoid(x: NDArray[Any]) -> Map:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))), np.float32)


def _prior(x: Map, y: Map) -> Map:
    side = np.abs(x)
    # Shoulders rise towards the sides; hair hangs beside the neck, not in front of it; a neckline widens downwards.
    cloth = 0.8 * _sigmoid(-(y + 1.65 - 0.42 * np.minimum(side, 1)) / 0.16) + 0.002
    below = _sigmoid(-(y + 0.75) / 0.12)
    beside = 0.04 + 0.5 * _sigmoid((side - 0.42) / 0.06)
    hair = (1 - below) * 0.6 + below * beside * _sigmoid((y + 2.0) / 0.35) + 0.002
    half = 0.56 + 0.3 * np.clip(-1.2 - y, 0, 1)
    neck = 0.6 * _sigmoid((half - side) / 0.06) * _sigmoid((y + 2.2) / 0.25)
    skin = (1 - below) * 0.4 + below * neck + 0.004
    return np.stack([hair, skin, cloth], -1).astype(np.float32)


def shoulders(x: Map, y: Map) -> Map:
    """Log odds that a pixel below the head shows the body: shoulders widen downwards."""
    half = 0.5 + 1.5 * np.clip((-1.0 - y) / 0.6, 0, 1) ** 0.6
    return (2.0 * np.maximum(np.tanh((half - np.abs(x)) / 0.2), -0.2) * _sigmoid(-(y + 1.05) / 0.05)).astype(np.float32)


def soft_labels(clip: _Clip, t: int, mask: Map, models: _Colors) -> Map:
    """(H, W, 4) probability of every label at the reduced size; `mask` (H, W) is the person's."""
    frame, head = clip.small(t)
    height, width = frame.shape[:2]
    image = bins(frame)
    belief = models.belief(image, head)
    above, known = head.above_jaw(height, width), clip.known_head(t, height, width)
    person = np.maximum(models.person(image, mask, head), known)
    # Clothing colors high above the shoulders are hair accessories, hats or glasses.
    high = _coarse(lambda x, y: _sigmoid((y + 0.55) / 0.05), head, height, width)[..., 0]
    skin, cloth = belief[..., SKIN], belief[..., CLOTH]
    on_head = np.clip(np.maximum(belief[..., HAIR] + skin * above + cloth * high, known), 0, 1)
    neck, torso = skin * (1 - above), cloth * (1 - high)
    rest = person * (1 - on_head) / np.maximum(neck + torso, 1e-6)
    out = np.empty((height, width, len(Label)), np.float32)
    out[..., Label.BACKGROUND] = 1 - person
    out[..., Label.HEAD] = person * on_head
    out[..., Label.NECK] = neck * rest
    out[..., Label.TORSO] = torso * rest
    return out
