"""Sounds of small films for tests: music and effects of the generator, and noise in bursts for what is said."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from lipbench.datasets.film.align import align
from lipbench.datasets.film.alignment import Alignment
from lipbench.datasets.film.tracks import Track, read_track
from lipbench.synthetic.film.bed import RATE, bed
from lipbench.synthetic.film.mixes import Layout, mix, to_steps

SECONDS = 100.0


@cache
def music(seed: int = 1, seconds: float = SECONDS) -> NDArray[np.float32]:
    """(2, N): a bar that goes on and never repeats, with effects: something is heard everywhere."""
    rng = np.random.default_rng(seed)
    return bed(seconds, rng, loop_s=seconds)


@cache
def speech(seed: int, seconds: float = SECONDS) -> NDArray[np.float32]:
    """(N,) noise that sounds like somebody talks half of the time; RMS 1 while it does."""
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    x = rng.standard_normal(n).astype(np.float32)
    loud = np.repeat(rng.uniform(0.3, 1.5, n // 2400 + 1), 2400)[:n]
    talks = np.repeat(rng.random(n // 32000 + 1) < 0.5, 32000)[:n]
    return (x * loud * talks).astype(np.float32)


def mixed(voice: int, over_db: float = 5, layout: Layout = "mono", seed: int = 1) -> NDArray[np.float32]:
    """(C, N): the film's music with a voice over it."""
    return mix(music(seed), speech(voice), over_db, layout)


def track(sound: NDArray[np.float32], folder: Path) -> Track:
    folder.mkdir(parents=True, exist_ok=True)
    sf.write(folder / "sound.wav", to_steps(sound).T, RATE)
    return read_track(folder / "sound.wav", folder / "tapes")


def aligned(film: NDArray[np.float32], dub: NDArray[np.float32], folder: Path) -> Alignment:
    tracks = track(film, folder / "film"), track(dub, folder / "dub")
    try:
        return align(*tracks)
    finally:
        for one in tracks:
            one.close()
