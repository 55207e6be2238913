"""Ten seconds of a film in the left ear and of its dub in the right one: 10 ms are heard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile as sf

from lipbench.core.errors import UsageError
from lipbench.datasets.film.align_file import AlignFile
from lipbench.datasets.film.scenes import piece_at, read_dub
from lipbench.datasets.film.times import Scene, clock
from lipbench.media import load_audio
from lipbench.media.atomic import atomic_path, writing
from lipbench.media.streams import SoundChoice

RATE = 48000
SECONDS = 10.0


def listen(file: AlignFile, folder: Path, language: str, at: float, path: Path) -> Path:
    """Write a stereo wav of `SECONDS`: the film left, the dub at the film's speed right.

    Args:
        file: what is known of the film.
        folder: that of the file, which its paths start from.
        language: of the dub.
        at: second of the film.
        path: the wav.

    Raises:
        UsageError: there is no such dub, or no offset is known there.
        MediaError: a file that cannot be read.
        DiskFull: there is no room.
    """
    if language not in file.dubs:
        raise UsageError(f"there is no dub {language!r} in it", f"it has {', '.join(file.dubs)}", "name one of them")
    dub = file.dubs[language]
    piece = piece_at(dub, at)
    if piece is None:
        raise UsageError(
            f"no offset of {language!r} is known at {clock(at)}",
            "no piece covers that moment",
            "name another one, or write a piece with `by: hand` first",
        )
    scene = Scene(at, at + SECONDS)
    film = load_audio(
        folder / file.film.file, RATE, start_s=at, end_s=scene.end, choice=SoundChoice(file.film.track)
    ).samples
    other = read_dub(folder / dub.file, dub, piece, scene, RATE)
    n = max(len(film), len(other))
    both = np.zeros((n, 2), np.int16)
    both[: len(film), 0], both[: len(other), 1] = film, other
    with atomic_path(path) as temporary, writing(path):
        sf.write(temporary, both, RATE, format="WAV")
    return path
