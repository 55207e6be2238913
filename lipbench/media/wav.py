"""Wav files, and the form that samples have everywhere: (N,) int16 mono."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import numpy as np
import soundfile

from lipbench.core.errors import MediaError, UsageError
from lipbench.media.atomic import atomic_path, writing
from lipbench.media.opening import check_file, cut_off


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
        with soundfile.SoundFile(path) as file:
            if file.subtype == "PCM_16" and file.channels == 1:
                return file.read(dtype="int16"), file.samplerate
            return to_int16(file.read(dtype="float64", always_2d=True).mean(axis=1)), file.samplerate
    except soundfile.LibsndfileError as error:
        raise MediaError(f"cannot read {path}", str(error.error_string), "give a wav or flac file") from error


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


def check_wav(path: Path) -> None:
    """
    Raises:
        Truncated: the header promises more samples than the file holds. (Recorders that cannot seek back write the
            largest number or 0: that promises nothing.)
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        if file.read(4) != b"RIFF" or not file.read(4) or file.read(4) != b"WAVE":
            return
        while len(head := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", head)
            if name == b"data":
                there = size - file.tell()
                if there < length < 0x7FFFF000:
                    raise cut_off(path, f"only {there} of {length} bytes of its samples are there")
                return
            file.seek(length + length % 2, 1)
