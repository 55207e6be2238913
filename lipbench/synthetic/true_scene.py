"""A scene whose answer is known: a generated clip with its true pose, expression, masks and plate.

The upper bound for a fit and a parser, and what the field is tuned on.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipbench import media
from lipbench.core.errors import MediaError
from lipbench.datasets.annotations import Annotations
from lipbench.faces.morphable.semantic import SEMANTIC, semantic_to_expression
from lipbench.faces.raster import SurfaceLabel
from lipbench.lipnerf.face_boxes import eye_boxes, eye_opening, mouth_boxes
from lipbench.nerf.scene import Scene
from lipbench.nerf.scene_from_fit import make_scene
from lipbench.synthetic.corpus.render import RenderedShot
from lipbench.synthetic.corpus.scene import plan
from lipbench.synthetic.corpus.spec import ClipSpec

#: Classes of the rendered label map that belong to the head.
HEAD = (
    SurfaceLabel.SKIN,
    SurfaceLabel.HAIR,
    SurfaceLabel.LIP,
    SurfaceLabel.MOUTH,
    SurfaceLabel.TEETH,
    SurfaceLabel.EYE,
    SurfaceLabel.EAR,
)


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
    shot = RenderedShot(planned, language)
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
