"""The weights registry: what is accepted, refused, remembered and said."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from lipbench.core import weights
from lipbench.core.errors import UnknownName, UsageError, WeightsError, WeightsMismatch, WeightsMissing
from lipbench.core.weights import fetch, files

GOOD = b"PK\x03\x04 the right file"
SHA = hashlib.sha256(GOOD).hexdigest()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "weights"
    monkeypatch.setenv("LIPBENCH_WEIGHTS", str(place))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return place


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch):
    def add(name: str, **fields) -> weights.Entry:
        entry = weights.Entry(name, fields.pop("file", f"{name}.pth"), "tests", "none", **fields)
        monkeypatch.setitem(weights.REGISTRY, name, entry)
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


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def real_zip(payload: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as z:
        z.writestr("archive/data.pkl", payload)
    return buffer.getvalue()


def test_every_entry_says_its_licence_and_how_to_get_it() -> None:
    assert {"syncnet_v2", "sfd_face", "s3fd", "wav2lip", "wav2lip_gan", "wav2lip_expert", "wav2lip_disc", "alexnet",
            "vgg16", "mediapipe-face", "mediapipe-selfie"} <= set(weights.REGISTRY)  # fmt: skip
    for name, entry in weights.REGISTRY.items():
        assert entry.name == name
        assert entry.licence
        assert entry.used_for
        command = f"lipbench weights {'get' if entry.urls or entry.wheel else 'add'} {name}"
        assert ("install lipbench" if entry.bundled else command) in entry.how
        assert entry.sha256 or entry.members or entry.where  # unpinned only where nobody publishes a hash
        assert all(len(member.sha256) == 64 for member in entry.members)


def test_bundled_weights_are_the_pinned_files() -> None:
    bundled = [name for name, entry in weights.REGISTRY.items() if entry.bundled]
    assert "syncnet-demo" in bundled
    for name in bundled:
        assert weights.available(name), weights.status(name).remark
        assert weights.path(name).stat().st_size == weights.REGISTRY[name].size < 5_000_000


def test_unknown_name_suggests() -> None:
    with pytest.raises(UnknownName, match="did you mean syncnet_v2"):
        weights.path("syncnet-v2")


def test_missing_names_the_command(folder: Path) -> None:
    with pytest.raises(WeightsMissing) as caught:
        weights.path("syncnet_v2")
    assert caught.value.fix == "run `lipbench weights get syncnet_v2`"
    assert str(folder) in caught.value.why
    assert weights.sha256("syncnet_v2") is None
    assert not weights.available("syncnet_v2")
    with pytest.raises(WeightsMissing, match="lipbench weights add wav2lip FILE"):
        weights.path("wav2lip")


def test_published_hash_is_enforced(register, folder: Path, tmp_path: Path) -> None:
    register("net", sha256=SHA)
    with pytest.raises(WeightsMismatch, match="is not net"):
        weights.add("net", write(tmp_path / "wrong", b"PK\x03\x04 another"))
    assert not weights.available("net")
    assert weights.add("net", write(tmp_path / "right", GOOD)) == folder / "net.pth"
    assert weights.path("net").read_bytes() == GOOD
    assert weights.sha256("net") == SHA
    # replaced behind our back: refused, never loaded, and the key loses its hash
    write(folder / "net.pth", b"PK\x03\x04 another")
    assert weights.sha256("net") is None
    with pytest.raises(WeightsMismatch, match=r"net\.pth is not the pinned net"):
        weights.path("net")


def test_wrong_file_leaves_the_right_one_alone(register, tmp_path: Path) -> None:
    register("net", sha256=SHA)
    weights.add("net", write(tmp_path / "right", GOOD))
    with pytest.raises(WeightsMismatch):
        weights.add("net", write(tmp_path / "wrong", b"PK\x03\x04"))
    assert weights.path("net").read_bytes() == GOOD


def test_hash_prefix(register, tmp_path: Path) -> None:
    register("net", sha256=SHA[:8])
    with pytest.raises(WeightsMismatch, match="starts with"):
        weights.add("net", write(tmp_path / "wrong", b"PK\x03\x04"))
    weights.add("net", write(tmp_path / "right", GOOD))
    assert weights.sha256("net") == SHA  # the whole hash, not the prefix


def test_unpinned_is_pinned_when_added(register, folder: Path, tmp_path: Path) -> None:
    register("net", where="net.pth from somebody")
    first, second = real_zip(b"first"), real_zip(b"second")
    weights.add("net", write(tmp_path / "a", first))
    assert weights.sha256("net") == hashlib.sha256(first).hexdigest()
    assert weights.status("net").pinned == "at add"
    with pytest.raises(WeightsMismatch, match="recorded when"):
        weights.add("net", write(tmp_path / "b", second))
    weights.add("net", tmp_path / "a")  # the same file again is fine
    write(folder / "net.pth", second)
    with pytest.raises(WeightsMismatch):
        weights.path("net")


def test_file_put_there_by_hand(register, folder: Path) -> None:
    register("loose", where="a page")
    register("firm", sha256=SHA)
    write(folder / "loose.pth", real_zip(b"x"))
    write(folder / "firm.pth", GOOD)
    assert weights.available("firm")  # a published hash can be checked
    with pytest.raises(WeightsMissing, match="lipbench weights add loose"):
        weights.path("loose")  # nothing to check it against
    weights.add("loose", folder / "loose.pth")
    assert weights.available("loose")


@pytest.mark.parametrize("data", [b"<!DOCTYPE html><html>sign in</html>", b"", real_zip(b"y" * 99)[:-30]])
def test_no_checkpoint_is_refused(register, tmp_path: Path, data: bytes) -> None:
    register("net", where="a page that gives HTML")
    with pytest.raises(WeightsError):
        weights.add("net", write(tmp_path / "download", data))
    assert not weights.available("net")


def test_add_needs_a_file(register, tmp_path: Path) -> None:
    register("net", sha256=SHA)
    with pytest.raises(UsageError, match="there is no file"):
        weights.add("net", tmp_path / "nowhere.pth")


def test_hashed_once_per_size_and_time(register, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register("net", sha256=SHA)
    write(folder / "net.pth", GOOD)
    calls = []

    def counting(path: Path) -> str:
        calls.append(path)
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()

    monkeypatch.setattr(files, "sha256_file", counting)
    for _ in range(3):
        weights.path("net")
    assert len(calls) == 1
    os.utime(folder / "net.pth", ns=(1, 1))
    weights.path("net")
    assert len(calls) == 2
    weights.check(["net"])
    assert len(calls) == 3


def test_read_only_folder_still_answers(register, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register("net", sha256=SHA)
    write(folder / "net.pth", GOOD)

    def refuse(*args: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(files, "_write_record", refuse)
    assert weights.sha256("net") == SHA


def test_damaged_record_is_not_trusted(register, folder: Path) -> None:
    register("net", sha256=SHA)
    write(folder / "net.pth", GOOD)
    weights.path("net")
    (folder / "net.json").write_text("{ half a rec")
    assert weights.sha256("net") == SHA


def test_torch_hub_is_searched(register, folder: Path, tmp_path: Path) -> None:
    register("net", sha256=SHA[:8], file="net-12345678.pth", hub=True)
    write(tmp_path / "torch/hub/checkpoints/net-12345678.pth", GOOD)
    assert weights.path("net") == tmp_path / "torch/hub/checkpoints/net-12345678.pth"
    assert {p.name for p in (tmp_path / "torch/hub/checkpoints").iterdir()} == {"net-12345678.pth"}  # nothing added
    weights.add("net", tmp_path / "torch/hub/checkpoints/net-12345678.pth")
    assert weights.path("net") == folder / "net-12345678.pth"


def test_get_over_http(register, server, folder: Path) -> None:
    root, address = server
    write(root / "net.pth", GOOD)
    register("net", sha256=SHA, urls=(address + "gone.pth", address + "net.pth"))
    lines: list[str] = []
    assert weights.get("net", log=lines.append) == folder / "net.pth"
    assert [line.rsplit("/", 1)[1] for line in lines] == ["gone.pth", "net.pth"]
    lines.clear()
    weights.get("net", log=lines.append)
    assert lines == []  # already here
    assert sorted(p.name for p in folder.iterdir()) == ["net.json", "net.pth"]  # no leftovers


def test_get_refuses_a_wrong_file(register, server, folder: Path) -> None:
    root, address = server
    write(root / "net.pth", b"PK\x03\x04 hijacked")
    register("net", sha256=SHA, urls=(address + "net.pth", address + "gone.pth"))
    with pytest.raises(WeightsMismatch):
        weights.get("net")
    assert list(folder.iterdir()) == []


def test_get_offline_says_what_to_do(register) -> None:
    register("net", sha256=SHA, urls=("http://127.0.0.1:9/net.pth",))
    with pytest.raises(WeightsMissing, match="lipbench weights add net FILE"):
        weights.get("net")


def test_get_of_a_drive_file_names_the_page() -> None:
    with pytest.raises(WeightsMissing, match=r"README of github\.com/Rudrabha/Wav2Lip"):
        weights.get("wav2lip_gan")


# -- files out of a wheel -----------------------------------------------------------------------------------------

A, B = b"TFL3 one", b"TFL3 two"
FAKE_WHEEL = weights.Wheel("some-package", "1.0", "3.11", ("any",))


def member(name: str, data: bytes) -> weights.Member:
    return weights.Member(f"pkg/sub/{name}", hashlib.sha256(data).hexdigest(), len(data))


@pytest.fixture
def nets(register) -> weights.Entry:
    entry = register("nets", file="nets", wheel=FAKE_WHEEL, members=(member("a.tflite", A), member("b.tflite", B)))
    return entry


def make_wheel(path: Path, **contents: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as z:
        for name, data in contents.items():
            z.writestr(f"pkg/sub/{name}.tflite", data)
        z.writestr("pkg/evil.py", "raise SystemExit('never imported')")
    return path


def test_members_of_a_wheel(nets, folder: Path, tmp_path: Path) -> None:
    assert weights.add("nets", make_wheel(tmp_path / "w.whl", a=A, b=B)) == folder / "nets"
    assert sorted(p.name for p in (folder / "nets").iterdir()) == ["a.tflite", "b.tflite"]
    lines = sorted(f"{m.name} {m.sha256}\n" for m in nets.members)
    assert weights.sha256("nets") == hashlib.sha256("".join(lines).encode()).hexdigest()
    write(folder / "nets/b.tflite", b"TFL3 other")
    with pytest.raises(WeightsMismatch, match=r"b\.tflite"):
        weights.path("nets")


@pytest.mark.parametrize("contents", [{"a": A, "b": b"TFL3 tampered"}, {"a": A}])
def test_a_tampered_or_incomplete_wheel_is_refused(nets, folder: Path, tmp_path: Path, contents) -> None:
    with pytest.raises(WeightsMismatch):
        weights.add("nets", make_wheel(tmp_path / "w.whl", **contents))
    assert not weights.available("nets")
    assert not (folder / "nets").exists()


def test_members_from_a_folder(nets, tmp_path: Path) -> None:
    write(tmp_path / "flat/a.tflite", A)
    with pytest.raises(WeightsMismatch, match=r"no b\.tflite"):
        weights.add("nets", tmp_path / "flat")
    write(tmp_path / "flat/b.tflite", B)
    weights.add("nets", tmp_path / "flat")
    assert weights.available("nets")


def test_wheel_is_downloaded_with_the_first_pip_that_works(
    nets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = make_wheel(tmp_path / "some_package-1.0-py3-none-any.whl", a=A, b=B)
    script = tmp_path / "pip.py"
    script.write_text(
        "import shutil, sys\n"
        "a = sys.argv\n"
        "assert a[1] == 'download' and 'some-package==1.0' in a and '--no-deps' in a and '--only-binary=:all:' in a\n"
        f"shutil.copy({str(wheel)!r}, a[a.index('--dest') + 1])\n"
    )
    broken = [sys.executable, "-c", "import sys; print('ERROR: no network', file=sys.stderr); sys.exit(1)"]
    monkeypatch.setattr(fetch, "pip_commands", lambda: [["/nonexistent/pip"], broken, [sys.executable, str(script)]])
    weights.get("nets")
    assert weights.available("nets")


def test_wheel_without_any_pip_or_network(nets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "pip_commands", lambda: [])
    with pytest.raises(WeightsMissing, match="neither pip nor uv") as caught:
        weights.get("nets")
    assert "lipbench weights add nets FILE.whl" in caught.value.fix
    broken = [sys.executable, "-c", "import sys; print('ERROR: no network', file=sys.stderr); sys.exit(1)"]
    monkeypatch.setattr(fetch, "pip_commands", lambda: [broken])
    with pytest.raises(WeightsMissing, match="ERROR: no network"):
        weights.get("nets")


def test_pip_commands_without_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch.importlib.util, "find_spec", lambda name: None)
    for tool in ("uv", "pip3"):
        write(tmp_path / "bin" / tool, b"#!/bin/sh\n").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("UV", raising=False)
    uv, pip3 = str(tmp_path / "bin/uv"), str(tmp_path / "bin/pip3")
    assert fetch.pip_commands() == [[uv, "tool", "run", "pip"], [pip3]]


# -- the command --------------------------------------------------------------------------------------------------


def invoke(*args: str):
    from lipbench.cli.weights import main

    return CliRunner().invoke(main, list(args))


def test_list_json(register, folder: Path, tmp_path: Path) -> None:
    register("net", sha256=SHA)
    weights.add("net", write(tmp_path / "x", GOOD))
    rows = {row["name"]: row for row in json.loads(invoke("list", "--json").stdout)}
    assert rows["net"]["state"] == "ok"
    assert rows["net"]["sha256"] == SHA
    assert rows["syncnet_v2"]["state"] == "missing"
    assert "get syncnet_v2" in rows["syncnet_v2"]["how"]
    assert "licence: Apache-2.0" in invoke("list").stdout


def test_get_prints_the_licence_before_it_downloads(register, server) -> None:
    root, address = server
    write(root / "net.pth", GOOD)
    register("net", sha256=SHA, urls=(address + "net.pth",))
    result = invoke("get", "net")
    assert result.exit_code == 0
    assert result.output.index("licence: none") < result.output.index("downloading")
    assert json.loads(invoke("get", "net", "--json").stdout)[0]["sha256"] == SHA


def test_misspelt_second_name_stops_before_the_first_download(register, server) -> None:
    root, address = server
    write(root / "net.pth", GOOD)
    register("net", sha256=SHA, urls=(address + "net.pth",))
    assert isinstance(invoke("get", "net", "nett").exception, UnknownName)
    assert not weights.available("net")


def test_add_and_check(register, folder: Path, tmp_path: Path) -> None:
    register("net", where="a page")
    checkpoint = write(tmp_path / "x", real_zip(b"z"))
    result = invoke("add", "net", str(checkpoint))
    assert "recorded now" in result.output
    assert invoke("check", "net").exit_code == 0
    assert isinstance(invoke("check", "net", "syncnet_v2").exception, WeightsMissing)
    write(folder / "net.pth", b"PK changed")
    assert isinstance(invoke("check").exception, WeightsMismatch)


def test_importing_the_registry_imports_no_torch() -> None:
    code = (
        "import sys, lipbench.core.weights, lipbench.cli.weights; print('torch' in sys.modules, 'pooch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split() == ["False"] * 2


@pytest.mark.net
@pytest.mark.real
def test_mediapipe_face_from_the_real_wheel() -> None:
    weights.get("mediapipe-face")
    assert weights.sha256("mediapipe-face") == "5dc583a621b67875e907f41923fec9621810f3047d5fbbe5871742d4ff0067aa"
