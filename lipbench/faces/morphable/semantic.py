"""Named expressions of the procedural head: 36 weights <-> its 79 coefficients.

Weights are meant for [0, 1]; `lipbench.synthetic.head.expressions` says what each does to the face.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipbench.core.errors import UsageError
from lipbench.faces.morphable.procedural import head_parts

#: "L" and "R" are the left and right of the image.
SEMANTIC = (
    "jawOpen",
    "jawFwd",
    "jawL",
    "jawR",
    "pucker",
    "funnel",
    "stretchL",
    "stretchR",
    "smileL",
    "smileR",
    "frownL",
    "frownR",
    "press",
    "rollIn",
    "tuck",
    "upRaiseL",
    "upRaiseR",
    "loDepressL",
    "loDepressR",
    "part",
    "puff",
    "noseWrinkle",
    "tongueUp",
    "tongueOut",
    "blinkL",
    "blinkR",
    "squintL",
    "squintR",
    "wideL",
    "wideR",
    "browInner",
    "browOuterL",
    "browOuterR",
    "browDownL",
    "browDownR",
    "lipsTogether",
)


def semantic_vector(weights: Mapping[str, float] | ArrayLike) -> NDArray[np.float64]:
    """A dict of names, or an array (..., 36), -> (..., 36) weights.

    Raises:
        UsageError: unknown name or wrong length.
    """
    if isinstance(weights, Mapping):
        unknown = [name for name in weights if name not in SEMANTIC]
        if unknown:
            raise UsageError(
                f"there is no semantic expression called {unknown[0]!r}",
                f"known: {', '.join(SEMANTIC)}",
                "use these names",
            )
        out = np.zeros(len(SEMANTIC))
        for name, value in weights.items():
            out[SEMANTIC.index(name)] = value
        return out
    out = np.asarray(weights, np.float64)
    if out.shape[-1:] != (len(SEMANTIC),):
        raise UsageError(
            f"cannot read semantic weights of shape {out.shape}",
            f"their last axis must have {len(SEMANTIC)} entries",
            "pass a dict of names or an array (..., 36)",
        )
    return out


def semantic_to_expression(weights: Mapping[str, float] | ArrayLike) -> NDArray[np.float64]:
    """Semantic weights (dict, or (..., 36)) -> (..., 79) coefficients in standard deviations; exact and linear."""
    return semantic_vector(weights) @ head_parts().from_semantic


def expression_to_semantic(expression: ArrayLike) -> NDArray[np.float64]:
    """(..., 79) coefficients -> (..., 36) weights whose shape comes nearest (least squares over the vertices).

    Exact for semantic expressions, but for a simultaneous jawL and jawR: only their difference has a shape.
    """
    parts = head_parts()
    # 35 of the 36 shapes are independent: what is left of the last singular value is rounding on every numpy and BLAS.
    inverse = np.linalg.pinv(parts.from_semantic * parts.sigma, rcond=1e-10)
    weights = np.asarray(expression, np.float64) * parts.sigma @ inverse
    left, right = SEMANTIC.index("jawL"), SEMANTIC.index("jawR")
    slide = weights[..., left] - weights[..., right]
    weights[..., left], weights[..., right] = np.maximum(slide, 0), np.maximum(-slide, 0)
    return weights
