"""3D morphable models behind one interface: the procedural head (default) and loaders for files that users bring.

model = load_model()                       # procedural
model = load_model("path/to/AD-NeRF/3DMM") # BFM 2009 + FaceWarehouse, 79 expressions
model = load_model("model2019_bfm.h5")     # needs h5py
model = load_model("generic_model.pkl")    # FLAME
"""

from __future__ import annotations

from pathlib import Path

from lipbench.core.errors import UsageError
from lipbench.faces.morphable.base import LandmarkIndices, MorphableModel
from lipbench.faces.morphable.procedural import procedural_model

__all__ = ["LandmarkIndices", "MorphableModel", "load_model"]


def load_model(source: str | Path = "procedural") -> MorphableModel:
    """A model by name ("procedural") or from a file or folder.

    Raises:
        UsageError: no such file, or a format that is not known.
    """
    if str(source) == "procedural":
        return procedural_model()
    path = Path(source)
    if not path.exists():
        raise UsageError(
            f"there is no morphable model {source}", "it is neither a file nor a folder", 'use "procedural" or a path'
        )
    if path.is_dir():
        from lipbench.faces.morphable.adnerf import load_adnerf

        return load_adnerf(path)
    if path.suffix == ".npz":
        return MorphableModel.load(path)
    if path.suffix in (".h5", ".hdf5"):
        from lipbench.faces.morphable.bfm import load_bfm

        return load_bfm(path)
    if path.suffix == ".pkl":
        from lipbench.faces.morphable.flame import load_flame

        return load_flame(path)
    raise UsageError(
        f"cannot tell what kind of morphable model {path} is",
        f"its ending is {path.suffix!r}",
        "use a folder with AD-NeRF's files, .h5 (BFM), .pkl (FLAME) or .npz",
    )
