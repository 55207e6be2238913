"""What is remembered of files between processes."""

from __future__ import annotations

import json
import os

import pytest

from lipbench.core.code.cache import FileCache


def settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every file count as one that has not changed for long."""
    monkeypatch.setattr("lipbench.core.code.cache._SETTLED_NS", -(10**18))


def test_a_file_is_read_once_until_it_changes(tmp_path, monkeypatch):
    settle(monkeypatch)
    file, kept = tmp_path / "a", tmp_path / "cache" / "code.json"
    file.write_text("one")
    first = FileCache(kept, "1")
    assert first.get(str(file), "n", len) == 3
    first.save()
    second = FileCache(kept, "1")
    assert second.get(str(file), "n", lambda data: pytest.fail("read again")) == 3
    assert FileCache(kept, "2").get(str(file), "n", lambda data: -1) == -1  # by other code
    os.utime(file, (1, 1))
    file.write_text("two")  # of the same size
    assert second.get(str(file), "n", bytes.decode) == "two"


def test_a_file_that_has_just_changed_is_not_remembered(tmp_path):
    file, kept = tmp_path / "a", tmp_path / "code.json"
    cache = FileCache(kept, "1")
    for text in ("1", "2"):  # the same size, and perhaps the same time
        file.write_text(text)
        assert cache.get(str(file), "n", bytes.decode) == text
    cache.save()
    assert not kept.exists()


@pytest.mark.parametrize("content", ["", "[]", '{"version": "1"}', '{"version": "1", "entries": 3}'])
def test_a_spoilt_cache_is_written_anew(tmp_path, content, monkeypatch):
    settle(monkeypatch)
    file, kept = tmp_path / "a", tmp_path / "code.json"
    file.write_text("one")
    kept.write_text(content)
    cache = FileCache(kept, "1")
    assert cache.get(str(file), "n", len) == 3
    cache.save()
    assert json.loads(kept.read_text())["entries"]


def test_entries_of_files_that_are_gone_are_dropped(tmp_path, monkeypatch):
    settle(monkeypatch)
    kept = tmp_path / "code.json"
    cache = FileCache(kept, "1")
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
        cache.get(str(tmp_path / name), "n", len)
    (tmp_path / "a").unlink()
    cache.save()
    assert [key.partition("\n")[0] for key in json.loads(kept.read_text())["entries"]] == [str(tmp_path / "b")]
