"""What MakeItTalk hears: 80 mel bands 62.5 times a second, and the pitch for the voice conversion.

Numbers of github.com/yzhou359/MakeItTalk (src/autovc/retrain_version/vocoder_spec/extract_f0_func.py): -20 dBFS,
high-pass 30 Hz (Butterworth, order 5, forwards and backwards), 1024-point periodic Hann every 256 samples, centered,
edges reflected, 80 Slaney bands from 90 to 7600 Hz, (dB + 84) / 100. The 1e-6 of noise that upstream adds is left out:
it is below int16.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import TooShort

RATE, N_FFT, HOP, BANDS = 16000, 1024, 256, 80
ROWS_PER_SECOND = RATE / HOP  # 62.5
LEVEL_DBFS = -20.0
HIGH_PASS_HZ, F_MIN, F_MAX = 30.0, 90.0, 7600.0
STEPS = 18  # rows of one window, 0.288 s
PITCHES = 257  # 256 steps of pitch, and "no voice" as the first
PITCH_HZ = (100.0, 600.0)  # upstream's range for women, used for everybody
_VOICED = 0.5  # normalized correlation above which a row has a pitch

Float32 = NDArray[np.float32]


@cache
def _basis() -> NDArray[np.float32]:
    from librosa.filters import mel

    filters: NDArray[np.float32] = mel(sr=RATE, n_fft=N_FFT, n_mels=BANDS, fmin=F_MIN, fmax=F_MAX)
    filters.setflags(write=False)
    return filters


def leveled(audio: NDArray[np.int16]) -> NDArray[np.float64]:
    """(N,) int16 -> (N,) in [-1, 1] at -20 dBFS, without what is below 30 Hz, times 0.95. Silence stays silent.

    Raises:
        TooShort: fewer than 1024 samples.
    """
    from scipy.signal import butter, filtfilt

    if len(audio) < N_FFT:
        raise TooShort(f"the audio has {len(audio)} samples", f"MakeItTalk needs {N_FFT} (64 ms)", "use a longer dub")
    x = audio.astype(np.float64) / 32768
    loudness = np.sqrt(np.mean(x**2))
    if loudness > 0:
        x = np.clip(x * 10 ** (LEVEL_DBFS / 20) / loudness, -1, 1 - 1 / 32768)
    b, a = butter(5, HIGH_PASS_HZ / (RATE / 2), btype="high")
    filtered: NDArray[np.float64] = 0.95 * filtfilt(b, a, x)
    return filtered


def melspectrogram(signal: NDArray[np.float64]) -> Float32:
    """(N,) from `leveled` -> (1 + N // 256, 80)."""
    x = np.pad(signal, N_FFT // 2, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)
    rows = np.lib.stride_tricks.sliding_window_view(x, N_FFT)[::HOP][: 1 + len(signal) // HOP]
    out = np.empty((len(rows), BANDS), np.float32)
    for start in range(0, len(rows), 2048):  # bounds the memory for long recordings
        magnitude = np.abs(np.fft.rfft(rows[start : start + 2048] * window, axis=1))  # (t, 513)
        out[start : start + 2048] = (20 * np.log10(np.maximum(1e-5, magnitude @ _basis().T)) + 84) / 100
    return out


def windows(mel: Float32, count: int) -> Float32:
    """(T, 80) -> (count, 18, 80): rows [j, j + 18) for landmark frame j.

    Beyond the end the rows run backwards: upstream stops 18 rows before the end, which would leave 0.29 s of video.
    """
    padded = np.pad(mel, ((0, max(0, count + STEPS - 1 - len(mel))), (0, 0)), mode="symmetric")
    view = np.lib.stride_tricks.sliding_window_view(padded, STEPS, axis=0)[:count]  # (count, 80, 18)
    return np.ascontiguousarray(view.transpose(0, 2, 1))


def pitch(signal: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """(rows,) Hz of every mel row, 0 where there is no voice: peak of the normalized autocorrelation over 64 ms.

    Upstream asks RAPT (pysptk); pitch only steers the voice conversion.
    """
    lags = np.arange(int(RATE / PITCH_HZ[1]), int(RATE / PITCH_HZ[0]) + 2)
    half = N_FFT // 2
    x = np.pad(signal, (half, half + N_FFT))
    frames = np.lib.stride_tricks.sliding_window_view(x, N_FFT)[: rows * HOP : HOP]  # (rows, 1024)
    frames = frames - frames.mean(1, keepdims=True)
    spectrum = np.fft.rfft(frames, 2 * N_FFT, axis=1)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, : lags[-1] + 2]
    # Energy of the two parts that a lag compares, so that long lags are not at a disadvantage.
    energy = np.cumsum(np.pad(frames**2, ((0, 0), (1, 0))), axis=1)
    at = np.arange(lags[-1] + 2)
    both = energy[:, N_FFT - at] * (energy[:, -1:] - energy[:, at])
    value = correlation / np.sqrt(np.maximum(both, 1e-12))
    inside = value[:, lags]
    peak = (inside >= value[:, lags - 1]) & (inside >= value[:, lags + 1])
    # The first peak nearly as high as the best: an octave below correlates as well.
    best = np.where(peak, inside, -1).max(1)
    first = (peak & (inside >= 0.9 * best[:, None])).argmax(1)
    loud = energy[:, -1] > 1e-4 * max(float(energy[:, -1].max()), 1e-12)
    return np.where((best > _VOICED) & loud, RATE / lags[first], 0.0)


def pitch_steps(hertz: NDArray[np.float64]) -> Float32:
    """(T,) Hz -> (T, 257) one-hot: log pitch, +-4 standard deviations of the recording on 256 steps; 0 for no voice.

    src/autovc/retrain_version/vocoder_spec/utils.py (speaker_normalization) and src/autovc/utils.py
    (quantize_f0_interp).
    """
    voiced = hertz > 0
    step = np.zeros(len(hertz), np.int64)
    if voiced.any():
        log = np.log(hertz[voiced])
        spread = log.std()
        normal = np.clip((log - log.mean()) / (4 * spread if spread > 0 else 1.0), -1, 1)
        step[voiced] = 1 + np.round((normal + 1) / 2 * (PITCHES - 2)).astype(np.int64)
    out = np.zeros((len(hertz), PITCHES), np.float32)
    out[np.arange(len(hertz)), step] = 1
    return out
