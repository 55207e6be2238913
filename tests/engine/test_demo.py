"""What `lipbench run` does without an argument needs nothing that the package does not carry."""

from __future__ import annotations

from pathlib import Path

import pytest

from lipbench.core import weights
from lipbench.datasets.manifest import resolve
from lipbench.engine.build import build
from lipbench.engine.config import parse_run_file
from lipbench.engine.demo import demo_run
from lipbench.engine.rows import families
from lipbench.nerf.relief.config import relief_preset

TABLE_I = {"speech2vid", "makeittalk", "pc-avs", "wav2lip", "ad-nerf", "lipnerf", "dubbed"}


def test_every_row_of_table_1_runs_with_packaged_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPBENCH_WEIGHTS", str(tmp_path / "none"))
    plan, rows, _ = build(parse_run_file(demo_run(), "demo"), resolve("demo"), tmp_path)
    assert {row.method.spec.id for row in rows} >= TABLE_I
    assert [node.id for node in plan.nodes.values() if node.refusal is not None] == []
    assert {cell.method for cell in plan.cells} == {row.label for row in rows}


def test_lipnerf_is_driven_by_the_speech2vid_row(tmp_path: Path) -> None:
    rows = build(parse_run_file(demo_run(), "demo"), resolve("demo"), tmp_path)[1]
    by_id = {row.method.spec.id: row for row in rows}
    named, params = by_id["lipnerf"].method.driver(by_id["lipnerf"].params)
    assert named == "speech2vid"
    assert by_id[named].method.spec.params(**params) == by_id["speech2vid"].params


def test_lipnerf_is_trained_as_long_as_fits_that_are_right_need(tmp_path: Path) -> None:
    rows = build(parse_run_file(demo_run(), "demo"), resolve("demo"), tmp_path)[1]
    params = next(row.params for row in rows if row.method.spec.id == "lipnerf")
    assert params.steps == 350
    found = relief_preset(params.preset, params.settings)
    assert not found.registration
    assert found.field.appearances == found.field.behind == 0
    assert not found.field.mouth_looks


def test_lpips_says_that_it_sees_every_fifth_frame(tmp_path: Path) -> None:
    measured = {family.id: (family, options) for family, options in families(parse_run_file(demo_run(), "demo"))}
    assert list(measured) == [family.id for family, _ in families(parse_run_file({**demo_run(), "metrics": []}, "all"))]
    family, options = measured["lpips"]
    assert options["every"] == 5
    assert family.named(family.metrics[0], options).title == "LPIPS, every 5th frame"


def test_packaged_weights_stay_small() -> None:
    sizes = [entry.size for entry in weights.registry().values() if entry.name.endswith(("-demo", "demo-face"))]
    assert sum(size or 0 for size in sizes) < 25 * 2**20
    assert len(sizes) >= 8
