"""Several channels to one.

One or two channels give their mean. More are weighted as FFmpeg's resampler weights them for `-ac 1`, which is the
down-mix of ITU-R BS.775: center 1, left and right 1/sqrt 2, surrounds 1/2, the low-frequency channel left out, all
of it scaled so that nothing can be clipped. A file that does not say what its channels are is taken as FFmpeg takes it.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from av.audio.frame import AudioFrame

from lipbench.core.errors import MediaError

#: Names of single channels for options and manifests -> FFmpeg's.
CHANNELS = {
    "left": "FL",
    "right": "FR",
    "center": "FC",
    "lfe": "LFE",
    "back_left": "BL",
    "back_right": "BR",
    "back_center": "BC",
    "side_left": "SL",
    "side_right": "SR",
}
_WORDS = {code: word for word, code in CHANNELS.items()}

_FRONT, _SURROUND = sqrt(0.5), 0.5
_WEIGHTS = {
    "FC": 1.0,
    **dict.fromkeys(("FL", "FR", "FLC", "FRC", "TFL", "TFR", "DL", "DR"), _FRONT),
    **dict.fromkeys(("BL", "BR", "BC", "SL", "SR"), _SURROUND),
}

#: What FFmpeg takes n unnamed channels for.
_DEFAULT = {
    1: "FC",
    2: "FL FR",
    3: "FL FR LFE",
    4: "FL FR FC BC",
    5: "FL FR FC BL BR",
    6: "FL FR FC LFE BL BR",
    7: "FL FR FC LFE BC SL SR",
    8: "FL FR FC LFE BL BR SL SR",
}

_UNNAMED = frozenset({"NONE", "UNK", "UNSD", "?"})

#: A mix whose power is below this share of what its channels would add up to if they were unlike each other cancels.
CANCELS = 0.01

_SCALE = {"u8": 128.0, "s16": 32768.0, "s32": 2147483648.0, "s64": 9223372036854775808.0}


def planes(frame: AudioFrame) -> np.ndarray:
    """(C, N) samples of a frame: int16 for one 16-bit channel (untouched), else float64 in [-1, 1)."""
    name = frame.format.name
    data = frame.to_ndarray()
    rows = data if frame.format.is_planar else data.reshape(-1, frame.layout.nb_channels).T
    if len(rows) == 1 and rows.dtype == np.int16:
        return rows.copy()
    wide = rows.astype(np.float64)
    if name.startswith("u8"):
        wide -= 128
    return wide / _SCALE.get(name.removesuffix("p"), 1.0)


def channel_names(frame: AudioFrame) -> tuple[tuple[str, ...], bool]:
    """FFmpeg's names of a frame's channels, and whether the file states them; () for channels of no known meaning."""
    names = tuple(channel.name for channel in frame.layout.channels)
    if all(name and name not in _UNNAMED for name in names):
        return names, True
    return tuple(_DEFAULT.get(len(names), "").split()), False


class Downmix:
    """Makes (C, N) blocks of one stream (N,) mono, and measures whether the channels cancel each other.

    Args:
        first: a frame of the stream.
        channel: a name of `CHANNELS` to take alone.
        file: for messages.

    Attributes:
        remarks: what the user should know about the mix.

    Raises:
        MediaError: the stream has no such channel.
    """

    def __init__(self, first: AudioFrame, channel: str | None, file: object) -> None:
        n = first.layout.nb_channels
        self.names, stated = channel_names(first)
        self.remarks: tuple[str, ...] = ()
        self._only: int | None = None
        self._weights: np.ndarray | None = None
        if channel is not None:
            self._only = self._index(channel, n, file)
        elif n > 2:
            self._weights = self._mix(n)
            if not stated:
                known = f"taken as {' '.join(self.names)}" if self.names else "their plain mean is used"
                self.remarks = (f"{file} does not say what its {n} channels are: {known}",)
        self._power = np.zeros(n)
        self._mixed = 0.0

    def _index(self, channel: str, n: int, file: object) -> int:
        code = CHANNELS.get(channel, channel)
        if code not in self.names:
            has = [_WORDS.get(name, name) for name in self.names] or [f"{n} channels without names"]
            raise MediaError(f"{file} has no channel {channel!r}", f"it has {', '.join(has)}", "name one of them")
        return self.names.index(code)

    def _mix(self, n: int) -> np.ndarray:
        weights = np.array([_WEIGHTS.get(name, 0.0) for name in self.names])
        total = weights.sum()
        return weights / max(total, 1.0) if total else np.full(n, 1 / n)

    def __call__(self, block: np.ndarray) -> np.ndarray:
        """(C, N) -> (N,) int16 for one 16-bit channel (untouched), float32 otherwise."""
        if len(block) == 1:
            return block[0] if block.dtype == np.int16 else block[0].astype(np.float32)
        if self._only is not None:
            return block[self._only].astype(np.float32)
        mixed = block.mean(axis=0) if self._weights is None else self._weights @ block
        self._power += np.square(block).sum(axis=1)
        self._mixed += float(np.square(mixed).sum())
        out: np.ndarray = mixed.astype(np.float32)
        return out

    @property
    def instead(self) -> str | None:
        """The loudest channel, where the mix so far is far quieter than the channels that went into it."""
        n = len(self._power)
        weights = np.full(n, 1 / n) if self._weights is None else self._weights
        parts = self._power * weights**2
        if len(self.names) != n or self._mixed >= CANCELS * parts.sum() or not parts.any():
            return None
        loudest = self.names[int(parts.argmax())]
        return _WORDS.get(loudest, loudest)
