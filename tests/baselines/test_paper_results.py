"""Table I of the LipNeRF paper stands in the specs of its rows, and in tables beside ours."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from lipbench.core import registry
from lipbench.engine import api
from lipbench.reports.tables import table_text

#: Row of Table I -> LSE-D, LSE-C, PSNR, SSIM, LPIPS.
TABLE_I = {
    "speech2vid": (10.97, 1.71, 27.67, 0.84, 0.26),
    "makeittalk": (10.23, 2.21, 14.15, 0.25, 0.39),
    "pc-avs": (8.78, 3.65, 14.68, 0.30, 0.48),
    "wav2lip": (8.06, 4.77, 28.90, 0.89, 0.17),
    "ad-nerf": (11.40, 1.28, 27.38, 0.84, 0.20),
    "lipnerf": (9.92, 2.71, 30.10, 0.89, 0.16),
    "dubbed": (12.02, 0.84, math.inf, 1.0, 0.0),
}
METRICS = ("lse_d", "lse_c", "psnr_full", "ssim_full", "lpips_full")


@pytest.mark.parametrize("name", TABLE_I)
def test_the_papers_numbers(name: str) -> None:
    assert registry.method_spec(name).paper_results == dict(zip(METRICS, TABLE_I[name], strict=True))


def test_every_published_number_is_of_a_metric() -> None:
    known = {m.id for family in registry.names("metrics") for m in registry.load("metrics", family).metrics}
    assert set(METRICS) <= known


def test_table_shows_them_unranked_beside_ours(tmp_path: Path) -> None:
    run = {"manifest": "demo", "clips": ["demo-en"], "languages": ["fr"], "metrics": ["psnr_full", "lse_d"]}
    methods = ["dubbed", {"id": "wav2lip", "label": "a"}, {"id": "wav2lip", "label": "b"}]
    planned = api.prepare({**run, "methods": methods}, out=tmp_path)
    from lipbench.engine import cells, index  # the two files that tables read, of a run that has measured nothing yet
    from lipbench.engine.plan import PlanState

    state = PlanState(planned.plan, planned.store)
    index.write_run(tmp_path, planned.config, "", planned.rows, planned.measured, planned.plan.cells)
    lines = index.cells_json(planned.plan, state, planned.store, None, planned.rows, planned.measured)
    cells.write_cells(tmp_path, lines)
    data = json.loads(table_text(tmp_path, format="json", paper=True))
    paper = {row["method"]: row["metrics"] for row in data["rows"] if row.get("paper")}
    assert list(paper) == ["a", "dubbed"]  # once for both rows of Wav2Lip
    assert paper["a"]["psnr_full"]["mean"] == 28.9
    assert paper["dubbed"]["psnr_full"]["mean"] == "inf"
    assert paper["dubbed"]["lse_d"]["mean"] == 12.02
    text = table_text(tmp_path, paper=True)
    assert "Wav2Lip †" in text
    assert "Table I of the LipNeRF paper" in text
    assert "Wav2Lip †" not in table_text(tmp_path)
