"""BlazeFace (Bazarevsky et al., 2019), MediaPipe's face detector, in its short-range and full-range builds.

Every cell of a coarse grid regresses a box and six points (right eye, left eye, nose, mouth, right ear, left ear, as
the person has them) relative to its own center, in pixels of the network's input. Overlapping answers are averaged.
Constants: mediapipe/modules/face_detection/face_detection_{short,full}_range.pbtxt (Apache-2.0).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from lipbench.core.errors import UsageError
from lipbench.faces.boxes import nms, weighted_nms
from lipbench.faces.graph_program import GraphProgram
from lipbench.faces.track import Box

OVERLAP = 0.3
CLIP = 100.0  # logits are clamped to +-100 before the sigmoid
KEYPOINTS = 6


@dataclass(frozen=True)
class Build:
    """One build: its file, input side, strides of the answer grids (one entry per anchor pair) and threshold."""

    file: str
    side: int
    strides: tuple[int, ...]
    per_layer: int
    threshold: float


BUILDS = {
    "short": Build("face_detection_short_range.tflite", 128, (8, 16, 16, 16), 2, 0.5),
    "full": Build("face_detection_full_range_sparse.tflite", 192, (4,), 1, 0.6),
}


def anchors(build: Build) -> NDArray[np.float32]:
    """(N, 2) x y centers of the cells in input pixels, in the order of the network's answers.

    Layers of one stride share their cells: 16, 16, 16 with two anchors each are six answers per cell.
    """
    found, strides = [], list(build.strides)
    while strides:
        stride = strides[0]
        count = build.per_layer * strides.count(stride)
        strides = [s for s in strides if s != stride]
        along = (np.arange(build.side // stride, dtype=np.float32) + 0.5) * stride
        x, y = np.meshgrid(along, along)
        found.append(np.repeat(np.stack([x.ravel(), y.ravel()], 1), count, axis=0))
    return np.concatenate(found)


class BlazeFace:
    """The detector. One thread at a time.

    Args:
        folder: holds the .tflite files (`weights.path("mediapipe-face")`).
        reach: "short" for faces that fill a good part of the image (a selfie, a talking head), "full" for small ones.
    """

    def __init__(self, folder: str | Path, reach: Literal["short", "full"] = "short") -> None:
        self.build = BUILDS[reach]
        self.net = GraphProgram.load(Path(folder) / self.build.file)
        self.anchors = anchors(self.build)

    def detect(self, frames: NDArray[np.uint8], *, threshold: float | None = None) -> list[list[Box]]:
        """Faces in frames of one size.

        Args:
            frames: (B, H, W, 3) RGB.
            threshold: boxes with a higher score stay (None: 0.5 for short, 0.6 for full).

        Returns:
            per frame, boxes in pixels with (6, 2) keypoints, best first; they may reach outside of the frame.
        """
        frames = np.asarray(frames)
        if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
            raise UsageError(f"frames must be (B, H, W, 3) uint8, not {frames.shape} {frames.dtype}")
        threshold = self.build.threshold if threshold is None else threshold
        height, width = frames.shape[1:3]
        x = np.stack([letterbox(frame, self.build.side) for frame in frames])
        values, logits = self.net(x)
        scores = expit(np.clip(logits, -CLIP, CLIP))[..., 0]  # (B, N)
        boxes = self.decode(values)
        stretch = max(height, width) / self.build.side
        middle = np.asarray([width / 2, height / 2], np.float32)
        return [self._faces(b, s, threshold, stretch, middle) for b, s in zip(boxes, scores, strict=True)]

    def decode(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """The net's (B, N, 16) -> (B, N, 16): x1 y1 x2 y2 and six points, in input pixels."""
        out = values + np.tile(self.anchors, (1, 8))
        extent = values[..., 2:4]
        center = out[..., 0:2].copy()
        out[..., 0:2], out[..., 2:4] = center - extent / 2, center + extent / 2
        return out

    def _faces(
        self,
        boxes: NDArray[np.float32],
        scores: NDArray[np.float32],
        threshold: float,
        stretch: float,
        middle: NDArray[np.float32],
    ) -> list[Box]:
        likely = scores > threshold
        means, best = weighted_nms(boxes[likely], scores[likely], OVERLAP)
        points = (means.reshape(-1, 8, 2) - self.build.side / 2) * stretch + middle  # (K, 2 corners + 6, 2) px
        found = []
        for p, score in zip(points.astype(np.float32), best, strict=True):
            x1, y1, x2, y2 = (float(v) for v in p[:2].ravel())
            found.append(Box(x1, y1, x2, y2, float(score), p[2:]))
        return found


class BlazeFacePair:
    """Both builds together: the better answer about each face.

    Neither alone is enough. Measured on crops and pads of real clips: the short-range build finds faces that fill the
    image (100 % at face width = image width, where the full-range one finds 5 to 30 %), the full-range one finds
    faces down to 1/15 of the image (100 %, where the short-range one finds none).

    Args:
        folder: holds the .tflite files (`weights.path("mediapipe-face")`).
    """

    def __init__(self, folder: str | Path) -> None:
        self.builds = (BlazeFace(folder, "short"), BlazeFace(folder, "full"))

    def detect(self, frames: NDArray[np.uint8], *, threshold: float | None = None) -> list[list[Box]]:
        """As `BlazeFace.detect`; boxes of the two builds that overlap by more than 0.3 are one face."""
        found = []
        for answers in zip(*(build.detect(frames, threshold=threshold) for build in self.builds), strict=True):
            faces = [face for answer in answers for face in answer]
            corners = np.asarray([(f.x1, f.y1, f.x2, f.y2) for f in faces]).reshape(-1, 4)
            keep = nms(corners, np.asarray([f.score for f in faces]), OVERLAP)
            found.append([faces[k] for k in keep])
        return found


def letterbox(frame: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """(H, W, 3) uint8 -> (side, side, 3) float32 in [-1, 1]: scaled to fit, centered, black outside."""
    import cv2

    height, width = frame.shape[:2]
    scale = side / max(height, width)
    # Pixel centers are at half integers on both sides: dst + 0.5 = (src + 0.5 - middle) * scale + side / 2.
    shift = [side / 2 - 0.5 - scale * (width / 2 - 0.5), side / 2 - 0.5 - scale * (height / 2 - 0.5)]
    matrix = np.asarray([[scale, 0, shift[0]], [0, scale, shift[1]]])
    out = cv2.warpAffine(frame, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return out.astype(np.float32) / 127.5 - 1.0
