"""Wav2Lip's three networks: generator, sync expert and visual quality discriminator.

Shapes, names and order of the parameters are those of github.com/Rudrabha/Wav2Lip (models/wav2lip.py and
models/syncnet.py), so that published weights load key by key. `width` scales the channels of everything between input
and output; 1.0 is the published size, the packaged demo weights are narrower.

Images are BGR in [0, 1] (the published weights were trained on OpenCV's frames), mel windows (80 bands, 16 frames).
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

SIZE = 96  # side of a face crop, px
MEL_BANDS, MEL_STEPS = 80, 16
SYNC_FRAMES = 5  # frames the expert looks at together
EMBEDDING = 512
GATE_BIAS = -2.0  # of a fresh gate: 12 % of the drawing over the reference

Size = int | tuple[int, int]
Net = TypeVar("Net", bound=nn.Module)


class Conv(nn.Module):
    """Convolution, batch norm, (plus the input), ReLU. `norm=False` is the discriminator's: leaky ReLU and no norm."""

    def __init__(
        self, cin: int, cout: int, kernel: Size, stride: Size, padding: Size, residual: bool = False, norm: bool = True
    ) -> None:
        super().__init__()
        conv = nn.Conv2d(cin, cout, kernel, stride, padding)
        self.conv_block = nn.Sequential(conv, nn.BatchNorm2d(cout)) if norm else nn.Sequential(conv)
        self.act: nn.Module = nn.ReLU() if norm else nn.LeakyReLU(0.01)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv_block(x)
        y = y + x if self.residual else y
        return self.act(y)


class ConvTranspose(nn.Module):
    """Transposed convolution, batch norm, ReLU."""

    def __init__(self, cin: int, cout: int, kernel: Size, stride: Size, padding: Size, output_padding: Size) -> None:
        super().__init__()
        conv = nn.ConvTranspose2d(cin, cout, kernel, stride, padding, output_padding)
        self.conv_block = nn.Sequential(conv, nn.BatchNorm2d(cout))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv_block(x))


class Widths:
    """Channel counts at a width multiplier: w(512) is 512 at 1.0 and never below 4."""

    def __init__(self, width: float) -> None:
        self.width = width

    def __call__(self, channels: int) -> int:
        return max(4, round(channels * self.width))

    def conv(self, cin: int, cout: int, k: Size, s: Size, p: Size) -> Conv:
        return Conv(self(cin), self(cout), k, s, p)

    def same(self, channels: int) -> Conv:
        return Conv(self(channels), self(channels), 3, 1, 1, residual=True)


class Wav2LipGenerator(nn.Module):
    """The lip generator of Wav2Lip (Prajwal et al., ACM MM 2020).

    Draws the lower half of a face so that the mouth fits the audio: a U-Net over the face whose bottleneck is replaced
    by the embedding of the audio.

    `gated` is ours: a fourth output channel says how much of the drawing is laid over the reference face. It begins
    near nothing, so that a short training need not learn to copy skin first.
    """

    def __init__(self, width: float = 1.0, gated: bool = False) -> None:
        super().__init__()
        w = Widths(width)
        self.width, self.gated = width, gated

        # (B, 6, 96, 96): the masked face on top of a reference face
        self.face_encoder_blocks = nn.ModuleList(
            [
                nn.Sequential(Conv(6, w(16), 7, 1, 3)),  # (B, 16, 96, 96)
                nn.Sequential(w.conv(16, 32, 3, 2, 1), w.same(32), w.same(32)),  # (B, 32, 48, 48)
                nn.Sequential(w.conv(32, 64, 3, 2, 1), w.same(64), w.same(64), w.same(64)),  # (B, 64, 24, 24)
                nn.Sequential(w.conv(64, 128, 3, 2, 1), w.same(128), w.same(128)),  # (B, 128, 12, 12)
                nn.Sequential(w.conv(128, 256, 3, 2, 1), w.same(256), w.same(256)),  # (B, 256, 6, 6)
                nn.Sequential(w.conv(256, 512, 3, 2, 1), w.same(512)),  # (B, 512, 3, 3)
                nn.Sequential(w.conv(512, 512, 3, 1, 0), w.conv(512, 512, 1, 1, 0)),  # (B, 512, 1, 1)
            ]
        )

        self.audio_encoder = audio_encoder(w, deep=False)  # (B, 1, 80, 16) -> (B, 512, 1, 1)

        def up(cin: int, skip: int, cout: int) -> nn.Sequential:
            return nn.Sequential(ConvTranspose(w(cin) + w(skip), w(cout), 3, 2, 1, 1), w.same(cout), w.same(cout))

        # After each block the encoder's map of the same size is put on top.
        self.face_decoder_blocks = nn.ModuleList(
            [
                nn.Sequential(w.conv(512, 512, 1, 1, 0)),  # (B, 512, 1, 1)
                nn.Sequential(ConvTranspose(2 * w(512), w(512), 3, 1, 0, 0), w.same(512)),  # (B, 512, 3, 3)
                up(512, 512, 512),  # (B, 512, 6, 6)
                up(512, 256, 384),  # (B, 384, 12, 12)
                up(384, 128, 256),  # (B, 256, 24, 24)
                up(256, 64, 128),  # (B, 128, 48, 48)
                up(128, 32, 64),  # (B, 64, 96, 96)
            ]
        )
        self.output_block = nn.Sequential(
            Conv(w(64) + w(16), w(32), 3, 1, 1), nn.Conv2d(w(32), 4 if gated else 3, 1), nn.Sigmoid()
        )  # (B, 3, 96, 96)
        if gated:
            with torch.no_grad():
                self.output_block[1].bias[3] = GATE_BIAS  # type: ignore[index, union-attr, operator]

    def forward(self, mel: Tensor, face: Tensor) -> Tensor:
        """(B, 1, 80, 16) and (B, 6, 96, 96) -> (B, 3, 96, 96) in [0, 1].

        Training windows of T frames are (B, T, 1, 80, 16) and (B, 6, T, 96, 96) -> (B, 3, T, 96, 96).
        """
        windowed = face.dim() == 5
        batch = face.shape[0]
        if windowed:
            # Time-major, as published: batch norm in training mode sees the same set either way.
            mel = torch.cat(mel.unbind(1))  # (T B, 1, 80, 16)
            face = torch.cat(face.unbind(2))  # (T B, 6, 96, 96)

        skips, x = [], face
        for block in self.face_encoder_blocks:
            x = block(x)
            skips.append(x)
        x = self.audio_encoder(mel)
        for block in self.face_decoder_blocks:
            x = torch.cat((block(x), skips.pop()), dim=1)
        out: Tensor = self.output_block(x)
        if self.gated:
            drawn, gate = out[:, :3], out[:, 3:]
            out = face[:, 3:] + gate * (drawn - face[:, 3:])
        return torch.stack(out.split(batch), dim=2) if windowed else out


def audio_encoder(w: Widths, deep: bool) -> nn.Sequential:
    """(B, 1, 80, 16) -> (B, 512, 1, 1); the expert's is one block deeper than the generator's."""
    return nn.Sequential(
        Conv(1, w(32), 3, 1, 1),
        w.same(32),
        w.same(32),  # (B, 32, 80, 16)
        w.conv(32, 64, 3, (3, 1), 1),
        w.same(64),
        w.same(64),  # (B, 64, 27, 16)
        w.conv(64, 128, 3, 3, 1),
        w.same(128),
        w.same(128),  # (B, 128, 9, 6)
        w.conv(128, 256, 3, (3, 2), 1),
        w.same(256),
        *([w.same(256)] if deep else []),  # (B, 256, 3, 3)
        w.conv(256, 512, 3, 1, 0),
        w.conv(512, 512, 1, 1, 0),  # (B, 512, 1, 1)
    )


class SyncExpert(nn.Module):
    """The sync expert (upstream: SyncNet_color): do five lower half faces and a sound belong together?"""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        w = Widths(width)
        self.width = width
        self.face_encoder = nn.Sequential(
            Conv(3 * SYNC_FRAMES, w(32), 7, 1, 3),  # (B, 32, 48, 96)
            w.conv(32, 64, 5, (1, 2), 1),
            w.same(64),
            w.same(64),  # (B, 64, 46, 47)
            w.conv(64, 128, 3, 2, 1),
            w.same(128),
            w.same(128),
            w.same(128),  # (B, 128, 23, 24)
            w.conv(128, 256, 3, 2, 1),
            w.same(256),
            w.same(256),  # (B, 256, 12, 12)
            w.conv(256, 512, 3, 2, 1),
            w.same(512),
            w.same(512),  # (B, 512, 6, 6)
            w.conv(512, 512, 3, 2, 1),
            w.conv(512, 512, 3, 1, 0),
            w.conv(512, 512, 1, 1, 0),  # (B, 512, 1, 1)
        )
        self.audio_encoder = audio_encoder(w, deep=True)

    def forward(self, mel: Tensor, face: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, 80, 16) and (B, 15, 48, 96) -> two (B, 512) of unit length, all entries >= 0.

        `face`: five consecutive lower halves (rows 48 to 96), channels concatenated. The cosine of the two answers
        lies in [0, 1], which is why it can go into a binary cross entropy as it is.
        """
        audio = F.normalize(self.audio_encoder(mel).flatten(1), dim=1)
        video = F.normalize(self.face_encoder(face).flatten(1), dim=1)
        return audio, video


class QualityDiscriminator(nn.Module):
    """The visual quality discriminator of the GAN variant (upstream: Wav2Lip_disc_qual): is this lower half real?"""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        w = Widths(width)
        self.width = width

        def conv(cin: int, cout: int, k: int, s: Size, p: int) -> Conv:
            return Conv(w(cin), w(cout), k, s, p, norm=False)

        self.face_encoder_blocks = nn.ModuleList(
            [
                nn.Sequential(Conv(3, w(32), 7, 1, 3, norm=False)),  # (B, 32, 48, 96)
                nn.Sequential(conv(32, 64, 5, (1, 2), 2), conv(64, 64, 5, 1, 2)),  # (B, 64, 48, 48)
                nn.Sequential(conv(64, 128, 5, 2, 2), conv(128, 128, 5, 1, 2)),  # (B, 128, 24, 24)
                nn.Sequential(conv(128, 256, 5, 2, 2), conv(256, 256, 5, 1, 2)),  # (B, 256, 12, 12)
                nn.Sequential(conv(256, 512, 3, 2, 1), conv(512, 512, 3, 1, 1)),  # (B, 512, 6, 6)
                nn.Sequential(conv(512, 512, 3, 2, 1), conv(512, 512, 3, 1, 1)),  # (B, 512, 3, 3)
                nn.Sequential(conv(512, 512, 3, 1, 0), conv(512, 512, 1, 1, 0)),  # (B, 512, 1, 1)
            ]
        )
        self.binary_pred = nn.Sequential(nn.Conv2d(w(512), 1, 1), nn.Sigmoid())

    def forward(self, face: Tensor) -> Tensor:
        """(B, 3, T, 96, 96) or (B, 3, 96, 96) -> (T B, 1) in [0, 1], frames time-major; sees rows 48 to 96 only."""
        x = torch.cat(face.unbind(2)) if face.dim() == 5 else face
        x = x[:, :, x.shape[2] // 2 :]
        for block in self.face_encoder_blocks:
            x = block(x)
        out: Tensor = self.binary_pred(x)
        return out.flatten(1)


def folded(net: Net) -> Net:
    """A copy for inference with every batch norm folded into its convolution: same answers, a third of the passes.

    Jacob et al. 2018, sec. 3.2: w' = w gamma / sigma, b' = (b - mu) gamma / sigma + beta.
    """
    net = copy.deepcopy(net).eval()
    for module in net.modules():
        block = getattr(module, "conv_block", None)
        match list(block) if isinstance(block, nn.Sequential) else []:
            case [(nn.Conv2d() | nn.ConvTranspose2d()) as conv, nn.BatchNorm2d() as norm]:
                transposed = isinstance(conv, nn.ConvTranspose2d)
                module.conv_block = nn.Sequential(fuse_conv_bn_eval(conv, norm, transpose=transposed))
    return net.requires_grad_(False)
