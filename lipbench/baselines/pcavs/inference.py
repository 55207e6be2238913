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


def read_poses(
    networks: Networks, frames: Iterable[Frame], matrices: NDArray[np.float64], device: str = "cpu"
) -> NDArray[np.float32]:
    """(T, 12): where the head points in (H, W, 3) RGB frames, as many as there are matrices of `alignment.follow`."""
    networks = networks.to(device)
    crops = (cut(frame, matrix) for frame, matrix in zip(frames, matrices, strict=False))
    found = []
    with torch.inference_mode():
        while batch := list(islice(crops, batch_on(device))):
            found.append(networks.pose(seen(np.stack(batch), networks.size, device)).cpu().numpy())
    return np.concatenate(found)


def batch_on(device: str) -> int:
    """Frames that go through the networks at once."""
    return 4 if torch.device(device).type == "cpu" else 32


def seen(crops: NDArray[np.uint8], size: int, device: str) -> Tensor:
    """(B, 224, 224, 3) RGB -> (B, 3, size, size) in [-1, 1]."""
    return torch.from_numpy(_sized(crops, size, cv2.INTER_AREA)).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1


class PcAvsInference:
    """The four networks, ready for inference on their device, and the person they draw.

    Args:
        networks: published or our own; they see and draw images of their own size, what goes in and out here is 224.
        reference: (224, 224, 3) RGB crop of the person.
    """

    def __init__(self, networks: Networks, reference: Frame, device: str = "cpu") -> None:
        self.device, self.batch = device, batch_on(device)
        self.networks = networks.to(device)
        with torch.inference_mode():
            self.who = self.networks.who(seen(reference[None], networks.size, device))  # (1, 2048), (1, 512, 7, 7)

    @torch.inference_mode()
    def infer(self, poses: NDArray[np.float32], mel: NDArray[np.float32]) -> NDArray[np.uint8]:
        """(B, 12) of `read_poses` and (B, 80, 20) mel -> (B, 224, 224, 3) RGB."""
        heard = self.networks.mouth(torch.from_numpy(mel)[:, None].to(self.device))
        out = self.networks.draw(self.who, heard, torch.from_numpy(poses).to(self.device))
        made: NDArray[np.uint8] = ((out + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        return _sized(made, SIZE, cv2.INTER_CUBIC)


def _sized(images: NDArray[np.uint8], size: int, way: int) -> NDArray[np.uint8]:
    if images.shape[1] == size:
        return images
    return np.stack([np.asarray(cv2.resize(p, (size, size), interpolation=way), np.uint8) for p in images])


def generate_frames(
    drawer: PcAvsInference,
    frames: Iterable[Frame],
    matrices: NDArray[np.float64],
    poses: NDArray[np.float32],
    mel: NDArray[np.float32],
    paste: Paste,
) -> Iterator[Frame]:
    """The frames with redrawn faces, in order; at most one batch of them is held.

    Args:
        frames: (H, W, 3) RGB, as many as there are matrices (T, 2, 3) of `alignment.follow`, poses (T, 12) of
            `read_poses` and windows (T, 80, 20).
    """
    work = zip(matrices, poses, mel, frames, strict=False)
    while batch := list(islice(work, drawer.batch)):
        _, heads, windows, _ = zip(*batch, strict=True)
        faces = drawer.infer(np.stack(heads), np.stack(windows))
        for (matrix, _, _, frame), face in zip(batch, faces, strict=True):
            yield put_back(frame, face, matrix, paste)
