"""What results say of files is true after the run: the files are where they are said to be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from lipbench.datasets.types import Manifest
from lipbench.engine import api
from lipbench.engine.messages import lasting
from lipbench.engine.outcome import RunOptions


def test_paths_of_the_workspace_become_those_of_the_record(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    home = Path("objects/ab/abc")
    error = {"reason": "crash", "what": f"{link}/out/x.mp4 and {real}/log.txt", "why": "/elsewhere", "traceback": ""}
    assert lasting(error, link, home) == {**error, "what": "objects/ab/abc/out/x.mp4 and objects/ab/abc/log.txt"}
    assert lasting(None, link, home) is None


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["{python}", "-c", "import sys; print('words'); sys.exit(3)"], "crash"),
        (["{python}", "-c", "print('words')"], "bad_output"),
    ],
)
def test_the_logs_of_a_failed_command_are_where_the_table_says(
    argv: list[str], reason: str, manifest: Manifest, tmp_path: Path
) -> None:
    (tmp_path / "code").mkdir()
    file = tmp_path / "m.yaml"
    file.write_text(yaml.safe_dump({"name": "m", "repo": {"path": "code"}, "argv": argv, "needs": {"faces": False}}))
    request = {"manifest": "t", "metrics": ["fake"], "methods": [{"file": str(file)}], "clips": ["one"]}
    prepared = api.prepare({**request, "languages": ["fr"]}, out=tmp_path / "run", manifest=manifest)
    result = api.execute(prepared, workers=1, quiet=True, options=RunOptions(retries=0))
    (cell,) = result.cells
    assert cell["reason"].startswith(reason)
    assert "work" not in cell["reason"]
    (named,) = re.findall(r"read (objects/\S+/stdout\.txt) and stderr\.txt", cell["reason"])
    assert (tmp_path / "run" / named).read_text() == "words\n"
    assert (tmp_path / "run" / named).with_name("stderr.txt").exists()
