"""A disk that fills up during a run: a clear reason, nothing finished is lost, the same command goes on afterwards."""

from __future__ import annotations

import subprocess

import pytest

from lipbench.core.errors import RunIncomplete
from lipbench.engine import api


@pytest.fixture
def small_disk(tmp_path):
    """A 256 KiB file system; needs the right to mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    try:
        made = subprocess.run(mount, capture_output=True).returncode == 0
    except OSError:
        made = False
    if not made:
        pytest.skip("mounting a small file system is not allowed here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk(manifest, small_disk):
    request = {"manifest": "t", "metrics": ["fake"], "methods": ["fake-copy"]}

    def go():
        prepared = api.prepare(request, out=small_disk / "run", manifest=manifest)
        return api.execute(prepared, workers=1, quiet=True)

    filler = small_disk / "filler"
    api.prepare(request, out=small_disk / "run", manifest=manifest).store.create()
    filler.write_bytes(b"\0" * (140 * 1024))
    first = go()
    assert not first.complete
    assert "disk is full" in first.outcome.stopped
    with pytest.raises(RunIncomplete, match="disk is full"):
        first.raise_if_incomplete()
    finished = {n for n, s in first.outcome.states.items() if s.how == "run"}
    assert "clip one" in finished
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    filler.unlink()
    second = go()
    assert second.complete
    assert {n for n, s in second.outcome.states.items() if s.how == "cached"} == finished
