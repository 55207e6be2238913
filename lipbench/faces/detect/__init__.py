"""Where the faces are in a frame.

    BlazeFace        MediaPipe's, short or full range; BlazeFacePair asks both
    S3FD             of the SyncNet pipeline and of Wav2Lip (two weight files, two networks)

A detector takes (B, H, W, 3) uint8 RGB and answers, per frame, boxes in pixels, best score first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lipbench.core.lazy import lazy
from lipbench.faces.track import Box

if TYPE_CHECKING:
    from lipbench.faces.detect.blazeface import BlazeFace as BlazeFace
    from lipbench.faces.detect.blazeface import BlazeFacePair as BlazeFacePair
    from lipbench.faces.detect.s3fd import S3FD as S3FD

_HOMES = {"BlazeFace": "blazeface", "BlazeFacePair": "blazeface", "S3FD": "s3fd"}
__all__ = ["S3FD", "BlazeFace", "BlazeFacePair", "Box", "Detector"]


@runtime_checkable
class Detector(Protocol):
    """`detect` gives, for each frame, the faces with score > threshold, best first.

    threshold None means the detector's own. Boxes may reach outside of the frame.
    """

    def detect(self, frames: NDArray[np.uint8], *, threshold: float | None = None) -> list[list[Box]]: ...


__getattr__ = lazy(__name__, _HOMES)
