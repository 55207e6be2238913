"""Which sound of a file: streams by language, by flag and by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from lipbench import media
from lipbench.core.errors import MediaError, NoAudio, UsageError
from lipbench.media.languages import primary, wider
from lipbench.media.streams import split_stream

RATE = 16000
VOICES = {"ger": 300, "fre": 500, "eng": 700, "nob": 900, None: 1100}

Make = Callable[..., Path]


def voice(language: str | None, seconds: float = 0.5) -> np.ndarray:
    """A tone of its own for every language."""
    t = np.arange(int(seconds * RATE)) / RATE
    return (np.sin(2 * np.pi * VOICES[language] * t) * 8000).astype(np.int16)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """make(name, [languages], default=(numbers,)): a film with one audio stream for each language."""

    def make(name: str, languages: Sequence[str | None], default: Sequence[int] = (), comment: Sequence[int] = ()):
        path = tmp_path / name
        with av.open(str(path), "w") as out:
            video = out.add_stream("libx264", rate=25)
            video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
            sounds = [out.add_stream("pcm_s16le" if name.endswith("mkv") else "aac", rate=RATE) for _ in languages]
            for i, (stream, language) in enumerate(zip(sounds, languages, strict=True)):
                stream.layout = "mono"
                if language:
                    stream.metadata["language"] = language
                flags = Disposition.default if i in default else Disposition(0)
                stream.disposition = flags | (Disposition.comment if i in comment else Disposition(0))
            for _ in range(12):
                out.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
            for stream, language in zip(sounds, languages, strict=True):
                frame = av.AudioFrame.from_ndarray(voice(language)[None], format="s16", layout="mono")
                frame.sample_rate, frame.pts = RATE, 0
                out.mux([*stream.encode(frame), *stream.encode(None)])
            out.mux(video.encode(None))
        return path

    return make


def heard(path: object, **choice: object) -> str | None:
    """The language of the voice that is read."""
    samples = media.read_audio(path, choice=media.SoundChoice(**choice))[1000:7000].astype(float)
    pitch = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))).argmax() * RATE / len(samples)
    return min(VOICES, key=lambda language: abs(VOICES[language] - pitch))


@pytest.mark.parametrize("name", ["film.mkv", "film.mp4"])
@pytest.mark.parametrize(("language", "found"), [("de", "ger"), ("fr", "fre"), ("fr-CA", "fre"), ("en", "eng")])
def test_the_stream_of_the_language(make: Make, name: str, language: str, found: str) -> None:
    film = make(name, ["ger", "fre", "eng"], default=[2])
    assert heard(film, language=language) == found
    assert media.load_audio(film, choice=media.SoundChoice(language=language)).remarks == ()


def test_every_spelling_of_a_language_is_one() -> None:
    for codes in (("de", "deu", "ger"), ("fr", "fra", "fre", "fr-CA", "FR_ca"), ("zh", "zho", "chi", "zh-Hans")):
        assert len({primary(code) for code in codes}) == 1
    assert len({primary(code) for code in ("cs", "sk", "sl", "sq", "sr", "sv")}) == 6
    assert primary("und") == primary(None) == primary("") == ""
    assert wider("nb") == wider("no") == "nor" != primary("nb")
    assert primary("haw") == "haw"


def test_without_the_language_the_default_stream_with_a_remark(make: Make) -> None:
    film = make("film.mkv", ["ger", "fre", "eng"], default=[1])
    assert heard(film) == heard(film, language="es") == "fre"
    (remark,) = media.load_audio(film, choice=media.SoundChoice(language="es")).remarks
    assert "3 audio streams (a:0 ger, a:1 fre default, a:2 eng)" in remark
    assert "none is tagged es" in remark
    assert "a:1, is used" in remark


def test_several_of_one_language(make: Make) -> None:
    film = make("film.mkv", ["eng", "ger", "eng"], default=[2])
    track = media.load_audio(film, choice=media.SoundChoice(language="en"))
    assert track.choice.stream == 2
    assert "2 are tagged en" in track.remarks[0]


@pytest.mark.parametrize("default", [(), (0, 1)])
def test_nothing_is_guessed(make: Make, default: Sequence[int]) -> None:
    film = make("film.mkv", ["ger", "fre"], default=default)
    with pytest.raises(MediaError, match="which of the audio streams") as error:
        media.read_audio(film, choice=media.SoundChoice(language="en"))
    assert "a:0 ger" in error.value.why
    assert "a:1 fre" in error.value.why
    assert ":a:0" in error.value.fix


def test_a_stream_by_its_number(make: Make) -> None:
    film = make("film.mkv", ["ger", "fre", "eng"])
    for number, language in enumerate(("ger", "fre", "eng")):
        assert heard(film, stream=number, language="xx") == language
        assert heard(f"{film}:a:{number}") == language
    track = media.load_audio(f"{film}:a:1")
    assert (track.choice.stream, track.remarks) == (1, ())
    with pytest.raises(MediaError, match="no audio stream a:3") as error:
        media.read_audio(f"{film}:a:3")
    assert "a:2 eng" in error.value.why
    with pytest.raises(UsageError, match="names the audio stream 1, and 2"):
        media.read_audio(f"{film}:a:1", choice=media.SoundChoice(stream=2))


def test_only_one_form_names_a_stream(tmp_path: Path) -> None:
    assert split_stream("a/film.mkv:a:12") == (Path("a/film.mkv"), 12)
    for plain in ("film.mkv", "film.mkv:1", "film.mkv:a:", "film.mkv:a:x", "film.mkv:v:0", ":a:0"):
        assert split_stream(plain) == (Path(plain), None)
    odd = tmp_path / "take:a:1"
    odd.touch()
    assert split_stream(odd) == (odd, None)


def test_the_only_stream_is_taken_whatever_its_tag(make: Make) -> None:
    film = make("film.mkv", ["ger"])
    assert heard(film, language="fr") == "ger"
    assert (
        media.load_audio(film).remarks == media.load_audio(film, choice=media.SoundChoice(language="de")).remarks == ()
    )
    assert "tagged ger, not fr" in media.load_audio(film, choice=media.SoundChoice(language="fr")).remarks[0]
    assert media.load_audio(make("plain.mkv", [None]), choice=media.SoundChoice(language="fr")).remarks == ()


def test_relatives(make: Make) -> None:
    assert heard(make("film.mkv", ["ger", "nob"]), language="no") == "nob"


def test_no_sound(make: Make) -> None:
    with pytest.raises(NoAudio):
        media.read_audio(f"{make('film.mkv', [])}:a:0")
