"""Whether a container held all that it declares. Each kind of container has its own way to say how much that is."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from lipbench.media.opening import cut_off, tags


def check_complete(
    path: Path,
    container: InputContainer,
    stream: VideoStream | AudioStream,
    last_dts: int | None,
    end: Fraction | None = None,
) -> None:
    """To be asked when a stream has been read to its end. Raw, transport and fragmented streams declare nothing.

    Args:
        last_dts: largest decoding time stamp of the packets that came.
        end: seconds, on the container's clock, at which the last frame ends, if known.

    Raises:
        Truncated: something is missing.
    """
    if last_dts is None:
        return
    kinds = set(container.format.name.split(","))
    things = "frames can be decoded" if isinstance(stream, VideoStream) else "packets of its sound are there"
    index = getattr(stream, "index_entries", ())
    if "mp4" in kinds and stream.frames and len(index):
        # After edit lists, so that only what is to be shown counts.
        have = sum(entry.timestamp <= last_dts for entry in index)
        if have < len(index):
            raise cut_off(path, f"only {have} of {len(index)} {things}")
    if "avi" in kinds and isinstance(stream, VideoStream):
        # The time base is one frame; headers count a few empty frames at either end.
        have = last_dts + 1
        if have < stream.frames - max(3, stream.frames // 50):
            raise cut_off(path, f"only {have} of {stream.frames} {things}")
    if "matroska" in kinds and end is not None:
        declared = _clock(tags(stream).get("DURATION", ""))
        if declared is not None and end < declared - Fraction(1, 10):
            raise cut_off(path, f"it ends at {float(end):.2f} s of {float(declared):.2f} s")


def _clock(text: str) -> Fraction | None:
    """Seconds of "00:01:02.500000000" (Matroska's DURATION tag)."""
    parts = text.split(":")
    try:
        hours, minutes, seconds = int(parts[0]), int(parts[1]), Fraction(parts[2])
    except (ValueError, IndexError):
        return None
    return hours * 3600 + minutes * 60 + seconds
