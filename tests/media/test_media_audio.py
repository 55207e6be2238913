"""Sound: bit-exact where it can be, on the video's clock, averaged, resampled, clipped."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import soxr

from lipbench import media
from lipbench.core.errors import MediaError, Truncated, UsageError
from lipbench.media import audio


def speechlike(seconds: float, rate: int, seed: int = 0) -> np.ndarray:
    """(N,) int16: noise below 3 kHz with a slow envelope, unlike itself at every shift."""
    rng = np.random.default_rng(seed)
    n = int(seconds * rate)
    spectrum = np.fft.rfft(rng.normal(size=n))
    spectrum[np.fft.rfftfreq(n, 1 / rate) > 3000] = 0
    wave = np.fft.irfft(spectrum, n)
    wave *= 1 + np.sin(np.arange(n) / rate * 7)
    return (wave / np.abs(wave).max() * 20000).astype(np.int16)


def lag(a: np.ndarray, b: np.ndarray) -> int:
    """Samples by which `b` comes later than `a`."""
    n = 1 << (len(a) + len(b) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(b.astype(float), n) * np.conj(np.fft.rfft(a.astype(float), n)), n)
    peak = int(product.argmax())
    return peak if peak < n // 2 else peak - n


def test_sixteen_bit_mono_passes_bit_by_bit(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-32768, 32768, 50_000).astype(np.int16)
    for rate in (16000, 44100, 8000):
        path = media.write_wav(tmp_path / "a.wav", samples, rate)
        got, got_rate = media.read_wav(path)
        assert got_rate == rate
        assert np.array_equal(got, samples)
        assert got.dtype == np.int16
        assert np.array_equal(media.read_audio(path, rate), samples)
    assert path.read_bytes() == media.write_wav(tmp_path / "b.wav", samples, rate).read_bytes()


def test_wav_bytes_are_the_plain_format(tmp_path: Path) -> None:
    data = media.write_wav(tmp_path / "a.wav", np.array([1, -2, 300], np.int16)).read_bytes()
    assert len(data) == 44 + 6
    assert data[44:] == np.array([1, -2, 300], "<i2").tobytes()
    assert soundfile.info(str(tmp_path / "a.wav")).subtype == "PCM_16"


@pytest.mark.parametrize(
    ("subtype", "tolerance"),
    [("PCM_U8", 257), ("PCM_16", 1), ("PCM_24", 1), ("PCM_32", 1), ("FLOAT", 1), ("DOUBLE", 1)],
)
def test_every_sample_format(tmp_path: Path, subtype: str, tolerance: int) -> None:
    """Stereo of two different channels: the mean comes, to one step of 16 bits."""
    left, right = speechlike(0.5, 16000, 1), speechlike(0.5, 16000, 2)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], 1) / 32768, 16000, subtype=subtype)
    expected = (left.astype(float) + right) / 2
    for got in (media.read_audio(tmp_path / "a.wav"), media.read_wav(tmp_path / "a.wav")[0]):
        assert got.dtype == np.int16
        assert got.shape == (8000,)
        assert np.abs(got - expected).max() <= tolerance


def test_loud_floats_are_clipped_and_never_wrap(tmp_path: Path) -> None:
    wave = 3 * np.sin(np.arange(48000) / 40)
    wave[100] = np.nan
    soundfile.write(tmp_path / "a.wav", wave, 48000, subtype="FLOAT")
    for got in (media.read_audio(tmp_path / "a.wav", 48000), media.read_wav(tmp_path / "a.wav")[0]):
        expected = np.clip(np.nan_to_num(wave) * 32768, -32768, 32767)
        assert np.abs(got - expected).max() <= 1
    square = (32767 * np.sign(np.sin(np.arange(48000) / 40))).astype(np.int16)  # overshoots when resampled
    soundfile.write(tmp_path / "b.wav", square, 48000)
    got = media.read_audio(tmp_path / "b.wav").astype(int)
    sign = np.sign(np.sin(np.arange(16000) * 3 / 40))
    assert (np.sign(got) == sign).mean() > 0.97
    assert got.max() == 32767


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 96000])
def test_resampling_is_soxr_hq_and_keeps_time(tmp_path: Path, rate: int) -> None:
    wave = speechlike(2, rate)
    soundfile.write(tmp_path / "a.wav", wave, rate)
    got = media.read_audio(tmp_path / "a.wav")
    whole = soxr.resample(wave.astype(np.float64) / 32768, rate, 16000, quality="HQ") * 32768
    assert len(got) == len(whole) == 32000
    assert np.abs(got - whole).max() <= 2  # in blocks as at once
    assert lag(whole, got) == 0


@pytest.mark.parametrize(
    ("name", "codec", "rate", "tolerance"),
    [
        ("a.mp3", "mp3", 44100, 1),
        ("a.ogg", "libopus", 48000, 0),
        ("a.m4a", "aac", 44100, 0),
        ("a.flac", "flac", 44100, 0),
    ],
)
def test_compressed_sound_begins_at_its_first_sample(
    tmp_path: Path, name: str, codec: str, rate: int, tolerance: int
) -> None:
    """Encoder delay (mp3, AAC, Opus) is not heard as a shift."""
    wave = speechlike(2, rate)
    with av.open(str(tmp_path / name), "w") as out:
        stream = out.add_stream(codec, rate=rate, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.repeat(wave, 2)[None], format="s16", layout="stereo")
        frame.sample_rate, frame.pts = rate, 0
        out.mux([*stream.encode(frame), *stream.encode(None)])
    expected = soxr.resample(wave, rate, 16000)
    got = media.read_audio(tmp_path / name)
    assert abs(lag(expected, got)) <= tolerance
    assert abs(len(got) - len(expected)) < 1600
    n = min(len(got), len(expected))
    assert np.corrcoef(got[:n], expected[:n])[0, 1] > 0.99


@pytest.mark.parametrize("start", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_sample_zero_is_the_first_frame(films, name: str, start: float) -> None:
    """Sound that starts after the picture gets silence in front."""
    wave = speechlike(1.5, 16000)
    path = films.make(name, 60, 25, audio=wave, audio_start=start)
    track = media.load_audio(path)
    assert track.lead_s == pytest.approx(start, abs=0.07)  # containers keep an encoder's 1024 samples, or do not
    assert abs(lag(wave, track.samples) - start * 16000) <= (16 if name == "a.mp4" else 40)
    assert (track.samples[: max(int(start * 16000) - 1100, 0)] == 0).all()
    assert (track.source_rate, track.source_channels, track.codec) == (16000, 1, "aac")


def test_sound_before_the_first_frame_is_cut(films) -> None:
    wave = speechlike(2, 16000)
    path = films.make("a.mkv", 30, 25, pts=[k + 10 for k in range(30)], time_base=Fraction(1, 25), audio=wave)
    track = media.load_audio(path)
    assert track.lead_s == pytest.approx(-0.4, abs=0.07)
    assert abs(lag(wave[6400:], track.samples)) <= 40


def test_parts(films) -> None:
    wave = speechlike(3, 16000)
    path = media.write_wav(films.folder / "a.wav", wave)
    assert np.array_equal(media.read_audio(path, start_s=0.5, end_s=1.25), wave[8000:20000])
    assert np.array_equal(media.read_audio(path, start_s=2.5, end_s=9), wave[40000:])
    clip = films.make("a.mp4", 75, 25, audio=wave)
    part = media.read_audio(clip, start_s=1, end_s=2)
    assert len(part) == 16000
    assert lag(wave[16000:32000], part) == 0


def test_parts_far_in_are_found_by_seeking(films, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same samples at the same place as when all before them is decoded."""
    wave = speechlike(12, 44100)
    for codec in ("aac", "alac"):
        clip = films.make("a.mp4", 75, 25, audio=wave, audio_rate=44100, audio_start=0.2, audio_codec=codec)
        sought = media.load_audio(clip, 44100, start_s=8, end_s=11)
        monkeypatch.setattr(audio, "FAR", 100)
        decoded = media.load_audio(clip, 44100, start_s=8, end_s=11)
        monkeypatch.undo()
        assert sought.lead_s == decoded.lead_s
        assert len(sought.samples) == len(decoded.samples) == 3 * 44100
        assert lag(decoded.samples, sought.samples) == 0
        assert np.corrcoef(decoded.samples, sought.samples)[0, 1] > 0.999
        if codec == "alac":
            assert np.array_equal(decoded.samples, sought.samples)
            assert np.array_equal(sought.samples, wave[round(7.8 * 44100) : round(10.8 * 44100)])


def mp3(path: Path, wave: np.ndarray) -> bytes:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mp3", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = 44100, 0
        out.mux([*stream.encode(frame), *stream.encode(None)])
    return path.read_bytes()


def test_junk_after_the_sound_does_no_harm(tmp_path: Path) -> None:
    data = mp3(tmp_path / "a.mp3", speechlike(1, 44100))
    clean = media.read_audio(tmp_path / "a.mp3")
    (tmp_path / "b.mp3").write_bytes(data + b"TAG" + bytes(125))
    assert np.array_equal(media.read_audio(tmp_path / "b.mp3"), clean)
    (tmp_path / "b.mp3").write_bytes(data + b"junk" * 1000)
    assert np.array_equal(media.read_audio(tmp_path / "b.mp3")[:15900], clean[:15900])


def test_damaged_sound_is_told(films) -> None:
    path = films.make("a.mp4", 25, 25, audio=speechlike(5, 16000), container={"movflags": "+faststart"})
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
        middle = packets[len(packets) // 2]
        assert middle.pos is not None
        data[middle.pos : middle.pos + middle.size] = b"\xff" * middle.size
        end = packets[-10].pos
    path.write_bytes(data)
    with pytest.raises(MediaError, match="damaged"):
        media.read_audio(path)
    path.write_bytes(data[:end])
    with pytest.raises(MediaError):
        media.read_audio(path)


def test_cut_sound_of_a_container(tmp_path: Path) -> None:
    wave = speechlike(4, 16000)
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as out:
        stream = out.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = 16000, 0
        out.mux([*stream.encode(frame), *stream.encode(None)])
    path.write_bytes(path.read_bytes()[:-9000])
    with pytest.raises(Truncated, match=r"only \d+ of 6[34] packets"):
        media.read_audio(path)
    assert len(media.read_audio(path, end_s=1)) == 16000


def test_holes_are_silence(films) -> None:
    """A second of sound, a second of nothing, a second of sound, as time stamps say."""
    wave = speechlike(2, 16000)
    path = films.folder / "a.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=16000, layout="mono")
        for begin, at in ((0, 0), (16000, 32000)):
            frame = av.AudioFrame.from_ndarray(wave[None, begin : begin + 16000], format="s16", layout="mono")
            frame.sample_rate, frame.pts = 16000, at
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    got = media.read_audio(path)
    assert np.array_equal(got, np.concatenate([wave[:16000], np.zeros(16000, np.int16), wave[16000:]]))


def test_a_cover_picture_is_no_video(tmp_path: Path, films) -> None:
    """The clock of a song with a cover is its own."""
    wave = speechlike(1, 16000)
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as out:
        cover = out.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 16, 16, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        sound = out.add_stream("aac", rate=16000, layout="mono")
        out.mux(cover.encode(av.VideoFrame(16, 16, "rgb24")))
        frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = 16000, 0
        out.mux([*sound.encode(frame), *sound.encode(None)])
    assert lag(wave, media.read_audio(path)) == 0
    with pytest.raises(MediaError, match="no video"):
        media.load_frames(path)


def test_bad_requests(tmp_path: Path) -> None:
    path = media.write_wav(tmp_path / "a.wav", np.ones(100, np.int16))
    with pytest.raises(UsageError):
        media.read_audio(path, 0)
    with pytest.raises(UsageError, match="int16 mono"):
        media.write_wav(path, np.ones(100))
    with pytest.raises(UsageError, match="int16 mono"):
        media.write_wav(path, np.ones((100, 2), np.int16))
    assert np.array_equal(media.read_wav(path)[0], np.ones(100))


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("a.mkv", "aac", 44100),
        ("a.mkv", "ac3", 48000),
        ("a.mkv", "pcm_s16le", 16000),
        ("a.mkv", "libopus", 48000),
        ("a.ts", "aac", 44100),
        ("a.avi", "mp3", 44100),
        ("a.mov", "pcm_s16le", 44100),
        ("a.flac", "flac", 44100),
        ("a.mp3", "mp3", 44100),
        ("a.ogg", "libopus", 48000),
        ("a.wav", "pcm_s16le", 16000),
    ],
)
def test_every_container_is_sought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, codec: str, rate: int
) -> None:
    """A part far in costs its own length and a few seconds, and is what decoding all before it gives."""
    wave, path = speechlike(20, rate), tmp_path / name
    with av.open(str(path), "w") as out:
        video = None
        if name[2:] in ("mkv", "ts", "avi", "mov"):
            video = out.add_stream("mpeg4", rate=25, options={"g": "25"})
            video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        sound = out.add_stream(codec, rate=rate, layout="mono")
        black = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        for k in range(20):
            for _ in range(25 if video is not None else 0):
                out.mux(video.encode(black))
            frame = av.AudioFrame.from_ndarray(wave[None, k * rate : (k + 1) * rate], format="s16", layout="mono")
            frame.sample_rate, frame.pts = rate, k * rate
            out.mux(sound.encode(frame))
        out.mux([] if video is None else video.encode(None))
        out.mux(sound.encode(None))
    times: list[Fraction | None] = []
    every = audio.AudioSource._frames

    def counted(self: audio.AudioSource):
        for frame in every(self):
            times.append(audio._time(frame))
            yield frame

    monkeypatch.setattr(audio.AudioSource, "_frames", counted)
    sought = media.read_audio(path, rate, start_s=15, end_s=17)
    assert sum(time is not None and 1 < time < 8.9 for time in times) == 0
    monkeypatch.setattr(audio, "FAR", 100)
    decoded = media.read_audio(path, rate, start_s=15, end_s=17)
    assert len(sought) == len(decoded) == 2 * rate
    assert lag(decoded, sought) == 0
    assert np.abs(decoded.astype(int) - sought).max() <= 8  # AC-3 decoders add noise
