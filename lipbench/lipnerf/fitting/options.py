"""What a fit is asked to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lipbench.core.errors import UnknownName

#: Focal lengths that the search tries, as multiples of the shorter image side: AD-NeRF's 600..1400 px at 450..512 px,
#: spread a little.
FOCALS = (1.2, 1.5, 1.9, 2.3, 2.8, 3.4, 4.2)

Log = Callable[[str], None]


def silent(line: str) -> None:
    """Says nothing."""


@dataclass(frozen=True)
class FitOptions:
    """Settings of `fit_clip` and `refit`.

    Attributes:
        model: "procedural" or a path, see `faces.morphable.load_model`.
        focal: px; searched for when None.
        focal_frames: frames, spread over the clip, that the focal length comes from.
        identity_frames: frames, spread over the clip, that the identity comes from.
        landmark_sigma: expected landmark error as a share of the face's size (eye distance).
        expression_prior: precision per squared standard deviation.
        identity_prior: precision per squared standard deviation.
        smooth: factor on the temporal smoothness of pose and expression; 0 = none.
        iterations: Gauss-Newton steps on the landmarks, at most.
        photometric: whether to fit colors too.
        keyframes: frames that the person's colors are learned from.
        face_px: face size (eye distance) in px at which colors are compared; frames are scaled to it.
        vertices: of the face at which colors are compared, about.
        photo_steps: photometric Gauss-Newton steps per frame.
        photo_rounds: how often colors and geometry are fitted in turn.
        photo_sigma: expected color error, 0..1.
        photo_weight: how much the photometric term counts against the landmarks.
        device: torch device of the solvers.
    """

    model: str = "procedural"
    focal: float | None = None
    focal_frames: int = 24
    identity_frames: int = 60
    landmark_sigma: float = 0.02
    expression_prior: float = 1.0
    identity_prior: float = 10.0
    smooth: float = 1.0
    iterations: int = 20
    photometric: bool = True
    keyframes: int = 40
    face_px: float = 60.0
    vertices: int = 1800
    photo_steps: int = 4
    photo_rounds: int = 2
    photo_sigma: float = 0.06
    photo_weight: float = 1.0
    device: str = "cpu"

    @classmethod
    def preset(cls, name: str, **changes: Any) -> FitOptions:
        """A named preset with changes: "landmarks" (no colors), "demo" (a minute of CPU at most for a short clip) or
        "paper" (finer and longer).

        Raises:
            UnknownName: no such preset.
        """
        if name not in PRESETS:
            raise UnknownName(f"there is no fit preset called {name!r}", f"known: {', '.join(PRESETS)}")
        return replace(cls(), **{**PRESETS[name], **changes})


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "landmarks": {"photometric": False},
    "demo": {},
    "paper": {
        "focal_frames": 60,
        "identity_frames": 240,
        "iterations": 40,
        "keyframes": 120,
        "face_px": 110.0,
        "vertices": 5000,
        "photo_steps": 8,
        "photo_rounds": 3,
    },
}
