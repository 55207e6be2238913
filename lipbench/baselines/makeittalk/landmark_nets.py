"""MakeItTalk's two landmark networks: what the words do to the face, and what this speaker would do besides.

Shapes, names and order of the parameters are those of github.com/yzhou359/MakeItTalk (src/models/
model_audio2landmark.py), so that `ckpt_content_branch.pth` and `ckpt_speaker_branch.pth` load key by key. `width`
scales the hidden layers of the content branch; 1.0 is published, the packaged demo weights are narrower.

Audio: windows of 18 rows (62.5 per second) x 80 mel bands. Faces: 68 points x 3 as 204 numbers.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STEPS, BANDS, COORDINATES = 18, 80, 204
SPEAKER, NOISE, SEGMENT = 256, 128, 512  # voice embedding, random input, longest sequence of the speaker branch


def _scaled(channels: int, width: float) -> int:
    return max(8, round(channels * width))


def _dense(cin: int, cout: int) -> list[nn.Module]:
    return [nn.Linear(cin, cout), nn.BatchNorm1d(cout), nn.LeakyReLU(0.2)]


class ContentBranch(nn.Module):
    """(B, 18, 80) audio and (1 or B, 204) face at rest -> (B, 204) how far each point moves (1,965,677 parameters).

    Zhou et al. 2020, sec. 3.1: the same movement whoever speaks. The network's LSTM reads the window front to back and
    answers for its first row: it hears 0.29 s ahead and nothing of what was before.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.width = width
        prior, mid, cell = _scaled(256, width), _scaled(161, width), _scaled(256, width)
        first, second = _scaled(512, width), _scaled(256, width)
        self.fc_prior = nn.Sequential(*_dense(BANDS, prior), nn.Linear(prior, mid))
        self.fc = nn.Sequential(
            *_dense(cell + COORDINATES, first), *_dense(first, second), nn.Linear(second, COORDINATES)
        )
        self.bilstm = nn.LSTM(mid, cell, 3, batch_first=True, dropout=0.5)  # one direction, whatever its name says

    def forward(self, sound: Tensor, face: Tensor) -> Tensor:
        x = self.fc_prior(sound.flatten(0, 1)).unflatten(0, sound.shape[:2])  # (B, 18, 161)
        x, _ = self.bilstm(x)
        last = x[:, -1]  # (B, 256)
        out: Tensor = self.fc(torch.cat([last, face.expand(len(last), -1)], 1))
        return out


class SpeakerBranch(nn.Module):
    """(T, 18, 80) audio and (T, 256) voice -> (T, 204) movement of head and face of that speaker; T up to 512.

    Zhou et al. 2020, sec. 3.2 (3,000,908 parameters). The transformer's decoder is in every checkpoint and is never
    called; it is kept so that the keys agree.
    """

    def __init__(self, depth: int = 2, dim: int = 64) -> None:
        super().__init__()
        self.audio_content_encoder = nn.LSTM(BANDS, 256, 3, batch_first=True, dropout=0.5)
        self.spk_emb_encoder = nn.Sequential(
            nn.Linear(SPEAKER, 256), nn.LeakyReLU(0.02), nn.Linear(256, 128), nn.LeakyReLU(0.02), nn.Linear(128, 128)
        )
        self.encoder = Transformer(256 + 128 + NOISE, dim, depth)
        self.decoder = Transformer(COORDINATES, dim, depth, crossed=True)
        self.out = nn.Sequential(
            nn.Linear(dim + NOISE, 512),
            nn.LeakyReLU(0.02),
            nn.Linear(512, 256),
            nn.LeakyReLU(0.02),
            nn.Linear(256, COORDINATES),
        )

    def forward(self, sound: Tensor, voice: Tensor, noise: Tensor | None = None) -> Tensor:
        """`noise`: (T, 128), zeros when left out, as at upstream's inference."""
        z = sound.new_zeros(len(sound), NOISE) if noise is None else noise
        x, _ = self.audio_content_encoder(sound)
        heard = x[:, -1]  # (T, 256)
        speaker = self.spk_emb_encoder(voice)  # (T, 128)
        y = self.encoder(torch.cat([heard, speaker, z], 1)[None])[0]  # (T, 64), frames attend to one another
        out: Tensor = self.out(torch.cat([y, z], 1))
        return out


class Transformer(nn.Module):
    """(1, T, in) -> (1, T, dim): pre-norm encoder with two heads. `crossed` only adds a decoder's parameters."""

    def __init__(self, cin: int, dim: int, depth: int, crossed: bool = False) -> None:
        super().__init__()
        self.embed = _Embedding(cin, dim)
        self.pe = Positions(dim)
        self.layers = nn.ModuleList(_CrossedLayer(dim) if crossed else _Layer(dim) for _ in range(depth))
        self.norm = _Norm(dim)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pe(self.embed(x))
        for layer in self.layers:
            x = layer(x)
        out: Tensor = self.norm(x)
        return out


class _Embedding(nn.Module):
    def __init__(self, cin: int, dim: int) -> None:
        super().__init__()
        self.embed = nn.Linear(cin, dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.embed(x)
        return out


class Positions(nn.Module):
    """x sqrt(dim) plus sine positions; a buffer, so that a checkpoint's own table is what counts."""

    pe: Tensor

    def __init__(self, dim: int, longest: int = SEGMENT) -> None:
        super().__init__()
        self.dim = dim
        at, column = torch.arange(longest)[:, None].double(), torch.arange(dim).double()
        angle = at / 10000 ** (2 * column / dim)
        table = torch.where(column % 2 == 0, angle.sin(), angle.cos())
        self.register_buffer("pe", table[None].float())

    def forward(self, x: Tensor) -> Tensor:
        return x * math.sqrt(self.dim) + self.pe[:, : x.shape[1]]


class _Norm(nn.Module):
    """alpha (x - mean) / (std + 1e-6) + bias with the unbiased standard deviation: not torch's LayerNorm."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.alpha, self.bias = nn.Parameter(torch.ones(dim)), nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        deviation = x.std(-1, keepdim=True) + 1e-6
        return self.alpha * (x - x.mean(-1, keepdim=True)) / deviation + self.bias


class _Attention(nn.Module):
    def __init__(self, dim: int, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.q_linear, self.v_linear = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.k_linear, self.out = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            f(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for f in (self.q_linear, self.k_linear, self.v_linear)
        )
        y = F.scaled_dot_product_attention(q, k, v)  # (1, heads, T, dim / heads)
        out: Tensor = self.out(y.transpose(1, 2).flatten(2))
        return out


class _FeedForward(nn.Module):
    def __init__(self, dim: int, hidden: int = 2048) -> None:
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear_2(self.linear_1(x).relu())
        return out


class _Layer(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = _Norm(dim), _Norm(dim)
        self.attn, self.ff = _Attention(dim), _FeedForward(dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm_1(x))
        return x + self.ff(self.norm_2(x))


class _CrossedLayer(nn.Module):
    """Parameters of a decoder layer; upstream builds it and never calls it."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm_1, self.norm_2, self.norm_3 = _Norm(dim), _Norm(dim), _Norm(dim)
        self.attn_1, self.attn_2, self.ff = _Attention(dim), _Attention(dim), _FeedForward(dim)
