"""SyncNet: two streams that put 0.2 s of mouth and 0.2 s of audio into one space.

Layers and state-dict keys are those of `SyncNetModel.py` in joonson/syncnet_python (MIT), described in
Chung and Zisserman, "Out of time: automated lip sync in the wild", 2016. `SyncNet(1.0, 224)` has its 102 entries and
13,631,616 parameters and takes its weights; a smaller width and input make those that `lipbench train` fits.

A window is 5 video frames (BGR, 0..255, no normalization) and 20 MFCC columns of the int16 audio. Embeddings are not
L2-normalized.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lipbench.metrics.sync import files
from lipbench.metrics.sync.arithmetic import SyncScore
from lipbench.metrics.sync.files import Shape
from lipbench.metrics.sync.folded import FoldedSyncNet

#: Entries of an embedding at width 1.
EMBEDDING = 1024


def _conv2(c_in: int, c_out: int, kernel: int | tuple[int, int], padding: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(c_in, c_out, kernel, padding=padding), nn.BatchNorm2d(c_out), nn.ReLU()]


def _conv3(c_in: int, c_out: int, time: int, kernel: int, stride: int = 1, padding: int = 0) -> list[nn.Module]:
    conv = nn.Conv3d(c_in, c_out, (time, kernel, kernel), (1, stride, stride), (0, padding, padding))
    return [conv, nn.BatchNorm3d(c_out), nn.ReLU()]


def _pool3(padding: int = 0) -> nn.Module:
    return nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, padding, padding))


class SyncNet(nn.Module):
    """The sync model network.

    Args:
        width: multiplies every channel count and the embedding's 1024 entries.
        size: edge of the square input in px, at least 48.

    Raises:
        ValueError: an input too small for the layers.
    """

    def __init__(self, width: float = 1.0, size: int = 224) -> None:
        super().__init__()
        self.shape = Shape(width, size)
        before, last = self.shape.maps
        if size < 48 or last < 1:
            raise ValueError(f"SyncNet needs frames of at least 48 px, not {size}")
        c = self.shape.channels

        # audio: (N, 1, 13, 20) -> (N, 512)
        self.netcnnaud = nn.Sequential(
            *_conv2(1, c(64), 3),  # 13 x 20
            nn.MaxPool2d(1, 1),  # does nothing; keeps the published numbering
            *_conv2(c(64), c(192), 3),  # 13 x 20
            nn.MaxPool2d(3, (1, 2)),  # 11 x 9
            *_conv2(c(192), c(384), 3),
            *_conv2(c(384), c(256), 3),
            *_conv2(c(256), c(256), 3),
            nn.MaxPool2d(3, 2),  # 5 x 4
            *_conv2(c(256), c(512), (5, 4), 0),  # 1 x 1
        )
        # mouth: (N, 3, 5, 224, 224) -> (N, 512); only the first layer sees time
        self.netcnnlip = nn.Sequential(
            *_conv3(3, c(96), 5, 7, 2),  # 109 x 109
            _pool3(),  # 54 x 54
            *_conv3(c(96), c(256), 1, 5, 2, 1),  # 26 x 26
            _pool3(1),  # 13 x 13
            *_conv3(c(256), c(256), 1, 3, 1, 1),
            *_conv3(c(256), c(256), 1, 3, 1, 1),
            *_conv3(c(256), c(256), 1, 3, 1, 1),
            _pool3() if last != before else nn.Identity(),  # 6 x 6
            *_conv3(c(256), c(512), 1, last),  # 1 x 1
        )
        self.netfcaud = self._head()
        self.netfclip = self._head()

    def _head(self) -> nn.Sequential:
        c = self.shape.channels
        return nn.Sequential(
            nn.Linear(c(512), c(512)), nn.BatchNorm1d(c(512)), nn.ReLU(), nn.Linear(c(512), c(EMBEDDING))
        )

    @property
    def embedding_size(self) -> int:
        """Entries of an embedding: 1024 at width 1."""
        return self.shape.channels(EMBEDDING)

    def forward_aud(self, x: Tensor) -> Tensor:
        """(N, 1, 13, 20) MFCC -> (N, E)."""
        return self.netfcaud(self.netcnnaud(x).flatten(1))

    def forward_lip(self, x: Tensor) -> Tensor:
        """(N, 3, 5, size, size) BGR 0..255 -> (N, E)."""
        return self.netfclip(self.netcnnlip(x).flatten(1))

    def forward(self, frames: Tensor, sound: Tensor) -> tuple[Tensor, Tensor]:
        """Both embeddings of N windows."""
        return self.forward_lip(frames), self.forward_aud(sound)

    # -- scoring ----------------------------------------------------------------------------------------------------

    def folded(self, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32) -> FoldedSyncNet:
        """A frozen copy in eval mode for scoring: hold on to it when scoring many clips."""
        return FoldedSyncNet(self, device, dtype)

    def embed_video(self, frames: NDArray[np.uint8] | Iterable[NDArray[np.uint8]]) -> Tensor:
        """See `FoldedSyncNet.embed_video`; folds the weights as they are now."""
        return self._frozen().embed_video(frames)

    def embed_audio(self, audio: NDArray[np.int16]) -> Tensor:
        """See `FoldedSyncNet.embed_audio`; folds the weights as they are now."""
        return self._frozen().embed_audio(audio)

    def score(self, frames: NDArray[np.uint8] | Iterable[NDArray[np.uint8]], audio: NDArray[np.int16]) -> SyncScore:
        """See `FoldedSyncNet.score`; folds the weights as they are now."""
        return self._frozen().score(frames, audio)

    def _frozen(self) -> FoldedSyncNet:
        return self.folded(next(self.parameters()).device)

    @torch.no_grad()
    def absorb_scaling(self, frame_mean: float, frame_scale: float, mfcc_scale: float) -> None:
        """Make a network that was trained on scaled inputs take raw ones, exactly and in place.

        Training works better on (frame - frame_mean) / frame_scale and MFCC / mfcc_scale; scores are taken on 0..255
        and plain MFCC. The MFCC cannot be shifted this way: the zero padding of its first layer would shift as well.
        """
        lip: Any = self.netcnnlip[0]
        aud: Any = self.netcnnaud[0]
        lip.weight /= frame_scale
        lip.bias -= frame_mean * lip.weight.sum(dim=(1, 2, 3, 4))
        aud.weight /= mfcc_scale

    # -- files ------------------------------------------------------------------------------------------------------

    @classmethod
    def from_file(cls, path: str | Path, *, width: float | None = None, size: int | None = None) -> SyncNet:
        """A network of the size that a weights file has: `syncnet_v2.model`, a state dict, or what `save` wrote.

        Args:
            path: a torch file (old or new format, any float type) or an npz.
            width: what the file should be; None = what its metadata or its shapes say.
            size: what the file should be; None = what its metadata or its shapes say.

        Returns:
            The network, in eval mode.

        Raises:
            WeightsError: unreadable, or entries that are missing, unknown or of another shape.
        """
        return files.load(cls, path, width=width, size=size)

    def load(self, path: str | Path) -> SyncNet:
        """Read weights into this network; in eval mode afterwards. Returns the network.

        Raises:
            WeightsError: as `from_file`, or weights of a network of another width or input size.
        """
        self.load_state_dict(self.from_file(path, width=self.shape.width, size=self.shape.size).state_dict())
        return self.eval()

    def save(self, path: str | Path, *, half: bool = True, info: Mapping[str, Any] | None = None) -> Path:
        """Write weights with width and size: npz when the name says so, else a torch file. See `files.save`."""
        return files.save(self, path, half=half, info=info)
