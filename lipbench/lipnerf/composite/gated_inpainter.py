"""The gap filled by a gated-convolution network whose weights the user has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from lipbench.core import weights
from lipbench.core.errors import WeightsError
from lipbench.core.weights import torch_file
from lipbench.lipnerf.composite.gated import GatedGenerator
from lipbench.lipnerf.composite.inpaint import Frame, Mask
from lipbench.lipnerf.composite.options import GATED_WEIGHTS

SIDE = 256  # the network was trained on 256 x 256 with holes up to half of that


class GatedInpainter:
    """DeepFill v2 on a square around the hole, at least twice as large as it, at 256 x 256.

    Args:
        file: a checkpoint, a state dict or {"G": state dict}; the registered one when None.
        device: where the network runs.

    Raises:
        WeightsMissing, WeightsMismatch: the registered weights cannot be used.
        WeightsError: the file does not hold this network.
    """

    name = "gated"

    def __init__(self, file: str | Path | None = None, device: str = "cpu") -> None:
        self.device = device
        self.net = load(weights.path(GATED_WEIGHTS) if file is None else file).to(device)

    def fill(self, s: int, image: Frame, hole: Mask, trusted: Mask) -> Frame:
        """See `Inpainter.fill`; the network looks at the whole image, new head included."""
        if not hole.any():
            return image
        box = square(hole)
        crop, mask = cut(image, box), cut(hole.astype(np.uint8), box)
        size = crop.shape[0]
        small = cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_AREA if size > SIDE else cv2.INTER_CUBIC)
        small_mask = (cv2.resize(mask.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR) > 0).astype(
            np.float32
        )
        made = cv2.resize(
            self.generate(np.asarray(small, np.uint8), small_mask), (size, size), interpolation=cv2.INTER_CUBIC
        )
        out = image.copy()
        x, y = box[0], box[1]
        height, width = hole.shape
        rows, columns = slice(max(y, 0), min(y + size, height)), slice(max(x, 0), min(x + size, width))
        part = made[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]
        inside = hole[rows, columns][..., None]
        out[rows, columns] = np.where(inside, np.clip(part + 0.5, 0, 255).astype(np.uint8), image[rows, columns])
        return out

    @torch.inference_mode()
    def generate(self, image: Frame, mask: NDArray[np.float32]) -> NDArray[np.float32]:
        """(h, w, 3) uint8 and its hole (h, w) of 0 and 1, sizes multiples of 8 -> (h, w, 3) float32 in 0..255."""
        m = torch.from_numpy(mask)[None, None].to(self.device)
        x = torch.from_numpy(image).to(self.device).permute(2, 0, 1)[None].float() / 127.5 - 1
        y = self.net(torch.cat([x * (1 - m), torch.ones_like(m), m], 1), m)
        found: NDArray[np.float32] = ((y[0].permute(1, 2, 0) + 1) * 127.5).cpu().numpy()
        return found


def square(hole: Mask) -> tuple[int, int, int]:
    """x, y, side px of the square that the network looks at: centered on the hole, at least twice as large."""
    rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    extent = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    side = int(max(2 * extent, min(SIDE, *hole.shape)))
    x, y = (int(v[0] + v[-1] + 1 - side) // 2 for v in (columns, rows))
    return x, y, side


def cut(image: NDArray[np.uint8], box: tuple[int, int, int]) -> NDArray[np.uint8]:
    """The square's part of an image (H, W) or (H, W, 3); beyond its edges the edge pixels go on."""
    x, y, side = box
    height, width = image.shape[:2]
    rows = np.clip(np.arange(y, y + side), 0, height - 1)
    columns = np.clip(np.arange(x, x + side), 0, width - 1)
    return image[rows[:, None], columns]


def load(file: str | Path) -> GatedGenerator:
    """The generator with a checkpoint's weights, in eval mode; its width is read off the file.

    Raises:
        WeightsError: not readable, or of another network.
    """
    fix = "give DeepFill v2's weights as a torch file with the layout of its TensorFlow model"
    held = torch_file.read(file, fix)
    state = torch_file.tensors(held.get("G", held) if isinstance(held, Mapping) else held, file, fix)
    try:
        net = GatedGenerator(cnum=2 * (state["conv1.conv.weight"].shape[0] // 2))
        net.load_state_dict(state)
    except (KeyError, RuntimeError) as error:  # torch names what is missing and what is more
        raise WeightsError(
            f"{file} does not hold a gated-convolution inpainter",
            f"{type(error).__name__}: {str(error).strip()}".replace("\n", " ")[:300],
            fix,
        ) from error
    return net.eval()
