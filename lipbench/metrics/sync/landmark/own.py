"""By how much a source is out of sync itself: what is taken off before its dubs are judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import LipbenchError
from lipbench.faces.track import FaceTrack
from lipbench.metrics.sync.arithmetic import offset_words
from lipbench.metrics.sync.landmark.score import score_track


@dataclass(frozen=True)
class OwnOffset:
    """The offset between a source's image and its own audio.

    Attributes:
        frames: at 25 per second by which the audio leads; None where the clip does not tell.
        confidence: that it is right within a frame, for audio that is its own; 0 where nothing could be measured.
        why: in words: what it is, or why it is not known.
    """

    frames: int | None
    confidence: float
    why: str

    def as_json(self) -> dict[str, Any]:
        """For records."""
        return {"frames": self.frames, "confidence": round(self.confidence, 4), "why": self.why}


def own_offset(track: FaceTrack, audio: NDArray[np.int16]) -> OwnOffset:
    """Measure it with the sync model on landmarks.

    Args:
        track: of the source, with landmarks.
        audio: (N,) int16 at 16 kHz, the source's own; both start at the same instant.
    """
    try:
        found = score_track(track, audio)
    except LipbenchError as error:
        return OwnOffset(None, 0.0, error.one_line())
    if not found.knows:
        return OwnOffset(None, found.offset.given, found.remark or "")
    return OwnOffset(found.offset.frames, found.offset.given, offset_words(found.offset.frames))
