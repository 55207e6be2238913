"""SyncNet for scoring: audio features, frames streamed through folded weights (`streams`).

Same numbers as the published loop, distances to 1e-6 relative, without its fivefold copies of every frame: everything
runs channels-last in small batches, which stay in the cache of a CPU core.

The audio features are 13 MFCC every 10 ms, by `python_speech_features` with all of its defaults: 25 ms rectangular
window, 10 ms step, nfft 512, 26 mel filters 0..8000 Hz, pre-emphasis 0.97, lifter 22, the first coefficient replaced by
the log energy. The package is used as it is, because SyncNet was trained on it.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lipbench.core.errors import TooShort, UsageError
from lipbench.metrics.sync.arithmetic import SyncScore, count_windows, score_embeddings
from lipbench.metrics.sync.protocol import (
    COLUMNS_PER_FRAME,
    RATE,
    SAMPLES_PER_FRAME,
    TAIL,
    WINDOW_COLUMNS,
    WINDOW_FRAMES,
)
from lipbench.metrics.sync.streams import AUDIO_TILES, VIDEO_TILES, Stream

if TYPE_CHECKING:
    from lipbench.metrics.sync.network import SyncNet


N_CEPS = 13
#: Columns whose features are made at once: the package takes 17 kB for each.
COLUMNS = 3000


def mfcc(audio: NDArray[np.int16], rate: int = RATE) -> NDArray[np.float64]:
    """(13, C) features of (N,) int16 mono audio; C = 1 + ceil((N - 400) / 160), so 4 F - 1 for N = 640 F.

    The int16 scale matters: audio in [-1, 1] would shift the first coefficient by -20.794.

    Raises:
        UsageError: not mono int16 at 16 kHz, or empty.
    """
    check_sound(audio, rate)
    if len(audio) == 0:
        raise UsageError("there is no audio to analyze", "the signal has 0 samples", "hand in at least 25 ms")
    from python_speech_features import mfcc as features
    from python_speech_features import sigproc

    sharpened = sigproc.preemphasis(audio, 0.97)  # over the whole: a part does not know the sample before its first
    step, length = RATE // 100, RATE // 40
    n = 1 + max(-(-(len(audio) - length) // step), 0)
    parts = [
        features(sharpened[step * first : step * (min(first + COLUMNS, n) - 1) + length], rate, preemph=0)
        for first in range(0, n, COLUMNS)
    ]
    return np.ascontiguousarray(np.concatenate(parts).T)


def check_sound(audio: NDArray[Any], rate: int = RATE) -> None:
    """Refuse what would give other numbers without a word.

    Raises:
        UsageError: not mono int16 at 16 kHz.
    """
    if audio.dtype != np.int16 or audio.ndim != 1 or rate != RATE:
        raise UsageError(
            f"SyncNet needs (N,) int16 samples at {RATE} Hz, not {audio.dtype} {audio.shape} at {rate} Hz",
            "its features keep the int16 scale, so floats would shift them",
            "read the audio with lipbench.media.read_audio",
        )


# Windows per batch: on a CPU the measured optimum, larger ones fall out of the cache.
VIDEO_BATCH = {"cpu": 4, "cuda": 64}
AUDIO_BATCH = {"cpu": 32, "cuda": 1024}
#: Sounds whose embeddings are kept; a minute is 6 MB.
SOUNDS_KEPT = 4


class FoldedSyncNet:
    """A frozen copy of a SyncNet in eval mode; later changes of the network's weights do not reach it.

    Args:
        net: the network; its batch norm uses running statistics, whatever mode it is in.
        device: where to compute.
        dtype: float32 agrees with the published numbers to 1e-4; bfloat16 is faster and is not the same sync model.
    """

    def __init__(self, net: SyncNet, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32) -> None:
        self.device, self.dtype = torch.device(device), dtype
        self.size, self.embedding_size = net.shape.size, net.embedding_size
        was_training = net.training
        net.eval()  # the fusing helpers insist on it
        try:
            with torch.no_grad():
                self._lip = Stream(net.netcnnlip, net.netfclip, VIDEO_TILES, self.device, dtype)
                self._aud = Stream(net.netcnnaud, net.netfcaud, AUDIO_TILES, self.device, dtype)
        finally:
            net.train(was_training)
        before, last = net.shape.maps
        self._last_pool = before != last
        self._heard: OrderedDict[bytes, Tensor] = OrderedDict()
        self.video_batch = VIDEO_BATCH.get(self.device.type, 64)
        self.audio_batch = AUDIO_BATCH.get(self.device.type, 1024)

    @torch.inference_mode()
    def lip(self, frames: NDArray[np.uint8]) -> Tensor:
        """(n + 4, size, size, 3) BGR frames -> (n, E) embeddings of their n windows, in one batch."""
        flat = torch.from_numpy(frames).to(self.device).to(self.dtype)
        n = len(flat) - WINDOW_FRAMES + 1
        x = flat.new_empty(n, self.size, self.size, 3 * WINDOW_FRAMES)
        for t in range(WINDOW_FRAMES):
            x[..., 3 * t : 3 * t + 3] = flat[t : t + n]
        x = x.permute(0, 3, 1, 2)  # channels-last
        first, second, *others = self._lip.layers
        x = F.max_pool2d(first(x), 3, 2)
        x = F.max_pool2d(second(x), 3, 2, 1)
        for layer in others:
            x = layer(x)
        if self._last_pool:
            x = F.max_pool2d(x, 3, 2)
        return self._lip.head(x).float()

    @torch.inference_mode()
    def aud(self, windows: Tensor) -> Tensor:
        """(n, 1, 13, 20) MFCC windows -> (n, E), in one batch."""
        first, second, *others = self._aud.layers
        x = first(windows.to(self.device, self.dtype)).contiguous(memory_format=torch.channels_last)
        x = F.max_pool2d(second(x), 3, (1, 2))
        for layer in others:
            x = layer(x)
        return self._aud.head(F.max_pool2d(x, 3, 2)).float()

    def embed_video(self, frames: NDArray[np.uint8] | Iterable[NDArray[np.uint8]]) -> Tensor:
        """(max(T - 5, 0), E) embeddings of the windows that the published loop takes from T frames.

        Args:
            frames: (T, size, size, 3) uint8 BGR at 25 fps, an array or any iterable: it is read once, block by block.

        Raises:
            UsageError: frames of another size or type.
        """
        stream = self.video_stream()
        for frame in frames:
            stream.push(frame)
        return stream.finish()

    def video_stream(self) -> VideoStream:
        """An embedder that is fed frame by frame."""
        return VideoStream(self)

    def embed_audio(self, audio: NDArray[np.int16]) -> Tensor:
        """(max(F - 5, 0), E) embeddings of N = 640 F + rest samples, one per video frame.

        Raises:
            UsageError: not mono int16.
        """
        check_sound(audio)
        n = len(audio) // SAMPLES_PER_FRAME - TAIL
        if n < 1:
            return torch.zeros(0, self.embedding_size)
        # A run scores all methods of a dub one after the other, and they all have its sound.
        sound = hashlib.blake2b(audio.tobytes()).digest()
        if sound not in self._heard:
            self._heard[sound] = self._embed(audio, n)
            while len(self._heard) > SOUNDS_KEPT:
                self._heard.popitem(last=False)
        return self._heard[sound]

    def _embed(self, audio: NDArray[np.int16], n: int) -> Tensor:
        features = torch.from_numpy(mfcc(audio)).float()  # 13 x C
        out = []
        for start in range(0, n, self.audio_batch):
            count = min(self.audio_batch, n - start)
            windows = features.as_strided(
                (count, 1, N_CEPS, WINDOW_COLUMNS),
                (COLUMNS_PER_FRAME, 0, features.stride(0), 1),
                COLUMNS_PER_FRAME * start,
            )
            out.append(self.aud(windows.contiguous()))
        return torch.cat(out).cpu()

    def score(self, frames: NDArray[np.uint8] | Iterable[NDArray[np.uint8]], audio: NDArray[np.int16]) -> SyncScore:
        """Score one cropped face track at 25 fps and its 16 kHz audio; both start at the same instant.

        Args:
            frames: (T, size, size, 3) uint8 BGR, an array or an iterable.
            audio: (N,) int16.

        Raises:
            TooShort: 5 frames or fewer have both image and audio.
            UsageError: inputs of another size or type.
        """
        check_sound(audio)
        video = self.embed_video(islice(frames, len(audio) // SAMPLES_PER_FRAME))
        return self.score_video(video, audio)

    def score_video(self, video: Tensor, audio: NDArray[np.int16]) -> SyncScore:
        """The same for frames that are embedded already.

        Raises:
            TooShort: no common window.
        """
        n = count_windows(len(video) + TAIL, len(audio))
        if n < 1 or len(video) < 1:
            raise TooShort(
                "the track is too short to be scored",
                f"it has {len(video) + TAIL} frames at most and {len(audio) / RATE:.2f} s of audio, 6 frames needed",
                "use a longer clip",
            )
        return score_embeddings(video[:n], self.embed_audio(audio[: (n + TAIL) * SAMPLES_PER_FRAME]))


class VideoStream:
    """Embeds frames as they come, holding only one batch of them."""

    def __init__(self, net: FoldedSyncNet) -> None:
        self._net = net
        self._block = np.empty((net.video_batch + WINDOW_FRAMES - 1, net.size, net.size, 3), np.uint8)
        self._filled, self.n_frames = 0, 0
        self._out: list[Tensor] = []

    def push(self, frame: NDArray[np.uint8]) -> None:
        """Take the next (size, size, 3) uint8 BGR frame.

        Raises:
            UsageError: another size or type.
        """
        if frame.shape != self._block.shape[1:] or frame.dtype != np.uint8:
            size = self._net.size
            raise UsageError(
                f"this sync model takes ({size}, {size}, 3) uint8 frames, not {frame.dtype} {frame.shape}",
                "the network has no other input size",
                f"resize the face crop to {size} x {size} px first",
            )
        self._block[self._filled] = frame
        self._filled += 1
        self.n_frames += 1
        if self._filled == len(self._block):
            self._run()

    def _run(self) -> None:
        self._out.append(self._net.lip(self._block[: self._filled]).cpu())
        keep = WINDOW_FRAMES - 1
        self._block[:keep] = self._block[self._filled - keep : self._filled].copy()
        self._filled = keep

    def finish(self) -> Tensor:
        """(max(T - 5, 0), E) embeddings of the T frames pushed."""
        if self._filled > WINDOW_FRAMES - 1:
            self._run()
        wanted = max(0, self.n_frames - TAIL)
        if not self._out:
            return torch.zeros(0, self._net.embedding_size)
        return torch.cat(self._out)[:wanted]
