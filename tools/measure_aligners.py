"""`lipbench data align` beside describealign, audio-offset-finder and ffsubsync, on the same generated films.

    python -m tools.measure_aligners --seeds 71-72 --seconds 150 -o aligners.jsonl
    python -m tools.measure_aligners --read aligners.jsonl

Each is measured where it is installed; none is a dependency. audio-offset-finder and ffsubsync know one offset for a
film. ffsubsync aligns subtitles: what is measured is its aligner on speech that webrtcvad finds in both sounds.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from lipbench.datasets.film.align import align
from lipbench.datasets.film.tracks import read_track
from lipbench.synthetic.film.bed import RATE
from lipbench.synthetic.film.sound_cases import SoundCase, World, alignable, odd, unalignable

#: Of all the cases, those that are taken; the others ask for the same again.
CASES = ("mono", "another speed", "edits", "pitch kept", "no bed", "another film", "another film, one jingle")
LIMIT_MS = 40.0

#: Film seconds -> dub seconds, NaN where it says nothing; None = refused.
Answer = Callable[[NDArray[np.float64]], NDArray[np.float64]] | None
Aligner = Callable[[SoundCase], Answer]


def lipbench(case: SoundCase) -> Answer:
    with tempfile.TemporaryDirectory() as name:
        tracks = []
        for what, samples in (("film", case.film), ("dub", case.dub)):
            sf.write(f"{name}/{what}.wav", samples.T, RATE)
            tracks.append(read_track(Path(name) / f"{what}.wav", Path(name) / what))
        found = align(*tracks)
        for track in tracks:
            track.close()
    if found.verdict == "refused":
        return None

    def at(times: NDArray[np.float64]) -> NDArray[np.float64]:
        out = np.full(len(times), np.nan)
        for piece in found.pieces:
            inside = (times >= piece.start + piece.start_unsure) & (times < piece.end - piece.end_unsure)
            out[inside] = found.rate * times[inside] + piece.offset
        return out

    return at


def describealign() -> Aligner:
    tool = importlib.import_module("describealign")

    def features(samples: NDArray[np.int16]) -> tuple[list[Any], Any]:
        y = soxr.resample(samples.mean(axis=0).astype(np.float32), RATE, 44100).astype(np.float16)[None]
        energy = tool.get_energy(y)
        return [energy, tool.get_zero_crossings(y), *tool.get_freq_bands(y)], energy

    def run(case: SoundCase) -> Answer:
        (film, film_energy), (dub, dub_energy) = features(case.film), features(case.dub)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                dub_s, film_s, *_ = tool.align(film, dub, film_energy, dub_energy)
        except RuntimeError:  # "Alignment failed, are the input files mismatched?"
            return None
        return lambda times: np.interp(times, film_s, dub_s, left=np.nan, right=np.nan)

    return run


def audio_offset_finder() -> Aligner:
    tool = importlib.import_module("audio_offset_finder.audio_offset_finder")

    def run(case: SoundCase) -> Answer:
        both = [soxr.resample(y.mean(axis=0), RATE, 8000) for y in (case.film, case.dub)]
        offset = -float(tool.find_offset_between_buffers(*both, 8000)["time_offset"])
        return lambda times: times + offset

    return run


def ffsubsync() -> Aligner:
    tool, vad = importlib.import_module("ffsubsync.aligners"), importlib.import_module("webrtcvad")

    def speech(samples: NDArray[np.int16]) -> NDArray[np.float64]:
        y, n, detector = np.rint(samples.mean(axis=0)).astype(np.int16), RATE // 100, vad.Vad(3)
        return np.array([float(detector.is_speech(y[i : i + n].tobytes(), RATE)) for i in range(0, len(y) - n, n)])

    def run(case: SoundCase) -> Answer:
        aligner = tool.FFTAligner(6000).fit(speech(case.film), speech(case.dub), get_score=True)
        offset = -aligner.transform()[1] / 100
        return lambda times: times + offset

    return run


ALIGNERS: dict[str, Callable[[], Aligner]] = {
    "lipbench": lambda: lipbench,
    "describealign": describealign,
    "audio-offset-finder": audio_offset_finder,
    "ffsubsync": ffsubsync,
}


def measure(case: SoundCase, run: Aligner) -> dict[str, Any]:
    """Errors every quarter of a second of what the dub has of the film."""
    begun = time.process_time()
    answer = run(case)
    row: dict[str, Any] = {"case": case.name, "cpu_s": round(time.process_time() - begun, 2)}
    row |= {"seconds": case.film.shape[1] / RATE, "accepted": answer is not None, "has_truth": bool(case.truth)}
    if answer is not None and case.truth:
        errors = []
        for span in case.truth:
            times = np.arange(span.start, span.end, 0.25)
            errors.append(1000 * np.abs(answer(times) - span.rate * times - span.offset))
        every = np.concatenate(errors)
        said = every[np.isfinite(every)]
        row |= {"said": len(said) / len(every)}
        if len(said):
            row |= {"median_ms": float(np.median(said)), "wrong": float(np.mean(said > LIMIT_MS))}
    return row


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: a line a case, a column a tool."""
    tools = [name for name in ALIGNERS if any(r["tool"] == name for r in rows)]
    lines = ["| dub | n | " + " | ".join(tools) + " |", "|---|---|" + "---|" * len(tools)]
    for case in CASES:
        mine = [r for r in rows if r["case"] == case]
        cells = [_cell([r for r in mine if r["tool"] == name]) for name in tools]
        if mine:
            lines.append(f"| {case} | {len({r['seed'] for r in mine})} | " + " | ".join(cells) + " |")
    spent = [[r for r in rows if r["tool"] == name] for name in tools]
    hours = [3600 * sum(r["cpu_s"] for r in m) / sum(r["seconds"] for r in m) for m in spent]
    lines.append("| CPU-s an hour of film | | " + " | ".join(f"{h:.0f}" for h in hours) + " |")
    return "\n".join(lines)


def _cell(rows: list[dict[str, Any]]) -> str:
    taken = [r for r in rows if r["accepted"]]
    if not rows:
        return "-"
    if not rows[0]["has_truth"] or not taken:
        return f"refused {len(rows) - len(taken)} of {len(rows)}"
    known = [r for r in taken if "median_ms" in r]
    medians = [r["median_ms"] for r in known]
    refused = "" if len(taken) == len(rows) else f", refused {len(rows) - len(taken)} of {len(rows)}"
    wrong, said = (float(np.mean([r[name] for r in known])) for name in ("wrong", "said"))
    return f"{np.median(medians):.3g} ms, {wrong:.0%} wrong, {said:.0%} said{refused}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="71-72")
    parser.add_argument("--seconds", type=float, default=150)
    parser.add_argument("-o", "--out", type=Path, default=Path("aligners.jsonl"))
    parser.add_argument("--read", type=Path, help="only print the table of what was measured")
    options = parser.parse_args()
    path = options.read or options.out
    if options.read is None:
        runs: dict[str, Aligner] = {}
        for name, make in ALIGNERS.items():
            try:
                runs[name] = make()
            except ImportError as error:
                print(f"{name} is not installed: left out ({error})")
        first, _, last = options.seeds.partition("-")
        done = {json.loads(line)["seed"] for line in path.read_text().splitlines()} if path.exists() else set()
        for seed in (s for s in range(int(first), int(last or first) + 1) if s not in done):
            world, rows = World(seed, options.seconds), []
            for kind in (alignable, odd, unalignable):
                for case in (make() for make in kind(world)):
                    if case.name in CASES:
                        rows += [{"seed": seed, "tool": name} | measure(case, run) for name, run in runs.items()]
            with path.open("a") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows)
            print(f"seed {seed}", flush=True)
    print(table([json.loads(line) for line in path.read_text().splitlines()]))


if __name__ == "__main__":
    main()
