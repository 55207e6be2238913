"""What a generator reached: mouths against truth on generated clips, beside the video left as it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lipbench.baselines.wav2lip.networks import Generator
from lipbench.baselines.wav2lip.training.data import Talk
from lipbench.baselines.wav2lip.training.losses import MOUTH

_BATCH = 16


@dataclass(frozen=True)
class MouthScore:
    """Mean per-frame PSNR of the crops' mouths against truth, dB. n: frames.

    drawn: by the generator. untouched: of the original video under the dub, which is the row `dubbed`.
    """

    drawn: float
    untouched: float
    n: int


@torch.no_grad()
def redraw(net: Generator, talk: Talk, language: str, source: str) -> NDArray[np.uint8]:
    """(n, 96, 96, 3) BGR: the source video's faces with lips for the sound of `language`, as inference draws them."""
    net.eval()
    n = talk.starts(language)
    face = torch.from_numpy(talk.faces[source][:n].transpose(0, 3, 1, 2).copy()).float() / 255
    masked = face.clone()
    masked[:, :, face.shape[2] // 2 :] = 0
    x = torch.cat((masked, face), dim=1)
    mel = torch.from_numpy(np.stack([talk.mel(language, 0, t) for t in range(n)]))[:, None]
    drawn = torch.cat([net(mel[i : i + _BATCH], x[i : i + _BATCH]) for i in range(0, n, _BATCH)])
    out: NDArray[np.uint8] = (drawn * 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return out


def mouth_psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(n,) dB of the mouths of (n, 96, 96, 3) crops; +inf where they are equal."""
    rows, columns = MOUTH
    difference = a[:, rows, columns].astype(np.float64) - b[:, rows, columns]
    with np.errstate(divide="ignore"):
        return np.asarray(10 * np.log10(255**2 / (difference**2).mean(axis=(1, 2, 3))))


def score(net: Generator, talks: Sequence[Talk]) -> dict[str, MouthScore]:
    """Language -> score over all talks that can be dubbed into it from their other language."""
    drawn: dict[str, list[NDArray[np.float64]]] = {}
    untouched: dict[str, list[NDArray[np.float64]]] = {}
    for talk in talks:
        source = talk.languages[0]
        for tag in talk.languages[1:]:
            made = redraw(net, talk, tag, source)
            truth = talk.faces[tag][: len(made)]
            drawn.setdefault(tag, []).append(mouth_psnr(made, truth))
            untouched.setdefault(tag, []).append(mouth_psnr(talk.faces[source][: len(made)], truth))
    return {tag: _mean(np.concatenate(drawn[tag]), np.concatenate(untouched[tag])) for tag in sorted(drawn)}


def _mean(drawn: NDArray[np.float64], untouched: NDArray[np.float64]) -> MouthScore:
    """Over the frames in which neither equals truth; in pauses the untouched video may, and its PSNR is infinite."""
    both = np.isfinite(drawn) & np.isfinite(untouched)
    return MouthScore(float(drawn[both].mean()), float(untouched[both].mean()), int(both.sum()))


def strip(net: Generator, talk: Talk, language: str, columns: int = 12) -> NDArray[np.uint8]:
    """(3 * 96, columns * 96, 3) RGB: the source video, the drawn faces, truth."""
    source = talk.languages[0]
    made = redraw(net, talk, language, source)
    at = np.linspace(0, len(made) - 1, columns).round().astype(int)
    rows = (talk.faces[source], made, talk.faces[language])
    return np.ascontiguousarray(np.concatenate([np.concatenate(list(r[at]), 1) for r in rows])[..., ::-1])
