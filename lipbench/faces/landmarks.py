"""478 landmarks in a face crop: MediaPipe's attention mesh (Grishchenko et al., "Attention Mesh", 2020).

The net sees a rotated square around the face. It answers with 468 mesh points and, from a second look at lips and
eyes, with better ones for those regions and five points per iris. Constants and the way the answers are joined:
mediapipe/modules/face_landmark/*.pbtxt (Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from lipbench.faces.graph_program import GraphProgram
from lipbench.faces.track import Box

FILE = "face_landmark_with_attention.tflite"
SIDE = 192
MARGIN = 1.5  # the square's side, in sides of what it encloses
POINTS = 478
# Where the outputs go, by their names in the file. Which points the lip and eye outputs hold is written in the graph
# itself (the options of Landmarks2TransformMatrix) and equals tensors_to_face_landmarks_with_attention.pbtxt.
_OUTPUTS = (
    "output_mesh_identity",
    "output_lips",
    "output_left_eye",
    "output_right_eye",
    "output_left_iris",
    "output_right_iris",
    "conv_faceflag",
)
LEFT_IRIS, RIGHT_IRIS = slice(468, 473), slice(473, 478)  # center, right, top, left, bottom; "left" = left in the image
# An iris lies at the mean depth of its eye's contour: the first 16 points of the eye outputs.
_CONTOUR = 16
_EYE_CORNERS = (33, 263)  # outer ones: image left, image right


@dataclass(frozen=True)
class Roi:
    """A rotated square in the frame: center px, side px, angle in radians (positive: image right side down)."""

    x: float
    y: float
    side: float
    angle: float

    def to_frame(self) -> NDArray[np.float64]:
        """(2, 3) affine map from crop coordinates, 0 to `SIDE`, to frame coordinates; both count edges, not centers."""
        k, c, s = self.side / SIDE, np.cos(self.angle), np.sin(self.angle)
        linear = np.asarray([[c, -s], [s, c]]) * k
        return np.concatenate([linear, (np.asarray([self.x, self.y]) - linear @ [SIDE / 2, SIDE / 2])[:, None]], 1)


def roi_from_box(box: Box) -> Roi:
    """The square for a BlazeFace detection: level with its eyes."""
    if box.keypoints is None:
        angle = 0.0
    else:
        across = box.keypoints[1] - box.keypoints[0]
        angle = float(np.arctan2(across[1], across[0]))
    side = MARGIN * max(box.x2 - box.x1, box.y2 - box.y1)
    return Roi((box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2, side, angle)


def roi_from_points(points: NDArray[np.floating]) -> Roi:
    """The square for the next frame from (478, >=2) landmarks of this one: around all of them, level with the eyes."""
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    across = points[_EYE_CORNERS[1], :2] - points[_EYE_CORNERS[0], :2]
    center = (low + high) / 2
    angle = float(np.arctan2(across[1], across[0]))
    return Roi(float(center[0]), float(center[1]), MARGIN * float((high - low).max()), angle)


class FaceMesh:
    """The landmark net. One thread at a time: its activations are its own.

    Args:
        folder: holds the .tflite file (`weights.path("mediapipe-face")`).
    """

    n_points = POINTS

    def __init__(self, folder: str | Path) -> None:
        self.net = GraphProgram.load(Path(folder) / FILE)
        order = [self.net.graph.names[number] for number in self.net.graph.outputs]
        self._order = [order.index(name) for name in _OUTPUTS]
        # lips, left eye, right eye: in this order in the file, as the names of its outputs are
        self.regions = [
            np.asarray(op.options["subset_idxs"])
            for op in self.net.graph.ops
            if op.kind.startswith("CUSTOM:Landmarks2TransformMatrix")
        ]

    def __call__(
        self, frames: Sequence[NDArray[np.uint8]], rois: Sequence[Roi]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Landmarks of one face per (frame, roi) pair.

        Args:
            frames: (H, W, 3) uint8 RGB each.
            rois: where to look.

        Returns:
            (N, 478, 3) px in the frame, z in px with 0 at the head's center and smaller nearer to the camera, and
            (N,) the net's belief in [0, 1] that there is a face.
        """
        x = np.stack([crop(frame, roi) for frame, roi in zip(frames, rois, strict=True)])
        answers = self.net(x)
        mesh, lips, left, right, left_iris, right_iris, flag = (answers[k].reshape(len(x), -1) for k in self._order)
        points = np.zeros((len(x), POINTS, 3), np.float32)
        points[:, :468] = mesh.reshape(-1, 468, 3)
        for region, better in zip(self.regions, (lips, left, right), strict=True):
            points[:, region, :2] = better.reshape(len(x), -1, 2)
        for iris, eye, found in ((LEFT_IRIS, self.regions[1], left_iris), (RIGHT_IRIS, self.regions[2], right_iris)):
            points[:, iris, :2] = found.reshape(len(x), -1, 2)
            points[:, iris, 2] = points[:, eye[:_CONTOUR], 2].mean(1, keepdims=True)
        for one, roi in zip(points, rois, strict=True):
            to_frame = roi.to_frame()
            one[:, :2] = one[:, :2] @ to_frame[:, :2].T + to_frame[:, 2]
            one[:, 2] *= roi.side / SIDE
        return points, expit(flag[:, 0])


def crop(frame: NDArray[np.uint8], roi: Roi) -> NDArray[np.float32]:
    """(SIDE, SIDE, 3) float32 in [0, 1]: the frame as the square sees it, edge pixels repeated outside."""
    import cv2

    to_frame = roi.to_frame()
    # cv2 counts pixel centers: index i stands for the edge coordinate i + 0.5.
    to_frame[:, 2] += to_frame[:, :2] @ [0.5, 0.5] - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    out = cv2.warpAffine(frame, to_frame, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return out.astype(np.float32) / 255.0
