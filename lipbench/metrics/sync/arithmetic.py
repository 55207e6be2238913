"""From two rows of embeddings to LSE-D, LSE-C and the AV offset: the published arithmetic, and two variants of ours.

Source: `calc_pdist` and `evaluate` of `SyncNetInstance.py` in joonson/syncnet_python, which Wav2Lip's evaluation
repeats. LSE-D is the smallest of 31 mean distances (one per shift of -15..15 frames), LSE-C their median minus that
smallest. Both are taken at the best shift, so a constant delay is not punished: look at the offset as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lipbench.core.errors import TooShort
from lipbench.metrics.sync.protocol import FPS, SAMPLES_PER_FRAME, TAIL, VSHIFT

#: Below this many windows the zero padding at both ends dominates LSE-C.
FEW_WINDOWS = 50
MS_PER_FRAME = 1000 // FPS


@dataclass(frozen=True)
class SyncScore:
    """What a sync model says about one face track and its audio.

    Attributes:
        lse_d: smallest mean distance over the 31 shifts; lower is better.
        lse_c: median over the shifts minus `lse_d`; higher is better.
        av_offset: frames by which the audio leads the image (negative: it lags) at the best shift, -15..15.
        lse_d_at_zero: mean distance without any shift. Ours, not a published number.
        lse_c_valid: LSE-C over pairs of existing windows only, without the zero padding; None with fewer than 16
            windows, when some shift has no such pair. Ours, not a published number.
        n_windows: 5-frame windows compared, T below.
        distances: (31,) mean distance per shift; entry j compares frame t with the audio at t + j - 15.
        per_window: (T, 31) the distances that were averaged.
    """

    lse_d: float
    lse_c: float
    av_offset: int
    lse_d_at_zero: float
    lse_c_valid: float | None
    n_windows: int
    distances: NDArray[np.float32]
    per_window: NDArray[np.float32]

    @property
    def framewise_distance(self) -> NDArray[np.float32]:
        """(T,) distance of every window at the best shift; its mean is `lse_d`."""
        return self.per_window[:, VSHIFT - self.av_offset]

    @property
    def framewise_distance_at_zero(self) -> NDArray[np.float32]:
        """(T,) distance of every window without shift; its mean is `lse_d_at_zero`."""
        return self.per_window[:, VSHIFT]

    @property
    def framewise_confidence(self) -> NDArray[np.float32]:
        """(T,) median of the mean distances minus the window's own distance at the best shift; its mean is `lse_c`.

        Unsmoothed; syncnet_python prints it through a median filter of 9.
        """
        return np.float32(np.median(self.distances)) - self.framewise_distance

    @property
    def offset_words(self) -> str:
        """The offset as a sentence, because signs have been read both ways."""
        return offset_words(self.av_offset)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of the numbers should know."""
        found = []
        if self.n_windows < FEW_WINDOWS:
            found.append(
                f"only {self.n_windows} windows: zero padding lowers LSE-C, compare clips of equal length only"
            )
        if abs(self.av_offset) == VSHIFT:
            found.append("the best shift is the largest one tried: image and audio may not match at all")
        return tuple(found)


def offset_words(frames: float) -> str:
    """ "audio leads by 3 frames (120 ms)", "audio lags by ...", "audio and video are aligned"; frames at 25 fps."""
    if frames == 0:
        return "audio and video are aligned"
    size = abs(frames)
    verb, plural = ("leads" if frames > 0 else "lags"), ("" if size == 1 else "s")
    return f"audio {verb} video by {size:g} frame{plural} ({size * MS_PER_FRAME:g} ms)"


def count_windows(n_frames: int, n_samples: int) -> int:
    """Windows that are compared: min(frames, samples // 640) - 5, never below 0."""
    return max(0, min(n_frames, n_samples // SAMPLES_PER_FRAME) - TAIL)


def pair_distances(video: Tensor, audio: Tensor) -> Tensor:
    """(T, 31) L2 distances between (T, E) video and (T, E) audio embeddings at every shift.

    The audio is padded with 15 rows of zeros at both ends; 1e-6 is added to every difference, as in
    `torch.nn.functional.pairwise_distance`.
    """
    padded = F.pad(audio, (0, 0, VSHIFT, VSHIFT))
    n = len(video)
    return torch.stack([F.pairwise_distance(video, padded[j : j + n]) for j in range(2 * VSHIFT + 1)], dim=1)


def score_embeddings(video: Tensor, audio: Tensor) -> SyncScore:
    """The scores of T windows; rows beyond the shorter input are ignored.

    Args:
        video: (T, E) embeddings of windows 0, 1, ... of the same span.
        audio: (T, E) embeddings of windows 0, 1, ... of the same span.

    Raises:
        TooShort: no window.
    """
    n = min(len(video), len(audio))
    if n < 1:
        raise TooShort(
            "there is no window to compare", f"a window needs more than {TAIL} frames with audio", "use a longer clip"
        )
    each = pair_distances(video[:n].float().cpu(), audio[:n].float().cpu())
    mean = each.mean(dim=0).numpy()
    best = int(np.argmin(mean))
    return SyncScore(
        lse_d=float(mean[best]),
        lse_c=float(np.median(mean) - mean[best]),
        av_offset=VSHIFT - best,
        lse_d_at_zero=float(mean[VSHIFT]),
        lse_c_valid=_valid_confidence(each.numpy()),
        n_windows=n,
        distances=mean,
        per_window=each.numpy(),
    )


def _valid_confidence(each: NDArray[np.float32]) -> float | None:
    n = len(each)
    if n <= VSHIFT:
        return None
    mean = []
    for j in range(2 * VSHIFT + 1):
        shift = j - VSHIFT  # window t meets audio t + shift, which exists for 0 <= t + shift < n
        mean.append(each[max(0, -shift) : n - max(0, shift), j].mean())
    return float(np.median(mean) - np.min(mean))
