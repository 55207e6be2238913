"""How the sync model on landmarks does on real clips: the tables of docs/landmark-sync.md.

    python tools/sync_on_people.py FOLDER --people people.csv [--weights landmark-sync.npz] [--cache DIR]

FOLDER holds clips with their own sound. people.csv has lines `clip,person` (a clip is its file's stem); intervals are
bootstraps over people. Own offsets are those of the other half of a person's clips: the median offset of the set
(the part of the clip's name before "_") over all other people, so that no clip tells its own truth.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lipbench import media
from lipbench.core.errors import LipbenchError
from lipbench.faces.pipeline import track_faces
from lipbench.faces.track import FaceTrack
from lipbench.metrics.sync.landmark import mouth, score
from lipbench.metrics.sync.landmark.network import REACH, LandmarkSync
from lipbench.metrics.sync.landmark.similarity import similarities
from lipbench.metrics.sync.landmark.sound import PER_FRAME, log_mel
from lipbench.metrics.sync.protocol import VSHIFT

SECONDS = (1, 2, 5)
BOOTSTRAPS = 1000
DAMPED = (1.0, 0.75, 0.5, 0.25, 0.0)


def clips(folder: Path, cache: Path) -> dict[str, tuple[Any, Any]]:
    """Stem -> (T, 12) measures and audio of every clip."""
    found = {}
    cache.mkdir(parents=True, exist_ok=True)
    for video in sorted(folder.glob("*.mp4")):
        file = cache / f"{video.stem}.npz"
        sound = media.read_audio(video, 16000)
        try:
            if not file.exists():
                track_faces(video, sound=sound).save(file)
            found[video.stem] = mouth.of_track(FaceTrack.load(file)), sound
        except LipbenchError as error:
            print(f"{video.stem}: {error.one_line()}")
    return found


def interval(values: Sequence[float], people: Sequence[str]) -> str:
    """Mean with a 95 % bootstrap over people, and n."""
    v, rng = np.asarray(values, float), np.random.default_rng(0)
    if not len(v):
        return "-"
    groups = [np.flatnonzero(np.asarray(people) == one) for one in sorted(set(people))]
    drawn = [
        v[np.concatenate([groups[k] for k in rng.integers(len(groups), size=len(groups))])].mean()
        for _ in range(BOOTSTRAPS)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return f"{v.mean():.3f} [{low:.2f} {high:.2f}] n={len(v)}/{len(groups)}"


def windows(rows: Any, seconds: float) -> Iterator[Any]:
    """(31,) means of half-overlapping windows; NaN for shifts that leave the clip."""
    size = round(seconds * mouth.FPS) - 2 * REACH
    for start in range(0, len(rows) - size + 1, max(1, round(seconds * mouth.FPS) // 2)):
        yield rows[start : start + size].mean(0)


def auc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Area under the curve: how often a positive lies above a negative."""
    p, n = np.asarray(positive)[:, None], np.asarray(negative)[None]
    return float(((p > n) + 0.5 * (p == n)).mean())


def shifts(rows: Mapping[str, Any], own: Mapping[str, int], person: Mapping[str, str]) -> None:
    """In sync at the own offset against shifts of 5 to 15 frames, per window length; "0" is the whole clip."""
    for seconds in (*SECONDS, 0):
        wins, who, positive, negative = [], [], [], []
        for name, each in rows.items():
            right = VSHIFT - own[name]
            pairs = []
            lengths = windows(each, seconds) if seconds else [np.nanmean(each, 0)]
            for means in lengths:
                away = [k for k in range(31) if 5 <= abs(k - right) <= 15 and np.isfinite(means[k])]
                if away and np.isfinite(means[right]):
                    pairs.append(np.mean([means[right] > means[k] for k in away]))
                    positive.append(means[right])
                    negative += [means[k] for k in away]
            if pairs:
                wins.append(np.mean(pairs))
                who.append(person[name])
        if wins:
            label = f"{seconds} s" if seconds else "whole"
            print(f"  {label:>5}: pair {interval(wins, who)}  AUC {auc(positive, negative):.3f}")


def others(net: LandmarkSync, all_: Mapping[str, Any], own: Mapping[str, int], person: Mapping[str, str]) -> None:
    """Own audio at the own offset against the audio of other people at the best shift and at that offset."""
    wins, who, positive, negative = [], [], [], []
    rng = np.random.default_rng(1)
    for name, (measures, audio) in all_.items():
        right = VSHIFT - own[name]
        n = min(len(measures), len(audio) // 640)
        mine = np.nanmean(rows_of(net, measures[:n], audio)[:, right])
        strangers = [k for k in all_ if person[k] != person[name] and len(all_[k][1]) >= 640 * n]
        if not strangers:
            continue
        picked = rng.choice(strangers, min(6, len(strangers)), replace=False)
        theirs = [np.nanmean(rows_of(net, measures[:n], all_[k][1][: 640 * n])[:, right]) for k in picked]
        wins.append(np.mean([mine > t for t in theirs]))
        who.append(person[name])
        positive.append(mine)
        negative += theirs
    print(f"  own against other audio: pair {interval(wins, who)}  AUC {auc(positive, negative):.3f}")


def rows_of(net: LandmarkSync, measures: Any, audio: Any) -> Any:
    """(N, 31) similarities."""
    bands = log_mel(audio)
    n = min(len(measures), len(bands) // PER_FRAME)
    return similarities(*net.embed(measures[:n], bands[: PER_FRAME * n]))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--people", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("sync-on-people"))
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with args.people.open() as file:
        person = dict(csv.reader(file))
    net = LandmarkSync.read(args.weights) if args.weights else score.load()
    all_ = {k: v for k, v in clips(args.folder, args.cache).items() if k in person}
    rows = {k: rows_of(net, *v) for k, v in all_.items()}
    found = {k: score.score_mouth(*v, net=net) for k, v in all_.items()}
    kinds = {k: k.partition("_")[0] for k in all_}
    common = {
        k: int(
            np.round(
                np.median([found[o].offset.frames for o in found if kinds[o] == kinds[k] and person[o] != person[k]])
            )
        )
        for k in all_
    }
    table = {k: (s.offset.frames, round(s.offset.confidence, 3), common[k]) for k, s in found.items()}
    for kind in [*sorted(set(kinds.values())), ""]:
        names = [k for k in all_ if kind in ("", kinds[k])]
        who = [person[k] for k in names]
        print(f"{kind or 'all'}: {len(names)} clips, {len(set(who))} people")
        part = {k: rows[k] for k in names}
        for within in (1, 2):
            near = [abs(found[k].offset.frames - common[k]) <= within for k in names]
            print(f"  offset within {within} of the set's: {interval(near, who)}")
        shifts(part, common, person)
        others(net, {k: all_[k] for k in names}, common, person)
        ranked = []
        for k in names:
            gains = [score.score_mouth(all_[k][0] * f + all_[k][0].mean(0) * (1 - f), all_[k][1], at=common[k], net=net).gain for f in DAMPED]
            ranked.append(all(a > b for a, b in zip(gains, gains[1:], strict=False)))
        gain = [score.score_mouth(*all_[k], at=common[k], net=net).gain for k in names]
        print(f"  damping ranked {interval(ranked, who)}; gain {np.percentile(gain, [10, 50, 90]).round(2)}")
        sure = np.array([found[k].offset.confidence for k in names])
        right = np.array([abs(found[k].offset.frames - common[k]) <= 1 for k in names])
        for low, high in ((0, 0.5), (0.5, 0.8), (0.8, 0.95), (0.95, 1.01)):
            at = (sure >= low) & (sure < high)
            if at.any():
                print(f"  confidence {low}-{high}: mean {sure[at].mean():.2f}, right {right[at].mean():.2f}, n={at.sum()}")
    if args.json:
        args.json.write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
