"""Write the procedural head's data file, and its hash into the module that reads it: after every change of the head.

    python -m tools.bake_head            # writes lipbench/faces/morphable/data/procedural-head.npz
    python -m tools.bake_head --check    # says whether the file is what the builder makes, to the last bit

The same arrays give the same bytes. Another processor's linear algebra may round the expression modes otherwise in the
last bit, so bake where the tables of a release are made.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.morphable import procedural
from lipbench.faces.morphable.base import MorphableModel
from lipbench.faces.morphable.packing import pack
from lipbench.synthetic.head import mouth
from lipbench.synthetic.head.expression_space import expression_space
from lipbench.synthetic.head.expressions import semantic_shapes
from lipbench.synthetic.head.model import build_model
from lipbench.synthetic.head.template import template

BASES = ("identity_basis", "expression_basis", "albedo_basis")


def built() -> tuple[MorphableModel, procedural.HeadParts]:
    """The head as its builder makes it, in the form in which the product reads it."""
    t, space, model = template(), expression_space(), build_model()
    upper, lower = procedural.opposite_lips(t.groups["lips"])
    heights = semantic_shapes()[:, :, 1]
    parts = procedural.HeadParts(
        points=t.points,
        groups=t.groups,
        landmarks=model.require_landmarks(),
        vermilion=len(mouth.VERMILION),
        sigma=space.sigma,
        from_semantic=space.from_semantic,
        lip_opening=heights[:, upper] - heights[:, lower],
    )
    return model, parts


def arrays(model: MorphableModel, parts: procedural.HeadParts) -> dict[str, NDArray[Any]]:
    """What the file holds. Groups follow each other without gaps, so their names and shapes say it all."""
    shapes = [(*group.shape, 0)[:2] for group in parts.groups.values()]
    in_order = np.concatenate([group.ravel() for group in parts.groups.values()])
    if not (in_order == np.arange(len(parts.points))).all():
        raise SystemExit("the groups do not number the vertices in order: the file's layout cannot hold them")
    marks = parts.landmarks
    if marks.left is None or marks.right is None:
        raise SystemExit("the head has no candidates for its contour")
    whole = {
        "triangles": model.triangles,
        "rigid": model.rigid,
        "landmarks": marks.points,
        "contour_left": marks.left,
        "contour_right": marks.right,
        "vermilion": np.array(parts.vermilion),
        "group_shapes": np.array(shapes),
    }
    return {
        **{name: table.astype(np.int32) for name, table in whole.items()},
        "group_names": np.array(list(parts.groups)),
        **{name: getattr(parts, name) for name in ("points", "sigma", "from_semantic", "lip_opening")},
        **{name: getattr(model, name) for name in ("identity_sigma", "albedo_mean", "albedo_sigma")},
        **{name: pack(getattr(model, name)) for name in BASES},
    }


def main() -> None:
    """Write or check the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare and write nothing")
    check = parser.parse_args().check
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays(*built()))  # type: ignore[arg-type]  # no array is called allow_pickle
    data = buffer.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    if check:
        raise SystemExit(None if digest == procedural.SHA256 else "the file is not what the builder makes here")
    procedural.PATH.parent.mkdir(exist_ok=True)
    procedural.PATH.write_bytes(data)
    reader = Path(procedural.__file__)
    reader.write_text(re.sub(r'^SHA256 = ".*"$', f'SHA256 = "{digest}"', reader.read_text(), flags=re.M))
    print(f"{procedural.PATH}: {len(data) / 1e6:.2f} MB, {digest}")


if __name__ == "__main__":
    main()
