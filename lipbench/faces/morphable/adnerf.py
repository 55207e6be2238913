"""BFM 2009 with FaceWarehouse expressions in AD-NeRF's layout: `3DMM_info.npy`, `keys_info.npy`, `topology_info.npy`.

Layout and scaling: AD-NeRF data_util/face_tracking/{convert_BFM.py, facemodel.py}. Everything is divided by 1e5 (BFM is
in micrometers); the mean is mu_shape + mu_exp, centered on every axis; the first 100 identity and texture modes and all
79 expression modes are used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lipbench.core.errors import UsageError
from lipbench.core.weights.opening import unreadable
from lipbench.faces.morphable.base import Array, LandmarkIndices, MorphableModel
from lipbench.faces.morphable.unpickle import load_object_npy

SCALE = 1e5
LICENCE = "Basel Face Model: research use only, not to be passed on; FaceWarehouse expressions: non-commercial research"
FILES = ("3DMM_info.npy", "keys_info.npy", "topology_info.npy")
_NEEDED = {
    "3DMM_info.npy": ("mu_shape", "b_shape", "sig_shape", "mu_exp", "b_exp", "sig_exp", "mu_tex", "b_tex", "sig_tex"),
    "keys_info.npy": ("keyinds", "left_contour", "right_contour", "rigid_ids"),
    "topology_info.npy": ("tris",),
}


def _read(path: Path) -> dict[str, Array]:
    found: Any = load_object_npy(path)
    missing = [key for key in _NEEDED[path.name] if not isinstance(found, dict) or key not in found]
    if missing:
        raise unreadable(path, f"it has no entry {missing[0]!r}", "use the file that AD-NeRF's convert_BFM.py writes")
    return {key: np.asarray(value) for key, value in found.items()}


def load_adnerf(folder: str | Path, *, identity: int = 100, expression: int = 79, albedo: int = 100) -> MorphableModel:
    """The model from the three files in `folder`; re-saved there as `3dmm.npz`, which is read from then on.

    Raises:
        UsageError: a file is missing.
        WeightsError: a file is damaged, not of this layout, or a pickle that asks for anything but arrays.
    """
    folder = Path(folder)
    cached = folder / "3dmm.npz"
    newest = max((p.stat().st_mtime for name in FILES if (p := folder / name).exists()), default=0.0)
    if cached.exists() and cached.stat().st_mtime >= newest:
        return MorphableModel.load(cached).truncated(identity, expression, albedo)
    for name in FILES:
        if not (folder / name).is_file():
            raise UsageError(
                f"there is no {name} in {folder}",
                "a BFM 2009 model in AD-NeRF's layout has three files",
                f"put {', '.join(FILES)} into one folder",
            )
    info, keys, topology = (_read(folder / name) for name in FILES)
    n = info["mu_shape"].size // 3
    for key in ("b_shape", "b_exp", "b_tex"):
        if info[key].shape[1] != 3 * n:
            raise unreadable(
                folder / FILES[0],
                f"{key} is {info[key].shape}, expected (K, {3 * n})",
                "use the file that AD-NeRF's convert_BFM.py writes",
            )

    def basis(key: str, scale: float) -> Array:
        return (info[key].reshape(-1, n, 3) / scale).astype(np.float32)

    def sigma(key: str, k: int) -> Array:
        return info[key].ravel()[:k].astype(np.float32)

    mean = (info["mu_shape"] + info["mu_exp"]).reshape(n, 3).astype(np.float64) / SCALE
    shapes = {key: basis(key, SCALE) for key in ("b_shape", "b_exp")}
    colors = basis("b_tex", 255.0)
    model = MorphableModel(
        name="adnerf-3dmm",
        licence=LICENCE,
        mean=(mean - mean.mean(0)).astype(np.float32),
        identity_basis=shapes["b_shape"],
        identity_sigma=sigma("sig_shape", len(shapes["b_shape"])),
        expression_basis=shapes["b_exp"],
        expression_sigma=sigma("sig_exp", len(shapes["b_exp"])),
        triangles=topology["tris"].astype(np.int64),
        albedo_mean=(info["mu_tex"].reshape(n, 3) / 255.0).astype(np.float32),
        albedo_basis=colors,
        albedo_sigma=sigma("sig_tex", len(colors)),
        landmarks=LandmarkIndices(
            keys["keyinds"].astype(np.int64),
            keys["left_contour"].astype(np.int64),
            keys["right_contour"].astype(np.int64),
        ),
        rigid=keys["rigid_ids"].astype(np.int64),
    )
    try:
        model.save(cached)
    except OSError:
        pass  # a read-only folder: the pickles are read again next time
    return model.truncated(identity, expression, albedo)
