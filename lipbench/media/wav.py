"""Wav files, and the form that samples have everywhere: (N,) int16 mono."""

from __future__ import annotations

import io
import mmap
import struct
import wave
from pathlib import Path

import numpy as np
import soundfile

from lipbench.core.errors import MediaError, UsageError
from lipbench.media.atomic import atomic_path, writing
from lipbench.media.opening import check_file, cut_off

#: A size that is this many times what is there, and at least that many bytes, is a placeholder and no cut-off file's.
FAR_BEYOND = 10
LEAST_PLACEHOLDER = 50_000_000

#: Bytes at a file's beginning in which its samples begin.
HEAD = 1 << 16


def to_int16(block: np.ndarray) -> np.ndarray:
    """float in [-1, 1) -> int16, rounded to even and clipped; int16 stays."""
    if block.dtype == np.int16:
        return block
    scaled = np.nan_to_num(block.astype(np.float64) * 32768)
    return np.clip(np.rint(scaled), -32768, 32767).astype(np.int16)


def read_wav(path: str | Path) -> tuple[np.ndarray, int]:
    """A wav (or flac) file as ((N,) int16 mono, rate); 16-bit mono untouched, channels averaged, floats clipped.

    Raises:
        MediaError: missing, empty or not such a file.
        Truncated: it holds less than its header says.
    """
    path = check_file(path)
    check_wav(path)
    try:
        with soundfile.SoundFile(_mended(path)) as file:
            if file.subtype == "PCM_16" and file.channels == 1:
                return file.read(dtype="int16"), file.samplerate
            return to_int16(file.read(dtype="float64", always_2d=True).mean(axis=1)), file.samplerate
    except soundfile.LibsndfileError as error:
        raise MediaError(f"cannot read {path}", str(error.error_string), "give a wav or flac file") from error


def _mended(path: Path) -> Path | io.BytesIO:
    """The file; where its header says that it holds no samples though it does, its bytes with a better header."""
    with open(path, "rb") as file:
        head = file.read(HEAD)
    at = head.find(b"data", 12)
    if head[:4] != b"RIFF" or at < 0 or head[at + 4 : at + 8] != bytes(4) or len(head) == at + 8:
        return path
    data = path.read_bytes()
    return io.BytesIO(data[: at + 4] + struct.pack("<I", len(data) - at - 8) + data[at + 8 :])


def write_wav(path: str | Path, samples: np.ndarray, rate: int = 16000) -> Path:
    """Write (N,) int16 as a mono PCM16 wav, atomically; returns the path.

    Raises:
        UsageError: not one-dimensional int16.
        DiskFull: no space left.
    """
    samples = check_samples(samples)
    path = Path(path)
    with atomic_path(path) as temporary, writing(path), wave.open(str(temporary), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def check_samples(samples: np.ndarray) -> np.ndarray:
    samples = np.asarray(samples)
    if samples.dtype != np.int16 or samples.ndim != 1:
        raise UsageError(
            f"cannot use {samples.dtype} audio of shape {samples.shape}",
            "audio in lipbench is int16 mono of shape (N,)",
            "average the channels and scale floats by 32768 first",
        )
    return samples


def check_wav(path: Path) -> tuple[str, ...]:
    """Does a wav file hold what its header promises, and only that? Other files pass.

    Recorders that cannot seek back leave a placeholder for the sizes: 0, the largest number, or any other that is far
    beyond the file. That promises nothing; the samples go on to the end of the file.

    Returns:
        What the user should know.

    Raises:
        Truncated: the header promises more samples than the file holds.
        MediaError: several wav files lie in it one after another: players, and FFmpeg, would stop after the first.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(12)
        if head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
            return ()
        whole = struct.unpack("<I", head[4:8])[0] + 8
        wide: int | None = None  # the size of the samples where 32 bits do not hold it
        while len(head := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", head)
            begin = file.tell()
            if name == b"ds64" and length >= 16:
                wide = struct.unpack("<Q", file.read(16)[8:])[0]
            if name == b"data":
                return _samples(path, size, begin, wide if wide and length == 0xFFFFFFFF else length, whole)
            file.seek(begin + length + length % 2)
    return ()


def _samples(path: Path, size: int, begin: int, length: int, whole: int) -> tuple[str, ...]:
    """`check_wav` of the samples that begin at byte `begin`; `whole` is what the header says of the file's size."""
    there = size - begin
    if length == 0 or length > there:
        if parts := _headers(path, begin, whole=False):
            raise _glued(path, parts + 1)
        if length == 0 or length >= 0x7FFFF000:
            return ()
        if whole == size or length >= max(FAR_BEYOND * there, LEAST_PLACEHOLDER):
            return (f"{path} says that it holds {length} bytes of samples: taken for a placeholder, {there} are there",)
        raise cut_off(path, f"only {there} of {length} bytes of its samples are there")
    if parts := _headers(path, begin + length + length % 2, whole=True):
        raise _glued(path, parts + 1)
    return ()


def _headers(path: Path, at: int, *, whole: bool) -> int:
    """How many wav files begin at byte `at` or later; with `whole`, none unless one begins right there."""
    if path.stat().st_size <= at:
        return 0
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if whole and b"RIFF" not in data[max(at - 1, 0) : at + 4]:  # some writers leave the padding of odd lengths out
            return 0
        found, at = 0, data.find(b"RIFF", max(at - 1, 0))
        while at >= 0:
            found += data[at + 8 : at + 12] == b"WAVE"
            at = data.find(b"RIFF", at + 4)
        return found


def _glued(path: Path, n: int) -> MediaError:
    return MediaError(
        f"{path} holds {n} wav files one after another",
        "everything after the first would be passed over",
        "write each part to a file of its own and join their samples, or have the tool write one header",
    )
