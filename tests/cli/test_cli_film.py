"""lipbench data align, cut, and add --from: one film with its dubs in one file."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from lipbench import media
from lipbench.cli import data as module
from lipbench.core.errors import DiskFull, LipbenchError, MediaError, NoAudio, Refused, UsageError
from lipbench.datasets import load_manifest
from lipbench.datasets.film import cut as cutting
from lipbench.datasets.film.align_file import read_align_file
from lipbench.synthetic.film.container import FilmSound, write_film
from lipbench.synthetic.film.mixes import cut, to_steps
from tests.datasets.film.film_sounds import mixed

SECONDS = 80.0
RNG = np.random.default_rng(0)


def call(*args: object) -> Result:
    return CliRunner().invoke(module.main, [str(a) for a in args])


def error_of(result: Result, kind: type[LipbenchError]) -> LipbenchError:
    assert isinstance(result.exception, kind), result
    assert result.exception.what
    assert result.exception.fix
    return result.exception


def original(voice: int) -> np.ndarray:
    """(1, N): the beginning of a film's sound."""
    return mixed(voice)[:, : int(SECONDS * 16000)]


def pictures() -> Iterator[np.ndarray]:
    """The brightness of a frame says its second."""
    for n in range(int(SECONDS * 24)):
        yield np.full((48, 64, 3), 20 + 2 * (n // 24), np.uint8)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """film.mkv, 24 frames a second: en, fr 0.48 s late, it without the seconds 40 to 55."""
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    fr, _ = cut(original(2), [(0.0, SECONDS, 0.48)], 1.0, RNG)
    it, _ = cut(original(3), [(0.0, 40.0, 0.0), (55.0, SECONDS, 0.0)], 1.0, RNG)
    sounds = [FilmSound(name, to_steps(y)) for name, y in (("eng", original(1)), ("fre", fr), ("ita", it))]
    return write_film(path, pictures(), Fraction(24), sounds)


@pytest.fixture(scope="module")
def aligned(film: Path) -> Path:
    done = call("align", film, "--plot", film.with_suffix(".png"))
    assert done.exit_code == 0, done.output
    assert "fr  as fast as the film  1 piece  offset +0.4800 s" in done.output
    return film.with_suffix(".align.yaml")


def test_align_writes_what_is_true(film: Path, aligned: Path) -> None:
    file = read_align_file(aligned)
    assert file.film.language == "en"
    assert list(file.dubs) == ["fr", "it"]
    assert file.dubs["fr"].pieces[0].offset == pytest.approx(0.48, abs=1e-3)
    before, after = file.dubs["it"].pieces
    assert (before.offset, after.offset) == pytest.approx((0.0, -15.0), abs=1e-3)
    assert abs(before.end - 40) <= before.end_unsure
    assert abs(after.start - 55) <= after.start_unsure
    assert film.with_suffix(".png").stat().st_size > 10_000


def test_what_is_aligned_is_not_aligned_again_and_hand_made_pieces_stay(aligned: Path, tmp_path: Path) -> None:
    film = aligned.with_name("film.mkv")
    text = aligned.read_text().replace("offset: 0.48,", "offset: 0.6, by: hand,")
    assert "by: hand" in text
    mine = aligned.with_name("mine.align.yaml")
    mine.write_text(text)
    assert call("align", film, "-o", mine).output.count("(as before)") == 2
    again = CliRunner().invoke(module.main, ["align", str(film), "-o", str(mine), "--again", "--dub", f"fr={film}:a:1"])
    assert again.exit_code == 0
    assert "+0.4800 s is measured, +0.6000 s is written by hand and kept" in again.output
    assert read_align_file(mine).dubs["fr"].pieces[0].offset == 0.6
    told = json.loads(call("align", mine, "--check", "--dub", "fr", "--json").output)
    assert told[0]["measured"] == pytest.approx(0.48, abs=1e-3)


def test_listen_has_film_and_dub_side_by_side(aligned: Path, tmp_path: Path) -> None:
    import soundfile

    out = tmp_path / "ten.wav"
    assert call("align", aligned, "--listen", "0:30", "--dub", "fr", "-o", out).exit_code == 0
    both, rate = soundfile.read(out)
    assert both.shape == (10 * rate, 2)
    a, b = both[: 5 * rate].T
    like = np.correlate(b[2000:-2000], a, "valid") if len(a) < 20000 else _lag(a, b)
    assert abs(like) <= 2


def _lag(a: np.ndarray, b: np.ndarray) -> int:
    n = 1 << 20
    curve = np.fft.irfft(np.fft.rfft(b, n) * np.fft.rfft(a, n).conj(), n)
    k = int(np.argmax(np.abs(curve)))
    return k if k < n // 2 else k - n


def test_cut_begins_with_its_scene_and_skips_edits(aligned: Path, tmp_path: Path) -> None:
    film = aligned.with_name("film.mkv")
    done = call("cut", film, "--scene", "20-24", "--scene", "38-42", "-o", tmp_path)
    assert done.exit_code == 0, done.output
    assert "it  edge" in done.output
    clip = tmp_path / "film-000020.mp4"
    frames = media.load_frames(clip)
    assert len(frames) == 100
    assert media.probe(clip).fps == 25
    assert [int(frames[k].mean().round()) for k in (0, 99)] == pytest.approx([60, 66], abs=1)
    own = media.read_audio(film, 16000, start_s=20, end_s=24, choice=media.SoundChoice(0)).astype(float)
    for language in ("fr", "it"):
        dub = media.read_audio(tmp_path / f"film-000020.{language}.flac").astype(float)
        assert len(dub) == 4 * 16000
        assert abs(_lag(own, dub)) <= 1
    assert not (tmp_path / "film-000038.it.flac").exists()
    record = json.loads((tmp_path / "film-000020.cut.json").read_text())["files"]
    assert record["film-000020.fr.flac"]["aligned"]["film_offset_s"] == pytest.approx(0.48, abs=1e-3)
    assert "(there already)" in call("cut", film, "--scene", "20-24", "-o", tmp_path).output


def test_what_was_cut_before_a_full_disk_stays(aligned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film, whole = aligned.with_name("film.mkv"), Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if ".it." in path.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    error_of(call("cut", film, "--scene", "20-22", "-o", tmp_path), DiskFull)
    assert sorted(f.name for f in tmp_path.iterdir()) == [
        "film-000020.cut.json",
        "film-000020.fr.flac",
        "film-000020.mp4",
    ]
    monkeypatch.undo()
    monkeypatch.setattr(cutting, "_clip", lambda *a: pytest.fail("the clip is cut again"))
    assert call("cut", film, "--scene", "20-22", "-o", tmp_path).exit_code == 0
    assert (tmp_path / "film-000020.it.flac").exists()


def test_scenes_that_cannot_be_cut(aligned: Path, tmp_path: Path) -> None:
    film = aligned.with_name("film.mkv")
    error = error_of(call("cut", film, "--scene", "90-2:00", "-o", tmp_path), UsageError)
    assert "lies outside the film" in error.what
    error = error_of(call("cut", film, "--scene", "38-42", "--dub", "it", "-o", tmp_path), Refused)
    assert "two scenes" in error.fix
    assert "no scene" in error_of(call("cut", film, "--scene", "38", "-o", tmp_path), UsageError).what


def test_add_from_a_film(aligned: Path, tmp_path: Path) -> None:
    film = aligned.with_name("film.mkv")
    manifest = aligned.with_name("my.yaml")
    about = ["--speaker", "a", "--language", "en", "--licence", "CC0-1.0", "--consent", "generated"]
    scenes = ["--scene", "20-22", "--scene", "70-73"]
    done = call("add", manifest, "--from", film, *scenes, *about)
    assert done.exit_code == 0, done.output
    found = load_manifest(manifest, verify=True)
    assert [clip.id for clip in found.clips] == ["film-000020", "film-000110"]
    assert {clip.speaker for clip in found.clips} == {"a"}
    assert sorted(dub.language for dub in found.dubs) == ["fr", "fr", "it", "it"]


def test_used_shots_become_clips_or_the_segments_of_one(aligned: Path, tmp_path: Path) -> None:
    film = aligned.with_name("film.mkv")
    shots = tmp_path / "film.shots.yaml"
    one = "{{n: {}, from: {}, to: {}, into: cut, people: [A], actor: A, use: '{}'}}"
    spans = [(1, 20, 22, "yes"), (2, 22, 24, "no"), (3, 24, 26, "yes"), (4, 38, 42, "yes")]
    lines = [f"  - {one.format(*span)}" for span in spans]
    shots.write_text("\n".join(["schema: 1", "film: film.mkv", f"seconds: {SECONDS:g}", "shots:", *lines, ""]))
    done = call("cut", film, "--shots", shots, "--dub", "fr", "-o", tmp_path)
    assert done.exit_code == 0, done.output
    cut = sorted(path.name for path in tmp_path.glob("*.mp4"))
    assert cut == ["film-000020.mp4", "film-000024.mp4", "film-000038.mp4"]
    error_of(call("cut", film, "-o", tmp_path), UsageError)
    manifest = aligned.with_name("segments.yaml")
    about = ["--speaker", "a", "--language", "en", "--licence", "CC0-1.0", "--consent", "generated"]
    done = call("add", manifest, "--from", film, "--scene", "21-26", "--shots", shots, *about)
    assert done.exit_code == 0, done.output
    found = load_manifest(manifest, verify=True)
    assert found.clips[0].segments == ((0.0, 0.96), (3.04, 5.0))
    fr = next(dub for dub in found.dubs if dub.language == "fr")
    assert fr.aligned is not None
    assert (fr.aligned.state, fr.aligned.rate) == ("measured", 1.0)
    assert fr.aligned.film_offset_s == pytest.approx(0.48, abs=1e-3)
    error_of(call("add", manifest, film, "--shots", shots, *about), UsageError)


def test_what_is_no_film_with_dubs(film: Path, tmp_path: Path) -> None:
    mute = write_film(tmp_path / "mute.mkv", (np.zeros((48, 64, 3), np.uint8) for _ in range(10)), Fraction(25), [])
    assert "no audio" in error_of(call("align", mute), NoAudio).why
    short = to_steps(mixed(1))[:, :16000]
    one = write_film(tmp_path / "one.mka", None, Fraction(25), [FilmSound("eng", short)])
    assert "one sound track" in error_of(call("align", one), UsageError).what
    twice = write_film(
        tmp_path / "twice.mka", None, Fraction(25), [FilmSound(tag, short) for tag in ("eng", "fre", "fra")]
    )
    error = error_of(call("align", twice), UsageError)
    assert "several sound tracks in 'fr'" in error.what
    assert "FILE" not in error.fix
    assert "a:2" in error.fix
    error = error_of(call("align", film, "--dub", f"fr={film}:a:0"), UsageError)
    assert "is the original itself" in error.what
    error_of(call("align", film, "--dub", f"fr={film}:a:7"), MediaError)
    error = error_of(call("align", film, "--dub", "fr=a.wav", "--dub", "fr=b.wav"), UsageError)
    assert "given twice" in error.what
    error_of(call("align", film, "--check"), UsageError)


def test_a_refused_dub_is_written_and_an_offset_by_hand_helps(film: Path, tmp_path: Path) -> None:
    other = to_steps(mixed(5, seed=2))[:, : 60 * 16000]
    dub = write_film(tmp_path / "other.mka", None, Fraction(25), [FilmSound("ger", other)])
    path = tmp_path / "film.align.yaml"
    error = error_of(call("align", film, "--dub", f"de={dub}", "-o", path), Refused)
    assert "'de' cannot be aligned" in error.what
    assert read_align_file(path).dubs["de"].verdict == "refused"
    assert call("align", film, "--dub", f"de={dub}", "--offset", "de=1.25", "-o", path).exit_code == 0
    entry = read_align_file(path).dubs["de"]
    assert entry.verdict == "carried"
    assert (entry.pieces[0].offset, entry.pieces[0].by) == (1.25, "hand")
