"""The door to PyAV: opening media files, and whatever its versions do differently.

Features are asked of the library, never its version number. What differs between the versions that pyproject admits:

- 17 and 18 decode tags strictly unless told otherwise when the file is opened; 19 has no such argument and hands bytes
  that are not UTF-8 through as lone surrogates, which no terminal or JSON file takes. `tags` gives plain text.
- A log level other than None, which torchvision 0.19 for one sets for the whole process, makes FFmpeg's threads wait
  for the interpreter to log with; freeing a decoder in the meantime waits for them, for ever. `open_input` and
  `open_output` take the level back; what is wrong with a file comes as an exception anyway.
- Rates and time bases that a file does not state are None in 17 and 18, a zero `AVRational` in 19, whose arithmetic
  rounds to 32 bits. `fraction` gives an exact `Fraction`, or None.

Every failure becomes an error that says what to do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import av.logging
import av.stream
from av.container import InputContainer, OutputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from lipbench.core.errors import LipbenchError, MediaError, Truncated

#: Decoder and encoder threads: more would not be faster on clips of this size, and x264's bytes depend on the number.
THREADS = 2


def check_file(path: str | Path) -> Path:
    """The path of a file that exists and is not empty.

    Raises:
        MediaError: otherwise.
    """
    path = Path(path)
    if path.is_dir():
        raise MediaError(f"cannot read {path}", "it is a folder without pictures", "name a video or audio file in it")
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise MediaError(f"cannot read {path}", "there is no such file", "check the path") from error
    except OSError as error:
        raise MediaError(f"cannot read {path}", error.strerror or str(error), "check the path") from error
    if size == 0:
        raise MediaError(f"cannot read {path}", "the file is empty", "copy or download it again")
    return path


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns the decoder's exceptions into `MediaError`s about `path`."""
    try:
        yield
    except LipbenchError:
        raise
    except av.error.InvalidDataError as error:
        why = "it is not a video or audio file, or it was cut off before its index was written (no moov atom)"
        raise MediaError(f"cannot read {path}", why, "play it in a player; copy or download it again") from error
    except (av.error.FFmpegError, OSError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise MediaError(f"cannot read {path}", why, "check the file and its permissions") from error


def open_input(path: str | Path) -> InputContainer:
    """The opened container; close it.

    Raises:
        MediaError: missing, empty, unreadable, or not media.
    """
    path = check_file(path)
    with reading(path):
        # "file:" keeps colons in names from being taken for a protocol; a playlist must not fetch anything.
        options = {"protocol_whitelist": "file"}
        av.logging.set_level(None)
        return av.open(f"file:{path}", options=options, **_lenient())


def open_output(path: str | Path, format: str, options: dict[str, str]) -> OutputContainer:
    """A new container at `path`, with the muxer's options; close it.

    Raises:
        OSError, av.error.FFmpegError: `atomic.writing` turns them into `MediaError`s.
    """
    av.logging.set_level(None)
    return av.open(f"file:{path}", "w", format=format, options=options, **_lenient())


def _lenient() -> dict[str, Any]:
    """Arguments that keep a tag in some old code page from being an error, where opening asks for that."""
    return {"metadata_errors": "surrogateescape"} if hasattr(InputContainer, "metadata_errors") else {}


def tags(of: InputContainer | Stream) -> dict[str, str]:
    """Names and values of the tags of a container or stream; what is not UTF-8 in them is U+FFFD."""
    return {_text(name): _text(value) for name, value in of.metadata.items()}


def _text(value: str) -> str:
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def fraction(value: Any) -> Fraction | None:
    """A rate, time base or aspect of PyAV as a Fraction; None for one that is not known, which is never zero."""
    return Fraction(value.numerator, value.denominator) if value and value.denominator else None


def video_stream(container: InputContainer) -> VideoStream | None:
    """The first video stream that is not a cover picture."""
    for stream in container.streams.video:
        if not stream.disposition & stream.disposition.attached_pic:
            return stream
    return None


def skip_others(container: InputContainer, stream: Stream) -> None:
    """Let the demuxer pass over all other streams without reading them."""
    for other in container.streams:
        if other is not stream:
            other.discard = av.stream.Discard.all


def need_decoder(stream: Stream, path: Path) -> None:
    """
    Raises:
        MediaError: FFmpeg has no decoder for the stream.
    """
    if stream.codec_context is None:
        raise MediaError(
            f"cannot decode the {stream.type} of {path}",
            "this build of FFmpeg has no decoder for it",
            "convert it to H.264 and AAC, or to wav, with another tool",
        )


def cut_off(path: Path, why: str) -> Truncated:
    """The error for a file that ends early."""
    return Truncated(f"{path} is cut off", why, "copy or download it again, or set end_s to a time before the cut")
