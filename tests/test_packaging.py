"""The package's metadata, its notice and its file patterns, without building anything."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import lipbench

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parents[1]
TABLE = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = TABLE["project"]
HOME = PROJECT["urls"]["Repository"]
NOTICE = (ROOT / "NOTICE").read_text(encoding="utf-8")
CACHES = {".pyc", ".nbi", ".nbc"}


def expression(pattern: str) -> re.Pattern[str]:
    """A glob as setuptools and NOTICE mean it: `**/` any folders or none, `*` within a name."""
    parts = {"**/": "(?:[^/]+/)*", "*": "[^/]*"}
    return re.compile("".join(parts.get(p, re.escape(p)) for p in re.split(r"(\*\*/|\*)", pattern)))


def unmatched(names: list[str], patterns: list[str]) -> list[str]:
    """The names that no pattern matches."""
    known = [expression(p) for p in patterns]
    return [n for n in names if not any(p.fullmatch(n) for p in known)]


def tracked(folder: str) -> list[str]:
    """The files that git tracks in a folder; in an unpacked sdist those that lie there, without caches."""
    if (ROOT / ".git").exists():
        command = ["git", "-C", str(ROOT), "ls-files", "-z", "--", folder]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
        return [name for name in listed if name]
    files = (p for p in (ROOT / folder).rglob("*") if p.is_file() and p.suffix not in CACHES)
    return [p.relative_to(ROOT).as_posix() for p in files]


DATA = [name for name in tracked("lipbench") if not name.endswith((".py", ".pyi"))]
NOTICED = [line.strip() for line in NOTICE.splitlines() if re.match(r"(lipbench|tests|docs)/\S+$", line)]


def test_a_glob_matches_as_setuptools_has_it() -> None:
    assert unmatched(["a.npz", "x/y/a.npz", "a.npzz", "x/a.json"], ["**/*.npz"]) == ["a.npzz", "x/a.json"]
    assert unmatched(["d/x.mp4", "d/e/x.mp4"], ["d/*.mp4"]) == ["d/e/x.mp4"]


def test_every_data_file_is_in_the_notice() -> None:
    assert len(DATA) > 50
    assert unmatched(DATA, NOTICED) == []


def test_the_golden_vectors_and_images_are_in_the_notice() -> None:
    assert unmatched([*tracked("tests/golden"), *tracked("docs/img")], NOTICED) == []


@pytest.mark.parametrize("pattern", NOTICED)
def test_every_line_of_the_notice_speaks_of_a_file(pattern: str) -> None:
    files = tracked(pattern.split("*")[0].rpartition("/")[0])
    assert len(unmatched(files, [pattern])) < len(files)


def test_every_pattern_of_the_notice_has_a_licence_below_it() -> None:
    groups = re.findall(r"((?:^(?:lipbench|tests|docs)/\S+\n)+)((?:^    .+\n)+)", NOTICE, re.MULTILINE)
    assert [pattern for patterns, _ in groups for pattern in patterns.split()] == NOTICED
    for patterns, text in groups:
        assert re.search(r"Licence: (Apache-2\.0|CC0-1\.0)\.$", text.strip()), patterns


def test_the_wheel_takes_every_data_file_and_stub() -> None:
    patterns = TABLE["tool"]["setuptools"]["package-data"]["lipbench"]
    stubs = [name for name in tracked("lipbench") if name.endswith(".pyi")]
    assert len(stubs) >= 20
    assert unmatched([name.removeprefix("lipbench/") for name in (*DATA, *stubs)], patterns) == []


def test_every_licence_in_use_comes_with_its_text() -> None:
    assert set(PROJECT["license"].split(" AND ")) == set(re.findall(r"Licence: ([\w.-]+\d)", NOTICE))
    texts = [p for pattern in PROJECT["license-files"] for p in ROOT.glob(pattern)]
    assert {p.name for p in texts} == {"LICENSE", "NOTICE", "CC0-1.0.txt"}
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert "CC0 1.0 Universal" in (ROOT / "licenses/CC0-1.0.txt").read_text()


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="only a git checkout says which files belong to it")
def test_the_sdist_takes_every_folder_and_file_at_the_top() -> None:
    rules = (ROOT / "MANIFEST.in").read_text().splitlines()
    taken = {word for rule in rules if rule.startswith(("include ", "graft ")) for word in rule.split()[1:]}
    taken |= {"lipbench", "pyproject.toml", "README.md", "MANIFEST.in"}  # setuptools adds them by itself
    assert {name.split("/")[0] for name in tracked(".")} <= taken


def test_the_readme_shows_its_images_on_a_package_index() -> None:
    images = re.findall(r"!\[[^]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert images
    for address in images:
        assert address.startswith(f"{HOME}/raw/main/")
        assert (ROOT / address.removeprefix(f"{HOME}/raw/main/")).is_file()


def test_the_citation_agrees_with_the_package() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == lipbench.__version__
    assert citation["repository-code"] == HOME
    assert citation["authors"] == PROJECT["authors"]
    assert citation["license"] == PROJECT["license"].split(" AND ")
    assert citation["keywords"] == PROJECT["keywords"]


def test_every_project_address_is_below_the_repository() -> None:
    assert all(address.startswith(HOME) for address in PROJECT["urls"].values())
    for name in ("Documentation", "Changelog"):
        assert (ROOT / re.sub(r"^.*/(tree|blob)/main/", "", PROJECT["urls"][name])).exists()
