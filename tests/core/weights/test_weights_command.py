"""`lipbench weights`: what it lists, gets, adds and checks."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from lipbench.core import weights
from lipbench.core.errors import UnknownName, WeightsMismatch, WeightsMissing

GOOD = b"PK\x03\x04 the right file"
SHA = hashlib.sha256(GOOD).hexdigest()


def invoke(*args: str):
    from lipbench.cli.weights import main

    return CliRunner().invoke(main, list(args))


def test_list_json(register, folder: Path, tmp_path: Path) -> None:
    register("net", sha256=SHA)
    (tmp_path / "x").write_bytes(GOOD)
    weights.add("net", tmp_path / "x")
    rows = {row["name"]: row for row in json.loads(invoke("list", "--json").stdout)}
    assert rows["net"]["state"] == "ok"
    assert rows["net"]["sha256"] == SHA
    assert rows["syncnet_v2"]["state"] == "missing"
    assert "get syncnet_v2" in rows["syncnet_v2"]["how"]
    assert "licence: Apache-2.0" in invoke("list").stdout


def test_get_prints_the_licence_before_it_downloads(register, server) -> None:
    root, address = server
    (root / "net.pth").write_bytes(GOOD)
    register("net", sha256=SHA, urls=(address + "net.pth",))
    result = invoke("get", "net", "--json")  # --json leaves stdout to the answer: both lines go to stderr
    assert result.exit_code == 0
    assert result.stderr.index("licence: none") < result.stderr.index("downloading")
    assert json.loads(result.stdout)[0]["sha256"] == SHA
    assert "licence: none" in invoke("get", "net").stdout


def test_misspelt_second_name_stops_before_the_first_download(register, server) -> None:
    root, address = server
    (root / "net.pth").write_bytes(GOOD)
    register("net", sha256=SHA, urls=(address + "net.pth",))
    assert isinstance(invoke("get", "net", "nett").exception, UnknownName)
    assert not weights.available("net")


def test_one_that_cannot_be_had_keeps_none_of_the_others_from_coming(register, server) -> None:
    root, address = server
    (root / "net.pth").write_bytes(GOOD)
    register("gone", sha256=SHA, urls=(address + "gone.pth",))
    register("net", sha256=SHA, urls=(address + "net.pth",))
    register("lost", sha256=SHA, urls=(address + "lost.pth",))
    result = invoke("get", "gone", "net", "lost")
    assert weights.available("net")
    assert isinstance(result.exception, WeightsMissing)
    assert "lost.pth" in str(result.exception)
    assert "gone.pth" in result.stderr


def test_add_and_check(register, folder: Path, tmp_path: Path) -> None:
    register("net", where="a page")
    with zipfile.ZipFile(tmp_path / "x", "w") as z:  # as torch.save writes
        z.writestr("archive/data.pkl", b"z")
    result = invoke("add", "net", str(tmp_path / "x"))
    assert "recorded now" in result.output
    assert invoke("check", "net").exit_code == 0
    assert isinstance(invoke("check", "net", "syncnet_v2").exception, WeightsMissing)
    (folder / "net.pth").write_bytes(b"PK changed")
    assert isinstance(invoke("check").exception, WeightsMismatch)


def test_importing_the_registry_imports_no_torch() -> None:
    code = (
        "import sys, lipbench.core.weights, lipbench.cli.weights; print('torch' in sys.modules, 'pooch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split() == ["False"] * 2


@pytest.mark.net
@pytest.mark.real
def test_mediapipe_face_from_the_real_wheel() -> None:
    weights.get("mediapipe-face")
    assert weights.sha256("mediapipe-face") == "5dc583a621b67875e907f41923fec9621810f3047d5fbbe5871742d4ff0067aa"
