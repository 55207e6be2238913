"""Which of several faces in the picture is meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import UsageError
from lipbench.faces.boxes import overlaps
from lipbench.faces.track import Box

SIDES = ("left", "right", "largest")
FORMS = "left, right, largest or X,Y: a place in the face, in px or (both below 1) as shares of width and height"
CONTINUES = 0.1  # a new detection that overlaps the last known box more than this is the same person
#: A face that was chosen may be found again this many of its own sizes away, not further: that is somebody else.
REACH = 1.0


@dataclass(frozen=True)
class Which:
    """A choice among faces.

    Attributes:
        side: "left", "right" or "largest", as the viewer sees it; "" with a place.
        at: the place: px, or shares of the picture when both are below 1.
    """

    side: str = "largest"
    at: tuple[float, float] | None = None

    @classmethod
    def parse(cls, text: str | None) -> Which | None:
        """The choice that a person wrote; None for None: nothing was chosen.

        Raises:
            UsageError: none of the forms.
        """
        if text is None:
            return None
        if text in SIDES:
            return cls(text)
        try:
            x, y = (float(part) for part in text.split(","))
        except ValueError as error:
            raise UsageError(f"there is no face {text!r}", "", f"say {FORMS}") from error
        if not (np.isfinite((x, y)).all() and x >= 0 and y >= 0):
            raise UsageError(f"there is no face at {text!r}", "a place is not negative", f"say {FORMS}")
        return cls("", (x, y))

    def rank(self, face: Box, size: tuple[int, int]) -> float:
        """The larger, the more it is the face that is meant.

        Args:
            size: width and height of the image, px.
        """
        x, y = (face.x1 + face.x2) / 2, (face.y1 + face.y2) / 2
        if self.at is not None:
            scale = size if max(self.at) < 1 else (1, 1)
            return -float(np.hypot(x - self.at[0] * scale[0], y - self.at[1] * scale[1]))
        return {"left": -x, "right": x}.get(self.side, (face.x2 - face.x1) * (face.y2 - face.y1))


def choose(
    found: Sequence[Box], last: NDArray[np.floating] | None, which: Which | None = None, size: tuple[int, int] = (1, 1)
) -> list[Box]:
    """Detections in the order in which they are tried: the one that continues `last`, then as `which` ranks them.

    Args:
        last: x1 y1 x2 y2 of the last face of this shot, None at its beginning.
        which: the choice; with one, a face far from `last` is somebody else and left out. None: the largest.
        size: width and height of the picture, px.
    """
    rule = which or Which()

    def rank(face: Box) -> tuple[float, float]:
        corners = np.asarray([[face.x1, face.y1, face.x2, face.y2]])
        near = 0.0 if last is None else float(overlaps(np.asarray(last, dtype=float), corners)[0])
        return (near if near > CONTINUES else 0.0, rule.rank(face, size))

    if which is not None and last is not None:
        found = [face for face in found if _within_reach(face, last)]
    return sorted(found, key=rank, reverse=True)


def _within_reach(face: Box, last: NDArray[np.floating]) -> bool:
    away = np.hypot(face.x1 + face.x2 - last[0] - last[2], face.y1 + face.y2 - last[1] - last[3]) / 2
    return bool(away <= REACH * max(last[2] - last[0], last[3] - last[1]))
