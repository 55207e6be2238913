"""AU error: how far the intensities of facial action units are from those of another video, as OpenFace writes them."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import UsageError

#: Of OpenFace 2.2's regressed units.
LOWER = ("AU10", "AU12", "AU14", "AU15", "AU17", "AU20", "AU23", "AU25", "AU26")
UPPER = ("AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU45")
PARTS = {"lower": LOWER, "upper": UPPER, "all": UPPER + LOWER}

Units = Mapping[str, NDArray[np.float64]]


def au_error(prediction: Units, reference: Units, part: str = "lower") -> float:
    """Sum over action units of the mean squared difference of their intensities (AUE-L, AUE-U).

    Args:
        prediction: unit ("AU12") -> (T,) intensities, 0 to 5.
        reference: the same of what it is compared to.
        part: "lower", "upper" or "all" of the face.

    Returns:
        Squared intensities, 0 when equal, lower is closer. Frames beyond the shorter series are left out.

    Raises:
        UsageError: another part, or a unit that is missing.

    Source:
        github.com/Fictionarry/TalkingGaussian, auerror.py.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics import au_error
        >>> from lipbench.metrics.functional.action_units import PARTS
        >>> still = {unit: np.zeros(10) for unit in PARTS["all"]}
        >>> au_error({**still, "AU25": np.full(10, 2.0)}, still)
        4.0
    """
    if part not in PARTS:
        raise UsageError(f"there is no part {part!r} of the face", "", f"one of {', '.join(PARTS)}")
    return sum(unit_error(prediction, reference, unit) for unit in PARTS[part])


def unit_error(prediction: Units, reference: Units, unit: str) -> float:
    """Mean squared difference of one unit's intensities; frames beyond the shorter series are left out.

    Raises:
        UsageError: a series lacks the unit.
    """
    if unit not in prediction or unit not in reference:
        raise UsageError(f"there are no intensities of {unit}", "", "run OpenFace's FeatureExtraction with -aus")
    n = min(len(prediction[unit]), len(reference[unit]))
    return float(np.mean(np.square(prediction[unit][:n] - reference[unit][:n])))


def read_openface(path: str | Path) -> dict[str, NDArray[np.float64]]:
    """The intensities in a CSV file of OpenFace's FeatureExtraction: "AU12" -> (T,).

    Args:
        path: the file, with columns such as " AU12_r".

    Raises:
        UsageError: it cannot be read, or has no such column.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            rows = csv.reader(file, skipinitialspace=True)
            names = [name.strip() for name in next(rows, [])]
            values = np.array([[float(cell) for cell in row] for row in rows if row], np.float64)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"cannot read {path}", str(error), "name a CSV file of OpenFace's FeatureExtraction"
        ) from error
    found = {n.removesuffix("_r"): values[:, i] for i, n in enumerate(names) if n.endswith("_r") and len(values)}
    if not found:
        raise UsageError(f"{path} has no intensities of action units", "no column AU.._r", "run OpenFace with -aus")
    return found
