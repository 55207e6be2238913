"""Two run directories, one cache: what one has paid for, the other has."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipbench.core.shared import cache_of_user
from lipbench.engine import api
from lipbench.faces.track import FaceTrack
from lipbench.reports.details import Details

pytestmark = pytest.mark.usefixtures("in_process")


class Runs:
    """Runs of one clip in two languages, each into a directory of its own."""

    def __init__(self, manifest: Any, folder: Path) -> None:
        points = np.tile(np.random.default_rng(0).uniform(14, 40, (68, 3)).astype(np.float32), (20, 1, 1))
        boxes, ones = np.tile(np.float32([10, 4, 54, 46]), (20, 1)), np.ones(20, np.float32)
        track = FaceTrack("file", 25.0, 64, 48, boxes, ones, ones.astype(np.int16), points)
        clip = replace(manifest.clips[0], landmarks=track.save(manifest.root / "one-cache.npz"))
        self.manifest = replace(manifest, clips=(clip,), dubs=manifest.dubs[:2], splits={})
        self.folder, self.counter = folder, folder / "count"

    def go(self, name: str, gray: int = 0, cache: bool = True) -> Counter[tuple[str, str]]:
        """Run the model of version `gray`; (kind of stage, how it ended) -> count."""
        methods = [{"id": "fake-staged", "params": {"trigger": str(self.counter), "gray": gray}}]
        request = {"manifest": "t", "metrics": ["fake", "psnr_mouth"], "methods": methods}
        prepared = api.prepare(request, out=self.folder / name, manifest=self.manifest, cache=cache)
        self.planned = sum(count.cached for count in prepared.counts().values())
        self.result = api.execute(prepared, workers=1, quiet=True)
        assert self.result.complete
        return Counter((name.split(" ")[0], state.how) for name, state in self.result.outcome.states.items())


@pytest.fixture
def runs(manifest: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    monkeypatch.setenv("LIPBENCH_CACHE", str(tmp_path / "cache"))
    return Runs(manifest, tmp_path)


ALL = Counter({"clip": 1, "faces": 1, "dub": 2, "prepare": 1, "fit": 1, "synthesize": 2, "score": 4})


def test_a_second_run_directory_pays_nothing(runs: Runs) -> None:
    assert runs.go("a") == {(kind, "run"): n for kind, n in ALL.items()}
    assert runs.planned == 0
    first = runs.result
    assert runs.go("b") == {(kind, "cached"): n for kind, n in ALL.items()}
    assert runs.planned == ALL.total()  # a dry run says so
    assert runs.result.cells == first.cells
    assert runs.counter.read_text() == "x" * 4


def test_a_new_version_of_a_model_pays_for_its_own_stages(runs: Runs) -> None:
    runs.go("a")
    second = runs.go("b", gray=1)
    ran = {kind: n for (kind, how), n in second.items() if how == "run"}
    assert ran == {"prepare": 1, "fit": 1, "synthesize": 2}  # its videos are the same, and so are their scores
    assert second["faces", "cached"] == second["clip", "cached"] == 1
    assert second["dub", "cached"] == 2


def test_a_run_directory_is_whole_without_the_cache(runs: Runs) -> None:
    runs.go("a")
    runs.go("b")
    for folder in ("cache", "a"):
        shutil.rmtree(runs.folder / folder)
    details = Details(runs.folder / "b")
    (cell, _) = details.cells
    for path in (details.video(cell), details.source(cell)):
        assert path is not None
        assert path.is_relative_to(runs.folder / "b")
    assert set(details.per_frame(cell)) >= {"gray", "psnr_mouth"}
    assert details.faces(cell) is not None
    assert set(details.stage_seconds(cell)) == {"prepare", "fit", "synthesize"}
    assert runs.go("b", cache=False) == {(kind, "cached"): n for kind, n in ALL.items()}


def test_what_the_cache_held_is_checked_when_it_is_read(runs: Runs) -> None:
    """A file that was exchanged in the cache is made again, in a run directory that has never seen it."""
    runs.go("a")
    cache = cache_of_user()
    assert cache is not None
    assert cache.store is not None
    (dub, _) = (record for record in cache.store.records() if record.kind == "dub")
    video = cache.store.output(dub, "video")
    stat = video.stat()
    video.write_bytes(b"\0" * stat.st_size)
    import os

    os.utime(video, ns=(stat.st_mtime_ns, stat.st_mtime_ns))
    shutil.rmtree(runs.folder / "a")
    with pytest.warns(Warning, match="another content"):
        ended = runs.go("b", gray=1)
    assert ended["dub", "run"] == 1
    assert ended["clip", "cached"] == 1
