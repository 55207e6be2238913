"""Several channels to one: as FFmpeg does it, and not where they cancel."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from lipbench import media
from lipbench.core.errors import MediaError
from lipbench.media.downmix import Downmix

RATE = 16000
LAYOUTS = ("2.1", "3.0", "3.0(back)", "4.0", "quad", "5.0", "5.1", "5.1(side)", "6.1", "7.1", "7.1(wide)", "downmix")


def noise(n: int, channels: int, seed: int = 0) -> np.ndarray:
    """(n, channels) int16."""
    return (np.random.default_rng(seed).normal(size=(n, channels)) * 3000).astype(np.int16)


def surround(path: Path, samples: np.ndarray, layout: str = "5.1") -> Path:
    """(n, C) int16 as PCM in Matroska with a layout."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=RATE, layout=layout)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate, frame.pts = RATE, 0
        out.mux([*stream.encode(frame), *stream.encode(None)])
    return path


def wav(path: Path, samples: np.ndarray) -> Path:
    """A wav file of plain PCM, which does not say what its channels are."""
    n, data = samples.shape[1], samples.astype("<i2").tobytes()
    fmt = struct.pack("<IHHIIHH", 16, 1, n, RATE, RATE * 2 * n, 2 * n, 16)
    path.write_bytes(
        b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + fmt + b"data" + struct.pack("<I", len(data)) + data
    )
    return path


def ffmpeg(samples: np.ndarray, layout: str) -> np.ndarray:
    """What `ffmpeg -ac 1` makes of (n, C) int16."""
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout=layout)
    frame.sample_rate = RATE
    mixer = av.AudioResampler("s16", layout="mono", rate=RATE)
    return np.concatenate([part.to_ndarray().ravel() for part in (*mixer.resample(frame), *mixer.resample(None))])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_ffmpegs_matrix(layout: str) -> None:
    samples = noise(4000, av.AudioLayout(layout).nb_channels)
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout=layout)
    mixed = Downmix(frame, None, "x")(samples.T / 32768.0)
    expected = ffmpeg(samples, layout) / 32768.0
    assert np.abs(mixed - expected).max() < 1.6 / 32768
    assert np.corrcoef(mixed, expected)[0, 1] > 0.9999


def test_speech_in_the_center(tmp_path: Path) -> None:
    """The reported case: speech in C, other sound around it. The plain mean gives it the weight of every other."""
    samples = noise(16000, 6)
    film = surround(tmp_path / "film.mkv", samples)
    got = media.read_audio(film).astype(float)
    assert np.corrcoef(got, ffmpeg(samples, "5.1"))[0, 1] > 0.9999
    speech = samples[:, 2].astype(float)
    assert np.corrcoef(got, speech)[0, 1] == pytest.approx(1 / np.sqrt(1 + 2 * 0.5 + 2 * 0.25), abs=0.03)
    assert np.corrcoef(samples.mean(axis=1), speech)[0, 1] == pytest.approx(6**-0.5, abs=0.03)
    only = media.load_audio(film, choice=media.SoundChoice(channel="center"))
    assert np.array_equal(only.samples, samples[:, 2])
    assert only.remarks == ()
    assert np.array_equal(media.read_audio(film, choice=media.SoundChoice(channel="lfe")), samples[:, 3])


def test_channels_without_names_are_taken_as_ffmpeg_takes_them(tmp_path: Path) -> None:
    samples = noise(8000, 6)
    track = media.load_audio(wav(tmp_path / "six.wav", samples))
    assert np.corrcoef(track.samples, ffmpeg(samples, "5.1"))[0, 1] > 0.9999
    assert "what its 6 channels are: taken as FL FR FC LFE BL BR" in track.remarks[0]
    many = media.load_audio(wav(tmp_path / "nine.wav", noise(800, 9)))
    assert "plain mean" in many.remarks[0]


def test_one_and_two_channels_are_what_they_were(tmp_path: Path) -> None:
    samples = noise(8000, 2)
    soundfile.write(str(tmp_path / "a.wav"), samples, RATE, subtype="PCM_16")
    track = media.load_audio(tmp_path / "a.wav")
    assert np.array_equal(track.samples, np.rint(samples.astype(float).mean(axis=1)).astype(np.int16))
    assert track.remarks == ()
    for n, name in enumerate(("left", "right")):
        assert np.array_equal(
            media.read_audio(tmp_path / "a.wav", choice=media.SoundChoice(channel=name)), samples[:, n]
        )


@pytest.mark.parametrize(("share", "louder"), [(-1.0, "left"), (-0.9, "left"), (-1.1, "right")])
def test_channels_that_cancel(tmp_path: Path, share: float, louder: str) -> None:
    one = noise(8000, 1)[:, 0] // 2
    pair = np.stack([one, (one * share).astype(np.int16)], axis=1)
    soundfile.write(str(tmp_path / "a.wav"), pair, RATE, subtype="PCM_16")
    track = media.load_audio(tmp_path / "a.wav")
    assert np.array_equal(track.samples, pair[:, 0 if louder == "left" else 1])
    assert track.choice.channel == louder
    assert f"its channel '{louder}' is used alone" in track.remarks[0]
    again = media.load_audio(tmp_path / "a.wav", choice=track.choice)
    assert (again.remarks, again.samples.tolist()) == ((), track.samples.tolist())


@pytest.mark.parametrize("share", [1.0, 0.0, 0.5, -0.5])
def test_channels_that_do_not_cancel(tmp_path: Path, share: float) -> None:
    one = noise(8000, 1)[:, 0]
    pair = np.stack([one, (one * share).astype(np.int16)], axis=1)
    soundfile.write(str(tmp_path / "a.wav"), pair, RATE, subtype="PCM_16")
    assert media.load_audio(tmp_path / "a.wav").remarks == ()


def test_what_is_outside_the_span_does_not_count(tmp_path: Path) -> None:
    one = noise(32000, 1)[:, 0]
    pair = np.stack([one, np.where(np.arange(32000) < 16000, -one, one)], axis=1).astype(np.int16)
    soundfile.write(str(tmp_path / "a.wav"), pair, RATE, subtype="PCM_16")
    assert media.load_audio(tmp_path / "a.wav", start_s=0, end_s=1).choice.channel == "left"
    assert media.load_audio(tmp_path / "a.wav", start_s=1, end_s=2).choice.channel is None


def test_a_channel_that_is_not_there(tmp_path: Path) -> None:
    soundfile.write(str(tmp_path / "a.wav"), noise(800, 2), RATE, subtype="PCM_16")
    with pytest.raises(MediaError, match="no channel 'center'") as error:
        media.read_audio(tmp_path / "a.wav", choice=media.SoundChoice(channel="center"))
    assert error.value.why == "it has left, right"
