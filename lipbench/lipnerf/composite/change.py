"""Only what the expression changes: everything else of the head stays the source's, as sharp as it was filmed.

The field draws a frame twice, under the dub's expression and under the source's own. What both images get wrong alike
(blur, hair, lids, a frayed outline) cancels in their difference, which is laid over the source frame around the lips,
on cheeks and jaw:

    cheeks, jaw    source + low(drawn - own)      the skin keeps its pores, a field's freckles are averaged away
    lips           drawn + low(source - own)      as drawn, in the source's light: its own lips must not shine through

The paper pastes the whole head; `paste: change` is an option beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.faces.morphable import MorphableModel
from lipbench.lipnerf.fitting import Fit

Frame = NDArray[np.uint8]
Map = NDArray[np.float32]

#: Over how far light is matched on the lips and changes are averaged elsewhere, how far the region fades, and how much
#: around the lips is taken as drawn: shares of the way from the eyes to the chin.
LIGHT, SKIN, FADE, LIPS = 0.02, 0.05, 0.08, 0.4
JAW, NOSE, EYES, MOUTH = slice(2, 15), slice(28, 36), slice(36, 48), slice(48, 60)


@dataclass(frozen=True)
class LowerFace:
    """Where a dub may change a frame.

    Attributes:
        region: (H, W) 1 on lips, cheeks and jaw, fading to 0 around.
        lips: (H, W) 1 on the lips, fading to 0 around.
        unit: px from the eyes to the chin.
    """

    region: Map
    lips: Map
    unit: float


def lower_face(
    fit: Fit, model: MorphableModel, t: int, expression: NDArray[np.floating], size: tuple[int, int]
) -> LowerFace:
    """Of frame t, under its own expression and under another one (K,); size is (height, width).

    Raises:
        Unsupported: the model has no landmark vertices.
    """
    marks = model.require_landmarks().points
    here, there = (fit.camera.project(fit.vertices(model, t, e)[marks]) for e in (None, expression))
    unit = float(np.linalg.norm(here[8] - here[EYES].mean(0)))

    def around(parts: tuple[slice, ...], fade: float) -> Map:
        hull = cv2.convexHull(np.concatenate([p[k] for p in (here, there) for k in parts]).astype(np.float32))
        outside = np.ones(size, np.uint8)
        cv2.fillConvexPoly(outside, hull.round().astype(np.int32), 0)
        distance = cv2.distanceTransform(outside, cv2.DIST_L2, 3)
        return np.clip(1 - distance / (fade * unit), 0, 1).astype(np.float32)

    return LowerFace(around((JAW, NOSE), FADE), around((MOUTH,), LIPS), unit)


def transfer_change(source: Frame, drawn: Frame, own: Frame, face: LowerFace) -> Frame:
    """The source frame with what changed.

    Args:
        source: (H, W, 3) as filmed.
        drawn: (H, W, 3), the composited frame under the dub's expression.
        own: (H, W, 3), the same under the source's expression.
        face: where changes are allowed.
    """
    rows, columns = np.flatnonzero(face.region.any(1)), np.flatnonzero(face.region.any(0))
    out = source.copy()
    if not len(rows):
        return out
    margin = int(4 * SKIN * face.unit) + 1  # the filters below reach that far
    h, w = face.region.shape
    top, left = max(int(rows[0]) - margin, 0), max(int(columns[0]) - margin, 0)
    view = np.s_[top : min(int(rows[-1]) + margin, h), left : min(int(columns[-1]) + margin, w)]
    s, d, o = (x[view].astype(np.float32) for x in (source, drawn, own))
    lips = face.lips[view][..., None]
    change = lips * (d - s + _blurred(s - o, LIGHT * face.unit)) + (1 - lips) * _blurred(d - o, SKIN * face.unit)
    out[view] = np.clip(s + face.region[view][..., None] * change + 0.5, 0, 255).astype(np.uint8)
    return out


def _blurred(image: Map, sigma: float) -> Map:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), max(sigma, 0.3)), np.float32)
