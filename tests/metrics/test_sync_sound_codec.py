"""`codec: published`: the sound, against what ffmpeg 5.1.9 with LAME 3.100 (Debian 12) wrote of `voice`.

ffmpeg -f lavfi -i testsrc=s=64x64:r=25:d=0.8 -i voice.wav -qscale:v 2 -async 1 -r 25 voice.avi
ffmpeg -i voice.avi -ac 1 -vn -acodec pcm_s16le -ar 16000 mp3.wav
ffmpeg -i voice.wav -async 1 -ac 1 -vn -acodec pcm_s16le -ar 16000 resampled.wav
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from lipbench import media
from lipbench.core.errors import MediaError, NoAudio, TooShort
from lipbench.media.own_rate import copy_sound, own_rate
from lipbench.metrics.sync import evaluate
from lipbench.metrics.sync.sound_codec import PADDING, read_published_sound
from tests.metrics.sync_videos import RULES, clip, face_track, image, small_net

#: Rate and channels -> length, samples 1000, 1797, ... of mp3.wav, by how many frames the pictures are late.
MP3 = {
    (16000, 1): (
        14400,
        [0, 2162, 7575, 2909, 10, -344, -2955, -5834, -235, -5198, -11427, -7840, -228, -2901, -4554],
        2,
    ),
    (44100, 2): (13375, [2592, 7439, 3815, 229, 1856, 4715, 2385, 220, 1827, 4426, 762, -48, -750, -6661, -8159], 1),
}
#: The same of resampled.wav, whose length is 12800.
RESAMPLED = {
    (16000, 1): [-9129, -11798, -2597, -255, -6594, -8170, -823, 45, 1462, 4911, 3373, 278, 3841, 3289, 1587],
    (44100, 2): [-5845, -8503, -2136, -186, -4423, -6120, -794, 44, 1693, 3426, 2087, 185, 2636, 1324, 675],
}


def voice(rate: int, channels: int, seconds: float = 0.8) -> np.ndarray:
    """(N, C) int16: five tones that swell five times a second, the second channel quieter and seven samples late."""
    t = np.arange(int(rate * seconds)) / rate
    tones = sum(np.sin(2 * np.pi * f * t + k) / (k + 1) for k, f in enumerate((140, 280, 560, 1330, 2450)))
    wave = tones * (0.5 - 0.5 * np.cos(2 * np.pi * 5 * t))
    return np.rint(9000 * np.stack([wave, 0.6 * np.roll(wave, 7)][:channels], 1)).astype(np.int16)


@pytest.fixture(params=MP3, ids=str)
def kind(request: pytest.FixtureRequest) -> tuple[int, int]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def file(kind: tuple[int, int], tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "voice.wav", voice(*kind), kind[0])
    return tmp_path / "voice.wav"


def test_realvideo_hears_the_mp3_of_ffmpeg(kind: tuple[int, int], file: Path) -> None:
    length, samples, late = MP3[kind]
    found = read_published_sound(file, "realvideo")
    assert len(found.samples) == length
    assert found.samples[1000:12500:797] == pytest.approx(samples, abs=60)  # equal on x86-64; half a percent elsewhere
    assert found.late == late
    plain = read_published_sound(file, "cropped").samples
    lag = np.correlate(found.samples.astype(float), plain.astype(float), "full").argmax() - (len(plain) - 1)
    assert lag == round(PADDING * 16000 / kind[0])


def test_cropped_hears_ffmpegs_resampler(kind: tuple[int, int], file: Path) -> None:
    found = read_published_sound(file, "cropped")
    assert (len(found.samples), found.late) == (12800, 0)
    assert found.samples[1000:12500:797] == pytest.approx(RESAMPLED[kind], abs=2)


def test_samples_at_16_khz_need_no_resampler() -> None:
    given = voice(16000, 1)[:, 0]
    assert np.array_equal(read_published_sound(given, "cropped").samples, given)
    assert len(read_published_sound(given, "realvideo").samples) == 14400
    assert len(read_published_sound(given[:0], "realvideo").samples) == 0


@pytest.mark.parametrize(("rate", "late"), [(8000, 4), (22050, 2), (48000, 1), (96000, 1)])
def test_pictures_are_late_by_whole_frames(rate: int, late: int, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "v.wav", voice(rate, 1), rate)
    assert read_published_sound(tmp_path / "v.wav", "realvideo").late == late


def test_a_sound_is_copied_as_it_is(kind: tuple[int, int], file: Path, tmp_path: Path) -> None:
    copy = copy_sound(file, tmp_path / "copy.wav")
    samples, rate = soundfile.read(copy, always_2d=True)
    assert rate == kind[0]
    assert np.array_equal(np.rint(samples * 32768), voice(*kind))
    for protocol in ("cropped", "realvideo"):
        both = [read_published_sound(one, protocol).samples.astype(int) for one in (file, copy)]
        assert np.abs(both[0] - both[1]).max() == 0
    one = media.SoundChoice(channel="left" if kind[1] == 2 else None)
    blocks = [block for block, _, _ in own_rate(file, one)]
    assert np.array_equal(np.rint(np.concatenate(blocks, 1)[0] * 32768), voice(*kind)[:, 0])


def test_a_late_sound_begins_with_silence(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "late.mkv"), "w") as target:
        picture = target.add_stream("mpeg4", rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
        heard = target.add_stream("pcm_s16le", rate=16000, layout="stereo")
        for n in range(10):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")
            frame.pts, frame.time_base = n, Fraction(1, 25)
            target.mux(picture.encode(frame))
        for at in range(0, 3200, 640):
            packed = np.full((1, 1280), 7000, np.int16)
            sound = av.AudioFrame.from_ndarray(packed, format="s16", layout="stereo")
            sound.sample_rate, sound.pts, sound.time_base = 16000, at + 1600, Fraction(1, 16000)
            target.mux(heard.encode(sound))
        target.mux(heard.encode(None))
        target.mux(picture.encode(None))
    found = read_published_sound(tmp_path / "late.mkv", "cropped").samples
    assert np.abs(found[:1500]).max() == 0
    assert found[1700:3000] == pytest.approx(7000, abs=2)


def test_what_has_no_sound_is_refused(tmp_path: Path) -> None:
    silent = clip(tmp_path / "silent.mp4", 3)
    with pytest.raises(NoAudio):
        read_published_sound(silent, "realvideo")
    with pytest.raises(MediaError):
        list(own_rate(tmp_path / "none.wav"))
    soundfile.write(tmp_path / "empty.wav", np.zeros((0, 1), np.int16), 16000)
    with pytest.raises((TooShort, MediaError)):
        copy_sound(tmp_path / "empty.wav", tmp_path / "copy.wav")


def test_scores_of_real_videos_are_those_of_late_pictures_and_late_sound(tmp_path: Path) -> None:
    n = 34
    given = voice(16000, 1, n / 25)[:, 0]
    video = clip(tmp_path / "clip.mp4", n, audio=given, frames=image(n))
    net = small_net()
    found = evaluate(video, given, sync_model=net, faces=face_track(n), codec="published", **RULES)
    assert (found.n_frames, found.n_windows) == (n, n - 5)
    plain = evaluate(video, given, sync_model=net, faces=face_track(n), **RULES)
    assert found.value("lse_d") != pytest.approx(plain.value("lse_d"), rel=1e-6)
    assert "handed in" in " ".join(found.facts["deviations"])
    assert not any("MP3" in line for line in found.facts["deviations"])
    assert any("MP3" in line for line in plain.facts["deviations"])
