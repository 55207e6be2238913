"""S3FD as the SyncNet pipeline and as Wav2Lip run it: preprocessing, decoding, suppression, thresholds.

Sources: syncnet_python `detectors/s3fd/__init__.py`, `box_utils.py` (scale 0.25, confidence 0.9, two suppressions) and
Wav2Lip `face_detection/detection/sfd/` (whole frame, confidence 0.5, suppression with "+1" areas).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipbench.core.errors import UsageError, WeightsError
from lipbench.core.weights import torch_file
from lipbench.faces.boxes import nms
from lipbench.faces.detect.s3fd_net import VARIANTS, Map, S3FDNet, Variant
from lipbench.faces.track import Box

#: Subtracted from R, G, B.
MEANS = {"syncnet": (123.0, 117.0, 104.0), "wav2lip": (104.0, 117.0, 123.0)}
THRESHOLDS = {"syncnet": 0.9, "wav2lip": 0.5}
SCALES = {"syncnet": 0.25, "wav2lip": 1.0}
CANDIDATE = 0.05  # cells below this face score are not looked at
OVERLAP = 0.3
FINAL_OVERLAP = 0.1  # syncnet_python suppresses a second time
TOP_BEFORE, TOP_AFTER = 5000, 750  # candidates into, boxes out of syncnet_python's first suppression
PIXELS = 4_000_000  # per forward pass: a batch is cut so that the finest maps fit in memory


class S3FD(S3FDNet):
    """The detector.

    Args:
        variant: "syncnet" (weights `sfd_face`) or "wav2lip" (weights `s3fd`).

    Raises:
        UsageError: another variant.
    """

    def __init__(self, variant: Variant = "syncnet") -> None:
        if variant not in VARIANTS:
            raise UsageError(f"there is no S3FD variant {variant!r}", "", f"choose one of {', '.join(VARIANTS)}")
        super().__init__(variant)
        self.eval()

    @property
    def weights_name(self) -> str:
        """Name in the weights registry."""
        return "sfd_face" if self.variant == "syncnet" else "s3fd"

    def load(self, path: str | Path) -> S3FD:
        """Load a weight file; every tensor must be there, with its shape, and no other. Returns self.

        Raises:
            WeightsError: not a checkpoint, or not one of this variant.
        """
        fix = f"`lipbench weights get {self.weights_name}` fetches it"
        state = torch_file.tensors(torch_file.read(path, fix), path, fix)
        own = self.state_dict()
        missing, more = sorted(set(own) - set(state)), sorted(set(state) - set(own))
        shapes = [n for n in own if n in state and tuple(state[n].shape) != tuple(own[n].shape)]
        if missing or more or shapes:
            other = "wav2lip" if self.variant == "syncnet" else "syncnet"
            twin = not more or "conv1_1.weight" in state or "vgg.0.weight" in state
            raise WeightsError(
                f"{path} does not fit S3FD variant {self.variant!r}",
                f"{len(missing)} missing {missing[:2]}, {len(more)} unknown {more[:2]}, {len(shapes)} of another shape",
                f"is it the file of variant {other!r}?" if twin and missing else f"it takes {self.weights_name}",
            )
        self.load_state_dict(state)
        return self

    def detect(
        self, frames: NDArray[np.uint8], *, scale: float | None = None, threshold: float | None = None
    ) -> list[list[Box]]:
        """Faces in frames of one size.

        Args:
            frames: (B, H, W, 3) RGB.
            scale: the frames are shrunk by this first (None: 0.25 for syncnet, 1 for wav2lip).
            threshold: boxes with a higher score stay (None: 0.9 for syncnet, 0.5 for wav2lip).

        Returns:
            per frame, boxes in pixels of the unscaled frame, best first; they may reach outside of it.
        """
        frames = np.asarray(frames)
        if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
            raise UsageError(f"frames must be (B, H, W, 3) uint8, not {frames.shape} {frames.dtype}")
        scale = SCALES[self.variant] if scale is None else scale
        threshold = THRESHOLDS[self.variant] if threshold is None else threshold
        height, width = frames.shape[1:3]
        step = max(1, int(PIXELS / (height * width * scale * scale)))
        found: list[list[Box]] = []
        for start in range(0, len(frames), step):
            x = self._prepare(frames[start : start + step], scale)
            with torch.inference_mode():
                maps = [Map(torch.softmax(m.scores, 1).cpu(), m.offsets.cpu()) for m in self(x)]
            # Upstream works in parts of the shrunk frame and multiplies by the whole one's size.
            stretch = (width / x.shape[3], height / x.shape[2])
            found.extend(self._faces(maps, i, (x.shape[2], x.shape[3]), stretch, threshold) for i in range(len(x)))
        return found

    def _prepare(self, frames: NDArray[np.uint8], scale: float) -> Tensor:
        if scale != 1.0:
            import cv2

            frames = np.stack(
                [cv2.resize(f, (0, 0), fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR) for f in frames]
            )
        x = frames.astype(np.float32) - np.asarray(MEANS[self.variant], dtype=np.float32)
        device = next(self.parameters()).device
        return torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2))).to(device)

    def _faces(
        self, maps: list[Map], i: int, size: tuple[int, int], stretch: tuple[float, float], threshold: float
    ) -> list[Box]:
        boxes, scores = self.candidates(maps, i, size)
        if self.variant == "syncnet":
            keep = first_suppression(boxes, scores)
            boxes, scores = boxes[keep], scores[keep]
            boxes, scores = boxes[scores > threshold], scores[scores > threshold]
            keep = nms(boxes, scores, FINAL_OVERLAP)
        else:
            keep = nms(boxes, scores, OVERLAP, one=1.0)
            keep = keep[scores[keep] > threshold]
        boxes = boxes * np.asarray([*stretch, *stretch], dtype=boxes.dtype)
        return [_box(boxes[k], scores[k]) for k in keep]

    def candidates(
        self, maps: list[Map], i: int, size: tuple[int, int]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Decoded boxes and scores of frame `i` for all cells above `CANDIDATE`.

        Each cell of the map with stride s stands for a square of side 4 s around its center; offsets are relative to
        that, centers times 0.1, log sizes times 0.2.

        Returns:
            (N, 4) px of the network's input and (N,) scores.
        """
        boxes, scores = [], []
        for level, m in enumerate(maps):
            score = m.scores[i, 1].numpy()
            rows, columns = np.nonzero(score > CANDIDATE)
            stride, offsets = 2 ** (level + 2), m.offsets[i].numpy()[:, rows, columns].T  # (N, 4)
            # wav2lip's last three maps are wider than the frame (fc6 pads by 3); upstream counts from their corner too.
            centers = (np.stack([columns, rows], 1) + 0.5) * stride
            side = 4.0 * stride
            middle = centers + offsets[:, :2] * 0.1 * side
            extent = np.exp(offsets[:, 2:] * 0.2) * side
            boxes.append(np.concatenate([middle - extent / 2, middle + extent / 2], 1))
            scores.append(score[rows, columns])
        return np.concatenate(boxes).astype(np.float32), np.concatenate(scores).astype(np.float32)


def _box(values: NDArray[np.float32], score: np.float32) -> Box:
    x1, y1, x2, y2 = (float(v) for v in values)
    return Box(x1, y1, x2, y2, float(score))


def first_suppression(boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Indices that stay after syncnet_python's `Detect`: the best 5000, suppressed at 0.3, at most 750, best first."""
    order = np.argsort(-scores, kind="stable")[:TOP_BEFORE]
    return order[nms(boxes[order], scores[order], OVERLAP)][:TOP_AFTER]
