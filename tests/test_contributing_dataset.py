"""The data set that CONTRIBUTING.md prints: written by its commands, installed by its files, checked by its name."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from lipbench import cli, media
from lipbench.core import registry

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## A data set")[2].partition("\n## ")[0]
COMMANDS = re.findall(r"^    lipbench (.*)$", PAGE, re.M)
CODE = str(re.search(r"^```py\n# my_clips/__init__\.py\n(.*?)^```$", PAGE, re.M | re.S)[1])  # type: ignore[index]
GROUP, NAME, TARGET = re.search(r'entry-points\."([\w.]+)"\]\n(\S+) = "(\S+)"', PAGE).groups()  # type: ignore[union-attr]


def call(command: str) -> Result:
    """What the command line answers."""
    return CliRunner().invoke(cli.group, shlex.split(command), catch_exceptions=True)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The example as a package that was installed, its manifest made by the printed commands."""
    folder, info = tmp_path / "my_clips", tmp_path / "my_clips-1.0.dist-info"
    folder.mkdir()
    info.mkdir()
    sound = np.random.default_rng(1).integers(-3000, 3000, 16000).astype(np.int16)
    frames = np.random.default_rng(0).integers(0, 255, (25, 32, 48, 3), dtype=np.uint8)
    media.write_video(folder / "clip.mp4", frames, 25, sound)
    media.write_wav(folder / "french.wav", sound)
    monkeypatch.chdir(folder)
    for command in COMMANDS:
        result = call(command)
        assert result.exit_code == 0, (command, result.output, result.exception)
    (folder / "__init__.py").write_text(CODE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-clips\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{NAME} = {TARGET}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    registry.refresh()
    yield folder
    monkeypatch.undo()
    sys.modules.pop("my_clips", None)
    registry.refresh()


def test_the_example_is_short() -> None:
    printed = re.findall(r"^(?:    |```\w+\n)(.+)$", PAGE, re.M)
    assert COMMANDS
    assert len(printed) < 20


def test_the_data_set_has_its_name_everywhere(site: Path) -> None:
    assert NAME in call("list datasets").output
    assert f"{NAME}: ok, 1 clips, 1 dubs" in call(f"data check {NAME}").output
    assert "clip@fr" in call(f"data show {NAME}").output


def test_a_file_that_was_not_packed_is_named(site: Path) -> None:
    (site / "french.wav").unlink()
    result = call(f"data check {NAME}")
    assert result.exit_code != 0
    assert "french.wav" in result.output


def test_the_media_are_among_the_packed_files(site: Path) -> None:
    patterns = re.findall(r'"(\*\.\w+)"', PAGE.partition("package-data")[2])
    assert {f"*{p.suffix}" for p in site.iterdir() if p.suffix not in (".py", "")} <= set(patterns)
