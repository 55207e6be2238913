"""The pytest plugin, in a pytest of its own."""

from __future__ import annotations

import pytest

import lipbench.reports.gate.writers  # noqa: F401  each inner pytest forgets what it imported itself

pytest_plugins = ["pytester"]


@pytest.fixture
def project(pytester, bench, monkeypatch):
    """A folder with runs `good` and `bad` and a test of a run; runs pytest there with the plugin."""

    def damped(number, values):
        values["lse_d"] += 1.0

    bench.folder = pytester.path
    bench.write("good", {"ours": bench.cells()})
    bench.write("bad", {"ours": bench.cells(6, damped)})
    bench.write("short", {"ours": bench.cells(5)})
    bench.write("other", {"ours": bench.cells()}, judge="judge-b")
    pytester.makepyfile("def test_lips(lipsync_gate):\n    lipsync_gate(__import__('os').environ['RUN'])\n")

    def run(name, *args):
        monkeypatch.setenv("RUN", name)
        return pytester.runpytest_inprocess(
            "-p", "no:lipbench", "-p", "lipbench.pytest_plugin", "-p", "no:hypothesispytest", *args
        )

    return run


def test_fixture(project, pytester):
    project("good").stdout.fnmatch_lines(["usage: there is no baseline *lipsync-baseline.json"])
    project("good", "--lipsync-accept", "first").assert_outcomes(passed=1)
    assert (pytester.path / "lipsync-baseline.json").exists()
    project("good").assert_outcomes(passed=1)
    result = project("bad")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["regression: the gate is closed: ours LSE-D: worse by 1.000*", "*| - * worse * lse_d *"]
    )
    project("short").stdout.fnmatch_lines(["incomplete: the run is not complete: * 1 of 6 clips missing*"])
    project("other").stdout.fnmatch_lines(["nothing comparable: *the judge differs*"])


def test_configuration(project, pytester):
    pytester.makeini("[pytest]\nlipsync_baseline = ci/gate.json\n")
    project("good", "--lipsync-accept", "first").assert_outcomes(passed=1)
    assert (pytester.path / "ci" / "gate.json").exists()
    project("bad", "--lipsync-baseline", "nowhere.json").stdout.fnmatch_lines(["usage: there is no baseline*"])


def test_what_can_be_given(tmp_path, bench):
    from types import SimpleNamespace

    from lipbench.pytest_plugin import LipsyncGate

    root = bench.write("good", {"ours": bench.cells()})
    path = tmp_path / "b.json"
    assert LipsyncGate(path, None, "why", tmp_path)(root) is None
    check = LipsyncGate(path, None, None, tmp_path)
    assert check(SimpleNamespace(root=root)).exit_code == 0
    assert check(str(root), baseline=path).exit_code == 0
    with pytest.raises(pytest.fail.Exception, match="usage: there is no baseline"):
        check(root, baseline=tmp_path / "none.json")
    with pytest.raises(pytest.fail.Exception, match="no such run file"):
        check(tmp_path / "none.yaml")
