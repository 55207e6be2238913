"""A generated film with three dubs in one file, and how right what was made of it is.

    python -m tools.film_example make FOLDER [--rounds 10]
    python -m tools.film_example check FOLDER [--media FOLDER/media]

Two people speak in turn in 4 s shots, over a bed 15 dB under them: en, fr 0.48 s late, de at PAL speed, it with 20 s
cut out of its middle. `check` prints the errors of FOLDER/film.align.yaml, film.shots.yaml and the cut dubs, as far as
they are there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from lipbench import media
from lipbench.datasets.film.align_file import DubTrack, read_align_file
from lipbench.datasets.film.shots_file import read_shots
from lipbench.synthetic.film.bed import RATE, bed
from lipbench.synthetic.film.container import FilmSound, write_film
from lipbench.synthetic.film.mixes import Span, cut, mix, played, to_steps
from lipbench.synthetic.film.shots import FPS, PlannedShot
from lipbench.synthetic.film.shots import write_film as write_shots
from lipbench.synthetic.speech.formant import synthesize
from lipbench.synthetic.speech.timelines import place, sentences
from lipbench.synthetic.speech.voices import voice

DEMO = Path(media.__file__).parents[1] / "datasets" / "demo" / "clips"
TAGS = {"en": "eng", "fr": "fre", "de": "ger", "it": "ita"}
#: Who is seen, and what they say in each language; None: made here, the packaged clip has no such dub.
PEOPLE: tuple[tuple[Path, dict[str, Path | None]], ...] = (
    (
        DEMO / "demo-en" / "demo-en.mp4",
        {
            "en": DEMO / "demo-en" / "demo-en.mp4",
            "fr": DEMO / "demo-en" / "fr.flac",
            "de": DEMO / "demo-en" / "de.flac",
            "it": None,
        },
    ),
    (
        DEMO / "demo-fr" / "truth_en.mp4",
        {
            "en": DEMO / "demo-fr" / "en.flac",
            "fr": DEMO / "demo-fr" / "demo-fr.mp4",
            "de": DEMO / "demo-fr" / "de.flac",
            "it": DEMO / "demo-fr" / "it.flac",
        },
    ),
)
OVER_DB = 15.0
SHOT_FRAMES = 4 * FPS
Sound = NDArray[np.float32]


def edit(rounds: int) -> list[PlannedShot]:
    """The shots: one person's first half, the other's, and so on."""
    return [PlannedShot(who, at, SHOT_FRAMES) for _ in range(rounds) for at in (0, SHOT_FRAMES) for who in (0, 1)]


def speech(shots: list[PlannedShot], language: str) -> Sound:
    """(N,) what is said in the film, RMS 1."""
    said = [_said(files[language], language) for _, files in PEOPLE]
    n = SHOT_FRAMES * RATE // FPS
    parts = [said[shot.source][shot.start * RATE // FPS :][:n] for shot in shots]
    y = np.concatenate([np.pad(part, (0, n - len(part))) for part in parts])
    return (y / np.sqrt(np.mean(np.square(y)))).astype(np.float32)


def _said(file: Path | None, language: str) -> Sound:
    if file is not None:
        return np.asarray(media.read_audio(file, RATE) / 32768, np.float32)
    lines = [sentences()[name][language] for name in ("s22", "s24")]
    made = [synthesize(place(line.words, 0.0), line.duration_s, voice("alma"), language=language) for line in lines]
    quiet = np.zeros(RATE // 2)
    y = np.concatenate([quiet, made[0], quiet, made[1]]).astype(np.float32)
    return np.asarray(y / np.abs(y).max() * 0.5, np.float32)


@click.group()
def main() -> None:
    """Make a film, and check what was made of it."""


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--rounds", default=10, show_default=True, type=click.IntRange(5), help="Of 16 s.")
@click.option("--seed", default=51, show_default=True)
def make(folder: Path, rounds: int, seed: int) -> None:
    """Write FOLDER/film.mkv, and what is true of it into FOLDER/truth."""
    truth = folder / "truth"
    truth.mkdir(parents=True, exist_ok=True)
    shots, rng = edit(rounds), np.random.default_rng(seed)
    seconds = len(shots) * SHOT_FRAMES / FPS
    music = bed(seconds, rng)
    cuts = {
        "fr": (1.0, [(0.0, seconds, 0.48)]),
        "de": (24 / 25, [(0.0, seconds, 0.0)]),
        "it": (1.0, [(0.0, seconds / 2, 0.0), (seconds / 2 + 20, seconds, 0.0)]),
    }
    sounds, told = [], {}
    for language, tag in TAGS.items():
        y = mix(music, speech(shots, language), OVER_DB, "stereo")
        sf.write(truth / f"{language}.flac", to_steps(y.mean(axis=0, keepdims=True))[0], RATE)
        if language in cuts:
            rate, parts = cuts[language]
            y, spans = cut(y, parts, rate, rng)
            y = played(y, rate) if rate != 1 else y
            told[language] = [[s.start, s.end, s.rate, s.offset] for s in spans]
        sounds.append(FilmSound(tag, to_steps(y)))
    with TemporaryDirectory() as work:
        picture = Path(work) / "picture.mp4"
        write_shots(picture, [clip for clip, _ in PEOPLE], shots, size=(320, 256))
        write_film(folder / "film.mkv", _frames(picture), Fraction(24), sounds)
    about = {"dubs": told, "shots": [[k * 4.0, k * 4.0 + 4.0, "AB"[s.source]] for k, s in enumerate(shots)]}
    (truth / "truth.json").write_text(json.dumps(about, indent=1))
    click.echo(f"{folder / 'film.mkv'}: {seconds:g} s, {len(shots)} shots")


def _frames(picture: Path) -> Iterator[NDArray[np.uint8]]:
    yield from media.read_frames(picture, fps=24)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--media", "cuts", type=click.Path(path_type=Path), help="[default: FOLDER/media]")
def check(folder: Path, cuts: Path | None) -> None:
    """Print errors against the truth."""
    truth = json.loads((folder / "truth" / "truth.json").read_text())
    if (path := folder / "film.align.yaml").is_file():
        for language, dub in read_align_file(path).dubs.items():
            click.echo(f"{language}  " + _alignment(dub, [Span(*s) for s in truth["dubs"][language]]))
    if (path := folder / "film.shots.yaml").is_file():
        click.echo("shots  " + _shots(read_shots(path).shots, truth["shots"]))
    for record in sorted((cuts or folder / "media").glob("*.cut.json")):
        files = json.loads(record.read_text())["files"]
        for name in sorted(name for name in files if name.endswith(".flac")):
            language = name.split(".")[-2]
            whole, _ = sf.read(folder / "truth" / f"{language}.flac")
            part, _ = sf.read(record.parent / name)
            begin = files[name]["scene"][0]
            click.echo(f"{name}  {1000 * _lag(whole, part, begin):+.2f} ms from the truth")


def _alignment(dub: DubTrack, spans: list[Span]) -> str:
    if dub.verdict == "refused":
        return f"refused: {dub.why}"
    errors, edges = [], []
    for piece in dub.pieces:
        times = np.arange(piece.start + piece.start_unsure, piece.end - piece.end_unsure, 0.25)
        for t in times:
            span = next((s for s in spans if s.start <= t < s.end), None)
            errors.append(np.inf if span is None else dub.rate * t + piece.offset - span.rate * t - span.offset)
        span = min(spans, key=lambda s: abs((s.start + s.end) - (piece.start + piece.end)))
        edges += [(abs(piece.start - span.start), piece.start_unsure), (abs(piece.end - span.end), piece.end_unsure)]
    size = np.abs(errors) * 1000
    inside = sum(error <= unsure for error, unsure in edges)
    return (
        f"{len(dub.pieces)} of {len(spans)} pieces, median error {np.median(size):.3f} ms, worst {size.max():.3f} ms, "
        f"{inside} of {len(edges)} edges within what is printed"
    )


def _shots(found: tuple[Any, ...], true: list[list[Any]]) -> str:
    off: list[float] = []
    names: dict[str, tuple[str, ...]] = {}
    right = 0
    for start, end, who in true:
        shot = min(found, key=lambda s: abs(s.start - start) + abs(s.end - end))
        off.append(max(abs(shot.start - start), abs(shot.end - end)))
        names.setdefault(who, shot.people)
        right += shot.people == names[who]
    people = len(set(names.values()))
    return (
        f"{len(found)} of {len(true)}, boundaries at most {1000 * max(off):.0f} ms off; "
        f"{people} people, right in {right}"
    )


def _lag(whole: NDArray[np.float64], part: NDArray[np.float64], begin: float) -> float:
    """How much later than it should the part begins, s: peak of the correlation within half a second."""
    reach = RATE // 2
    at = round(begin * RATE)
    around = np.pad(whole, reach)[at : at + len(part) + 2 * reach]
    n = 1 << int(np.ceil(np.log2(len(around) + len(part))))
    curve = np.fft.irfft(np.fft.rfft(around, n) * np.fft.rfft(part, n).conj(), n)[: 2 * reach + 1]
    k = int(np.argmax(curve))
    a, b, c = curve[k - 1 : k + 2] if 0 < k < 2 * reach else (0.0, 1.0, 0.0)
    return (reach - k - (a - c) / (2 * (a - 2 * b + c))) / RATE


if __name__ == "__main__":
    main()
