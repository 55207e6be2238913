"""How right `lipbench data align` is, on generated films whose truth is known.

    python -m tools.measure_alignment --seeds 1-24 --seconds 240 -o alignment.jsonl
    python -m tools.measure_alignment --read alignment.jsonl

Writes a line a case, and prints tables: dubs that can be aligned and those that cannot are counted apart. No constant
of the aligner was set on seeds 1 to 99; 900 and above are for that.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

from lipbench.datasets.film.align import align
from lipbench.datasets.film.alignment import Alignment
from lipbench.datasets.film.tracks import read_track
from lipbench.synthetic.film.bed import RATE
from lipbench.synthetic.film.mixes import Span
from lipbench.synthetic.film.sound_cases import SoundCase, World, alignable, odd, unalignable

KINDS = {"alignable": alignable, "odd": odd, "unalignable": unalignable}

#: Cases of each kind that a seed takes, in turn.
EACH = {"alignable": 3, "odd": 1, "unalignable": 2}

#: A piece and a span of the truth are the same where their offsets differ by less, s.
SAME_S = 0.04


def measure(case: SoundCase, folder: Path) -> dict[str, Any]:
    """Align a case and compare it with its truth."""
    film, dub = folder / "film.wav", folder / "dub.wav"
    sf.write(film, case.film.T, RATE)
    sf.write(dub, case.dub.T, RATE)
    begun = time.process_time()
    tracks = read_track(film, folder / "film"), read_track(dub, folder / "dub")
    found = align(*tracks)
    for track in tracks:
        track.close()
    row: dict[str, Any] = {"case": case.name, "verdict": found.verdict, "why": found.why}
    row["cpu_s"], row["seconds"] = round(time.process_time() - begun, 2), case.film.shape[1] / RATE
    if found.pieces:
        row |= {"rate": found.rate, "heard": found.heard, "chance": max(found.chance, -999.0), "sharp": found.sharp}
        row["errors_ms"] = [round(e, 3) for e in errors(found, case.truth)]
        row["edges"] = [[round(e, 3), round(u, 3)] for e, u in edge_errors(found, case.truth)]
        row["covered"] = covered(found, case.truth)
        if case.truth:
            row["ppm"] = 1e6 * (found.rate / case.truth[0].rate - 1)
    return row


def errors(found: Alignment, truth: tuple[Span, ...]) -> list[float]:
    """Errors, ms, every quarter of a second outside the printed edges; infinite where the dub has no such sound."""
    out = []
    for piece in found.pieces:
        for t in np.arange(piece.start + piece.start_unsure, piece.end - piece.end_unsure, 0.25):
            span = next((s for s in truth if s.start <= t < s.end), None)
            error = np.inf if span is None else found.rate * t + piece.offset - span.rate * t - span.offset
            out.append(min(1000 * abs(float(error)), 1e6))
    return out


def edge_errors(found: Alignment, truth: tuple[Span, ...]) -> Iterator[tuple[float, float]]:
    """(error, what was printed), s, of both ends of every piece that the truth has."""
    for piece in found.pieces:
        middle = (piece.start + piece.end) / 2
        offset = found.rate * middle + piece.offset
        spans = [s for s in truth if abs(offset - s.rate * middle - s.offset) < SAME_S]
        spans = [s for s in spans if s.start < piece.end and s.end > piece.start]
        if spans:
            yield abs(piece.start - spans[0].start), piece.start_unsure
            yield abs(piece.end - spans[-1].end), piece.end_unsure


def covered(found: Alignment, truth: tuple[Span, ...]) -> float:
    """Share of what the dub has for which an offset is given, outside the printed edges."""
    total = sum(s.end - s.start for s in truth)
    inside = sum(max(p.end - p.end_unsure - p.start - p.start_unsure, 0.0) for p in found.pieces)
    return min(inside / total, 1.0) if total else 0.0


def tables(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = [
        "| dub | n | accepted | median error, ms (n) | worst | drift, ppm | edges within print | covered |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind in ("alignable", "odd"):
        names = sorted({r["case"] for r in rows if r["kind"] == kind})
        for name in [*names, f"all {kind}"]:
            lines.append(_line(name, [r for r in rows if r["kind"] == kind and name in (r["case"], f"all {kind}")]))
    lines += [
        "",
        "| dub with nothing in common | n | refused | wrong by over 40 ms outside its edges |",
        "|---|---|---|---|",
    ]
    for name in [*sorted({r["case"] for r in rows if r["kind"] == "unalignable"}), "all"]:
        mine = [r for r in rows if r["kind"] == "unalignable" and name in (r["case"], "all")]
        refused = sum(r["verdict"] == "refused" for r in mine)
        wrong = sum(max(r.get("errors_ms", [0.0]), default=0.0) > 40 for r in mine)
        lines.append(f"| {name} | {len(mine)} | {refused} | {wrong} |")
    cpu = sum(r["cpu_s"] for r in rows) / sum(r["seconds"] for r in rows) * 3600
    taken = [r for r in rows if r["verdict"] != "refused"]
    mine = sum(r["cpu_s"] for r in taken) / max(sum(r["seconds"] for r in taken), 1) * 3600
    return "\n".join([*lines, "", f"CPU: {cpu:.0f} s an hour of film over all, {mine:.0f} s where accepted."])


def _line(name: str, rows: list[dict[str, Any]]) -> str:
    taken = [r for r in rows if r["verdict"] != "refused"]
    carried = sum(r["verdict"] == "carried" for r in taken)
    medians = [float(np.median(r["errors_ms"])) for r in taken if r["errors_ms"]]
    worst = max((max(r["errors_ms"], default=0.0) for r in taken), default=0.0)
    edges = [e <= u for r in taken for e, u in r["edges"]]
    drift = max((abs(r["ppm"]) for r in taken), default=0.0)
    cover = float(np.mean([r["covered"] for r in taken])) if taken else 0.0
    accepted = f"{len(taken)}" + (f" ({carried} carried)" if carried else "")
    middle = f"{np.median(medians):.3f}, at most {max(medians):.3f} ({len(medians)})" if medians else "-"
    cells = [name, len(rows), accepted, middle, f"{worst:.2f}", f"{drift:.2f}", f"{sum(edges)} of {len(edges)}"]
    return "| " + " | ".join(map(str, [*cells, f"{cover:.0%}"])) + " |"


def _turn(makers: list[Callable[[], SoundCase]], seed: int, n: int) -> list[Callable[[], SoundCase]]:
    """n of the makers, others for each seed."""
    n = min(n, len(makers))
    return [makers[(seed * n + k) % len(makers)] for k in range(n)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="1-24")
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--every", action="store_true", help="every case of every seed, instead of some in turn")
    parser.add_argument("-o", "--out", type=Path, default=Path("alignment.jsonl"))
    parser.add_argument("--read", type=Path, help="only print the tables of what was measured")
    options = parser.parse_args()
    path = options.read or options.out
    if options.read is None:
        first, _, last = options.seeds.partition("-")
        done = {json.loads(line)["seed"] for line in path.read_text().splitlines()} if path.exists() else set()
        for seed in (s for s in range(int(first), int(last or first) + 1) if s not in done):
            world, rows = World(seed, options.seconds), []
            for kind, cases in KINDS.items():
                for make in _turn(cases(world), seed, EACH[kind] if not options.every else 99):
                    with tempfile.TemporaryDirectory() as folder:
                        about = {"seed": seed, "kind": kind, "over_db": round(world.over_db, 1)}
                        rows.append(about | measure(make(), Path(folder)))
            with path.open("a") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows)
            print(f"seed {seed}", flush=True)
    print(tables([json.loads(line) for line in path.read_text().splitlines()]))


if __name__ == "__main__":
    main()
