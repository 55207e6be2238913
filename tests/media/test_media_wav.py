"""Headers of wav files: placeholders are read on, cut-off files and several files in one are refused."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from lipbench import media
from lipbench.core.errors import MediaError, Truncated
from lipbench.media.level import SILENT_DBFS, peak_dbfs, silence
from lipbench.media.wav import check_wav

SAMPLES = (np.random.default_rng(0).normal(size=24000) * 3000).astype(np.int16)
DATA = SAMPLES.astype("<i2").tobytes()


def wav(data: bytes = DATA, size: int | None = None, whole: int | None = None, extra: bytes = b"") -> bytes:
    """Bytes of a 16 kHz mono wav; `size` and `whole` replace what the header says of the samples and of the file."""
    size = len(data) if size is None else size
    body = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16) + extra
    body += b"data" + struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", len(body) if whole is None else whole) + body


@pytest.mark.parametrize(
    ("size", "whole"),
    [
        (0, 0),
        (0, 36),
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0xFFFFFFFF - 36, 0xFFFFFFFF),
        (0x7FFFFFFF, 0x7FFFFFFF),
        (0x7FFFFFFF - 36, 0x7FFFFFFF),
        (0x80000000, 0x80000024),
        (2_000_000_000, 2_000_000_036),
        (2_000_000_000, 2_000_000_000),
        (1_000_000_000, 0),
        (100_000_000, 100_000_036),
        (len(DATA) + 5000, len(DATA) + 36),
    ],
)
def test_placeholders_are_read_to_the_end(tmp_path: Path, size: int, whole: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(size=size, whole=whole))
    track = media.load_audio(path)
    assert np.array_equal(track.samples, SAMPLES)
    assert np.array_equal(media.read_wav(path)[0], SAMPLES)
    if 0 < size < 0x7FFFF000:
        assert "taken for a placeholder, 48000 are there" in track.remarks[0]


@pytest.mark.parametrize("size", [48002, 96000, 480_000, 40_000_000])
def test_what_is_missing_is_told(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(size=size, whole=size + 36))
    with pytest.raises(Truncated, match=f"only 48000 of {size} bytes"):
        media.read_audio(path)


@pytest.mark.parametrize("size", [None, 0, 0xFFFFFFFF, 2_000_000_000])
@pytest.mark.parametrize("n", [2, 3])
def test_several_in_one_file(tmp_path: Path, size: int | None, n: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(size=size) * n)
    for read in (media.read_audio, media.read_wav):
        with pytest.raises(MediaError, match=f"holds {n} wav files one after another"):
            read(path)


def test_several_in_one_file_of_odd_length(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    for pad in (b"", b"\0"):
        path.write_bytes(wav(DATA + b"x") + pad + wav())
        with pytest.raises(MediaError, match="2 wav files"):
            check_wav(path)


def test_chunks_after_the_samples_are_no_second_file(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav() + b"LIST" + struct.pack("<I", 12) + b"INFOISFTRIFF" + b"id3 " + struct.pack("<I", 2) + b"ab")
    assert np.array_equal(media.read_audio(path), SAMPLES)


def test_long_files_say_their_size_elsewhere(tmp_path: Path) -> None:
    """RF64: the 32-bit sizes are placeholders, the true ones lie in the chunk ds64."""
    path = tmp_path / "a.wav"
    for there, good in ((len(DATA), True), (len(DATA) + 400, False)):
        sizes = b"ds64" + struct.pack("<IQQQI", 28, there + 72, there, 24000, 0)
        plain = wav(size=0xFFFFFFFF, whole=0xFFFFFFFF)
        path.write_bytes(b"RF64" + plain[4:12] + sizes + plain[12:])
        if good:
            assert np.array_equal(media.read_audio(path), SAMPLES)
        else:
            with pytest.raises(Truncated, match=f"only 48000 of {there}"):
                media.read_audio(path)


def test_silence_is_no_sound() -> None:
    assert silence(SAMPLES) is None
    assert "-inf dBFS" in str(silence(np.zeros(100, np.int16)))
    assert silence(np.zeros(0, np.int16)) is not None
    for peak, silent in ((32, True), (33, False), (-32, True), (-33, False), (-32768, False)):
        assert (silence(np.array([0, peak, 0], np.int16)) is not None) == silent
    assert peak_dbfs(np.array([-32768], np.int16)) == 0
    assert SILENT_DBFS == -60
