"""Where AD-NeRF's head may be shown over the source: within the source's own outline, with room for the jaw.

A dub holds the head as the source does, so that all but the jaw has the source's outline. What a short training
leaves of the field outside of it is haze, and rays that nobody needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipbench.media.held import hold
from lipbench.nerf.scene import Scene
from lipbench.nerf.training.trained import FrameRender, TrainedField, Where, render_frames

#: How far below the source's chin a dub's may reach, as a share of the head's height: a jaw drops by as much.
JAW = 0.04
#: Matte that becomes 0 and 1 within the outline: no haze of the outside has to be kept away there.
LEVELS = (0.02, 0.25)


def outlines(head: NDArray[np.bool_], mouth: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The heads with room below their mouths, (T, H, W).

    Args:
        head: (T, H, W) masks of the source.
        mouth: (T, 4) px boxes x0, y0, x1, y1 of the same frames.
    """
    return hold(_outline(mask, int(bottom)) for mask, bottom in zip(head, mouth[:, 3], strict=True))


def _outline(head: NDArray[np.bool_], bottom: int) -> NDArray[np.bool_]:
    """A head (H, W) with room below row `bottom`, where its mouth's box ends."""
    out, rows = head.copy(), np.flatnonzero(head.any(1))
    jaw = out[bottom:].astype(np.uint8)
    if len(rows) and jaw.size:
        reach = max(1, round(JAW * (rows[-1] + 1 - rows[0])))
        out[bottom:] = cv2.dilate(jaw, np.ones((reach + 1, 1), np.uint8), anchor=(0, reach)) > 0
    return out


@dataclass(frozen=True)
class OutlinedField:
    """A trained head that is shown within outlines alone.

    Attributes:
        trained: the head.
        outline: (T, H, W) bool, of the scene's frames.
    """

    trained: TrainedField
    outline: NDArray[np.bool_]

    def render(
        self, scene: Scene, conditions: ArrayLike, index: ArrayLike, where: Where | None = None
    ) -> Iterator[FrameRender]:
        """As `TrainedField.render`."""
        within = [self.outline[t] for t in np.asarray(index, np.int64)]

        def wanted(k: int) -> NDArray[np.bool_]:
            return within[k] if where is None else within[k] & where(k)

        for k, shown in enumerate(render_frames(self.trained, scene, conditions, None, index, where=wanted)):
            yield FrameRender(shown.rgb * within[k][..., None], shown.alpha * within[k], shown.box)
