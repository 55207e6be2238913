"""What the sync model on landmarks says about one face track and its audio."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.core import weights
from lipbench.core.errors import TooShort
from lipbench.faces.track import FaceTrack
from lipbench.metrics.sync.arithmetic import offset_words
from lipbench.metrics.sync.landmark import mouth
from lipbench.metrics.sync.landmark.network import REACH, LandmarkSync
from lipbench.metrics.sync.landmark.similarity import FEWEST, Offset, belief, credited, curve, offset, similarities
from lipbench.metrics.sync.landmark.sound import PER_FRAME, log_mel
from lipbench.metrics.sync.protocol import VSHIFT

WEIGHTS = "landmark-sync"
#: Lengths that results are also told for, seconds. In steps of half a window.
WINDOWS_S = (1, 2, 5)
#: Frames below which some shift would rest on fewer than ten: nothing shorter is measured.
SHORTEST = FEWEST + VSHIFT + 2 * REACH
#: Measures that the gain is taken from: those whose tracked values follow the true ones (R² of .7 and more on generated
#: faces). The thickness of the lips, say, varies little, and trackers err on it by several times that.
WELL_SEEN = [mouth.MEASURES.index(m) for m in ("inner_gap", "outer_height", "outer_width", "inner_width", "lower_lip")]
#: Below this nothing is said about a clip's own offset, whose sound is taken to be its own.
SURE = 0.8
#: Below this confidence it is said that mouth and audio may not belong together; hard clips of people have 0.2.
DOUBTFUL = 0.1


@dataclass(frozen=True)
class Windowed:
    """The offset over windows of one length.

    Attributes:
        seconds: of a window.
        n: windows; 0 when the clip is shorter.
        same: share of them whose offset is within a frame of the clip's; None without any.
        offsets: of each, frames.
    """

    seconds: int
    n: int
    same: float | None
    offsets: tuple[int, ...]


@dataclass(frozen=True)
class LandmarkScore:
    """Where and how well a mouth and its audio fit.

    Attributes:
        offset: with its interval and confidence.
        d: 1 minus the mean similarity at `at`, 0 to 2; lower is better, about 1 for what does not belong together.
        gain: how far the lips move along what the sound asks for, at `at`: 1 as generated speakers of usual effort, 0
            for a mouth at rest or one that says something else.
        at: frames by which the audio leads where `d` and `gain` were taken: the source's own offset, else 0.
        n_frames: embeddings compared.
        curve: (31,) mean similarity per shift; entry j compares frame t with the audio at t + j - 15.
        per_frame: (T,) 1 minus the similarity at `at`, NaN at the ends.
        windows: the same over shorter stretches.
    """

    offset: Offset
    d: float
    gain: float
    at: int
    n_frames: int
    curve: NDArray[np.float64]
    per_frame: NDArray[np.float64]
    windows: tuple[Windowed, ...]

    @property
    def knows(self) -> bool:
        """Whether the clip is long and clear enough for its offset to be relied on, if the audio is its own."""
        return self.offset.given >= SURE and abs(self.offset.frames) < VSHIFT

    @property
    def clearness(self) -> float:
        """Highest mean similarity minus the median over the shifts: about 0 for a mouth that says something else.

        What to compare faces by, where several may be the one who speaks: it forgives a constant delay.
        """
        return float(np.nanmax(self.curve) - np.nanmedian(self.curve))

    @property
    def remark(self) -> str | None:
        """What to know about the offset, or None."""
        if abs(self.offset.frames) == VSHIFT:
            return "the best shift is the largest one tried: image and audio may not match at all"
        if not self.knows:
            low, high = self.offset.low, self.offset.high
            return (
                f"{self.n_frames} frames do not tell the offset: it lies between {low} and {high} frames with a "
                "probability of 0.95"
            )
        if self.offset.confidence < DOUBTFUL:
            return "lips and audio fit no better than those of other sentences do: they may not belong together"
        return None

    def as_json(self) -> dict[str, Any]:
        """For records: everything but the frames."""
        return {
            "offset": self.offset.frames,
            "offset_words": offset_words(self.offset.frames),
            "interval": [self.offset.low, self.offset.high],
            "confidence": round(self.offset.confidence, 4),
            "confidence_if_own": round(self.offset.given, 4),
            "clearness": round(self.clearness, 5),
            "at": self.at,
            "n_frames": self.n_frames,
            "curve": [None if not np.isfinite(v) else round(float(v), 5) for v in self.curve],
            "windows": [
                {"seconds": w.seconds, "n": w.n, "same": w.same, "offsets": list(w.offsets)} for w in self.windows
            ],
        }


def load() -> LandmarkSync:
    """The packaged model. Kept in memory: a worker scores many clips.

    Raises:
        WeightsMissing, WeightsMismatch: the packaged file is not there, or not the one that belongs to this version.
    """
    return _load(str(weights.path(WEIGHTS)))


@cache
def _load(path: str) -> LandmarkSync:
    return LandmarkSync.read(Path(path))


def score_track(
    track: FaceTrack, audio: NDArray[np.int16], *, at: int | None = None, net: LandmarkSync | None = None
) -> LandmarkScore:
    """Compare a face with its audio; both start at the same instant.

    Args:
        track: with landmarks; any frame rate.
        audio: (N,) int16 at 16 kHz.
        at: frames at 25 per second by which the audio leads where it belongs (the source's own offset); None: 0.
        net: the model; None: the packaged one.

    Raises:
        NoFace: the track has no landmarks, or lost its face too often.
        TooShort: fewer than 35 frames have both image and audio.
    """
    return score_mouth(mouth.of_track(track), audio, at=at, net=net)


def score_mouth(
    measures: NDArray[np.float32], audio: NDArray[np.int16], *, at: int | None = None, net: LandmarkSync | None = None
) -> LandmarkScore:
    """The same for (T, 12) measures of `mouth.of_track`.

    Raises:
        TooShort: fewer than 35 frames have both image and audio.
    """
    net = load() if net is None else net
    bands = log_mel(audio)
    n = min(len(measures), len(bands) // PER_FRAME)
    if n < SHORTEST:
        raise TooShort(
            f"{n} frames have both image and audio",
            f"the sync model on landmarks compares shifts of up to {VSHIFT} frames and needs {SHORTEST} frames",
            "use a clip of two seconds or more",
        )
    seen, heard = net.embed(measures[:n], bands[: PER_FRAME * n])
    rows = similarities(seen, heard)
    means = curve(rows)
    found = credited(
        offset(belief(means, len(rows), net.certainty.cpu().numpy())), means, len(rows), net.credit.cpu().numpy()
    )
    where = 0 if at is None else at
    each = rows[:, VSHIFT - where].astype(np.float64)
    per_frame = np.full(n, np.nan)
    per_frame[REACH : REACH + len(each)] = 1 - each
    gain = _gain(net, measures[REACH : n - REACH], heard, where)
    windows = tuple(_windowed(rows, seconds, found.frames) for seconds in WINDOWS_S)
    return LandmarkScore(found, float(np.nanmean(1 - each)), gain, where, len(rows), means, per_frame, windows)


def _gain(net: LandmarkSync, measures: NDArray[np.float32], heard: NDArray[np.float32], at: int) -> float:
    """Slope of what the mouth does over what the sound asks for, both without their means."""
    shift = -at
    first, last = max(0, -shift), min(len(heard), len(heard) - shift)
    asked = net.expected(heard[first + shift : last + shift])[:, WELL_SEEN]
    done = (measures[first:last] / net.usual.cpu().numpy())[:, WELL_SEEN]
    asked, done = asked - asked.mean(0), done - done.mean(0)
    weight = asked.std(0)  # what the sound does not decide does not count
    return float((asked * done * weight).sum() / max((asked * asked * weight).sum(), 1e-9))


def _windowed(rows: NDArray[np.float32], seconds: int, frames: int) -> Windowed:
    size = round(seconds * mouth.FPS) - 2 * REACH
    found = []
    for start in range(0, len(rows) - size + 1, max(1, round(seconds * mouth.FPS) // 2)):
        means = curve(rows[start : start + size])
        if np.isfinite(means).all():  # all shifts or none: the ends of a clip would favor some
            found.append(VSHIFT - int(np.argmax(means)))
    same = None if not found else float(np.mean([abs(o - frames) <= 1 for o in found]))
    return Windowed(seconds, len(found), same, tuple(found))
