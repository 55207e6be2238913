"""Basel Face Model 2017 and 2019 (`model2017-1_face12_nomouth.h5`, `model2019_bfm.h5`, ...), read with h5py.

Groups shape, expression and color each hold model/mean (3N,), model/pcaBasis (3N, K), model/pcaVariance (K,) and
representer/cells (3, M); lengths in mm. Sigma is the square root of the variance. The published files name no
68-point landmarks: pass vertex numbers.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lipbench.core.errors import UsageError
from lipbench.core.weights.opening import looked_at, reading
from lipbench.faces.morphable.base import Array, LandmarkIndices, MorphableModel

MM_PER_DM = 100.0
_FIX = "use the original .h5 file of BFM 2017 or 2019"
LICENCE = "Basel Face Model: research use only, on signed agreement with the University of Basel"


def _h5py() -> Any:
    try:
        return importlib.import_module("h5py")
    except ImportError as error:
        raise UsageError(
            "cannot read a Basel Face Model", "its files are HDF5 and h5py is not installed", "pip install h5py"
        ) from error


def load_bfm(
    path: str | Path,
    *,
    landmarks: ArrayLike | None = None,
    identity: int = 100,
    expression: int = 79,
    albedo: int = 100,
) -> MorphableModel:
    """Read a BFM 2017 or 2019 file; the first `expression` of its 100 expression modes are kept.

    Args:
        landmarks: 68 vertex numbers in the iBUG order, or None.

    Raises:
        UsageError: h5py is missing.
        WeightsMissing, WeightsError: no such file, or it is not of this layout.
    """
    path = looked_at(path, _FIX)
    h5py = _h5py()
    with reading(path, _FIX) as path, h5py.File(path, "r") as file:
        groups = {name: _group(file, name) for name in ("shape", "expression", "color")}
        cells = np.asarray(file["shape/representer/cells"], np.int64)
    mean, id_basis, id_sigma = groups["shape"]
    extra, exp_basis, exp_sigma = groups["expression"]
    color, color_basis, color_sigma = groups["color"]
    triangles = cells.T if cells.shape[0] == 3 else cells
    return MorphableModel(
        name="bfm2019" if "2019" in Path(path).name else "bfm2017",
        licence=LICENCE,
        mean=((mean + extra) / MM_PER_DM).astype(np.float32),
        identity_basis=id_basis[:identity],
        identity_sigma=(id_sigma[:identity] / MM_PER_DM).astype(np.float32),
        expression_basis=exp_basis[:expression],
        expression_sigma=(exp_sigma[:expression] / MM_PER_DM).astype(np.float32),
        triangles=np.ascontiguousarray(triangles),
        albedo_mean=color.astype(np.float32),
        albedo_basis=color_basis[:albedo],
        albedo_sigma=color_sigma[:albedo].astype(np.float32),
        landmarks=None if landmarks is None else LandmarkIndices(np.asarray(landmarks, np.int64)),
    )


def _group(file: Any, name: str) -> tuple[Array, Array, Array]:
    """mean (N, 3), basis (K, N, 3) float32 and sigma (K,) of one group."""
    model = file[f"{name}/model"]
    mean = np.asarray(model["mean"], np.float64).reshape(-1, 3)
    basis = np.asarray(model["pcaBasis"], np.float32)
    sigma = np.sqrt(np.asarray(model["pcaVariance"], np.float64).ravel())
    if basis.shape != (mean.size, len(sigma)):
        raise ValueError(f"{name}/model/pcaBasis is {basis.shape}, expected ({mean.size}, {len(sigma)})")
    return mean, np.ascontiguousarray(basis.T).reshape(-1, len(mean), 3), sigma
