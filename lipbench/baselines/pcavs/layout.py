"""The sizes in which PC-AVS's four networks exist together: published, and small for a CPU."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lipbench.baselines.pcavs.encoders import AudioEncoder, IdentityEncoder, PoseMouthEncoder
from lipbench.baselines.pcavs.generator import POSE, SIZE, PcAvsGenerator, Sizes


@dataclass(frozen=True)
class Layout:
    """Sizes of the four networks; the defaults are the published ones.

    Attributes:
        size: of the images, px: 7 for the identity map, doubled by every stage behind it.
        channels: of the generator at 7, 14, ... px.
        depths: blocks of the identity encoder's layers.
        identity: widths of the encoders, 1 is published.
        pose: widths of the encoders, 1 is published.
        audio: widths of the encoders, 1 is published.
        halvings: depth of the pose encoder's hourglass.
        features: of the audio encoder.
        mouth: length of the mouth's code.
        finer: the identity encoder's finer maps go into the generator too; not published.
        pose_rows: share of the image, from the top, that the pose encoder sees; 1 is published. The rest holds the
            mouth: a small network on few people would read the lips there and not listen.
    """

    size: int = SIZE
    channels: tuple[int, ...] = (512, 512, 512, 512, 256, 128)
    depths: tuple[int, ...] = (3, 4, 6, 3)
    identity: float = 1.0
    pose: float = 1.0
    audio: float = 1.0
    halvings: int = 4
    features: int = 512
    mouth: int = 500
    finer: bool = False
    pose_rows: float = 1.0

    @property
    def who(self) -> int:
        """Length of the identity vector."""
        return 8 * 2 ** (len(self.depths) - 1) * Sizes(self.identity).of(32)

    def networks(self) -> Networks:
        """The four networks, freshly initialized."""
        groups = Sizes(self.identity).of(32)
        behind = [8 * groups * 2**k for k in reversed(range(len(self.depths) - 1))]  # channels of the layers
        finer = [*behind, 2 * groups] if self.finer else []
        return Networks(
            PcAvsGenerator(1.0, channels=self.channels, style=self.who + self.mouth + POSE, finer=finer),
            IdentityEncoder(self.identity, 1, depths=self.depths, channels=self.channels[0]),
            PoseMouthEncoder(
                self.pose, 1, features=self.features, mouth=self.mouth, size=self.size, depth=self.halvings
            ),
            AudioEncoder(self.audio, 1, features=self.features),
            self.size,
            self.pose_rows,
        )


#: For a CPU: half the image, a seventh to a quarter of the channels, one stage and one layer fewer.
DEMO = Layout(
    size=112,
    channels=(64, 64, 48, 32, 16),
    depths=(2, 2, 2),
    identity=0.25,
    pose=0.125,
    audio=0.1875,
    halvings=2,
    features=96,
    mouth=64,
    finer=True,
    pose_rows=0.53,
)


class Networks(nn.Module):
    """The four networks that draw together: G, V (who), E (pose and mouth) and A (audio), by upstream's letters.

    Args:
        size: see `Layout`.
        pose_rows: see `Layout`.
    """

    def __init__(
        self,
        generator: PcAvsGenerator,
        identity: IdentityEncoder,
        pose: PoseMouthEncoder,
        audio: AudioEncoder,
        size: int = SIZE,
        pose_rows: float = 1.0,
    ) -> None:
        super().__init__()
        self.G, self.V, self.E, self.A = generator, identity, pose, audio
        self.size, self.pose_rows = size, pose_rows

    def who(self, images: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """(B, 3, S, S) in [-1, 1] -> identity vector, map, and finer maps where the generator takes them."""
        vector, where, finer = self.V.look(images)
        return vector, where, finer if self.G.finer else []

    def mouth(self, mel: Tensor) -> Tensor:
        """(B, 1, 80, 20) -> (B, 500)."""
        return self.E.mouth(self.A(mel))

    def pose(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, 12), from the rows that pose may be seen in."""
        rows = round(self.pose_rows * self.size)
        if rows < self.size:
            images = torch.cat([images[:, :, :rows], torch.zeros_like(images[:, :, rows:])], 2)
        return self.E.pose(images)

    def draw(self, who: tuple[Tensor, Tensor, list[Tensor]], mouth: Tensor, pose: Tensor) -> Tensor:
        """(B, 3, S, S) in (-1, 1); one person for all, or as many as there are poses."""
        n = len(pose)
        vector, where, finer = who
        style = torch.cat([vector.expand(n, -1), mouth, pose], 1)
        out: Tensor = self.G(style, where.expand(n, -1, -1, -1), [f.expand(n, -1, -1, -1) for f in finer])
        return out
