"""An empty weights folder, entries for a test alone, a server on this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lipbench.core import weights


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "weights"
    monkeypatch.setenv("LIPBENCH_WEIGHTS", str(place))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return place


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch):
    def add(name: str, **fields) -> weights.WeightsEntry:
        entry = weights.WeightsEntry(name, fields.pop("file", f"{name}.pth"), "tests", "none", **fields)
        monkeypatch.setitem(weights.registry(), name, entry)
        return entry

    return add


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    root = tmp_path / "www"
    root.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root))) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield root, f"http://127.0.0.1:{httpd.server_address[1]}/"
        httpd.shutdown()
