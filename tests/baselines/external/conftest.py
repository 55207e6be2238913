"""A foreign program that does what it is told, and a clone of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lipbench.baselines.external import load_external
from lipbench.core.method import DubJob

EXAMPLE = Path(__file__).parents[3] / "examples" / "external_fake"
Make = Callable[..., DubJob]


@pytest.fixture
def fake(tmp_path: Path) -> Callable[..., Path]:
    """Writes a method file for the fake: fake("copy", timeout_s=2, ...)."""

    def write(behavior: str, **fields: Any) -> Path:
        argv = ["{python}", "fake.py", behavior, "--video", "{video}", "--audio", "{audio}", "--out", "{out}"]
        content = {"name": "fake", "repo": {"path": str(EXAMPLE)}, "argv": argv, **fields}
        if "entry" in content:
            content.pop("argv")
        file = tmp_path / "method.yaml"
        file.write_text(yaml.safe_dump(content, sort_keys=False))
        return file

    return write


@pytest.fixture
def job(make_job: Make) -> DubJob:
    return make_job(load_external(EXAMPLE / "method.yaml").spec.params())


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    repo = tmp_path / "repo"
    (repo / "examples" / "deep").mkdir(parents=True)
    (repo / "pkg").mkdir()
    (repo / "pkg" / "__init__.py").write_text("VALUE = 5\n")
    (repo / "examples" / "given.txt").write_text("given")
    (repo / "config.yaml").write_text("original")
    (repo / "fake.py").write_text((EXAMPLE / "fake.py").read_text())
    return repo
