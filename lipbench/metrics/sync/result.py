"""What was measured on one video: its tracks, the clip's values, and how they came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.metrics.sync.arithmetic import SyncScore, offset_words
from lipbench.metrics.sync.protocol import VSHIFT, WINDOW_FRAMES

#: metric id -> how to read it off a SyncScore.
METRIC_IDS = ("lse_d", "lse_c", "av_offset", "lse_d_at_zero", "lse_c_valid")


@dataclass(frozen=True)
class TrackResult:
    """One face track.

    Attributes:
        first: its first frame, at 25 fps.
        n_frames: its length in frames at 25 fps.
        n_detections: frames on which the face was seen (all frames for protocol "cropped").
        face_size: mean width and height of the face box in px; None for "cropped".
        score: None when it could not be scored.
        reason: why not.
        box: x1 y1 x2 y2 in px, mean over its frames: which face it was; None for "cropped".
    """

    first: int
    n_frames: int
    n_detections: int
    face_size: tuple[float, float] | None
    score: SyncScore | None
    reason: str | None = None
    box: tuple[float, float, float, float] | None = None

    def as_json(self, *, distances: bool = False) -> dict[str, Any]:
        """A row for records; `distances` adds the 31 mean distances."""
        row: dict[str, Any] = {
            "first": self.first,
            "n_frames": self.n_frames,
            "n_detections": self.n_detections,
            "face_size": None if self.face_size is None else [round(v, 1) for v in self.face_size],
            "box": None if self.box is None else [round(v, 1) for v in self.box],
        }
        if self.score is None:
            return {**row, "reason": self.reason}
        row |= {name: getattr(self.score, name) for name in METRIC_IDS}
        row |= {"n_windows": self.score.n_windows, "offset_words": self.score.offset_words}
        if distances:
            row["distances"] = [round(float(v), 5) for v in self.score.distances]
        return row


@dataclass(frozen=True)
class SyncResult:
    """The sync model's answer on one video.

    Attributes:
        sync_model: id of the weights, as asked for.
        protocol: "realvideo" or "cropped", as asked for.
        aggregate: how tracks became one value, as asked for.
        tracks: every track that was scored or refused, in the order found.
        reason: why there is no value ("no_face: ..."), or None.
        n_frames: frames of the video at 25 fps; 0 when it was not read.
        facts: everything else worth keeping: constants, box source, shots, durations, deviations.
    """

    sync_model: str
    protocol: str
    aggregate: str
    tracks: tuple[TrackResult, ...] = ()
    reason: str | None = None
    n_frames: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def scored(self) -> tuple[SyncScore, ...]:
        """Scores of the scored tracks."""
        return tuple(track.score for track in self.tracks if track.score is not None)

    @property
    def chosen(self) -> TrackResult | None:
        """The track that stands for the clip; None when none was scored, or for a mean over several."""
        scored = [track for track in self.tracks if track.score is not None]
        if not scored or (self.aggregate in ("weighted", "mean") and len(scored) > 1):
            return None
        if self.aggregate == "best":
            return max(scored, key=lambda t: t.score.lse_c if t.score else -np.inf)
        return max(scored, key=lambda t: t.score.n_windows if t.score else 0)

    def value(self, metric: str) -> float | None:
        """The clip's value of one metric id, by the declared rule; None when it cannot be had."""
        if self.chosen is not None:
            found = getattr(self.chosen.score, metric)
            return None if found is None else float(found)
        pairs = [(getattr(score, metric), score.n_windows) for score in self.scored]
        known = [(value, n) for value, n in pairs if value is not None]
        if not known:
            return None
        weights = [n if self.aggregate == "weighted" else 1 for _, n in known]
        return float(np.average([v for v, _ in known], weights=weights))

    def value_at(self, offset: int | None) -> float | None:
        """Mean distance where the audio leads by `offset` frames, of the track that counts; None without an offset."""
        if offset is None or not self.scored:
            return None
        chosen = self.scored if self.chosen is None or self.chosen.score is None else (self.chosen.score,)
        each = [float(score.distances[VSHIFT - offset]) for score in chosen]
        return float(np.average(each, weights=[score.n_windows for score in chosen]))

    @property
    def n_windows(self) -> int:
        """Windows behind the clip's value."""
        if self.chosen is not None and self.chosen.score is not None:
            return self.chosen.score.n_windows
        return sum(score.n_windows for score in self.scored)

    @property
    def remark(self) -> str | None:
        """What to know about the value, or why there is none."""
        if self.reason is not None:
            return self.reason
        scored = [track for track in self.tracks if track.score is not None]
        remarks = list(self.chosen.score.remarks) if self.chosen is not None and self.chosen.score else []
        if len(scored) > 1:
            rule = {
                "longest": "the longest counts",
                "best": "the best counts",
                "weighted": "mean weighted by windows",
                "mean": "plain mean",
            }
            remarks.append(f"{len(scored)} tracks, {rule[self.aggregate]}")
        return "; ".join(remarks) or None

    def per_frame(self, metric: str) -> NDArray[np.float64] | None:
        """(n_frames,) values at 25 fps at the middle frame of each window, NaN elsewhere; None without such a form."""
        if metric not in ("lse_d", "lse_c", "lse_d_at_zero") or self.n_frames == 0 or not self.scored:
            return None
        out = np.full(self.n_frames, np.nan)
        chosen = self.chosen
        for track in self.tracks:
            if track.score is None or (chosen is not None and track is not chosen):
                continue
            row = {
                "lse_d": lambda s: s.framewise_distance,
                "lse_c": lambda s: s.framewise_confidence,
                "lse_d_at_zero": lambda s: s.framewise_distance_at_zero,
            }[metric](track.score)
            start = track.first + WINDOW_FRAMES // 2
            out[start : start + len(row)] = row
        return out

    def lines(self) -> list[str]:
        """The answer for people, a few lines."""
        if self.reason is not None:
            return [f"no sync score: {self.reason}"]
        offset = self.value("av_offset")
        assert offset is not None
        found = [
            f"LSE-D {self.value('lse_d'):.3f} (lower is better)  LSE-C {self.value('lse_c'):.3f} (higher is better)",
            f"{offset_words(offset)}; LSE-D without shift {self.value('lse_d_at_zero'):.3f}",
            f"sync model {self.sync_model}, protocol {self.protocol}, {self.n_windows} windows",
        ]
        return found + ([f"note: {self.remark}"] if self.remark else [])
