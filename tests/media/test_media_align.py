"""Uniform clips and clips under dubs: bit by bit the source's frames, in the right order, with the right sound."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipbench import media
from lipbench.core.errors import TooShort, UsageError
from lipbench.media import align, chroma_location, color

rng = np.random.default_rng(0)
TONE = (rng.normal(size=96000) * 4000).astype(np.int16)
NOISE = rng.integers(0, 256, (80, 48, 64, 3), dtype=np.uint8)


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("plain.mp4", {}),
        ("lossy.mp4", {"options": {"crf": "28", "bf": "3"}}),
        ("709.mkv", {"color": (1, 1)}),
        ("full.mkv", {"color": (5, 2), "pix_fmt": "yuvj420p"}),
        ("full709.mp4", {"color": (1, 2), "pix_fmt": "yuvj420p"}),
        ("full.webm", {"codec": "libvpx-vp9", "options": {"cpu-used": "8", "crf": "30"}, "color": (5, 2)}),
        ("old.avi", {"codec": "mpeg4", "options": {}}),
        ("vp9.webm", {"codec": "libvpx-vp9", "options": {"cpu-used": "8", "crf": "30"}}),
        ("late.mp4", {"pts": [k + 7 for k in range(30)], "time_base": Fraction(1, 25)}),
    ],
)
def test_normalizing_keeps_every_bit(films, name: str, how: dict) -> None:
    source = films.make(name, 30, 25, frames=NOISE, audio=TONE[:19200] if name.endswith("mp4") else None, **how)
    clip = media.normalize_clip(source, films.folder / "clip.mp4")
    assert np.array_equal(media.load_frames(films.folder / "clip.mp4"), media.load_frames(source))
    assert clip.pix_fmt in ("yuv420p", "yuvj420p")  # passed as it was, not as RGB
    assert (clip.n_frames, clip.width, clip.height, clip.fps, clip.interlaced) == (30, 64, 48, 25, 0)
    info = media.probe(films.folder / "clip.mp4")
    assert (info.n_frames, info.fps, info.codec, info.start_s) == (30, 25, "h264", 0)
    assert (info.audio is not None) == clip.audio == name.endswith("mp4")
    assert not media.is_synthetic(films.folder / "clip.mp4")


def test_without_a_known_siting_it_is_kept_as_rgb(films, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chroma_location, "CHROMA_LOCATIONS", ())
    y, x = np.mgrid[0:48, 0:64]
    picture = np.stack([128 + 90 * np.sin(x / 37), 128 + 90 * np.cos(y / 29), 1.5 * (x + y)], -1).astype(np.uint8)
    source = films.make("a.mp4", 5, 25, frames=picture[None].repeat(5, 0))
    clip = media.normalize_clip(source, films.folder / "clip.mp4")
    assert clip.pix_fmt == "rgb24"
    assert np.array_equal(media.load_frames(films.folder / "clip.mp4"), media.load_frames(source))


def test_late_sound_is_recorded(films) -> None:
    source = films.make("a.mp4", 50, 25, audio=TONE[:16000], audio_start=0.5)
    clip = media.normalize_clip(source, films.folder / "clip.mp4")
    assert clip.audio_lead_s == pytest.approx(0.5, abs=0.07)
    assert (media.read_audio(films.folder / "clip.mp4")[:6000] == 0).all()


def test_pixels_that_are_not_square_stay_so(films) -> None:
    source = films.make("a.mp4", 5, 25, options={"qp": "0", "sar": "4/3"})
    assert media.probe(source).sample_aspect == Fraction(4, 3)
    media.normalize_clip(source, films.folder / "clip.mp4")
    assert media.probe(films.folder / "clip.mp4").sample_aspect == Fraction(4, 3)


def test_normalizing_twice_changes_nothing(films) -> None:
    source = films.make("a.mp4", 80, 30, frames=NOISE, audio=TONE, options={"crf": "20"})
    out = [films.folder / name for name in ("b.mp4", "c.mp4", "d.mp4")]
    clip = media.normalize_clip(source, out[0])
    assert (clip.source_fps, clip.fps, clip.n_frames) == (30, 25, 67)
    media.normalize_clip(source, out[1])
    assert sha(out[0]) == sha(out[1])
    media.normalize_clip(out[0], out[2])
    assert np.array_equal(media.load_frames(out[0]), media.load_frames(out[2]))
    assert np.array_equal(media.load_frames(out[0]), media.load_frames(source, fps=25))


def test_normalizing_a_variable_rate(films) -> None:
    source = films.make("vfr.mp4", 6, 30, pts=[0, 1, 2, 10, 11, 20], time_base=Fraction(1, 30))
    clip = media.normalize_clip(source, films.folder / "clip.mp4")
    assert clip.vfr
    assert clip.n_frames == 18
    assert films.numbers(media.load_frames(films.folder / "clip.mp4")) == [0, 1, *[2] * 6, 3, *[4] * 8, 5]
    assert not media.probe(films.folder / "clip.mp4").vfr


def test_normalizing_a_part(films) -> None:
    source = films.make("a.mp4", 75, 25, audio=TONE[:48000], options={"qp": "0", "g": "250"})
    clip = media.normalize_clip(source, films.folder / "clip.mp4", start_s=1, end_s=2.2)
    assert clip.n_frames == 30
    assert films.numbers(media.read_frames(films.folder / "clip.mp4")) == list(range(25, 55))
    heard = media.read_audio(films.folder / "clip.mp4")
    assert len(heard) == pytest.approx(1.2 * 16000, abs=1100)
    # White noise through AAC twice at 64 kbit/s: alike, and at the right place.
    n = min(len(heard), 19200)
    product = [np.dot(heard[:n].astype(float), TONE[16000 + d : 16000 + d + n].astype(float)) for d in range(-50, 51)]
    assert int(np.argmax(product)) - 50 == 0


def test_sound_ends_with_the_picture(films) -> None:
    source = films.make("a.mp4", 25, 25, audio=TONE)
    clip = media.normalize_clip(source, films.folder / "clip.mp4")
    assert clip.audio
    audio = media.probe(films.folder / "clip.mp4").audio
    assert audio is not None
    assert audio.duration_s == pytest.approx(1, abs=0.01)
    # A part after the end of the sound has none.
    short = films.make("b.mp4", 50, 25, audio=TONE[:8000])
    clip = media.normalize_clip(short, films.folder / "silent.mp4", start_s=1)
    assert not clip.audio
    assert media.probe(films.folder / "silent.mp4").audio is None


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("size", [(64, 48), (63, 47), (63, 48), (64, 47)])
def test_turned_and_odd(films, rotation: int, size: tuple[int, int]) -> None:
    """Upright, of its own size, and not a pixel changed."""
    width, height = size
    source = films.make(
        "a.mkv" if rotation == 0 else "a.mp4",
        3,
        25,
        size=size,
        frames=np.ascontiguousarray(NOISE[:3, :height, :width]),
        rotation=rotation,
        codec="ffv1" if rotation == 0 else "mpeg4",
        options={} if rotation == 0 else {"qscale": "1", "b": "9000000"},
    )
    frames = media.load_frames(source)
    clip = media.normalize_clip(source, films.folder / "clip.mp4")
    assert (clip.height, clip.width) == frames.shape[1:3] == (size if rotation % 180 else size[::-1])
    assert clip.rotation == (360 - rotation) % 360
    assert (clip.pix_fmt == "yuv420p") == (rotation == 0 and size == (64, 48))
    assert np.array_equal(media.load_frames(films.folder / "clip.mp4"), frames)
    assert media.probe(films.folder / "clip.mp4").rotation == 0
    over = media.retime_to_audio(films.folder / "clip.mp4", TONE[:5120], films.folder / "d.mp4", films.folder / "d.wav")
    assert np.array_equal(media.load_frames(films.folder / "d.mp4"), frames[list(over.index)])


@pytest.mark.parametrize(
    "pix_fmt", ["yuv420p10le", "yuv422p10le", "yuv444p", "yuv422p", "yuv410p", "gray", "bgr0", "gbrp10le", "rgb24"]
)
def test_other_pixel_formats(films, pix_fmt: str) -> None:
    """What a reader sees of the file is what it sees of the clip; a squeeze through 4:2:0 would change it."""
    name, codec = ("a.mov", "png") if pix_fmt == "rgb24" else ("a.mkv", "ffv1")
    source = films.make(name, 2, 25, frames=NOISE, pix_fmt=pix_fmt, codec=codec, options={})
    frames = media.load_frames(source)
    clip = media.normalize_clip(source, films.folder / "clip.mp4")
    assert np.array_equal(media.load_frames(films.folder / "clip.mp4"), frames)
    assert clip.pix_fmt == "rgb24"
    again = media.write_video(films.folder / "same.mp4", frames, 25, lossless=True, like=films.folder / "clip.mp4")
    assert np.array_equal(media.load_frames(again), frames)
    if pix_fmt == "rgb24":
        assert np.array_equal(frames, NOISE[:2])


@pytest.mark.parametrize(("transfer", "curve"), [(16, "PQ"), (18, "HLG")])
def test_hdr_stays_known_as_hdr(films, transfer: int, curve: str) -> None:
    """Ten bits become eight, and what they mean is still written on them, also on what a method makes of them."""
    tags = {"x264-params": f"colorprim=bt2020:transfer={'smpte2084' if transfer == 16 else 'arib-std-b67'}"}
    source = films.make("hdr.mp4", 4, 25, pix_fmt="yuv420p10le", options={"crf": "10", **tags})
    clip, dub = films.folder / "clip.mp4", films.folder / "dub.mp4"
    media.normalize_clip(source, clip)
    media.retime_to_audio(clip, TONE[:2560], dub, films.folder / "dub.wav")
    made = [films.folder / "lossy.mp4", films.folder / "lossless.mp4"]
    media.write_video(made[0], media.read_frames(dub), 25, like=dub)
    media.write_video(made[1], media.read_frames(dub), 25, like=dub, lossless=True)
    for path in (source, clip, dub, *made):
        found = media.color_facts(path).color
        assert (found.transfer, found.primaries) == (transfer, 9), path
        assert f"HDR ({curve})" in color.words(found)


def test_interlaced_frames_are_counted(films) -> None:
    options = {"crf": "14", "flags": "+ilme+ildct", "x264-params": "tff=1"}
    source = films.make("fields.mp4", 10, 25, frames=NOISE, options=options)
    assert media.probe(source).interlaced
    assert media.color_facts(source).interlaced
    clip = media.normalize_clip(source, films.folder / "clip.mp4")
    assert clip.interlaced == 10
    assert np.array_equal(media.load_frames(films.folder / "clip.mp4"), media.load_frames(source))


@given(st.integers(1, 300), st.integers(1, 60))
def test_back_and_forth(n_out: int, n_clip: int) -> None:
    index = media.ping_pong(n_out, n_clip)
    assert len(index) == n_out
    assert index[0] == 0
    assert all(0 <= i < n_clip for i in index)
    if n_clip > 1:
        assert all(abs(b - a) == 1 for a, b in pairwise(index))
    assert index[:n_clip] == tuple(range(min(n_clip, n_out)))


def test_back_and_forth_by_hand() -> None:
    assert media.ping_pong(11, 4) == (0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2)
    assert media.ping_pong(3, 1) == (0, 0, 0)
    assert media.ping_pong(5, 2) == (0, 1, 0, 1, 0)


@pytest.mark.parametrize(
    ("n_samples", "policy"),
    [
        (40 * 640, "dub as long as the clip"),
        (40 * 640 + 639, "dub as long as the clip"),
        (30 * 640 + 17, "dub 10 frames shorter than the clip: clip cut"),
        (39 * 640, "dub 1 frame shorter than the clip: clip cut"),
        (70 * 640, "dub 30 frames longer: clip played back and forth"),
        (150 * 640, "dub 110 frames longer: clip played back and forth"),
        (640, "dub 39 frames shorter than the clip: clip cut"),
    ],
)
@pytest.mark.parametrize("block", [7, 32])
def test_lay_over(films, monkeypatch: pytest.MonkeyPatch, n_samples: int, policy: str, block: int) -> None:
    monkeypatch.setattr(align, "BLOCK", block)
    clip = films.make("clip.mp4", 40, 25, frames=NOISE, options={"crf": "20", "g": "11", "bf": "2"})
    dub = TONE[:n_samples]
    video, wav = films.folder / "dub.mp4", films.folder / "dub.wav"
    over = media.retime_to_audio(clip, dub, video, wav)
    n = n_samples // 640
    assert over.policy == policy
    assert over.index == media.ping_pong(n, 40)
    assert (over.n_frames, over.n_clip_frames) == (n, 40)
    assert (over.n_samples, over.dropped_samples) == (n * 640, n_samples - n * 640)
    assert np.array_equal(media.load_frames(video), media.load_frames(clip)[list(over.index)])
    samples, rate = media.read_wav(wav)
    assert rate == 16000
    assert np.array_equal(samples, dub[: n * 640])
    info = media.probe(video)
    assert (info.n_frames, info.fps) == (n, 25)
    assert info.audio is not None
    assert info.audio.duration_s == pytest.approx(n / 25, abs=0.001)
    assert not media.is_synthetic(video)


def test_a_clip_of_one_frame(films) -> None:
    clip = films.make("clip.mp4", 1, 25)
    over = media.retime_to_audio(clip, TONE[:6400], films.folder / "dub.mp4", films.folder / "dub.wav")
    assert over.index == (0,) * 10
    assert films.numbers(media.load_frames(films.folder / "dub.mp4")) == [0] * 10


def test_laying_over_twice_gives_the_same_bytes(films) -> None:
    clip = films.make("clip.mp4", 20, 25, frames=NOISE)
    digests = set()
    for name in ("a", "b"):
        media.retime_to_audio(clip, TONE[:20000], films.folder / f"{name}.mp4", films.folder / f"{name}.wav")
        digests.add((sha(films.folder / f"{name}.mp4"), sha(films.folder / f"{name}.wav")))
    assert len(digests) == 1


def test_other_rates(films) -> None:
    """30 fps and 44.1 kHz: 1470 samples a frame; NTSC: whole samples only."""
    clip = films.make("clip.mp4", 10, 30)
    over = media.retime_to_audio(clip, TONE[:14701], films.folder / "a.mp4", films.folder / "a.wav", fps=30, rate=44100)
    assert (over.n_frames, over.n_samples, over.dropped_samples) == (10, 14700, 1)
    clip = films.make("ntsc.mp4", 10, Fraction(30000, 1001))
    over = media.retime_to_audio(
        clip, TONE[:16000], films.folder / "a.mp4", films.folder / "a.wav", fps=Fraction(30000, 1001)
    )
    assert (over.n_frames, over.n_samples) == (29, int(29 * 1001 / 30000 * 16000))


def test_refusals(films) -> None:
    clip = films.make("clip.mp4", 10, 30)
    out = films.folder / "a.mp4", films.folder / "a.wav"
    with pytest.raises(TooShort, match="639 samples"):
        media.retime_to_audio(clip, TONE[:639], *out)
    with pytest.raises(UsageError, match="30 fps"):
        media.retime_to_audio(clip, TONE, *out)
    with pytest.raises(UsageError, match="int16"):
        media.retime_to_audio(clip, TONE / 1.0, *out)
    vfr = films.make("vfr.mp4", 6, 30, pts=[0, 1, 2, 10, 11, 20], time_base=Fraction(1, 30))
    with pytest.raises(UsageError, match="variable"):
        media.retime_to_audio(vfr, TONE, *out)
    assert not any(path.exists() for path in out)
