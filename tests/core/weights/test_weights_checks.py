"""Files that are added or fetched: of the network's size and entries, replaced on purpose, never too long."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import scipy.io
import torch

from lipbench.core import weights
from lipbench.core.errors import WeightsError, WeightsMismatch, WeightsMissing
from lipbench.core.weights import download, torch_file

SHA = hashlib.sha256(b"the right file").hexdigest()


def network(path: Path, width: int = 3) -> Path:
    torch.save({"weight": torch.zeros(width)}, path)
    return path


def takes_three(path: Path) -> None:
    """A loader such as entries name: a state dict with a weight of three numbers."""
    state = torch_file.state_dict(path)
    if list(state) != ["weight"] or len(state["weight"]) != 3:
        raise WeightsMismatch(f"{path} holds no Net", f"it has {list(state)}", "use the other file")


def test_size_and_entries_of_an_unpinned_file(register, folder: Path, tmp_path: Path) -> None:
    size = network(tmp_path / "right").stat().st_size
    register("net", where="a page", size=size * 10, sizes=(size,), loader=f"{__name__}:takes_three")
    other = network(tmp_path / "other", 4)
    with pytest.raises(WeightsMismatch, match=r"other is not net\nit has \['weight'\]\nuse the other file"):
        weights.add("net", other)
    big = network(tmp_path / "big", 1000)
    with pytest.raises(WeightsMismatch, match=r"it has [\d,]+ bytes, expected are .* or .*\n.*--any-size"):
        weights.add("net", big)
    with pytest.raises(WeightsMismatch, match="use the other file"):
        weights.add("net", big, any_size=True)  # its entries are looked at all the same
    assert not weights.available("net")
    assert list(folder.iterdir()) == []
    assert weights.add("net", tmp_path / "right") == folder / "net.pth"


def test_size_may_be_off_by_five_percent(register, tmp_path: Path) -> None:
    size = network(tmp_path / "file").stat().st_size
    for name, told, good in (("a", size / 1.04, True), ("b", size / 1.07, False), ("c", size / 0.94, False)):
        register(name, where="a page", size=round(told))
        if good:
            weights.add(name, tmp_path / "file")
        else:
            with pytest.raises(WeightsMismatch, match="expected are"):
                weights.add(name, tmp_path / "file")


def test_replace_takes_another_file(register, folder: Path, tmp_path: Path) -> None:
    register("net", where="a page", loader=f"{__name__}:takes_three")
    weights.add("net", network(tmp_path / "a"))
    torch.save({"weight": torch.ones(3)}, tmp_path / "b")
    with pytest.raises(WeightsMismatch, match=r"weights add net .*b --replace"):
        weights.add("net", tmp_path / "b")
    weights.add("net", tmp_path / "b", replace=True)
    assert weights.path("net").read_bytes() == (tmp_path / "b").read_bytes()
    with pytest.raises(WeightsMismatch, match="use the other file"):
        weights.add("net", network(tmp_path / "c", 7), replace=True)
    assert weights.available("net")


def test_replace_does_not_lift_a_published_hash(register, tmp_path: Path) -> None:
    register("net", sha256=SHA)
    with pytest.raises(WeightsMismatch, match="the published one is"):
        weights.add("net", network(tmp_path / "a"), replace=True)


@pytest.mark.parametrize("name", [n for n, e in weights.registry().items() if e.loader])
def test_entries_name_loaders_that_refuse_another_network(name: str, tmp_path: Path) -> None:
    file = network(tmp_path / "x")
    if weights.entry(name).file.endswith(".mat"):
        scipy.io.savemat(tmp_path / "x.mat", {"net": 3})
        file = tmp_path / "x.mat"
    with pytest.raises(WeightsMismatch, match=f"x(.mat)? is not {name}"):
        weights.add(name, file, any_size=True)


def test_every_file_without_a_published_hash_has_a_loader() -> None:
    assert [n for n, e in weights.registry().items() if not (e.sha256 or e.members or e.loader)] == []


def test_weights_folder_that_cannot_be(register, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register("net", where="a page")
    (tmp_path / "file").touch()
    monkeypatch.setenv("LIPBENCH_WEIGHTS", str(tmp_path / "file" / "below"))
    with pytest.raises(WeightsError, match=r"cannot write to .*below\n.*\nset LIPBENCH_WEIGHTS"):
        weights.add("net", network(tmp_path / "a"))


def test_download_is_no_longer_than_it_should_be(register, server, folder: Path) -> None:
    root, address = server
    (root / "net.pth").write_bytes(bytes(2000))
    register("net", sha256=SHA, size=1000, urls=(address + "net.pth",))
    with pytest.raises(WeightsMismatch, match=r"longer than the 0\.0 MB"):
        weights.get("net")
    assert not folder.exists()


def test_endless_and_dripping_downloads_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [b"x" * 600]

    class Forever(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                for _ in range(200):
                    self.wfile.write(pieces[0])
                    time.sleep(0.01)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Forever) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{httpd.server_address[1]}/net"
        with pytest.raises(WeightsMismatch, match="the rest was not fetched"):
            download.download(url, tmp_path / "a", 5000, "fix")
        pieces[0] = b"x"
        monkeypatch.setattr(download, "PATIENCE", 0.1)
        with pytest.raises(WeightsMissing, match="came in"):
            download.download(url, tmp_path / "a", 5000, "fix")
        monkeypatch.setattr(download, "PATIENCE", 60.0)
        monkeypatch.setattr(download, "GRACE", 0.05)
        with pytest.raises(WeightsMissing, match="came in"):
            download.download(url, tmp_path / "a", 5000, "fix")
        httpd.shutdown()
    assert not (tmp_path / "a").exists()
