"""Who of two people says what is heard: the rule of motion against the sync model; a table of docs/landmark-sync.md.

    python -m tools.sync_speakers FOLDER --people people.csv [--cache DIR] [--others 8]

FOLDER and people.csv as for `tools.sync_on_people`. Every clip's face stands beside faces of other people, under the
clip's own sound: whoever is chosen should be its own. Intervals are bootstraps over the people who are heard.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from lipbench import media
from lipbench.core.errors import LipbenchError
from lipbench.datasets.film.shots_faces import ShotFace
from lipbench.datasets.film.shots_speaking import moving_mouths
from lipbench.faces import speaking
from lipbench.faces.track import MESH_TO_68, FaceTrack
from lipbench.metrics.sync.landmark.shot_speaking import speaking_mouths
from lipbench.metrics.sync.landmark.speaker import speaker
from tools.sync_on_people import clips, interval

RATE = 16000


def choices(pair: list[FaceTrack], sound: np.ndarray, heard: np.ndarray) -> dict[str, int | None]:
    """The face that each rule takes, 0 is right."""
    motion = speaking.clearest([speaking.motion(track.landmarks) for track in pair], heard)
    model = speaker(pair, sound)
    return {"motion": motion, "sync model": model, "both": motion if model is None else model}


def as_shot(track: FaceTrack) -> ShotFace:
    """As `data shots` sees a face: every other frame, no depth."""
    assert track.landmarks is not None
    rows = np.flatnonzero(track.found[::2])
    points = track.landmarks[::2][rows][:, list(MESH_TO_68), :2]
    return ShotFace(rows, points, np.concatenate([points.min(1), points.max(1)], 1))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--people", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("sync_on_people"))
    parser.add_argument("--others", type=int, default=8)
    args = parser.parse_args()
    with args.people.open() as file:
        people = {row[0]: row[1] for row in csv.reader(file)}
    names = [name for name in clips(args.folder, args.cache) if name in people]
    tracks = {name: FaceTrack.load(args.cache / f"{name}.npz") for name in names}
    taken: dict[str, list[int | None]] = {}
    shares: dict[str, list[list[float | None]]] = {}
    who, rng = [], np.random.default_rng(0)
    for name in names:
        sound, fps = media.read_audio(args.folder / f"{name}.mp4", RATE), tracks[name].fps
        others = [n for n in names if people[n] != people[name] and abs(tracks[n].fps - fps) < 0.1]
        for other in rng.permutation(others)[: args.others]:
            n = min(len(tracks[name]), len(tracks[other]))
            pair = [tracks[one].take(list(range(n))) for one in (name, other)]
            said = sound[: round(n * RATE / fps)]
            try:
                chosen = choices(pair, said, speaking.envelope(said, fps, n))
            except LipbenchError as error:
                print(f"{name} {other}: {error.one_line()}")
                continue
            who.append(people[name])
            for rule, face in chosen.items():
                taken.setdefault(rule, []).append(face)
            shots = [as_shot(track) for track in pair]
            for rule, share in (("motion", moving_mouths), ("both", speaking_mouths)):
                shares.setdefault(rule, []).append(share(shots, -(-n // 2), fps / 2, said))
    for rule, faces in taken.items():
        parts = {what: [float(face == wanted) for face in faces] for what, wanted in (("right", 0), ("wrong", 1))}
        print(f"face, {rule}: " + ", ".join(f"{what} {interval(values, who)}" for what, values in parts.items()))
    for rule, rows in shares.items():
        told = np.asarray(rows, float)
        longer = interval([float(a > b) for a, b in told], who)
        print(f"data shots, {rule}: speaks longer {longer}; mean shares {told.mean(0).round(2).tolist()}")


if __name__ == "__main__":
    main()
