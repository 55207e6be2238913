"""Numbers of 68 tracked landmarks (iBUG order): distances of the mouth, the gap of the lips, correlation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.track import MOUTH_68

Points = NDArray[np.float64]

#: iBUG: outer corners of the right and the left eye; inner lips, upper against lower.
EYE_CORNERS = (36, 45)
INNER_UPPER, INNER_LOWER = (61, 62, 63), (67, 66, 65)


def mouth_distance(prediction: Points, reference: Points) -> NDArray[np.float64]:
    """Mean distance of the 20 mouth points, each set minus its own mean.

    Args:
        prediction: (T, 68, 2) px, NaN where the face is lost.
        reference: the same of what it is compared to.

    Returns:
        (T,) px, NaN where either face is lost.

    Source:
        LMD as ER-NeRF computes it (github.com/Fictionarry/ER-NeRF, metrics.py); Chen et al., "Lip movements
        generation at a glance", ECCV 2018.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics import mouth_distance
        >>> face = np.random.default_rng(0).normal(64, 20, (3, 68, 2))
        >>> mouth_distance(face + 5, face).round(6)  # a face elsewhere has the same mouth
        array([0., 0., 0.])
    """
    a, b = prediction[:, MOUTH_68], reference[:, MOUTH_68]
    moved = (a - a.mean(axis=1, keepdims=True)) - (b - b.mean(axis=1, keepdims=True))
    return np.linalg.norm(moved, axis=2).mean(axis=1)


def face_distance(prediction: Points, reference: Points) -> NDArray[np.float64]:
    """Mean distance of all 68 points, each set minus its own mean (F-LMD).

    Args:
        prediction: (T, 68, 2) px, NaN where the face is lost.
        reference: the same of what it is compared to.

    Returns:
        (T,) px, NaN where either face is lost.

    Source:
        The `face` region of the LMD meter of github.com/Fictionarry/TalkingGaussian, metrics.py.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics import face_distance
        >>> face = np.random.default_rng(0).normal(64, 20, (3, 68, 2))
        >>> face_distance(face + 5, face).round(6)
        array([0., 0., 0.])
    """
    moved = (prediction - prediction.mean(axis=1, keepdims=True)) - (reference - reference.mean(axis=1, keepdims=True))
    return np.linalg.norm(moved, axis=2).mean(axis=1)


def mouth_opening_error(prediction: Points, reference: Points) -> NDArray[np.float64]:
    """How far the gap of the lips is from what it should be.

    Args:
        prediction: (T, 68, 2) px, NaN where the face is lost.
        reference: the same of what it is compared to.

    Returns:
        (T,) px, absolute, NaN where either face is lost.

    Source:
        This toolkit's own definition: `lip_gap`.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics import mouth_opening_error
        >>> face = np.zeros((2, 68, 2))
        >>> wide = face.copy()
        >>> wide[1, [65, 66, 67], 1] = 8
        >>> mouth_opening_error(wide, face)
        array([0., 8.])
    """
    return np.abs(lip_gap(prediction) - lip_gap(reference))


def interocular(points: Points) -> float:
    """Distance of the outer eye corners, median over the clip.

    One number per clip: frame by frame it would shrink with every turn of the head and inflate the distance.

    Args:
        points: (T, 68, 2) px, NaN where the face is lost.

    Returns:
        px; NaN when every face is lost.

    Source:
        Sagonas et al., "300 faces in-the-wild", 2013.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics import interocular
        >>> face = np.zeros((3, 68, 2))
        >>> face[:, 45] = (30, 40)
        >>> interocular(face)
        50.0
    """
    right, left = (points[:, i] for i in EYE_CORNERS)
    return float(np.nanmedian(np.linalg.norm(left - right, axis=1)))


def lip_gap(points: Points) -> NDArray[np.float64]:
    """Mean distance of the three inner lip pairs.

    Args:
        points: (T, 68, 2) px, NaN where the face is lost.

    Returns:
        (T,) px, NaN where the face is lost.

    Source:
        This toolkit's own definition: iBUG points 61-67, 62-66 and 63-65.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics import lip_gap
        >>> face = np.zeros((2, 68, 2))
        >>> face[1, [65, 66, 67], 1] = 8
        >>> lip_gap(face)
        array([0., 8.])
    """
    return np.linalg.norm(points[:, INNER_UPPER] - points[:, INNER_LOWER], axis=2).mean(axis=1)


def pearson(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    """Pearson's correlation of two series.

    Args:
        a: (T,) finite numbers.
        b: (T,) finite numbers.

    Returns:
        -1 to 1; None when either series does not move.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics.functional.landmarks import pearson
        >>> gap = np.array([0.0, 1.0, 3.0, 2.0])
        >>> round(pearson(2 * gap + 5, gap), 6)
        1.0
        >>> pearson(np.ones(4), gap) is None
        True
    """
    a, b = a - a.mean(), b - b.mean()
    product = float(np.linalg.norm(a) * np.linalg.norm(b))
    return None if product < 1e-9 else float(np.clip(a @ b / product, -1, 1))
