"""The procedural head's data file: packing, refusal of another file, and its part in the keys of stages."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lipbench
from lipbench.core.errors import LipbenchError
from lipbench.faces.morphable import procedural
from lipbench.faces.morphable.packing import pack, unpack

ROOT = Path(lipbench.__file__).parent


def test_packed_tables_come_back_bit_for_bit() -> None:
    rng = np.random.default_rng(0)
    table = (rng.normal(size=(3, 50, 3)) * 10.0 ** rng.integers(-30, 30, (3, 50, 3))).astype(np.float32)
    table[0, :6, 0] = [0.0, -0.0, np.inf, -np.inf, np.nan, np.finfo(np.float32).smallest_subnormal]
    assert unpack(pack(table)).tobytes() == table.tobytes()
    assert unpack(pack(table)).flags.c_contiguous


def test_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "procedural-head.npz"
    other.write_bytes(procedural.PATH.read_bytes() + b"\0")
    monkeypatch.setattr(procedural, "PATH", other)
    with pytest.raises(LipbenchError, match="not the file of this version"):
        procedural.head_parts.__wrapped__()
    other.unlink()
    with pytest.raises(LipbenchError, match="cannot read"):
        procedural.procedural_model.__wrapped__()


def test_parts_and_model_fit_together() -> None:
    parts, model = procedural.head_parts(), procedural.procedural_model()
    assert sum(group.size for group in parts.groups.values()) == model.n_vertices
    assert set(parts.lip_index) <= set(model.lips)
    assert parts.mask("lips").sum() == parts.groups["lips"].size
    upper, lower = parts.lip_pairs
    assert (parts.points[upper, 1] >= parts.points[lower, 1]).all()
    assert set(upper) | set(lower) < set(parts.groups["lips"][0])


CODE = """
from pathlib import Path
from lipbench.core import keys
from lipbench.datasets.types import Licence, Manifest
from lipbench.engine.build import PlanBuilder
from lipbench.engine.config import parse_run_file
from lipbench.engine.rows import rows
manifest = Manifest(name="none", version="1", licence=Licence("CC0-1.0", "", "", ""), clips=(), dubs=(), root=Path("."))
config = parse_run_file({"name": "x", "manifest": "none", "methods": ["lipnerf", "ad-nerf"]}, "here")
builder = PlanBuilder(config, manifest)
for row in rows(config, Path(".")):
    for kind in ("prepare", "fit", "synthesize"):
        print(keys.key_of(builder._row(row).owner(kind)))
"""


@pytest.mark.slow
def test_another_head_is_another_key(tmp_path: Path) -> None:
    copy = tmp_path / "lipbench"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns("*.npz", "*.mp4", "*.wav", "*.flac", "__pycache__"))

    def hashes() -> list[str]:
        env = {**os.environ, "PYTHONPATH": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", CODE], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
        )
        return done.stdout.split()

    before = hashes()
    reader = copy / "faces" / "morphable" / "procedural.py"
    reader.write_text(re.sub(r'^SHA256 = "', 'SHA256 = "x', reader.read_text(), flags=re.M))
    assert len(before) == 6
    assert not set(before) & set(hashes())
