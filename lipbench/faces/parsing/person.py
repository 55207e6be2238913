"""Where the person is: MediaPipe's selfie segmentation when its weights are here, else colors around the head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.core import weights
from lipbench.faces.parsing.colors import Histogram, bins
from lipbench.faces.parsing.geometry import HeadFrame
from lipbench.faces.parsing.types import WEIGHTS

_FILE, _SIDE = "selfie_segmentation.tflite", 256


class Person(Protocol):
    """Gives the probability that a pixel shows the person."""

    def __call__(self, frame: NDArray[np.uint8], head: HeadFrame) -> NDArray[np.float32]:
        """(H, W, 3) uint8 RGB -> (H, W) in [0, 1]."""


class SelfieNet:
    """MediaPipe's selfie segmentation (general model, 256 x 256; Apache-2.0) in torch.

    Raises:
        WeightsMissing, WeightsMismatch: the registered weights cannot be used.
    """

    def __init__(self) -> None:
        from lipbench.faces.graph_net import GraphNet

        self.net = GraphNet.load(weights.path(WEIGHTS["projection"]) / _FILE)

    def __call__(self, frame: NDArray[np.uint8], head: HeadFrame) -> NDArray[np.float32]:
        import torch

        height, width = frame.shape[:2]
        small = cv2.resize(frame, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        mask = self.net(torch.from_numpy(small[None]))[0].numpy().reshape(_SIDE, _SIDE)
        return cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)


class ColorPerson:
    """Person against background by color alone, with a prior in the shape of a head on shoulders.

    Learns both color models from the clip: what is surely inside, what is surely outside. Much coarser than the
    network: where hair and backdrop have one color the prior decides, and long or big hair is cut at the prior's edge.
    """

    def __init__(self, frames: Sequence[NDArray[np.uint8]], heads: Sequence[HeadFrame]) -> None:
        inside, outside = Histogram(), Histogram()
        for frame, head in zip(frames, heads, strict=True):
            image, prior = bins(frame), bust(head, *frame.shape[:2])
            inside.add(image, (prior > 0.93).astype(np.float32))
            outside.add(image, (prior < 0.05).astype(np.float32))
        if outside.total == 0:  # the person fills the image
            outside.counts += 1
        self._odds = np.log(inside.density()) - np.log(outside.density())

    def __call__(self, frame: NDArray[np.uint8], head: HeadFrame) -> NDArray[np.float32]:
        prior = np.clip(bust(head, *frame.shape[:2]), 0.005, 0.995)
        odds = cv2.GaussianBlur(np.clip(self._odds[bins(frame)], -3, 3).astype(np.float32), (0, 0), 1.5)
        odds = odds + 2.0 * flooded(frame, prior) + np.log(prior / (1 - prior))
        return np.asarray(1 / (1 + np.exp(-np.clip(odds, -12, 12))), np.float32)


def flooded(frame: NDArray[np.uint8], prior: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W) 1 where a watershed from the surely inside meets the person, -1 where that from outside got first.

    Backdrops are smooth and hair has an outline: the flood from outside stops there whatever the colors are.
    """
    markers = np.zeros(prior.shape, np.int32)
    markers[prior > 0.93], markers[prior < 0.05] = 1, 2
    if not ((markers == 1).any() and (markers == 2).any()):
        return np.zeros(prior.shape, np.float32)
    cv2.watershed(np.ascontiguousarray(cv2.GaussianBlur(frame, (0, 0), 1.0)), markers)
    return cv2.blur((markers == 1).astype(np.float32) - (markers == 2), (3, 3))


def bust(head: HeadFrame, height: int, width: int) -> NDArray[np.float32]:
    """(H, W) prior probability of the person: an ellipse for head and hair, shoulders that widen below."""
    x, y = head.coordinates(height, width)
    # Signed distances in head units, positive inside; turned into probabilities with a soft edge.
    skull = 1 - np.sqrt((x / 0.84) ** 2 + (y / 1.14) ** 2)
    slope = np.clip((-1.15 - y) / 0.9, 0, 1)
    half = 0.42 + 1.5 * slope**0.7
    body = np.where(y < -0.6, half - np.abs(x), -1.0)
    return np.asarray(1 / (1 + np.exp(-np.maximum(skull, body) / 0.09)), np.float32)
