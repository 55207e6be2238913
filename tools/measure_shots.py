"""How well shot boundaries are found: films with known edits, `data shots` beside PySceneDetect's detectors.

    python -m tools.measure_shots -o FOLDER --seeds 11-20 [--clips real/*.mp4 ...]

A cut counts as found within 2 frames of the truth, a transition within 5 frames of its span; what is found besides is
false, unless it lies in a transition. PySceneDetect is measured where it is installed; it is no dependency.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from lipbench import media
from lipbench.datasets.film.shots_boundaries import boundaries
from lipbench.datasets.film.shots_pictures import FrameTimes, picture_blocks
from lipbench.faces.shots import ShotDetector
from lipbench.synthetic.film.shots import FPS, draw_edit, write_film

DEMO = sorted(Path(media.__file__).parents[1].glob("datasets/demo/clips/*/demo-??.mp4"))
CUT_SLACK, SPAN_SLACK = 2, 5


def ours(film: Path) -> list[int]:
    found = boundaries(picture_blocks(film, FrameTimes([])))
    return [(b.first + b.end) // 2 for b in found]


def published(film: Path) -> list[int]:
    detector = ShotDetector()
    for frame in media.read_frames(film):
        detector.push(frame)
    return list(detector.cuts)


def others() -> dict[str, Callable[[Path], list[int]]]:
    """PySceneDetect's detectors, as they come."""
    try:
        import scenedetect as psd  # type: ignore[import-not-found]
    except ImportError:
        click.echo("PySceneDetect is not installed: left out", err=True)
        return {}

    def by(*make: Callable[[], Any]) -> Callable[[Path], list[int]]:
        return lambda film: sorted({s[0].frame_num for m in make for s in psd.detect(str(film), m())[1:]})

    return {
        "Adaptive": by(psd.AdaptiveDetector),
        "Adaptive, 5 frames": by(lambda: psd.AdaptiveDetector(min_scene_len=5)),
        "Histogram": by(psd.HistogramDetector),
        "Content": by(psd.ContentDetector),
        "Adaptive + Threshold": by(psd.AdaptiveDetector, psd.ThresholdDetector),
    }


def judge(found: list[int], truth: list[dict[str, Any]]) -> tuple[dict[str, list[bool]], list[int]]:
    """What was found of each kind, and the false ones."""
    used: set[int] = set()
    hits: dict[str, list[bool]] = defaultdict(list)
    for one in truth:
        slack = CUT_SLACK if one["kind"] == "cut" else SPAN_SLACK
        near = [t for t in found if one["first"] - slack <= t <= one["end"] + slack]
        hits[one["kind"]].append(bool(near))
        used.update(near)
    return hits, [t for t in found if t not in used]


@click.command()
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True)
@click.option("--seeds", default="11-15", help="First and last.")
@click.option("--clips", multiple=True, type=click.Path(path_type=Path), help="Beside the packaged demo's.")
@click.option("--only-ours", is_flag=True)
def main(out: Path, seeds: str, clips: tuple[Path, ...], only_ours: bool) -> None:
    """Make the films that are not there yet, and print one line a detector."""
    out.mkdir(parents=True, exist_ok=True)
    sources = [*DEMO, *clips]
    lengths = [int(media.probe(clip).duration_s * FPS) for clip in sources]
    first, _, last = seeds.partition("-")
    films = []
    for seed in range(int(first), int(last or first) + 1):
        film = out / f"film-{seed}.mp4"
        if not film.with_suffix(".json").is_file():
            write_film(film, sources, draw_edit(lengths, seed), seed=seed)
        films.append(film)
    minutes = sum(media.probe(film).duration_s for film in films) / 60
    detectors = {"data shots": ours, "scenedetect 0.5.1's rule": published} | ({} if only_ours else others())
    click.echo(f"{len(films)} films, {minutes:.1f} minutes, clips of {len(sources)} recordings or generated heads")
    for name, detect in detectors.items():
        hits: dict[str, list[bool]] = defaultdict(list)
        false: list[str] = []
        each: list[float] = []
        started = time.process_time()
        for film in films:
            told = json.loads(film.with_suffix(".json").read_text())
            got, wrong = judge(detect(film), told["boundaries"])
            for kind, values in got.items():
                hits[kind] += values
            each.append(sum(got["cut"]) / len(got["cut"]))
            for t in wrong:
                look = next((s["look"] or "plain" for s in told["shots"] if s["first"] <= t < s["end"]), "?")
                false.append(look)
        spent = time.process_time() - started
        kinds = ", ".join(f"{kind} {sum(v)}/{len(v)} ({sum(v) / len(v):.1%})" for kind, v in sorted(hits.items()))
        where = ", ".join(f"{false.count(look)} {look}" for look in sorted(set(false)))
        click.echo(
            f"{name}: {kinds}; cuts per film {min(each):.1%} to {max(each):.1%}; false {len(false)} "
            f"({len(false) / minutes:.2f} a minute: {where}); {spent / minutes:.1f} CPU-s a minute"
        )


if __name__ == "__main__":
    main()
