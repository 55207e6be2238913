"""Parsing by a network whose weights the user has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lipbench.core import weights
from lipbench.core.errors import UsageError, WeightsError
from lipbench.core.weights import torch_file
from lipbench.faces.parsing import celebamask
from lipbench.faces.parsing.bisenet import BiSeNet
from lipbench.faces.parsing.celebamask_unet import CelebAMaskUNet
from lipbench.faces.parsing.geometry import head_frames
from lipbench.faces.parsing.refine import connected
from lipbench.faces.parsing.steady import steady
from lipbench.faces.parsing.types import WEIGHTS, HeadGuide, Label, Parsing
from lipbench.media.held import room

SIDE = 512  # both networks were trained on 512 x 512


@dataclass(frozen=True)
class LabelLayout:
    """A network and what it expects.

    Attributes:
        weights: entry of the weights registry.
        classes: names by number.
        mean: of the input's normalization, RGB in [0, 1].
        std: of the input's normalization, RGB in [0, 1].
        interpolation: how its authors shrink an image to 512 x 512.
    """

    weights: str
    net: type[nn.Module]
    classes: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: int


LAYOUTS = {
    # face-parsing.PyTorch test.py, AD-NeRF data_util/face_parsing/test.py
    "bisenet": LabelLayout(
        WEIGHTS["bisenet"],
        BiSeNet,
        celebamask.BISENET_CLASSES,
        (0.485, 0.456, 0.406),
        (0.229, 0.224, 0.225),
        cv2.INTER_LINEAR,
    ),
    # CelebAMask-HQ face_parsing/tester.py
    "celebamask": LabelLayout(
        WEIGHTS["celebamask"], CelebAMaskUNet, celebamask.UNET_CLASSES, (0.5,) * 3, (0.5,) * 3, cv2.INTER_NEAREST
    ),
}


class NetworkParser:
    """CelebAMask-HQ classes by a network, gathered into the four labels.

    The whole frame is looked at, as AD-NeRF does. Frames that are not square are padded to a square by their edge
    pixels; AD-NeRF squeezes them instead, which bends faces away from what the networks have seen.

    Args:
        name: "bisenet" or "celebamask".
        file: a checkpoint; the registered one when None.
        device: where the network runs.
        batch: frames at a time.
        smoothing: temporal window of the label vote in frames; 1 switches it off.

    Raises:
        WeightsMissing, WeightsMismatch: the registered weights cannot be used.
        WeightsError: the file does not hold this network.
    """

    def __init__(
        self, name: str, *, file: str | Path | None = None, device: str = "cpu", batch: int = 4, smoothing: int = 3
    ) -> None:
        self.name, self.layout, self.device, self.batch, self.smoothing = name, LAYOUTS[name], device, batch, smoothing
        self.net = load(self.layout.net(), weights.path(self.layout.weights) if file is None else file).to(device)
        self._table = torch.from_numpy(celebamask.table(self.layout.classes)).long().to(device)

    def parse(self, frames: NDArray[np.uint8], guide: HeadGuide | None = None) -> Parsing:
        """Labels of frames (T, H, W, 3) uint8 RGB.

        The guide is not needed; with one, heads that are not the guide's (somebody else's) are no longer HEAD.

        Raises:
            UsageError: a guide of another length or of an unknown layout.
            NoFace: one without any face.
        """
        heads = None if guide is None else head_frames(guide)
        if heads is not None and len(heads) != len(frames):
            raise UsageError(
                f"the guide has {len(heads)} frames, the clip {len(frames)}", "", "track the clip that is parsed"
            )
        starts = range(0, len(frames), self.batch)
        votes = (vote for k in starts for vote in self.probabilities(frames[k : k + self.batch]))
        labels = room(frames.shape[:3], np.uint8)
        for t, chosen in enumerate(steady(votes, self.smoothing)):
            labels[t] = chosen if heads is None else connected(chosen, heads[t])
        return Parsing(labels, self.name)

    @torch.inference_mode()
    def probabilities(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, H, W, 4) probability of every label."""
        height, width = frames.shape[1:3]
        side = max(height, width)
        pad = ((0, 0), ((side - height) // 2, -((height - side) // 2)), ((side - width) // 2, -((width - side) // 2)))
        square = np.pad(frames, (*pad, (0, 0)), mode="edge")
        small = np.stack([cv2.resize(f, (SIDE, SIDE), interpolation=self.layout.interpolation) for f in square])
        classes = torch.softmax(self.net(self.prepare(small)), 1)  # (N, 19, 512, 512)
        labels = classes.new_zeros(len(frames), len(Label), SIDE, SIDE).index_add_(1, self._table, classes)
        full = nn.functional.interpolate(labels, (side, side), mode="bilinear")
        (top, _), (left, _) = pad[1], pad[2]
        full = full[:, :, top : top + height, left : left + width]
        return full.permute(0, 2, 3, 1).cpu().numpy()

    def prepare(self, small: NDArray[np.uint8]) -> Tensor:
        """(N, 512, 512, 3) uint8 -> (N, 3, 512, 512) normalized."""
        x = torch.from_numpy(small).to(self.device).permute(0, 3, 1, 2).float() / 255
        mean, std = (x.new_tensor(v).reshape(1, 3, 1, 1) for v in (self.layout.mean, self.layout.std))
        return (x - mean) / std


def load_celebamask(file: str | Path) -> nn.Module:
    """CelebAMask-HQ's U-Net with a checkpoint's weights; see `load`."""
    return load(CelebAMaskUNet(), file)


def load(net: nn.Module, file: str | Path) -> nn.Module:
    """The network with a checkpoint's weights, in eval mode; nn.DataParallel's prefix is taken off.

    Raises:
        WeightsError: not readable, or of another network.
    """
    fix = "give the checkpoint as its authors published it"
    state = torch_file.tensors(torch_file.read(file, fix), file, fix)
    try:
        net.load_state_dict(state)
    except RuntimeError as error:  # torch names what is missing and what is more
        raise WeightsError(
            f"{file} does not hold the weights of {type(net).__name__}",
            str(error).strip().replace("\n", " ")[:300],
            fix,
        ) from error
    return net.eval()
