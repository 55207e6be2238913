"""What AD-NeRF hears: one window of 16 rows (20 ms each) x 29 numbers per video frame, from five sources.

    mel29       the default, needs nothing: 29 log-mel bands, standardized per recording. No speech recognition: it
                knows sounds, not letters, and is named `mel29` in every record
    phones29    a small recognizer's scores for 29 classes of sounds, packaged (`phones`), trained on generated speech
                alone: what DeepSpeech is to recordings, for the generated corpus
    deepspeech  the published one: character scores of DeepSpeech 0.1.0, read from its frozen graph without TensorFlow
    wav2vec2    character scores of a wav2vec 2.0 CTC model (transformers, not installed with lipbench)
    file        a .npy made elsewhere: (N, 16, 29) windows like AD-NeRF's aud.npy, or (N, 29) rows, 50 per second

All have the same shape, so the networks behind them are the same; weights trained on one do not fit another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from lipbench.baselines.adnerf.spec import Source
from lipbench.baselines.adnerf.wav2vec2 import character_scores as ctc_scores
from lipbench.core import keys, weights
from lipbench.core.errors import TooShort, UsageError, WeightsError, WeightsMissing
from lipbench.core.weights.opening import reading

RATE, ROWS_PER_SECOND = 16000, 50
WINDOW, LETTERS = 16, 29
BANDS_HZ = (60.0, 7600.0)
_FRAME, _HOP, _FFT = 400, 320, 512  # samples: 25 ms every 20 ms, as DeepSpeech's front end

SOURCES: tuple[str, ...] = get_args(Source)
#: source -> what its `file` is; the others need none.
FILES = {
    "deepspeech": "the frozen graph deepspeech-0_1_0-b90017e8.pb (github.com/osmr/deepspeech_features)",
    "wav2vec2": "a folder with a wav2vec 2.0 CTC model and its vocab.json",
    "file": "a .npy of windows (N, 16, 29) or rows (N, 29)",
}
Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class AudioFeatures:
    """What a method conditions on.

    Attributes:
        windows: (T, 16, 29) float32, one per video frame, the frame's time in the middle (row 8).
        record: JSON facts for the stage's record: source, what it is, the file's hash.
    """

    windows: Float32
    record: Mapping[str, Any]


def extract(
    audio: NDArray[np.int16],
    n_frames: int,
    *,
    fps: float = 25.0,
    source: Source = "mel29",
    file: str | Path | None = None,
    device: str = "cpu",
) -> AudioFeatures:
    """The features of a recording, one window per video frame.

    Args:
        audio: (N,) int16 at 16 kHz; with source `file` it is not looked at.
        file: what FILES says; None for mel29 and phones29.

    Raises:
        UsageError: `file` is missing or superfluous, or an unknown source.
        WeightsMissing, WeightsError, WeightsMismatch: `file` cannot be used.
        TooShort: less than 50 ms of audio.
    """
    _check(source, file)
    record: dict[str, Any] = {"features": source, **identity(source, file)}
    if source == "file":
        found = read_npy(file or "")
        made = windows(found, n_frames, fps) if found.ndim == 2 else held(found, n_frames)
        return AudioFeatures(made, {**record, "rows_in_file": len(found)})
    if source == "deepspeech":
        from lipbench.baselines.adnerf.deepspeech import character_scores

        rows = character_scores(file or "", audio, device)
    elif source == "wav2vec2":
        rows = ctc_scores(file or "", audio, device)
    elif source == "phones29":
        from lipbench.baselines.adnerf.phones import phone_rows

        rows = phone_rows(audio)
    else:
        rows = mel29(audio)
    return AudioFeatures(windows(rows, n_frames, fps), record)


def identity(source: Source, file: str | Path | None = None) -> dict[str, Any]:
    """What decides the features besides the audio, for cache keys: hash of the file, the folder's files, the
    packaged network.

    Raises:
        UsageError, WeightsMissing: as `extract`.
    """
    _check(source, file)
    if source == "phones29":
        from lipbench.baselines.adnerf.phones import WEIGHTS

        return {"weights": {WEIGHTS: weights.sha256(WEIGHTS)}}
    if file is None:
        return {}
    path = Path(file)
    if path.is_file():
        return {"file": keys.sha256_file(path)}
    if path.is_dir():
        inside = sorted(p for p in path.iterdir() if p.is_file())
        return {"file": {p.name: keys.sha256_file(p) for p in inside}}
    raise WeightsMissing(f"there is no {path}", f"the audio features {source!r} need {FILES[source]}", "correct `file`")


def _check(source: str, file: str | Path | None) -> None:
    if source not in SOURCES:
        raise UsageError(f"there are no audio features called {source!r}", "", f"known: {', '.join(SOURCES)}")
    if (file is None) != (source not in FILES):
        need = f"needs {FILES[source]}" if source in FILES else "needs no file"
        raise UsageError(f"the audio features {source!r} cannot be made", f"it {need}", "add or remove `file`")


def mel29(audio: NDArray[np.int16]) -> Float32:
    """(N,) int16 at 16 kHz -> (ceil(N / 320), 29): log-mel bands, each standardized over the voiced rows, within +-4.

    Standardizing takes voice and microphone out, so that a network fitted on one speaker hears a dub in another voice.
    A row starts at its time k / 50 s, as DeepSpeech's rows do. Rows 40 dB below the loudest do not count for mean and
    deviation; a band that never moves gives zeros.

    Raises:
        TooShort: less than 50 ms.
    """
    from librosa.filters import mel

    if len(audio) < RATE // 20:
        raise TooShort(f"the audio has {len(audio)} samples", "the features need 50 ms", "use a longer dub")
    x = audio.astype(np.float64) / 32768
    count = -(-len(x) // _HOP)
    x = np.pad(x, (0, max(0, (count - 1) * _HOP + _FRAME - len(x))))
    x[1:] -= 0.97 * x[:-1].copy()
    frames = np.lib.stride_tricks.sliding_window_view(x, _FRAME)[::_HOP][:count]  # (T, 400)
    power = np.abs(np.fft.rfft(frames * np.hamming(_FRAME), _FFT, axis=1)) ** 2  # (T, 257)
    basis = mel(sr=RATE, n_fft=_FFT, n_mels=LETTERS, fmin=BANDS_HZ[0], fmax=BANDS_HZ[1])  # (29, 257)
    bands = power @ basis.T  # (T, 29)
    level = 10 * np.log10(bands.sum(1) + 1e-12)
    decibel = 10 * np.log10(np.maximum(bands, bands.max() * 1e-6 + 1e-12))
    voiced = decibel[level > level.max() - 40]
    spread = voiced.std(0)
    out: Float32 = np.clip((decibel - voiced.mean(0)) / np.where(spread > 1e-6, spread, np.inf), -4, 4).astype(
        np.float32
    )
    return out


def windows(rows: Float32, n_frames: int, fps: float = 25.0) -> Float32:
    """(N, 29) rows, 50 per second -> (n_frames, 16, 29): rows [r - 8, r + 8) around r = 50 i / fps of frame i.

    Zero rows stand before the beginning and after the end (AD-NeRF's deepspeech_features; it has 25 fps, r = 2 i).
    """
    half = WINDOW // 2
    starts = np.round(np.arange(n_frames) * ROWS_PER_SECOND / fps).astype(int)
    last = int(starts[-1]) if n_frames else 0
    padded = np.pad(rows, ((half, max(0, last + half - len(rows))), (0, 0)))
    view = np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=0)  # (., 29, 16)
    return np.ascontiguousarray(view[starts].transpose(0, 2, 1), np.float32)


def held(found: Float32, n_frames: int) -> Float32:
    """(N, 16, 29) -> (n_frames, 16, 29): the last window is held where the file is shorter, as published."""
    return found[np.minimum(np.arange(n_frames), len(found) - 1)]


def read_npy(path: str | Path) -> Float32:
    """Features made elsewhere: (N, 16, 29) windows or (N, 29) rows.

    Raises:
        WeightsMissing: no such file.
        WeightsError: not a .npy, of another shape, empty, or with NaN in it. Nothing pickled is ever loaded.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsMissing(f"there is no file {path}", f"`file` needs {FILES['file']}", "correct the path")
    fix = f"give {FILES['file']}"
    with reading(path, fix):
        found = np.load(path, allow_pickle=False)
        if not isinstance(found, np.ndarray):
            raise ValueError("it is an archive, not one array")
    good = found.shape[1:] in ((WINDOW, LETTERS), (LETTERS,)) and len(found)
    if not good or found.dtype.kind not in "fiu":
        raise WeightsError(f"{path} holds no audio features", f"it is {found.dtype} {found.shape}", fix)
    if not np.isfinite(found).all():
        raise WeightsError(f"{path} holds no audio features", "there are NaN or infinite numbers in it", fix)
    return found.astype(np.float32)
