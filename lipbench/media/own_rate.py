"""The sound of a file at its own rate and with its own channels, on the clock of its video."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from lipbench.core.errors import MediaError, TooShort
from lipbench.media.atomic import atomic_path, writing
from lipbench.media.audio import AudioSource, to_float
from lipbench.media.streams import SoundChoice

#: Of a block its samples (C, N), their rate, FFmpeg's name of the layout.
Block = tuple[NDArray[np.float32], int, str]


def own_rate(path: str | Path, choice: SoundChoice | None = None) -> Iterator[Block]:
    """Blocks of (C, N) float32 samples in [-1, 1) from the moment the first frame is shown.

    Each with its rate and FFmpeg's name of the layout, the same in all of them. Holes are silence.

    Args:
        path: a file, or one of its audio streams as FILE:a:N.
        choice: which of its streams and channels.

    Raises:
        MediaError, NoAudio: as `media.load_audio`; or the channels change on the way.
    """
    with AudioSource(path, choice) as source:
        if source.choice.channel is not None:
            for one in source.chunks(source.rate):
                yield to_float(one)[None], source.rate, "mono"
            return
        n = source.channels
        layout = {1: "mono", 2: "stereo"}.get(n) or "+".join(source.names) or f"{n}C"
        for block, names in source.blocks():
            if not names and len(block) < n:  # a hole
                block = np.zeros((n, block.shape[1]), np.float32)
            if len(block) != n:
                raise MediaError(
                    f"cannot take the sound of {source.path} as it is",
                    f"it has {n} channels at first and {len(block)} on the way",
                    "convert it to wav",
                )
            yield to_float(block).astype(np.float32), source.rate, layout


def copy_sound(path: str | Path, target: Path, choice: SoundChoice | None = None) -> Path:
    """Write the sound of a file as it is: `own_rate` as a wav of 32-bit floats.

    Raises:
        MediaError, NoAudio: as `own_rate`; TooShort: there is nothing in it.
    """
    blocks = own_rate(path, choice)
    first = next(blocks, None)
    if first is None:
        raise TooShort(f"{path} has no sound", "", "give a file with sound")
    rate, channels = first[1], len(first[0])
    with (
        atomic_path(target) as temporary,
        writing(target),
        soundfile.SoundFile(temporary, "w", rate, channels, "FLOAT", format="WAV") as file,
    ):
        for block in (first, *blocks):
            file.write(block[0].T)
    return target
