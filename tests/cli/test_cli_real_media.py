"""data add, data check and dub on files as people have them; each test is a case somebody reported."""

from __future__ import annotations

import json
import os
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition
from click.testing import CliRunner, Result

from lipbench import media
from lipbench.cli.data import main as data
from lipbench.cli.dub import main as dub
from lipbench.core.errors import ManifestError, MediaError, UsageError
from lipbench.core.keys import sha256_file
from lipbench.datasets.manifest import load_manifest

RATE, SECONDS = 16000, 4
NEW = ("--language", "en", "--licence", "CC-BY-4.0", "--consent", "ok")
VOICES = {
    tag: (np.random.default_rng(i).normal(size=SECONDS * RATE) * 3000).astype(np.int16)
    for i, tag in enumerate(("ger", "fre", "eng"))
}


def call(command, *args) -> Result:
    return CliRunner().invoke(command, [str(a) for a in args])


def fine(command, *args) -> Result:
    result = call(command, *args)
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def wav(path: Path, seconds: float = 1.0, level: float = 3000) -> Path:
    samples = np.random.default_rng(7).normal(size=round(seconds * RATE)) * level
    return media.write_wav(path, samples.astype(np.int16))


def video(path: Path, seconds: float = 1.0) -> Path:
    frames = np.full((round(seconds * 25), 48, 64, 3), 90, np.uint8)
    sound = np.random.default_rng(3).normal(0, 3000, round(seconds * RATE)).astype(np.int16)
    return media.write_video(path, frames, 25, sound, synthetic=False)


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """A film of 4 s with a German, a French and an English track, the English one by default."""
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    with av.open(str(path), "w") as out:
        picture = out.add_stream("libx264", rate=25, options={"g": "25", "qp": "0"})
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        streams = [out.add_stream("pcm_s16le", rate=RATE, layout="mono") for _ in VOICES]
        for stream, tag in zip(streams, VOICES, strict=True):
            stream.metadata["language"] = tag
            stream.disposition = Disposition.default if tag == "eng" else Disposition(0)
        for k in range(SECONDS * 25):
            gray = np.full((48, 64, 3), 20 + 2 * k, np.uint8)
            out.mux(picture.encode(av.VideoFrame.from_ndarray(gray, format="rgb24")))
        for stream, voice in zip(streams, VOICES.values(), strict=True):
            frame = av.AudioFrame.from_ndarray(voice[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = RATE, 0
            out.mux([*stream.encode(frame), *stream.encode(None)])
        out.mux(picture.encode(None))
    return path


@pytest.fixture
def film(original: Path, tmp_path: Path) -> Path:
    path = tmp_path / "film.mkv"
    path.write_bytes(original.read_bytes())
    return path


def dubbed(tmp_path: Path, *args: object) -> np.ndarray:
    """Samples of the dub that a run with these arguments lays under its clip."""
    fine(dub, "dubbed", *args, "-o", tmp_path / "out.mp4", "--work", tmp_path / "work")
    (record,) = (tmp_path / "work").rglob("index.json")
    samples = media.read_wav(record.parent / "audio.wav")[0]
    assert len(media.load_frames(tmp_path / "out.mp4")) == len(samples) // 640
    return samples


# ---- which audio ----------------------------------------------------------------------------------------------


def test_a_film_with_several_languages(film: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "m.yaml"
    result = fine(data, "add", manifest, film, "--dub", f"fr={film}", "--dub", f"de={film}:a:0", *NEW)
    assert "warning" not in result.output
    assert ", 0 warnings" in fine(data, "check", manifest).output
    found = load_manifest(manifest)
    assert [(d.id, d.stream) for d in found.dubs] == [("film@fr", None), ("film@de", 0)]
    result = fine(data, "add", manifest, film, "--dub", f"es={film}")
    assert "a:1 fre" in result.output
    assert "none is tagged es: the default one, a:2, is used" in result.output
    assert "none is tagged es" in fine(data, "check", manifest).output


@pytest.mark.slow
def test_dub_takes_the_track_of_the_language(film: Path, tmp_path: Path) -> None:
    assert np.array_equal(dubbed(tmp_path, film, film, "--language", "fr"), VOICES["fre"])


@pytest.mark.slow
def test_dub_takes_the_track_that_is_named(film: Path, tmp_path: Path) -> None:
    assert np.array_equal(dubbed(tmp_path, film, f"{film}:a:0"), VOICES["ger"])


def test_the_manifest_names_a_track_in_a_field(film: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "m.yaml"
    fine(data, "add", manifest, film, "--dub", f"fr={film}", *NEW)
    manifest.write_text(manifest.read_text().replace("audio: film.mkv", "audio: film.mkv:a:1"))
    assert "and `stream: 1` beside it" in call(data, "check", manifest).output
    manifest.write_text(manifest.read_text().replace("audio: film.mkv:a:1", "audio: film.mkv\n    stream: 7"))
    assert "no audio stream a:7" in call(data, "check", manifest).output


# ---- spans ----------------------------------------------------------------------------------------------------


def test_a_scene_cuts_the_dub_too(film: Path, tmp_path: Path) -> None:
    got = dubbed(tmp_path, film, f"{film}:a:1", "--start", 1, "--end", 3)
    assert np.array_equal(got, VOICES["fre"][RATE : 3 * RATE])


def test_a_dub_that_is_cut_already(film: Path, tmp_path: Path) -> None:
    cut = media.write_wav(tmp_path / "cut.wav", VOICES["fre"][RATE : 3 * RATE])
    args = ("dubbed", film, cut, "-o", tmp_path / "o.mp4", "--work", tmp_path / "w", "--start", 1, "--end", 3)
    result = call(dub, *args)
    assert isinstance(result.exception, ManifestError)
    assert "--audio-start" in result.exception.fix
    assert not (tmp_path / "w").exists()


@pytest.mark.slow
def test_dub_of_a_scene_with_a_dub_that_is_cut_already(film: Path, tmp_path: Path) -> None:
    cut = media.write_wav(tmp_path / "cut.wav", VOICES["fre"][RATE : 3 * RATE])
    got = dubbed(tmp_path, film, cut, "--start", 1, "--end", 3, "--audio-start", 0)
    assert np.array_equal(got, VOICES["fre"][RATE : 3 * RATE])


def test_a_scene_with_all_there_is_to_say(film: Path, tmp_path: Path) -> None:
    manifest, notes = tmp_path / "m.yaml", tmp_path / "fr.ctm"
    notes.write_text("film 1 1.0 0.5 B\nfilm 1 1.5 0.5 AA1\n")
    span = ("--start", 1, "--end", 3, "--offset", "fr=0.25", "--transcript", "fr=Bon = bien", "--phonemes", notes)
    call_ = call(data, "add", manifest, film, "--dub", f"fr={film}", "--dub", f"de={film}", *span, *NEW)
    assert isinstance(call_.exception, UsageError)
    assert "for which dub?" in call_.exception.what
    fine(data, "add", manifest, film, "--dub", f"fr={film}", *span, *NEW)
    found = load_manifest(manifest)
    assert (found.clips[0].start_s, found.clips[0].end_s) == (1, 3)
    fr = found.dubs[0]
    assert (fr.offset_s, fr.transcript, fr.phonemes) == (0.25, "Bon = bien", notes)
    checked = json.loads(fine(data, "check", manifest, "--json").stdout)
    assert checked["warnings"] == []
    assert checked["dubs"][0]["longer_s"] == pytest.approx(0)
    notes.write_text("film 1 1.0 0.5")
    assert "dubs[0].phonemes: cannot read the phonemes" in call(data, "check", manifest, "--no-hash").output


def test_a_part_of_its_own_and_a_rate(film: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "m.yaml"
    span = ("--start", 1, "--end", 2, "--dub-start", "0.5", "--dub-end", 1.6, "--rate", "25/24")
    fine(data, "add", manifest, film, "--dub", f"fr={film}", *span, *NEW)
    (fr,) = load_manifest(manifest).dubs
    assert (fr.start_s, fr.end_s, fr.rate) == (0.5, 1.6, 25 / 24)
    (found,) = json.loads(fine(data, "check", manifest, "--json").stdout)["dubs"]
    assert found["duration_s"] == pytest.approx(1.1 * 25 / 24, abs=0.001)


def test_another_part_of_a_known_video_needs_another_id(film: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "m.yaml"
    fine(data, "add", manifest, film, "--end", 2, *NEW)
    result = call(data, "add", manifest, film, "--dub", f"fr={film}", "--start", 2, *NEW)
    assert isinstance(result.exception, UsageError)
    fine(data, "add", manifest, film, "--id", "second", "--dub", f"fr={film}", "--start", 2, *NEW)
    assert [clip.id for clip in load_manifest(manifest).clips] == ["film", "second"]


def test_a_dub_at_the_speed_of_television(tmp_path: Path) -> None:
    """A film of 23.976 played at 25: the lengths say so."""
    manifest, source = tmp_path / "m.yaml", video(tmp_path / "talk.mp4", 8)
    fast = wav(tmp_path / "fast.wav", 8 * 23.976 / 25)
    fine(data, "add", manifest, source, "--dub", f"fr={fast}", *NEW)
    assert "25/23.976 (1.0427)" in fine(data, "check", manifest).output
    manifest.write_text(manifest.read_text() + "    rate: 25/23.976\n")
    assert ", 0 warnings" in fine(data, "check", manifest).output


# ---- silence, surround ----------------------------------------------------------------------------------------


def test_silence_is_told(film: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "m.yaml"
    quiet = wav(tmp_path / "quiet.wav", SECONDS, 5)
    assert "holds no signal" in fine(data, "add", manifest, film, "--dub", f"fr={quiet}", *NEW).output
    assert "dubs[0].audio: the sound holds no signal" in fine(data, "check", manifest).output
    result = fine(dub, "dubbed", film, quiet, "-o", tmp_path / "o.mp4", "--work", tmp_path / "w")
    assert result.output.startswith("warning: the sound holds no signal")


def test_stereo_that_cancels_is_told(film: Path, tmp_path: Path) -> None:
    import soundfile

    pair = np.stack([VOICES["fre"], -VOICES["fre"]], axis=1)
    soundfile.write(str(tmp_path / "anti.wav"), pair, RATE, subtype="PCM_16")
    manifest = tmp_path / "m.yaml"
    fine(data, "add", manifest, film, "--dub", f"fr={tmp_path / 'anti.wav'}", *NEW)
    output = fine(data, "check", manifest).output
    assert "cancel each other when they are mixed: its channel 'left' is used" in output
    assert "no signal" not in output


@pytest.mark.slow
def test_dub_takes_the_channel_that_is_named(film: Path, tmp_path: Path) -> None:
    import soundfile

    pair = np.stack([VOICES["fre"], VOICES["ger"]], axis=1)
    soundfile.write(str(tmp_path / "pair.wav"), pair, RATE, subtype="PCM_16")
    assert np.array_equal(dubbed(tmp_path, film, tmp_path / "pair.wav", "--channel", "right"), VOICES["ger"])


# ---- folders, lists, pictures ---------------------------------------------------------------------------------


def test_a_folder_of_videos(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "fr").mkdir()
    (tmp_path / "text").mkdir()
    for name in ("one", "two"):
        video(tmp_path / "in" / f"{name}.mp4")
        wav(tmp_path / "fr" / f"{name}.wav")
        (tmp_path / "text" / f"{name}.txt").write_text(f"c'est {name}\n")
    (tmp_path / "in" / "readme.txt").write_text("x")
    manifest = tmp_path / "m.yaml"
    more = ("--dub", f"fr={tmp_path / 'fr'}", "--transcript", tmp_path / "text", *NEW)
    fine(data, "add", manifest, tmp_path / "in", *more)
    found = load_manifest(manifest, verify=True)
    assert [clip.id for clip in found.clips] == ["one", "two"]
    assert [(d.id, d.audio.name, d.transcript) for d in found.dubs] == [
        ("one@fr", "one.wav", "c'est one"),
        ("two@fr", "two.wav", "c'est two"),
    ]
    assert "all of it is there already" in fine(data, "add", manifest, tmp_path / "in", *more).output
    (tmp_path / "fr" / "two.wav").unlink()
    result = call(data, "add", tmp_path / "n.yaml", tmp_path / "in", *more)
    assert isinstance(result.exception, MediaError)
    assert "no files called two" in result.exception.what
    assert not (tmp_path / "n.yaml").exists()


def test_a_list(film: Path, tmp_path: Path) -> None:
    video(tmp_path / "talk.mp4", 2)
    wav(tmp_path / "de.wav", 2)
    listed = tmp_path / "list.csv"
    listed.write_text(
        "video,id,start,end,dub_language,dub,offset,transcript,speaker\n"
        'film.mkv,scene1,0.5,2,fr,film.mkv,,"Bonjour, vous",anna\n'
        "film.mkv,scene1,0.5,2,de,film.mkv:a:0,0.1,,anna\n"
        "film.mkv,scene2,2,3.5,fr,film.mkv,,,\n"
        "talk.mp4,,,,de,de.wav,,,\n"
    )
    manifest = tmp_path / "m.yaml"
    fine(data, "add", manifest, listed, *NEW)
    found = load_manifest(manifest, verify=True)
    assert [(c.id, c.start_s, c.end_s, c.speaker) for c in found.clips] == [
        ("scene1", 0.5, 2, "anna"),
        ("scene2", 2, 3.5, "scene2"),
        ("talk", 0, None, "talk"),
    ]
    dubs = {d.id: (d.stream, d.offset_s, d.transcript) for d in found.dubs}
    assert dubs == {
        "scene1@fr": (None, 0, "Bonjour, vous"),
        "scene1@de": (0, 0.1, None),
        "scene2@fr": (None, 0, None),
        "talk@de": (None, 0, None),
    }
    assert ", 0 warnings" in fine(data, "check", manifest).output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,lang\nfilm.mkv,fr\n", "list.csv:1: there is no column 'lang'"),
        ("id\nx\n", "the column video is missing"),
        ("video,start\nfilm.mkv,one\n", "list.csv:2: start 'one' is no number"),
        ("video,dub\nfilm.mkv,film.mkv\n", "list.csv:2: which language"),
        ("video,id\nfilm.mkv\n", "list.csv:2: 2 columns are needed"),
        ("video\n", "lists nothing"),
        ("video,dub,dub_language\nfilm.mkv,a.wav,fr\nfilm.mkv,b.wav,fr\n", "a second dub in fr"),
        ("video\nfilm.mkv\ngone.mp4\n", "gone.mp4"),
        ("video,kind\nfilm.mkv,spoken\n", "list.csv:2: 'spoken' is no kind"),
    ],
)
def test_mistakes_in_a_list(film: Path, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    result = call(data, "add", tmp_path / "m.yaml", tmp_path / "list.csv", *NEW)
    assert isinstance(result.exception, (UsageError, MediaError))
    assert message in str(result.exception)
    assert not (tmp_path / "m.yaml").exists()


def test_pictures_in_a_manifest_and_in_dub(tmp_path: Path) -> None:
    folder = tmp_path / "seq"
    folder.mkdir()
    for k in range(50):
        cv2.imwrite(str(folder / f"f{k:04d}.png"), np.full((48, 64, 3), 20 + 4 * k, np.uint8))
    manifest, fr = tmp_path / "m.yaml", wav(tmp_path / "fr.wav", 2)
    result = call(data, "add", manifest, folder, "--dub", f"fr={fr}", *NEW)
    assert isinstance(result.exception, UsageError)
    assert "--fps" in result.exception.fix
    fine(data, "add", manifest, folder, "--fps", 25, "--dub", f"fr={fr}", *NEW)
    (clip,) = load_manifest(manifest, verify=True).clips
    assert (clip.id, clip.fps, clip.sha256) == ("seq", 25, media.digest(folder))
    assert "has no sound" in fine(data, "check", manifest).output
    broken = manifest.read_text().replace("    fps: 25.0\n", "")
    (tmp_path / "n.yaml").write_text(broken)
    assert "clips[0].fps: is missing" in call(data, "check", tmp_path / "n.yaml").output
    (folder / "f0010.png").unlink()
    assert "number 10 is missing" in call(data, "check", manifest).output


@pytest.mark.slow
def test_dub_of_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "seq"
    folder.mkdir()
    for k in range(25):
        cv2.imwrite(str(folder / f"f{k:04d}.png"), np.full((47, 63, 3), 20 + 8 * k, np.uint8))
    assert len(dubbed(tmp_path, folder / "f%04d.png", wav(tmp_path / "fr.wav"))) == RATE
    assert np.abs(media.load_frames(tmp_path / "out.mp4").astype(int) - media.load_frames(folder)).max() == 0


# ---- where dub writes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", ["itself", "symlink", "hardlink", "relative", "audio"])
def test_dub_never_writes_over_an_input(tmp_path: Path, link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source, sound = video(tmp_path / "s.mp4"), video(tmp_path / "tts.mp4")
    before = sha256_file(source), sha256_file(sound)
    out = {"itself": source, "audio": sound, "relative": Path("s.mp4")}.get(link, tmp_path / "out.mp4")
    if link == "symlink":
        out.symlink_to(source)
    elif link == "hardlink":
        os.link(source, out)
    monkeypatch.chdir(tmp_path)
    result = call(dub, "dubbed", source, f"{sound}:a:0", "-o", out, "--work", tmp_path / "work")
    assert isinstance(result.exception, UsageError)
    assert "would be lost" in result.exception.why
    assert (sha256_file(source), sha256_file(sound)) == before
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("out", ["folder.mp4", "file/o.mp4", "/proc/o.mp4"])
def test_dub_knows_before_the_work_where_it_cannot_write(tmp_path: Path, out: str) -> None:
    source = video(tmp_path / "s.mp4")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "file").touch()
    result = call(dub, "dubbed", source, source, "-o", tmp_path / out, "--work", tmp_path / "work")
    assert isinstance(result.exception, UsageError)
    assert result.exception.what.startswith("cannot write ")
    assert not (tmp_path / "work").exists()


def test_dub_leaves_the_old_file_where_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = video(tmp_path / "s.mp4"), tmp_path / "o.mp4"
    out.write_bytes(b"old")

    def full(src: object, dst: Path) -> None:
        Path(dst).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lipbench.cli.dub.shutil.copyfile", full)
    result = call(dub, "dubbed", source, source, "-o", out, "--work", tmp_path / "work")
    assert result.exit_code != 0
    assert out.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir() if "o.mp4" in file.name] == ["o.mp4"]
