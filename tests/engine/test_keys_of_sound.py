"""What changes which sound is heard changes the keys of the stages that hear it, and nothing else does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lipbench.core.store import Store
from lipbench.datasets.types import Clip, Dub, Licence, Manifest
from lipbench.engine.build import PlanBuilder
from lipbench.engine.config import parse_run_file
from lipbench.engine.plan import PlanState

CLIP = Clip("talk", Path("/x/talk.mp4"), "0" * 64, "jo", "en", Licence("CC0-1.0"), "ok")
DUB = Dub("talk@fr", "talk", "fr", "recorded", Path("/x/fr.wav"), "1" * 64)


def keys(tmp_path: Path, clip: Clip = CLIP, dub: Dub = DUB) -> tuple[str, dict[str, Any]]:
    """(key of the clip, pre-image of the dub)."""
    manifest = Manifest("m", "1", clip.licence, (clip,), (dub,), Path("/x"))
    builder = PlanBuilder(parse_run_file({"manifest": "m", "methods": ["dubbed"]}, "x"), manifest)
    name = builder.dub(clip, dub)
    progress = PlanState(builder.plan, Store(tmp_path / "store"))
    return progress.key(f"clip {clip.id}"), dict(builder.plan.nodes[name].preimage(progress))


@pytest.mark.parametrize(
    "change", [{"stream": 1}, {"channel": "center"}, {"start_s": 1.0}, {"end_s": 2.0}, {"language": "fr"}]
)
def test_of_a_clip(tmp_path: Path, change: dict[str, Any]) -> None:
    assert keys(tmp_path, replace(CLIP, **change))[0] != keys(tmp_path)[0]


@pytest.mark.parametrize(
    "change",
    [
        {"stream": 0},
        {"channel": "left"},
        {"start_s": 0.0},
        {"end_s": 2.0},
        {"rate": 25 / 24},
        {"offset_s": 0.1},
        {"language": "de"},
    ],
)
def test_of_a_dub(tmp_path: Path, change: dict[str, Any]) -> None:
    assert keys(tmp_path, dub=replace(DUB, **change))[1] != keys(tmp_path)[1]


@pytest.mark.parametrize("change", [{"language": "en-GB"}, {"speaker": "x"}, {"source_url": "x"}, {"fps": 30.0}])
def test_what_nobody_hears(tmp_path: Path, change: dict[str, Any]) -> None:
    assert keys(tmp_path, replace(CLIP, **change)) == keys(tmp_path)
    assert keys(tmp_path, dub=replace(DUB, transcript="x", language="fr-CA"))[1] == keys(tmp_path)[1]


def test_pictures_have_a_rate(tmp_path: Path) -> None:
    folder = replace(CLIP, video=tmp_path, fps=25.0)
    assert keys(tmp_path, folder)[0] != keys(tmp_path, replace(folder, fps=30.0))[0]
