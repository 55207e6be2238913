"""AutoVC with pitch, as MakeItTalk retrained it: the same words in the voice that the landmark networks know.

Keys and shapes of `ckpt_autovc.pth` (src/autovc/retrain_version/model_vc_37_1.py, Generator(16, 256, 512, 16)).
Mel rows come 62.5 times a second.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

BANDS, SPEAKER, PITCHES = 80, 256, 257
CODE, EVERY, WIDE = 16, 16, 512  # channels per direction, rows between codes, channels of the convolutions
MULTIPLE = 32  # the number of rows must be a multiple of it
_GROUPS = 32


class _Conv(nn.Module):
    """The convolution under the name that the checkpoints give it."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(cin, cout, 5, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x)
        return out


class _Linear(nn.Module):
    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.linear_layer = nn.Linear(cin, cout)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear_layer(x)
        return out


def _block(cin: int, cout: int, groups: int = _GROUPS) -> nn.Sequential:
    return nn.Sequential(_Conv(cin, cout), nn.GroupNorm(groups, cout))


class _Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(_block(BANDS + SPEAKER if i == 0 else WIDE, WIDE) for i in range(3))
        self.lstm = nn.LSTM(WIDE, CODE, 2, batch_first=True, bidirectional=True)

    def forward(self, mel: Tensor, voice: Tensor) -> Tensor:
        """(B, T, 80), (B, 256) -> (B, T / 16, 32) codes: too few numbers to carry a voice."""
        x = torch.cat([mel, voice[:, None].expand(-1, mel.shape[1], -1)], 2).transpose(1, 2)  # (B, 336, T)
        for block in self.convolutions:
            x = block(x).relu()
        x, _ = self.lstm(x.transpose(1, 2))  # (B, T, 32)
        forward, backward = x[..., :CODE], x[..., CODE:]
        return torch.cat([forward[:, EVERY - 1 :: EVERY], backward[:, ::EVERY]], 2)


class _Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2 * CODE + SPEAKER + PITCHES, WIDE, 3, batch_first=True)
        self.linear_projection = _Linear(WIDE, BANDS)

    def forward(self, x: Tensor) -> Tensor:
        x, _ = self.lstm(x)
        out: Tensor = self.linear_projection(x)
        return out


class _Postnet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        sizes = (BANDS, WIDE, WIDE, WIDE, WIDE)
        self.convolutions = nn.ModuleList([_block(a, b) for a, b in pairwise(sizes)])
        self.convolutions.append(_block(WIDE, BANDS, groups=5))

    def forward(self, x: Tensor) -> Tensor:
        *inner, last = self.convolutions
        for block in inner:
            x = block(x).tanh()
        out: Tensor = last(x)
        return out


class AutoVC(nn.Module):
    """(B, T, 80) mel, (B, 256) voice of it, (B, T, 257) pitch, (B, 256) wanted voice -> (B, T, 80); 32 divides T."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder, self.postnet = _Encoder(), _Decoder(), _Postnet()

    def forward(self, mel: Tensor, voice: Tensor, pitch: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(first guess, refined (the one to use), codes (B, 2 T))."""
        codes = self.encoder(mel, voice)  # (B, T / 16, 32)
        spread = codes.repeat_interleave(EVERY, 1)
        x = torch.cat([spread, wanted[:, None].expand(-1, mel.shape[1], -1), pitch], 2)  # (B, T, 545)
        guess = self.decoder(x)
        refined = guess + self.postnet(guess.transpose(1, 2)).transpose(1, 2)
        return guess, refined, codes.flatten(1)
