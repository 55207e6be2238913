"""Sound encoded as AAC beside its frames. What was encoded a moment ago is not encoded again.

A run puts the same dub under the video of one method after the other, and AAC takes a fifth of what encoding the frames
takes.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.packet import Packet

#: Samples that are encoded at once.
BLOCK = 1024
#: Blocks whose packets are kept: ten minutes at 16 kHz in 6 MB.
KEPT = 10_000


@dataclass(frozen=True, slots=True)
class _Kept:
    """A packet; what the muxer is given it uses up."""

    data: bytes
    pts: int | None
    dts: int | None
    duration: int | None
    time_base: Fraction

    @classmethod
    def of(cls, packet: Packet) -> _Kept:
        return cls(bytes(packet), packet.pts, packet.dts, packet.duration, packet.time_base)

    def packet(self, stream: av.AudioStream) -> Packet:
        packet = Packet(self.data)
        packet.pts, packet.dts, packet.duration, packet.time_base = self.pts, self.dts, self.duration, self.time_base
        packet.is_keyframe, packet.stream = True, stream
        return packet


#: Digest of a sound up to the end of a block -> what the encoder gave for that block; the longest unused first.
_kept: OrderedDict[bytes, list[_Kept]] = OrderedDict()


class Sound:
    """An AAC stream fed from blocks of samples."""

    def __init__(self, stream: av.AudioStream, rate: int, chunks: Iterator[np.ndarray]) -> None:
        self._stream, self._rate, self._chunks = stream, rate, chunks
        self._pending = np.zeros(0, np.int16)
        self._taken = self._encoded = 0  # samples
        self._digest = hashlib.blake2b(f"{rate} {stream.bit_rate} ".encode())
        self._behind: list[np.ndarray] = []  # blocks that the encoder has not heard: their packets were kept

    def until(self, t: Fraction) -> Iterator[list[Packet]]:
        """Packets of the whole blocks that end before `t` seconds."""
        while self._taken + BLOCK <= t * self._rate and len(block := self._take(BLOCK)):
            yield self._packets(block)

    def rest(self, end: Fraction | None) -> Iterator[list[Packet]]:
        """Packets of everything left, or of what is left before `end` seconds."""
        last = None if end is None else round(end * self._rate)
        while len(block := self._take(BLOCK if last is None else min(BLOCK, last - self._taken))):
            yield self._packets(block)
        yield self._packets(None)

    def _take(self, n: int) -> np.ndarray:
        while len(self._pending) < n and (chunk := next(self._chunks, None)) is not None:
            self._pending = np.concatenate([self._pending, chunk])
        block, self._pending = self._pending[: max(n, 0)], self._pending[max(n, 0) :]
        self._taken += len(block)
        return block

    def _packets(self, block: np.ndarray | None) -> list[Packet]:
        """The packets that are due after the next block, None at the end: kept ones as far as the sound is known."""
        self._digest.update(b"end" if block is None else block.tobytes())
        key = self._digest.digest()
        if self._encoded == 0 and key in _kept:
            _kept.move_to_end(key)
            if block is not None:
                self._behind.append(block)
            return [kept.packet(self._stream) for kept in _kept[key]]
        for missed in self._behind:
            self._encode(missed)
        self._behind.clear()
        packets = self._stream.encode(None) if block is None else self._encode(block)
        _kept[key] = [_Kept.of(packet) for packet in packets]
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
        return packets

    def _encode(self, block: np.ndarray) -> list[Packet]:
        frame = AudioFrame.from_ndarray(block[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = self._rate, self._encoded, Fraction(1, self._rate)
        self._encoded += len(block)
        return self._stream.encode(frame)
