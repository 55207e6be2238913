"""The golden pairs: videos, face tracks, audio and meshes made from integer arithmetic, the same on every machine.

drawn      a face whose mouth speaks wrongly, against a source and a correct video; an audio track to score it by
gaps       the same with three frames without a face and a sound that is too short to score
equal      a prediction that is the source: the limits of every metric
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipbench import media
from lipbench.core.metric import Pair
from lipbench.faces.track import FaceTrack

#: Bump when the pairs themselves change: all golden values are then new.
VERSION = 1
FRAMES, SIDE, FPS, RATE = 40, 112, 25, 16000
NAMES = ("drawn", "gaps", "equal")


@dataclass(frozen=True)
class TalkingFace:
    """A face that speaks: gap (T,) of the inner lips in px, and where its center is, (T, 2) px."""

    gap: NDArray[np.int64]
    center: NDArray[np.int64]


def make(folder: Path, name: str) -> Pair:
    """Write one pair's files into a folder."""
    t = np.arange(FRAMES)
    center = np.stack([52 + t // 5, 54 + (t // 7) % 3], axis=1)
    source = TalkingFace(2 + (5 * t) % 9, center)
    truth = TalkingFace(1 + (7 * t + t // 3) % 11, center)
    wrong = TalkingFace(1 + (7 * t + t // 3 + 4) % 10, center)
    lost = (11, 12, 25) if name == "gaps" else ()
    sides: Mapping[str, TalkingFace] = {
        "reference": source,
        "truth": truth,
        "prediction": source if name == "equal" else wrong,
    }
    videos, tracks, meshes = {}, {}, {}
    for number, (side, talk) in enumerate(sides.items()):
        grain = 1 if name == "equal" else number + 1
        videos[side] = media.write_video(folder / f"{side}.mp4", draw(talk, grain), FPS, lossless=True)
        tracks[side] = track(talk, lost).save(folder / f"{side}.npz")
        meshes[side] = folder / f"{side}-mesh.npz"
        np.savez(meshes[side], lip_vertices=mesh(talk), lip_gap=talk.gap.astype(np.float64))
    wav = media.write_wav(folder / "dub.wav", sound(10 if name == "gaps" else FRAMES))
    return Pair(
        videos["prediction"],
        videos["reference"],
        videos["truth"],
        wav,
        tracks["reference"],
        "",
        tracks["prediction"],
        meshes["truth"],
        float(FPS),
        folder,
        prediction_annotations=meshes["prediction"],
        truth_faces=tracks["truth"],
    )


def for_family(pair: Pair, options: Mapping[str, object]) -> Pair:
    """The pair with a family's options."""
    return replace(pair, options=dict(options))


def noise(n: int, seed: int) -> NDArray[np.int64]:
    """(n,) whole numbers in 0..65535 from a multiplicative hash: the same everywhere, no library's generator."""
    x = (np.arange(n, dtype=np.uint64) + np.uint64(seed) * np.uint64(7919)) * np.uint64(2654435761)
    x = (x ^ (x >> np.uint64(15))) * np.uint64(2246822519)
    return ((x ^ (x >> np.uint64(13))) >> np.uint64(3)).astype(np.int64) & 0xFFFF


def draw(talk: TalkingFace, grain: int) -> NDArray[np.uint8]:
    """(T, SIDE, SIDE, 3) uint8: textured ground, an ellipse of skin, eyes, an opening mouth, fresh grain."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.int64)
    ground = np.repeat(np.repeat(noise(14 * 14 * 3, 5).reshape(14, 14, 3) % 200, 8, 0), 8, 1) + 20
    frames = np.empty((len(talk.gap), SIDE, SIDE, 3), np.uint8)
    for t, (gap, (cx, cy)) in enumerate(zip(talk.gap, talk.center, strict=True)):
        frame = ground.copy()
        frame[(x - cx) ** 2 * 16 + (y - cy) ** 2 * 9 < 120**2] = (206, 168, 148)
        for side in (-12, 12):
            frame[(x - cx - side) ** 2 + (y - cy + 14) ** 2 < 14] = (40, 50, 70)
        frame[(x - cx) ** 2 * 4 + (y - cy - 18) ** 2 * 9 < 26**2 + 9 * gap**2] = (170, 70, 80)
        frame[(abs(x - cx) < 10) & (2 * abs(y - cy - 18) < gap)] = (60, 20, 25)
        frame += (noise(frame.size, 100 * grain + t) % 7 - 3).reshape(frame.shape)
        frames[t] = frame.clip(0, 255)
    return frames


def points(gap: int, cx: int, cy: int) -> NDArray[np.float64]:
    """(68, 2) px of the drawn face in the iBUG order."""
    p = np.zeros((68, 2))
    steps = np.arange(17) - 8
    p[:17] = np.stack([steps * 3.5, 36 - steps**2 * 0.5], axis=1)
    for k in range(10):
        p[17 + k] = (-20 + 4.25 * k, -24)
    p[27:31] = [(0, -14), (0, -8), (0, -2), (0, 4)]
    p[31:36] = [(-4, 7), (-2, 8), (0, 9), (2, 8), (4, 7)]
    eye = np.array([(-5, 0), (-2, -2), (2, -2), (5, 0), (2, 2), (-2, 2)])
    p[36:42], p[42:48] = eye + np.array([-12, -14]), eye + np.array([12, -14])
    half = gap / 2
    p[48:55] = [(-13, 18), (-8, 13 - half), (-3, 11 - half), (0, 12 - half), (3, 11 - half), (8, 13 - half), (13, 18)]
    p[55:60] = [(8, 23 + half), (3, 25 + half), (0, 25 + half), (-3, 25 + half), (-8, 23 + half)]
    p[60:65] = [(-10, 18), (-4, 18 - half), (0, 18 - half), (4, 18 - half), (10, 18)]
    p[65:68] = [(4, 18 + half), (0, 18 + half), (-4, 18 + half)]
    return p + np.array([cx, cy])


def track(talk: TalkingFace, lost: tuple[int, ...]) -> FaceTrack:
    """The face track of a drawn face; frames in `lost` have none."""
    xy = np.stack([points(int(g), int(x), int(y)) for g, (x, y) in zip(talk.gap, talk.center, strict=True)])
    landmarks = np.concatenate([xy, np.zeros((*xy.shape[:2], 1))], axis=2).astype(np.float32)
    boxes = np.concatenate([xy.min(axis=1), xy.max(axis=1)], axis=1).astype(np.float32)
    seen = np.ones(len(xy), np.int16)
    for t in lost:
        landmarks[t], boxes[t], seen[t] = np.nan, np.nan, 0
    return FaceTrack("drawn", float(FPS), SIDE, SIDE, boxes, seen.astype(np.float32), seen, landmarks)


def mesh(talk: TalkingFace) -> NDArray[np.float64]:
    """(T, 8, 3) lip vertices in decimeters: the inner lips as flat points."""
    xy = np.stack([points(int(g), 0, 0)[60:68] for g in talk.gap])
    return np.concatenate([xy, np.zeros((*xy.shape[:2], 1))], axis=2) / 250


def sound(frames: int) -> NDArray[np.int16]:
    """(N,) int16: noise whose level follows the correct mouth."""
    t = np.arange(frames)
    level = np.repeat(1 + (7 * t + t // 3) % 11, RATE // FPS)
    return ((noise(len(level), 9) - 32768) * level // 14).astype(np.int16)
