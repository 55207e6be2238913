"""Who may do what with footage, and the template of the paper's set."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from lipbench.cli.data import main
from lipbench.cli.data_template import main as template
from lipbench.core.errors import ManifestError, UsageError
from lipbench.datasets import load_manifest
from lipbench.datasets.check import check
from lipbench.datasets.licences import LICENCES, licence_of, rights
from lipbench.datasets.types import Licence


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("CC0-1.0", "commercial use: yes; dubs of it may be shared"),
        ("CC-BY-4.0", "commercial use: yes; dubs of it may be shared, the author named"),
        ("CC-BY-SA-4.0", "commercial use: yes; dubs of it may be shared, the author named, under the same licence"),
        ("CC-BY-NC-4.0", "commercial use: no; dubs of it may be shared, the author named"),
        ("CC-BY-ND-4.0", "commercial use: yes; dubs of it must not be shared"),
        ("CC-BY-NC-ND-4.0", "commercial use: no; dubs of it must not be shared"),
        ("research-only", "commercial use: no; dubs of it must not be shared"),
        ("proprietary", "commercial use: ask the owner; dubs of it may be shared if the owner says so"),
    ],
)
def test_rights_in_words(name: str, words: str) -> None:
    assert rights(name).words().startswith(words)


def test_every_licence_has_rights() -> None:
    for name, commercial in LICENCES.items():
        assert rights(name).commercial == commercial


def test_a_licence_by_its_name() -> None:
    assert licence_of("other", "https://x") == Licence("other", "https://x")
    for name in ("other", "CC-BY-4", "nonsense"):
        with pytest.raises(UsageError):
            licence_of(name)


def test_show_says_who_may_do_what() -> None:
    told = CliRunner().invoke(main, ["show", "demo"], catch_exceptions=False).stdout
    assert "who may do what" in told
    assert re.search(r"CC0-1\.0.*3 clips: commercial use: yes; dubs of it may be shared", told)
    assert "faces may be altered on the grounds" in told
    assert "synthetic=true" in told


def test_the_papers_set_is_refused_until_it_is_filled_in(tmp_path: Path) -> None:
    text = CliRunner().invoke(template, [], catch_exceptions=False).stdout
    path = tmp_path / "paper.yaml"
    path.write_text(text)
    with pytest.raises(ManifestError):
        load_manifest(path)
    problems = check(path).errors
    # Nothing that only the owner knows is filled in: video, hash, speaker of each of ten slots.
    assert {p.field.split(".")[-1] for p in problems} >= {"video", "sha256", "speaker"}
    assert {p.field.split(".")[0] for p in problems} == {f"clips[{k}]" for k in range(10)}
    filled = re.sub(r"video: +#.*", "video: a.mp4", text)
    filled = re.sub(r"sha256: +#.*", f"sha256: {'0' * 64}", filled)
    filled = re.sub(r"speaker: +#.*", "speaker: somebody", filled)
    path.write_text(filled)
    # Consent alone is open, and asked for.
    assert {p.field.split(".")[-1] for p in check(path).errors} == {"consent"}
    path.write_text(re.sub(r"consent: +#.*", "consent: written, on file", filled))
    found = load_manifest(path)
    assert [clip.id for clip in found.clips] == [f"paper-{k:02d}" for k in range(1, 11)]
    assert found.licence.id == "proprietary"
