"""What a face detector of a frame is."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.track import Box


@runtime_checkable
class Detector(Protocol):
    """`detect` gives, for each frame, the faces with score > threshold, best first.

    threshold None means the detector's own. Boxes may reach outside of the frame.
    """

    def detect(self, frames: NDArray[np.uint8], *, threshold: float | None = None) -> list[list[Box]]: ...
