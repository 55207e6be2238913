"""Drawing the dubbed face: who from one frame, pose from every frame, mouth from the audio. Frames are streamed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipbench.baselines.pcavs.alignment import SIZE, Frame, Paste, cut, put_back
from lipbench.baselines.pcavs.layout import Networks


class PcAvsInference:
    """The four networks, ready for inference on their device, and the person they draw.

    Args:
        networks: published or our own; they see and draw images of their own size, what goes in and out here is 224.
        reference: (224, 224, 3) RGB crop of the person.
    """

    def __init__(self, networks: Networks, reference: Frame, device: str = "cpu") -> None:
        self.device = torch.device(device)
        self.networks = networks.to(self.device)
        self.batch = 4 if self.device.type == "cpu" else 32
        with torch.inference_mode():
            self.who = self.networks.who(self._seen(reference[None]))  # (1, 2048), (1, 512, 7, 7)

    @torch.inference_mode()
    def infer(self, crops: NDArray[np.uint8], mel: NDArray[np.float32]) -> NDArray[np.uint8]:
        """(B, 224, 224, 3) RGB that shows the pose and (B, 80, 20) mel -> (B, 224, 224, 3) RGB."""
        heard = self.networks.mouth(torch.from_numpy(mel)[:, None].to(self.device))
        out = self.networks.draw(self.who, heard, self.networks.pose(self._seen(crops)))
        made: NDArray[np.uint8] = ((out + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        return _sized(made, SIZE, cv2.INTER_CUBIC)

    def _seen(self, crops: NDArray[np.uint8]) -> Tensor:
        small = _sized(crops, self.networks.size, cv2.INTER_AREA)
        return torch.from_numpy(small).to(self.device).permute(0, 3, 1, 2).float() / 127.5 - 1


def _sized(images: NDArray[np.uint8], size: int, way: int) -> NDArray[np.uint8]:
    if images.shape[1] == size:
        return images
    return np.stack([np.asarray(cv2.resize(p, (size, size), interpolation=way), np.uint8) for p in images])


def generate_frames(
    drawer: PcAvsInference,
    frames: Iterable[Frame],
    matrices: NDArray[np.float64],
    mel: NDArray[np.float32],
    paste: Paste,
) -> Iterator[Frame]:
    """The frames with redrawn faces, in order; at most one batch of them is held.

    Args:
        frames: (H, W, 3) RGB, as many as there are matrices (T, 2, 3) of `alignment.follow` and windows (T, 80, 20).
    """
    work = zip(matrices, mel, frames, strict=False)
    while batch := list(islice(work, drawer.batch)):
        crops = np.stack([cut(frame, matrix) for matrix, _, frame in batch])
        faces = drawer.infer(crops, np.stack([window for _, window, _ in batch]))
        for (matrix, _, frame), face in zip(batch, faces, strict=True):
            yield put_back(frame, face, matrix, paste)
