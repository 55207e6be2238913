"""The packaged head is the one that the builder makes: after an edit of the head, `python -m tools.bake_head`."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from lipbench.faces.morphable.base import MorphableModel
from lipbench.faces.morphable.procedural import HeadParts, head_parts, procedural_model
from tools import bake_head

Head = tuple[MorphableModel, HeadParts]


@pytest.fixture(scope="module")
def built() -> Head:
    return bake_head.built()


def tables(values: dict[str, Any]) -> dict[str, Any]:
    """Dicts within a dict, taken out."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        out |= tables({f"{name}.{k}": v for k, v in value.items()}) if isinstance(value, dict) else {name: value}
    return out


def same(a: Any, b: Any) -> bool:
    """Equal bit for bit, but for what another processor's linear algebra rounds otherwise (1e-10 was seen)."""
    if not isinstance(a, np.ndarray):
        return bool(a == b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    rounding = {"float32": 3e-7, "float64": 1e-10}.get(str(a.dtype), 0)
    return bool(np.abs(a - b).max() <= rounding * np.abs(b).max())


def edited_tables(built: Head) -> list[str]:
    """Names of what is not in the file as the builder makes it."""
    wanted = tables({"model": asdict(built[0]), "parts": asdict(built[1])})
    found = tables({"model": asdict(procedural_model()), "parts": asdict(head_parts())})
    assert list(found) == list(wanted)
    return [name for name in wanted if not same(found[name], wanted[name])]


def test_every_table_of_the_file_is_the_builders(built: Head) -> None:
    assert edited_tables(built) == []


def test_a_hair_of_a_difference_is_noticed(built: Head) -> None:
    model, parts = built
    points = parts.points.copy()
    points[100, 1] += 1e-8  # dm
    groups = {**parts.groups, "skin": parts.groups["skin"][::-1]}
    albedo = model.albedo_sigma * np.float32(1.000001)
    other = replace(model, albedo_sigma=albedo), replace(parts, points=points, groups=groups)
    assert edited_tables(other) == ["model.albedo_sigma", "parts.points", "parts.groups.skin"]
