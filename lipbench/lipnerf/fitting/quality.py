"""How well a fit explains its frames, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipbench.lipnerf.fitting.fit import Fit


@dataclass(frozen=True)
class Report:
    """Means over the frames with a face, and frames to look at.

    Attributes:
        n_frames: frames of the clip.
        n_found: those with a face.
        focal_px: focal length.
        landmark_px: mean of the frames' landmark errors.
        worst_landmark_px: the largest of them.
        photometric: mean colour error 0..1, None when no colours were fitted.
        expression_size: root mean square of the expression coefficients, standard deviations; far above 1 = unlikely.
        suspicious: frames whose landmark error is more than twice the median, or without a face.
    """

    n_frames: int
    n_found: int
    focal_px: float
    landmark_px: float
    worst_landmark_px: float
    photometric: float | None
    expression_size: float
    suspicious: tuple[int, ...]

    def lines(self) -> list[str]:
        """The report in words."""
        photo = "not fitted" if self.photometric is None else f"{100 * self.photometric:.2f} % of full scale"
        return [
            f"face in {self.n_found} of {self.n_frames} frames",
            f"focal length {self.focal_px:.0f} px",
            f"landmarks {self.landmark_px:.2f} px on average, {self.worst_landmark_px:.2f} px in the worst frame",
            f"colours {photo}",
            f"expressions {self.expression_size:.2f} standard deviations (root mean square)",
            f"frames to look at: {', '.join(map(str, self.suspicious)) or 'none'}",
        ]


def frame_error(fit: Fit) -> NDArray[np.float64]:
    """(T,) landmark error of every frame over the clip's median: 1 is usual; infinite where no face was found."""
    median = float(np.median(fit.landmark_error_px[fit.found]))
    return np.where(fit.found, fit.landmark_error_px / max(median, 1e-9), np.inf)


def report(fit: Fit) -> Report:
    """Sum a fit up."""
    colours = fit.photometric_error[fit.found]
    return Report(
        n_frames=len(fit),
        n_found=int(fit.found.sum()),
        focal_px=fit.focal,
        landmark_px=float(fit.landmark_error_px[fit.found].mean()),
        worst_landmark_px=float(fit.landmark_error_px[fit.found].max()),
        photometric=float(colours.mean()) if np.isfinite(colours).all() else None,
        expression_size=float(np.sqrt((fit.expression[fit.found] ** 2).mean())),
        suspicious=tuple(int(t) for t in np.flatnonzero(frame_error(fit) > 2)),
    )
