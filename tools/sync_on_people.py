"""How the sync model on landmarks does on real clips: the tables of docs/landmark-sync.md.

    python -m tools.sync_on_people FOLDER --people people.csv [--weights landmark-sync.npz] [--cache DIR]

FOLDER holds clips with their own sound. people.csv has lines `clip,person` (a clip is its file's stem); intervals are
bootstraps over people. Nobody knows where the audio of found clips belongs: what counts as right is the median offset
of the clip's set (its name before "_") over all other people, so that no clip tells its own truth.
"""

from __future__ import annotations

import argparse
import csv
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lipbench import media
from lipbench.core.errors import LipbenchError
from lipbench.faces.pipeline import track_faces
from lipbench.faces.track import FaceTrack
from lipbench.metrics.sync import evaluate
from lipbench.metrics.sync.landmark import mouth, score
from lipbench.metrics.sync.landmark.network import REACH, LandmarkSync
from lipbench.metrics.sync.landmark.similarity import belief, credited, curve, offset, similarities
from lipbench.metrics.sync.landmark.sound import PER_FRAME, log_mel
from lipbench.metrics.sync.protocol import VSHIFT

SECONDS = (1, 2, 5)
BOOTSTRAPS = 1000
BINS = (0.0, 0.3, 0.5, 0.7, 0.85, 0.95, 1.01)
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


def pixel_rows(video: Path, track: Path, audio: Any, model: str) -> Any:
    """(N, 31) minus the distances of a sync model on pixels; NaN where there is no partner. None where it has none."""
    result = evaluate(video, audio, sync_model=model, faces=track, min_track=0, min_face_size=0)
    if not result.scored:
        return None
    rows = -np.array(result.scored[0].per_window)
    n, j = len(rows), np.arange(2 * VSHIFT + 1)
    partner = np.arange(n)[:, None] + j - VSHIFT
    rows[(partner < 0) | (partner >= n)] = np.nan
    return rows


def common_offsets(offsets: Mapping[str, int], person: Mapping[str, str]) -> dict[str, int]:
    """Clip -> median offset of the set's other people."""
    kind = {k: k.partition("_")[0] for k in offsets}
    return {
        k: int(np.round(np.median([o for n, o in offsets.items() if kind[n] == kind[k] and person[n] != person[k]])))
        for k in offsets
    }


def offsets_table(offsets: Mapping[str, int], common: Mapping[str, int], person: Mapping[str, str]) -> None:
    """How near the offsets are to that of their set."""
    for within in (1, 2):
        near = [abs(offset - common[k]) <= within for k, offset in offsets.items()]
        print(f"  offset within {within} of the set's: {interval(near, [person[k] for k in offsets])}")


def damping(net: LandmarkSync, all_: Mapping[str, Any], own: Mapping[str, int], person: Mapping[str, str]) -> None:
    """Whether the gain ranks lips that move less and less."""
    ranked, at_full = [], []
    for name, (rows, audio) in all_.items():
        mean = rows.mean(0)
        gains = [score.score_mouth(mean + f * (rows - mean), audio, at=own[name], net=net).gain for f in DAMPED]
        ranked.append(all(a > b for a, b in itertools.pairwise(gains)))
        at_full.append(gains[0])
    low, middle, high = np.percentile(at_full, [10, 50, 90])
    print(
        f"  damping ranked {interval(ranked, [person[k] for k in all_])}; gain {middle:.2f} ({low:.2f} to {high:.2f})"
    )


def credits_of(net: LandmarkSync, rows: Any) -> Iterator[Any]:
    """The offset of every window of a second and of the whole clip."""
    second = round(mouth.FPS) - 2 * REACH
    means = [(each, second) for each in windows(rows, 1) if np.isfinite(each).all()]
    for each, n in [*means, (curve(rows), len(rows))]:
        yield credited(offset(belief(each, n, net.certainty.numpy())), each, n, net.credit.numpy())


def reliability(net: LandmarkSync, all_: Mapping[str, Any], own: Mapping[str, int]) -> list[tuple[float, bool]]:
    """Confidence of every window of a second and of every clip, and whether its offset is within a frame of its set."""
    found = [
        (told.confidence, told.given, abs(told.frames - own[name]) <= 1)
        for name, (measures, audio) in all_.items()
        for told in credits_of(net, rows_of(net, measures, audio))
    ]
    for label, k in (("confidence", 0), ("confidence if own", 1)):
        for low, high in itertools.pairwise(BINS):
            at = [(one[k], one[2]) for one in found if low <= one[k] < high]
            if at:
                sure, right = np.mean(at, axis=0)
                print(f"  {label} {low:.2f} to {min(high, 1):.2f}: mean {sure:.2f}, right {right:.2f}, n={len(at)}")
    return [(confidence, right) for confidence, _, right in found]


def strangers(net: LandmarkSync, all_: Mapping[str, Any], person: Mapping[str, str]) -> list[float]:
    """Confidence of whole clips under the audio of two others each; returns it with that of windows of a second."""
    rng, found, every = np.random.default_rng(2), [], []
    for name, (measures, _) in all_.items():
        others_ = [k for k in all_ if person[k] != person[name] and len(all_[k][1]) >= 640 * len(measures)]
        for k in rng.choice(others_, min(2, len(others_)), replace=False):
            *seconds, told = credits_of(net, rows_of(net, measures, all_[k][1][: 640 * len(measures)]))
            every += [one.confidence for one in (*seconds, told)]
            found.append((told.confidence, told.given))
    if found:
        sure, given = np.array(found).T
        print(
            f"  under another's audio, {len(found)} pairs: confidence median {np.median(sure):.2f}, over "
            f".5 {(sure > 0.5).mean():.2f}, over .95 {(sure > 0.95).mean():.2f}; if own: median {np.median(given):.2f}"
        )
    return every


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--people", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("sync-on-people"))
    parser.add_argument(
        "--pairs", type=Path, help="Write confidence and hit of every window: tools.plot_landmark_sync."
    )
    parser.add_argument("--pixels", help="A sync model on pixels to measure as well, such as demo.")
    args = parser.parse_args()
    with args.people.open() as file:
        person = dict(csv.reader(file))
    net = LandmarkSync.read(args.weights) if args.weights else score.load()
    all_ = {k: v for k, v in clips(args.folder, args.cache).items() if k in person}
    found = {k: score.score_mouth(*v, net=net) for k, v in all_.items()}
    offsets = {k: one.offset.frames for k, one in found.items()}
    common = common_offsets(offsets, person)
    kinds = sorted({k.partition("_")[0] for k in all_})
    for kind in [*kinds, ""]:
        part = {k: v for k, v in all_.items() if k.startswith(kind)}
        print(f"landmarks, {kind or 'all'}: {len(part)} clips, {len({person[k] for k in part})} people")
        offsets_table({k: offsets[k] for k in part}, common, person)
        shifts({k: rows_of(net, *v) for k, v in part.items()}, common, person)
        others(net, part, common, person)
        damping(net, part, common, person)
        pairs = reliability(net, part, common)
        wrong = strangers(net, part, person)
    if args.pairs:
        share = len(pairs) / max(len(wrong), 1)  # own and other audio count the same
        np.savez(args.pairs, pairs=np.array([(*one, 1) for one in pairs] + [(c, 0, share) for c in wrong], float))
    if args.pixels:
        pixels(args, {k: v[1] for k, v in all_.items()}, offsets, common, person)


def pixels(
    args: argparse.Namespace,
    audio: Mapping[str, Any],
    offsets: Mapping[str, int],
    common: Mapping[str, int],
    person: Mapping[str, str],
) -> None:
    """The same tables of a sync model on pixels, and how often both agree."""
    videos = {k: args.folder / f"{k}.mp4" for k in audio}
    rows = {k: pixel_rows(v, args.cache / f"{k}.npz", audio[k], args.pixels) for k, v in videos.items()}
    rows = {k: v for k, v in rows.items() if v is not None}
    theirs = {k: VSHIFT - int(np.nanargmax(np.nanmean(v, 0))) for k, v in rows.items()}
    for kind in [*sorted({k.partition("_")[0] for k in rows}), ""]:
        part = {k: v for k, v in rows.items() if k.startswith(kind)}
        print(f"{args.pixels}, {kind or 'all'}: {len(part)} clips")
        offsets_table({k: theirs[k] for k in part}, common, person)
        shifts(part, common, person)
        agree = [abs(theirs[k] - offsets[k]) <= 1 for k in part]
        print(f"  agrees with landmarks within 1: {interval(agree, [person[k] for k in part])}")


if __name__ == "__main__":
    main()
