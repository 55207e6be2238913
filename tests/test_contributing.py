"""The example method that CONTRIBUTING.md prints: found, run and type-checked as printed."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lipbench.core import registry

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(python|toml)\n(.*?)^```$", re.M | re.S)


def blocks(language: str) -> list[str]:
    """The code blocks of one language in CONTRIBUTING.md."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return [code for name, code in BLOCK.findall(text) if name == language]


def written(folder: Path) -> list[Path]:
    """The example's files, each where its first line says."""
    files = []
    for code in blocks("python"):
        if match := re.match(r"# (blurred_mouth/\w+\.py)\n", code):
            file = folder / match[1]
            file.parent.mkdir(exist_ok=True)
            (file.parent / "__init__.py").touch()
            file.write_text(code, encoding="utf-8")
            files.append(file)
    assert [file.name for file in files] == ["spec.py", "method.py"]
    return files


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The example as a package that was installed, worker processes included."""
    site = tmp_path / "site"
    info = site / "blurred_mouth-1.0.dist-info"
    info.mkdir(parents=True)
    written(site)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: blurred-mouth\nVersion: 1.0\n")
    group, name, module = re.search(r'entry-points\."([\w.]+)"\]\n(\S+) = "(\S+)"', blocks("toml")[0]).groups()  # type: ignore[union-attr]
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", str(ROOT))]))
    monkeypatch.syspath_prepend(site)
    registry.refresh()
    yield site
    monkeypatch.undo()
    for name in [name for name in sys.modules if name.startswith("blurred_mouth")]:
        del sys.modules[name]
    registry.refresh()


def test_the_example_is_short() -> None:
    lines = [line for code in blocks("python") for line in code.splitlines() if line.strip()]
    assert len(lines) <= 40


def test_the_example_method_blurs_the_mouth(installed: Path, tmp_path: Path) -> None:
    from lipbench.cli.doctor_method import tiny
    from lipbench.engine import api

    manifest = tiny(tmp_path / "clip", 8)
    config = {"name": "example", "manifest": "tiny", "methods": ["dubbed", "blurred-mouth"], "metrics": ["psnr_mouth"]}
    prepared = api.prepare(config, out=tmp_path / "run", manifest=manifest)
    result = api.execute(prepared, workers=1, quiet=True)
    assert {cell["method"]: cell["reason"] for cell in result.cells} == {"dubbed": None, "blurred-mouth": None}
    scores = {cell["method"]: cell["metrics"]["psnr_mouth"]["value"] for cell in result.cells}
    assert scores["dubbed"] == "inf"
    assert 10 < scores["blurred-mouth"] < 40
    assert "Blurred mouth" in result.table()


def test_a_type_checker_finds_nothing_wrong_with_the_example(tmp_path: Path) -> None:
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed; the session `types` runs this")
    files = written(tmp_path)
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), *map(str, files)]
    env = {**os.environ, "MYPYPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
