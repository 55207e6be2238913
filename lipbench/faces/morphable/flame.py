"""FLAME (`generic_model.pkl` and the 2020/2023 releases): shape and expression modes, the jaw joint as expressions.

The pickle holds chumpy arrays and a sparse matrix; both are read without chumpy and without running anything (see
`unpickle`). v_template (N, 3) m, shapedirs (N, 3, 300 + 100), posedirs (N, 3, 36), J_regressor (5, N), weights (N, 5),
f (M, 3). FLAME opens the mouth with a joint; a linear model cannot, so the jaw's turn about each axis is linearised at
one standard deviation and comes first among the expression modes: open, to the right, tilt.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lipbench.core.weights.opening import unreadable
from lipbench.faces.morphable.base import Array, LandmarkIndices, MorphableModel
from lipbench.faces.morphable.unpickle import ArrayHolder, load_pickle

DM_PER_M = 10.0
N_SHAPE = 300
JAW_JOINT = 2  # order of the joints: root, neck, jaw, left eye, right eye
JAW_SIGMA = np.deg2rad([9.0, 3.0, 2.0])  # typical spread in speech about x, y, z
LICENCE = "FLAME: see the licence of the release the file came from (Max Planck Society; 2023 Open: CC BY 4.0)"


def _array(value: Any) -> Array:
    if isinstance(value, ArrayHolder):
        value = value.unwrap()
    if hasattr(value, "toarray"):
        value = value.toarray()
    return np.asarray(value)


def _rotation(axis: int, angle: float) -> Array:
    c, s = np.cos(angle), np.sin(angle)
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    out = np.eye(3)
    out[i, i] = out[j, j] = c
    out[i, j], out[j, i] = -s, s
    return out


def load_flame(
    path: str | Path, *, landmarks: ArrayLike | None = None, identity: int = 100, expression: int = 79
) -> MorphableModel:
    """Read a FLAME pickle. `expression` modes in all: 3 of the jaw, then those of the file.

    Args:
        landmarks: 68 vertex numbers in the iBUG order, or None (FLAME's own embedding lies inside triangles).

    Raises:
        WeightsMissing, WeightsError: no such file, damaged, no FLAME file, or a pickle
            that asks for anything but arrays.
    """
    found = load_pickle(path, chumpy=True, sparse=True)
    needed = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "f")
    missing = [key for key in needed if not isinstance(found, dict) or key not in found]
    if missing:
        raise unreadable(path, f"it has no entry {missing[0]!r}", "use the original FLAME .pkl file")
    try:
        template, dirs, pose_dirs, regressor, weights, faces = (_array(found[key]) for key in needed)
    except KeyError as error:
        raise unreadable(path, "an array in it has no values", "use the original FLAME .pkl file") from error
    n = len(template)
    if dirs.shape[2] <= N_SHAPE:
        raise unreadable(
            path,
            f"it has {dirs.shape[2]} modes, the expressions start after {N_SHAPE}",
            "use the original FLAME .pkl file",
        )
    joint = regressor @ template
    jaw = np.zeros((3, n, 3))
    for axis, angle in enumerate(JAW_SIGMA):
        rotation = _rotation(axis, float(angle))
        offset = template - joint[JAW_JOINT]
        jaw[axis] = weights[:, JAW_JOINT, None] * (offset @ rotation.T - offset)
        # Corrective shapes are driven by the entries of R - I of every joint but the root.
        feature = slice((JAW_JOINT - 1) * 9, JAW_JOINT * 9)
        jaw[axis] += pose_dirs.reshape(n, 3, -1)[:, :, feature] @ (rotation - np.eye(3)).ravel()
    shape = np.moveaxis(dirs[:, :, :N_SHAPE], 2, 0)[:identity]
    expressions = np.concatenate([jaw, np.moveaxis(dirs[:, :, N_SHAPE:], 2, 0)])[:expression]
    mean = template * DM_PER_M
    return MorphableModel(
        name="flame",
        licence=LICENCE,
        mean=mean.astype(np.float32),
        # FLAME's modes carry their standard deviation already.
        identity_basis=(shape * DM_PER_M).astype(np.float32),
        identity_sigma=np.ones(len(shape), np.float32),
        expression_basis=(expressions * DM_PER_M).astype(np.float32),
        expression_sigma=np.ones(len(expressions), np.float32),
        triangles=faces.astype(np.int64),
        landmarks=None if landmarks is None else LandmarkIndices(np.asarray(landmarks, np.int64)),
    )
