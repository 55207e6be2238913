"""AAC that was encoded a moment ago comes from memory, and nothing of a file tells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipbench import media
from lipbench.media import aac

FRAMES = [np.full((32, 32, 3), 40 + n, np.uint8) for n in range(50)]


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    aac._kept.clear()


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Lengths of the blocks that the encoder gets."""
    seen: list[int] = []
    encode = aac.Sound._encode
    monkeypatch.setattr(aac.Sound, "_encode", lambda self, block: seen.append(len(block)) or encode(self, block))
    return seen


def sound(n: int = 30_000) -> np.ndarray:
    return (np.random.default_rng(3).standard_normal(n) * 4000).astype(np.int16)


def written(folder: Path, samples: np.ndarray, rate: int = 16000) -> bytes:
    return media.write_video(folder / "video.mp4", FRAMES, 25, samples, rate=rate).read_bytes()


def test_a_sound_is_encoded_once(tmp_path: Path, heard: list[int]) -> None:
    first = written(tmp_path, sound())
    assert sum(heard) == 30_000
    assert written(tmp_path, sound()) == first
    assert sum(heard) == 30_000


def changed(samples: np.ndarray) -> np.ndarray:
    samples[20_000:] //= 2
    return samples


@pytest.mark.parametrize(
    ("samples", "rate"),
    [(changed(sound()), 16000), (sound()[:25_000], 16000), (sound(40_001), 16000), (sound(), 8000)],
    ids=["another end", "shorter", "longer", "another rate"],
)
def test_a_sound_that_begins_like_another_is_its_own(
    tmp_path: Path, heard: list[int], samples: np.ndarray, rate: int
) -> None:
    alone = written(tmp_path, samples, rate)
    aac._kept.clear()
    written(tmp_path, sound())
    heard.clear()
    assert written(tmp_path, samples, rate) == alone
    assert sum(heard) == len(samples)


def test_no_more_is_kept_than_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aac, "KEPT", 8)
    first = written(tmp_path, sound())
    assert len(aac._kept) == 8
    assert written(tmp_path, sound()) == first
