"""What a head does while it talks and which no language changes: pose, gaze, blinks, brows, mood.

A clip's motion is drawn once and used for every dub of it; only articulation differs between languages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.morphable.semantic import SEMANTIC
from lipbench.synthetic.speech.prosody import Accent

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Manner:
    """How somebody moves.

    Attributes:
        yaw: (mean, spread) of the slow head motion in degrees; + yaw looks to the image's right, + pitch looks down, +
            roll tilts clockwise in the image.
        pitch: see `yaw`.
        roll: see `yaw`.
        speed: 1 is conversation; 2.5 fast head motion.
        nod: degrees of a nod on a fully stressed syllable.
        shift_dm: spread of the head's translation, in dm.
        blink_every_s: mean time between blinks.
        gaze: how often the eyes leave the camera, 0 .. 1.
        mood: expression weights that stay for the whole clip, by semantic name.
        vivid: factor on brows and mood changes.
    """

    yaw: tuple[float, float] = (0.0, 5.0)
    pitch: tuple[float, float] = (0.0, 3.0)
    roll: tuple[float, float] = (0.0, 2.0)
    speed: float = 1.0
    nod: float = 1.6
    shift_dm: float = 0.03
    blink_every_s: float = 3.2
    gaze: float = 0.4
    mood: dict[str, float] = field(default_factory=dict)
    vivid: float = 1.0


@dataclass(frozen=True)
class HeadMotion:
    """Per video frame.

    Attributes:
        angles: (T, 3) yaw, pitch, roll of the head in degrees.
        shift: (T, 3) translation of the head in dm, image right, up, towards the viewer.
        gaze: (T, 2) direction of the eyes in the head in degrees, + image right, + up.
        lids: (T,) 0 open .. 1 shut (blinks).
        brows: (T,) 0 rest .. 1 raised.
        mood: (T,) 0 .. 1.3, factor on `Manner.mood`.
    """

    angles: Array
    shift: Array
    gaze: Array
    lids: Array
    brows: Array
    mood: Array


def move(
    n_frames: int,
    fps: float,
    manner: Manner,
    accents: Sequence[Accent],
    pauses: Sequence[float],
    rng: np.random.Generator,
) -> HeadMotion:
    """Draw the motion of a clip.

    Args:
        accents: stressed syllables of the clip's original language; heads nod and brows rise on them.
        pauses: times (s) at which phrases end; blinks and glances are likelier there.
    """
    t = _frame_times(n_frames, fps)
    angles = np.stack(
        [
            mean + spread * pink(n_frames, fps, rng, manner.speed)
            for mean, spread in (manner.yaw, manner.pitch, manner.roll)
        ],
        -1,
    )
    nods, brows = np.zeros(n_frames), np.zeros(n_frames)
    for accent in accents:
        size = accent.strength * rng.gamma(2.0, 0.5)
        # Down just before the vowel, and back: the nod is early by about a tenth of a second.
        nods += size * (_bell(t, accent.time_s - 0.04, 0.11) - 0.5 * _bell(t, accent.time_s + 0.22, 0.16))
        if rng.uniform() < 0.35:
            brows += accent.strength * rng.uniform(0.3, 0.9) * _bell(t, accent.time_s - 0.03, 0.15)
    angles[:, 1] += manner.nod * nods
    angles[:, 0] += 0.35 * manner.nod * rng.choice([-1.0, 1.0]) * np.convolve(nods, np.ones(5) / 5, "same")
    shift = manner.shift_dm * np.stack([pink(n_frames, fps, rng, manner.speed) for _ in range(3)], -1)
    shift[:, 1] *= 0.6

    gaze, jumps = _gaze(t, angles, manner, pauses, rng)
    lids = _blinks(t, manner, pauses, jumps, rng)
    mood = np.clip(1.0 + 0.30 * manner.vivid * pink(n_frames, fps, rng, 0.5), 0.2, 1.6)
    slow = np.clip(0.10 * pink(n_frames, fps, rng, 0.7), 0.0, 0.3)
    brows = np.clip(manner.vivid * (0.8 * brows + slow), 0.0, 1.0)
    return HeadMotion(angles, shift, gaze, lids, brows, mood)


def pink(n: int, fps: float, rng: np.random.Generator, speed: float = 1.0) -> Array:
    """Smooth 1/f^2 motion with unit spread, (n,): amplitudes fall with frequency, nothing above 3 Hz times speed."""
    length = n + round(8 * fps)  # drawn longer, so that the ends do not meet
    hz = np.fft.rfftfreq(length, 1 / fps)
    corner = 0.16 * speed
    amplitude = np.where(hz > 0, 1.0 / (1.0 + (hz / corner) ** 2) ** 0.75, 0.0) * np.exp(-((hz / (2.5 * speed)) ** 2))
    spectrum = amplitude * (rng.standard_normal(len(hz)) + 1j * rng.standard_normal(len(hz)))
    signal = np.fft.irfft(spectrum, length)
    spread = np.sqrt((amplitude**2).sum() * 2.0) / length * np.sqrt(2.0)
    start = round(4 * fps)
    out: Array = signal[start : start + n] / spread
    return out


def _frame_times(n_frames: int, fps: float) -> Array:
    return np.asarray((np.arange(n_frames) + 0.5) / fps, np.float64)


def _bell(t: Array, center: float, width: float) -> Array:
    out: Array = np.exp(-0.5 * ((t - center) / width) ** 2)
    return out


def _gaze(
    t: Array, angles: Array, manner: Manner, pauses: Sequence[float], rng: np.random.Generator
) -> tuple[Array, list[float]]:
    """Eye direction in the head, and when the eyes jump.

    The eyes hold a point of the world (mostly the camera) while the head turns, jump to another one within a frame or
    two, and tremble by a fraction of a degree.
    """
    end = float(t[-1]) + 1.0 if len(t) else 1.0
    target = np.zeros((len(t), 2))
    jumps: list[float] = []
    at, away = 0.0, False
    while at < end:
        hold = rng.gamma(2.5, 0.22) if away else rng.gamma(2.5, 0.9)
        point = np.zeros(2)
        if away:
            point = np.array([rng.normal(0, 11), rng.normal(-2, 6)])
        else:
            point = rng.normal(0, 0.8, 2)
        target[t >= at] = point
        jumps.append(at)
        at += hold
        near = [p for p in pauses if abs(p - at) < 0.4]
        if near:
            at = near[0]
        away = not away and rng.uniform() < manner.gaze
    # A saccade takes 30-60 ms: one frame between the two points.
    target[1:] = 0.25 * target[:-1] + 0.75 * target[1:]
    gaze = target - np.stack([angles[:, 0], -angles[:, 1]], -1) * 0.85  # the head does the last part of a turn
    gaze += 0.12 * rng.standard_normal((len(t), 2))
    return np.clip(gaze, [-26.0, -20.0], [26.0, 16.0]), jumps[1:]


def _blinks(
    t: Array, manner: Manner, pauses: Sequence[float], jumps: Sequence[float], rng: np.random.Generator
) -> Array:
    """Lids over time: shut in 80 ms, open again in 180 ms, now and then twice; often at phrase ends and glances."""
    lids = np.zeros(len(t))
    end = float(t[-1]) if len(t) else 0.0
    at = rng.uniform(0.3, manner.blink_every_s)
    while at < end:
        near = [p for p in (*pauses, *jumps) if abs(p - at) < 0.5]
        when = near[0] if near and rng.uniform() < 0.7 else at
        twice = rng.uniform() < 0.12
        depth = rng.uniform(0.92, 1.0)
        for start in (when, when + 0.34) if twice else (when,):
            down = np.clip((t - start + 0.09) / 0.08, 0, 1)
            up = np.clip((t - start - 0.05) / 0.18, 0, 1)
            lids = np.maximum(lids, depth * np.clip(_ease(down) - _ease(up), 0, 1))
        at = max(at, when) + 0.5 + rng.gamma(2.2, max(manner.blink_every_s - 0.5, 0.3) / 2.2)
    return lids


def _ease(x: Array) -> Array:
    out: Array = x * x * (3.0 - 2.0 * x)
    return out


def add_layers(mouth_weights: Array, motion: HeadMotion, mood: Mapping[str, float]) -> Array:
    """Put blinks, brows and mood over the mouth's weights: (T, 36).

    Mood adds to the mouth, and gives way where the lips round. Lids that follow the gaze are the head's own business.
    """
    out, at = mouth_weights.copy(), SEMANTIC.index
    for side in "LR":
        out[:, at("blink" + side)] = motion.lids
        out[:, at("browOuter" + side)] = 0.7 * motion.brows
    out[:, at("browInner")] = 0.8 * motion.brows
    free = 1 - np.clip(out[:, at("pucker")], 0, 0.8)
    for name, value in mood.items():
        of_mouth = name.startswith(("smile", "frown", "stretch"))
        out[:, at(name)] = np.clip(out[:, at(name)] + value * motion.mood * (free if of_mouth else 1.0), 0, 1)
    return out
