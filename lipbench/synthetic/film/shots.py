"""A film put together from clips, whose shots are known: cuts, dissolves, fades, flashes, a moving camera.

Every shot keeps the sound of its clip. The edit is drawn by a seed; the frames are read as they are written, so a film
may be as long as one likes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench import media
from lipbench.core.atomic import write_text
from lipbench.core.errors import NoAudio, TooShort

FPS, RATE = 25, 16000
Into = Literal["cut", "dissolve", "fade"]
#: What happens in a shot: nothing; the camera pans, pans fast, zooms in or shakes; the light is low, goes out, flashes.
LOOKS = ("", "pan", "fast pan", "zoom", "shake", "dark", "lights out", "flash")
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class PlannedShot:
    """A shot of the edit.

    Attributes:
        source: number of the clip.
        start: its first frame there, at 25 fps.
        frames: how long it is, its share of the transitions included.
        into: how it begins.
        over: frames of that transition; 0 for a cut. A fade has as many before as after.
        look: of `LOOKS`.
        scale: 1 shows the whole height of the clip; 1.5 two thirds of it, around the upper middle.
    """

    source: int
    start: int
    frames: int
    into: Into = "cut"
    over: int = 0
    look: str = ""
    scale: float = 1.0


@dataclass(frozen=True)
class TrueBoundary:
    """A transition as it is in the film: [first, end), empty for a cut."""

    kind: Into
    first: int
    end: int


def draw_edit(
    lengths: Sequence[int], seed: int, *, cuts: int = 60, dissolves: int = 10, fades: int = 5, flashes: int = 10
) -> list[PlannedShot]:
    """An edit with that many transitions, and flashes within shots; neighbors show two clips, or one at two scales.

    Args:
        lengths: frames of the clips at 25 fps.
        seed: of everything that is drawn.
        cuts: how many.
        dissolves: how many, of 8 to 30 frames.
        fades: how many, through black, of 6 to 14 frames to each side.
        flashes: shots with a flash of 1 to 3 frames.
    """
    rng = np.random.default_rng(seed)
    kinds: list[Into] = [*["cut"] * cuts, *["dissolve"] * dissolves, *["fade"] * fades]  # type: ignore[list-item]
    rng.shuffle(kinds)
    looks = [*["flash"] * flashes, *rng.choice(LOOKS[:-1], cuts + dissolves + fades + 1 - flashes).tolist()]
    rng.shuffle(looks)
    shots: list[PlannedShot] = []
    for look, into in zip(looks, ["cut", *kinds], strict=True):
        over = {"cut": 0, "dissolve": int(rng.integers(8, 31)), "fade": int(rng.integers(6, 15))}[into]
        source, scale = int(rng.integers(len(lengths))), float(rng.choice([1.0, 1.0, 1.7]))
        while shots and source == shots[-1].source and abs(scale - shots[-1].scale) < 0.5:
            source = int(rng.integers(len(lengths)))
        short = rng.random() < 0.1 and look == "" and into == "cut"
        frames = int(rng.integers(12, 20)) if short else int(rng.integers(40, 80)) + 2 * over
        start = int(rng.integers(max(1, lengths[source] - frames)))
        shots.append(PlannedShot(source, start, frames, into, over, look, scale))
    return shots


def write_film(
    path: Path, clips: Sequence[Path], shots: Sequence[PlannedShot], size: tuple[int, int] = (640, 360), seed: int = 0
) -> list[TrueBoundary]:
    """Write the film, and its truth beside it as .json: boundaries, shots with their frames, and clips.

    Args:
        path: the mp4.
        clips: that the edit's numbers stand for; sound is taken where there is one.
        shots: the edit.
        size: width and height, px.
        seed: of shaking hands and flashes.
    """
    rng = np.random.default_rng(seed)
    told: list[TrueBoundary] = []
    spans: list[list[int]] = []
    sound: list[NDArray[np.int16]] = []

    def frames() -> Iterator[Image]:
        held: list[Image] = []  # of the shot before: what the next one may still be mixed with
        n = 0
        for k, shot in enumerate(shots):
            own = _frames(clips[shot.source], shot, size, rng)
            heard = _sound(clips[shot.source], shot)
            following = shots[k + 1] if k + 1 < len(shots) else None
            keep = 0 if following is None else following.over
            if shot.into == "dissolve":
                for j, old in enumerate(held):
                    w = (j + 1) / (len(held) + 1)
                    own[j] = np.round(old * (1 - w) + own[j] * w).astype(np.uint8)
                told.append(TrueBoundary("dissolve", n, n + len(held)))
                heard = heard[len(held) * RATE // FPS :]  # the old sound stays until the mixture is over
                begins = n + len(held)
            elif shot.into == "fade":
                for j, old in enumerate(held):
                    yield np.round(old * (1 - (j + 1) / len(held))).astype(np.uint8)
                    own[j] = np.round(own[j] * (j / len(held))).astype(np.uint8)
                told.append(TrueBoundary("fade", n, n + 2 * len(held)))
                n += len(held)
                begins = n + len(held)
            else:
                begins = n
                if k:
                    told.append(TrueBoundary("cut", n, n))
            if spans:
                spans[-1][1] = told[-1].first
            spans.append([begins, n + len(own)])
            sound.append(heard)
            held = own[len(own) - keep :]
            yield from own[: len(own) - keep]
            n += len(own) - keep
        assert not held

    part = path.with_name(path.stem + ".silent.mp4")
    media.write_video(part, frames(), FPS, crf=20)
    media.remux(part, np.concatenate(sound), path)
    part.unlink()
    truth = {
        "clips": [str(clip) for clip in clips],
        "boundaries": [asdict(one) for one in told],
        "shots": [{**asdict(shot), "first": a, "end": b} for shot, (a, b) in zip(shots, spans, strict=True)],
    }
    write_text(path.with_suffix(".json"), json.dumps(truth, indent=1))
    return told


def _frames(clip: Path, shot: PlannedShot, size: tuple[int, int], rng: np.random.Generator) -> list[Image]:
    """The frames of a shot; a clip that ends before it is played back and forth."""
    first = shot.start / FPS
    read = list(media.read_frames(clip, fps=FPS, start_s=first, end_s=first + shot.frames / FPS))
    if not read:
        raise TooShort(f"{clip} has no frame {shot.start}", "the edit asks for it", "draw the edit with its length")
    order = media.ping_pong(len(read), shot.frames)
    view = _view(shot, size, rng)
    light = _light(shot, rng)
    return [light(view(read[int(t)], i), i) for i, t in enumerate(order)]


def _view(shot: PlannedShot, size: tuple[int, int], rng: np.random.Generator) -> Callable[[Image, int], Image]:
    """What the camera takes of a frame, by the number of the frame in its shot."""
    width, height = size
    turn, way = int(rng.choice([-1, 1])), max(shot.frames - 1, 1)
    shakes = rng.normal(0, 0.012, (shot.frames, 2))

    def take(frame: Image, i: int) -> Image:
        h, w = frame.shape[:2]
        room = 1.25 if shot.look in ("pan", "shake") else 1.5 if shot.look == "fast pan" else 1.0
        zoom = shot.scale * room * (1 + 0.35 * i / way if shot.look == "zoom" else 1)
        ch = min(h, w * height / width) / zoom
        cw = ch * width / height
        x, y = (w - cw) / 2, (h - ch) / 3
        if shot.look in ("pan", "fast pan"):
            speed = way if shot.look == "pan" else min(way, 12)
            x = (w - cw) * (0.5 + turn * (min(i, speed) / speed - 0.5))
        elif shot.look == "shake":
            x, y = x + shakes[i, 0] * cw, y + shakes[i, 1] * ch
        x, y = float(np.clip(x, 0, w - cw)), float(np.clip(y, 0, h - ch))
        matrix = np.asarray([[cw / width, 0, x], [0, ch / height, y]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(frame, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8)

    return take


def _light(shot: PlannedShot, rng: np.random.Generator) -> Callable[[Image, int], Image]:
    at, lasts = int(rng.integers(10, max(11, shot.frames - 10))), int(rng.integers(1, 4))

    def lit(frame: Image, i: int) -> Image:
        if shot.look == "dark":
            return np.round(frame * 0.3).astype(np.uint8)
        if shot.look == "lights out" and i >= shot.frames // 2:
            return np.round(frame * 0.5).astype(np.uint8)
        if shot.look == "flash" and at <= i < at + lasts:
            return np.clip(frame.astype(np.int16) + 140, 0, 255).astype(np.uint8)
        return frame

    return lit


def _sound(clip: Path, shot: PlannedShot) -> NDArray[np.int16]:
    """The shot's sound at 16 kHz, as long as the shot; silence after its end and where there is none."""
    n = shot.frames * RATE // FPS
    first = shot.start / FPS
    try:
        heard = media.read_audio(clip, start_s=first, end_s=first + shot.frames / FPS)
    except (NoAudio, TooShort):
        heard = np.zeros(0, np.int16)
    return np.pad(heard[:n], (0, max(0, n - len(heard))))
