"""Drawing the dubbed face: who from one frame, pose from every frame, mouth from the sound. Frames are streamed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipbench.baselines.pcavs.alignment import Frame, Paste, cut, put_back
from lipbench.baselines.pcavs.encoders import AudioEncoder, IdentityEncoder, PoseMouthEncoder
from lipbench.baselines.pcavs.generator import Generator
from lipbench.core.errors import WeightsMismatch


class FaceDrawer:
    """The four networks, ready for inference on their device, and the person they draw.

    Args:
        reference: (224, 224, 3) RGB crop of the person.

    Raises:
        WeightsMismatch: networks of different widths.
    """

    def __init__(
        self,
        generator: Generator,
        identity: IdentityEncoder,
        pose: PoseMouthEncoder,
        audio: AudioEncoder,
        reference: Frame,
        device: str = "cpu",
    ) -> None:
        widths = {net.width for net in (generator, identity, pose, audio)}
        if len(widths) > 1:
            raise WeightsMismatch(
                "PC-AVS's networks do not fit together", f"they are {sorted(widths)} times as wide as published",
                "use four files of one training",
            )  # fmt: skip
        self.device = torch.device(device)
        self.generator, self.pose, self.audio = generator.to(self.device), pose.to(self.device), audio.to(self.device)
        self.batch = 4 if self.device.type == "cpu" else 32
        with torch.inference_mode():
            self.who, self.where = identity.to(self.device)(self._seen(reference[None]))  # (1, 2048), (1, 512, 7, 7)

    @torch.inference_mode()
    def draw(self, crops: NDArray[np.uint8], mel: NDArray[np.float32]) -> NDArray[np.uint8]:
        """(B, 224, 224, 3) RGB that shows the pose and (B, 80, 20) mel -> (B, 224, 224, 3) RGB."""
        n = len(crops)
        heard = self.audio(torch.from_numpy(mel)[:, None].to(self.device))
        style = torch.cat([self.who.expand(n, -1), self.pose.mouth(heard), self.pose.pose(self._seen(crops))], 1)
        out: Tensor = self.generator(style, self.where.expand(n, -1, -1, -1))
        made: NDArray[np.uint8] = ((out + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        return made

    def _seen(self, crops: NDArray[np.uint8]) -> Tensor:
        return torch.from_numpy(crops).to(self.device).permute(0, 3, 1, 2).float() / 127.5 - 1


def redraw(
    drawer: FaceDrawer,
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
        faces = drawer.draw(crops, np.stack([window for _, window, _ in batch]))
        for (matrix, _, frame), face in zip(batch, faces, strict=True):
            yield put_back(frame, face, matrix, paste)
