"""lipbench explain."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from lipbench.cli.explain import main
from lipbench.core import keys
from lipbench.core.errors import UsageError
from lipbench.core.store import Record, Store


def call(*args):
    return CliRunner().invoke(main, [str(a) for a in args])


@pytest.fixture
def run(tmp_path):
    """Three records; the first two differ in one nested field."""
    store = Store(tmp_path / "runs" / "a")
    found = []
    for crf, kind in ((18, "synthesize"), (23, "synthesize"), (18, "fit")):
        preimage = {"kind": kind, "params": {"crf": crf, "pads": [0, 10]}}
        key = keys.key_of(preimage)
        lease = store.claim(key)
        store.put(Record(key=key, kind=kind, status="ok", preimage=preimage), store.workspace(key))
        lease.release()
        found.append(key)
    return store.root, found


def test_one_key(run):
    root, (first, *_) = run
    answer = json.loads(call(first[:10], "--run", root).stdout)
    assert answer["key"] == first
    assert (answer["kind"], answer["status"]) == ("synthesize", "ok")
    assert keys.key_of(answer["preimage"]) == first


def test_two_keys(run):
    root, (first, second, third) = run
    assert json.loads(call(first, second, "--run", root, "--json").stdout) == {
        "field": "params.crf",
        "first": 18,
        "second": 23,
    }
    text = call(first, second, "--run", root).stdout
    assert text.splitlines() == ["params.crf", f"  {first[:12]}: 18", f"  {second[:12]}: 23"]
    assert json.loads(call(first, third, "--run", root, "--json").stdout)["field"] == "kind"
    assert "the same" in call(first, first, "--run", root).stdout
    assert json.loads(call(first, first, "--run", root, "--json").stdout) is None


def test_all_runs_below_runs(run, tmp_path, monkeypatch):
    root, (first, *_) = run
    (root.parent / "b" / "objects").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert json.loads(call(first).stdout)["key"] == first


def test_mistakes(run, tmp_path, monkeypatch):
    root, _ = run
    assert isinstance(call("ffff0000", "--run", root).exception, UsageError)
    assert isinstance(call("aa", "--run", tmp_path / "none").exception, UsageError)
    monkeypatch.chdir(tmp_path / "runs" / "a")
    assert "no run directory" in call("aa").exception.what
