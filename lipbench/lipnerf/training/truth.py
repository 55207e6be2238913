"""A scene whose answer is known: a generated clip with its true pose, expression, masks and plate.

The upper bound for a fit and a parser, and what the field is tuned on.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipbench.core import media
from lipbench.core.errors import MediaError
from lipbench.datasets.synthetic.annotations import Annotations
from lipbench.datasets.synthetic.render import Shot
from lipbench.datasets.synthetic.scene import plan
from lipbench.datasets.synthetic.spec import ClipSpec
from lipbench.faces.morphable.procedural import SEMANTIC, semantic_to_expression
from lipbench.faces.raster import Label
from lipbench.lipnerf.scene import Scene, make_scene

#: Classes of the rendered label map that belong to the head.
HEAD = (Label.SKIN, Label.HAIR, Label.LIP, Label.MOUTH, Label.TEETH, Label.EYE, Label.EAR)
MARGIN = 0.25  # of the mouth's width, round the landmarks of the mouth
#: Half the size of an eye's box, as shares of the distance between the eye's corners: lids and what they move.
EYE_BOX = (0.8, 0.6)


def true_scene(folder: str | Path, language: str | None = None, *, blinks: bool = True) -> Scene:
    """The scene of a generated clip or of one of its dubs.

    Args:
        folder: of the clip, with clip.json, the videos and the annotations.
        language: of the speech; the clip's own when None.
        blinks: False takes the lids out of the expression, so that only a latent code can close the eyes.

    Raises:
        MediaError: not a folder of the generated corpus.
    """
    folder = Path(folder)
    try:
        spec = ClipSpec.from_dict(json.loads((folder / "clip.json").read_text())["spec"])
    except (OSError, ValueError, KeyError) as error:
        raise MediaError(
            f"{folder} is no generated clip", str(error), "make one with: lipbench data synthesize"
        ) from error
    language = language or spec.source
    video = folder / (f"{spec.id}.mp4" if language == spec.source else f"truth_{language}.mp4")
    truth = Annotations.load(folder / f"annotations_{language}.npz")
    planned = plan(spec)
    shot = Shot(planned, language)
    labels = np.stack([shot.label(t) for t in range(spec.n_frames)])
    expression = truth.expression if blinks else without_blinks(truth.semantic)
    return make_scene(
        media.load_frames(video)[: spec.n_frames],
        np.isin(labels, HEAD),
        planned.backdrop,
        truth.rotation,
        truth.translation,
        float(truth.camera[0]),
        (float(truth.camera[1]), float(truth.camera[2])),
        expression,
        mouth_boxes(truth.landmarks68),
        eye_boxes(truth.landmarks68),
        eye_opening(truth.landmarks68),
    )


def without_blinks(semantic: NDArray[np.floating]) -> NDArray[np.float32]:
    """(T, 36) semantic weights -> (T, 79) expressions with the lids left open."""
    still = np.array(semantic, np.float64)
    for k, name in enumerate(SEMANTIC):
        if name.startswith("blink"):
            still[:, k] = 0.0
    return semantic_to_expression(still).astype(np.float32)


def mouth_boxes(landmarks68: NDArray[np.floating], margin: float = MARGIN) -> NDArray[np.int64]:
    """(T, 68, 2) px -> (T, 4) boxes x0, y0, x1, y1 px round the mouth, `margin` of its width wider on each side.

    Frames without landmarks (NaN) take the nearest frame's box.
    """
    points = _filled(landmarks68, slice(48, 68), "mouth")
    low, high = points.min(1), points.max(1)
    grow = margin * (high[:, :1] - low[:, :1])
    return np.concatenate([np.floor(low - grow), np.ceil(high + grow)], 1).astype(np.int64)


def eye_boxes(landmarks68: NDArray[np.floating], half: tuple[float, float] = EYE_BOX) -> NDArray[np.int64]:
    """(T, 68, 2) px -> (T, 2, 4) boxes x0, y0, x1, y1 px round the eyes, image's left first.

    They hang on the corners of the eye, which lids do not move: a blink stays in its place in the box.
    """
    corners = _filled(landmarks68, [36, 39, 42, 45], "eyes").reshape(-1, 2, 2, 2)  # (T, eye, corner, xy)
    middle = corners.mean(2)
    width = np.linalg.norm(corners[:, :, 1] - corners[:, :, 0], axis=-1, keepdims=True)
    reach = width * np.array(half)
    return np.concatenate([np.floor(middle - reach), np.ceil(middle + reach)], -1).astype(np.int64)


def eye_opening(landmarks68: NDArray[np.floating]) -> NDArray[np.float32]:
    """(T, 68, 2) px -> (T,) distance of the lids as a share of the eye's width, mean of both eyes."""
    p = _filled(landmarks68, slice(36, 48), "eyes").reshape(-1, 2, 6, 2)
    far = np.linalg.norm(p[:, :, [1, 2]] - p[:, :, [5, 4]], axis=-1).mean((1, 2))
    width = np.linalg.norm(p[:, :, 0] - p[:, :, 3], axis=-1).mean(1)
    return (far / np.maximum(width, 1e-6)).astype(np.float32)


def _filled(landmarks68: NDArray[np.floating], which: slice | list[int], what: str) -> NDArray[np.float64]:
    """(T, n, 2) of the landmarks; frames without take the nearest frame's."""
    points: NDArray[np.float64] = np.asarray(landmarks68, np.float64)[:, which]
    found = np.isfinite(points).all((1, 2))
    if not found.any():
        raise MediaError(f"no {what} in any frame", "the landmarks are all missing", "check the face track")
    rows = np.flatnonzero(found)
    return points[rows[np.abs(rows[None] - np.arange(len(points))[:, None]).argmin(1)]]
