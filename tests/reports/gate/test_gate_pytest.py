"""The pytest plugin, in a pytest of its own."""

from __future__ import annotations

from types import SimpleNamespace

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
    bench.write("other", {"ours": bench.cells()}, sync_model="model-b")
    pytester.makepyfile("def test_lips(lipsync_gate):\n    lipsync_gate(__import__('os').environ['RUN'])\n")

    def run(name, *args):
        monkeypatch.setenv("RUN", name)
        # Where lipbench is installed, its plugin has been imported before this pytest can rewrite it.
        quiet = "ignore::pytest.PytestAssertRewriteWarning"
        return pytester.runpytest_inprocess(
            "-p", "no:lipbench", "-p", "lipbench.pytest_plugin", "-p", "no:hypothesispytest", "-W", quiet, *args
        )

    return run


def test_fixture(project, pytester):
    nothing = project("good").stdout
    nothing.fnmatch_lines(
        ["usage: there is no baseline *lipsync-baseline.json", 'make one: `pytest --lipsync-accept "why"`']
    )
    nothing.no_fnmatch_line("*Traceback*")
    nothing.no_fnmatch_line("*During handling*")
    project("good", "--lipsync-accept", "first").assert_outcomes(passed=1)
    assert (pytester.path / "lipsync-baseline.json").exists()
    project("good").assert_outcomes(passed=1)
    result = project("bad")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["regression: the gate is closed: ours LSE-D: worse by 1.000*", "*| - * worse * lse_d *"]
    )
    result.stdout.fnmatch_lines(['if it is meant to be so: `pytest --lipsync-accept "why"`'])
    project("short").stdout.fnmatch_lines(["incomplete: the run is not complete: * 1 of 6 clips missing*"])
    project("other").stdout.fnmatch_lines(["nothing comparable: *the sync model differs*"])


def test_configuration(project, pytester):
    pytester.makeini("[pytest]\nlipsync_baseline = ci/gate.json\n")
    project("good", "--lipsync-accept", "first").assert_outcomes(passed=1)
    assert (pytester.path / "ci" / "gate.json").exists()
    project("bad", "--lipsync-baseline", "nowhere.json").stdout.fnmatch_lines(["usage: there is no baseline*"])


def test_accepting_needs_a_reason(project, pytester):
    project("good", "--lipsync-accept", " ").stdout.fnmatch_lines(["*--lipsync-accept needs a reason*"])
    assert not (pytester.path / "lipsync-baseline.json").exists()


def test_paths_start_where_pytest_has_them_start(project, pytester, monkeypatch):
    """Of the configuration and of tests: its folder. Of the command line: where it was typed."""
    pytester.makeini("[pytest]\nlipsync_baseline = ci/gate.json\n")
    (pytester.path / "ci").mkdir()
    monkeypatch.chdir(pytester.path / "ci")
    project("good", "..", "--lipsync-accept", "first").assert_outcomes(passed=1)
    assert (pytester.path / "ci" / "gate.json").exists()
    project("good", "..").assert_outcomes(passed=1)
    project("good", "..", "--lipsync-baseline", "gate.json").assert_outcomes(passed=1)
    project("good", "..", "--lipsync-baseline", "ci/gate.json").assert_outcomes(failed=1)


def test_paths_start_at_the_configuration_under_another_rootdir(project, pytester):
    pytester.makeini("[pytest]\n")
    (pytester.path / "elsewhere").mkdir()
    project("good", "--rootdir", "elsewhere", "--lipsync-accept", "first").assert_outcomes(passed=1)
    assert (pytester.path / "lipsync-baseline.json").exists()


def test_without_a_configuration_paths_start_at_the_rootdir(project, pytester, monkeypatch):
    (pytester.path / "ci").mkdir()
    monkeypatch.chdir(pytester.path / "ci")
    project("good", "--rootdir", "..", "..", "--lipsync-accept", "first").assert_outcomes(passed=1)
    assert (pytester.path / "lipsync-baseline.json").exists()


def test_a_run_file_starts_from_the_same_folder(tmp_path, monkeypatch, bench):
    import lipbench
    from lipbench.pytest_plugin import LipsyncGate

    seen = []

    def run(path, out):
        seen.append((path, out))
        return SimpleNamespace(root=root, raise_if_incomplete=lambda: None)

    root, base = bench.write("good", {"ours": bench.cells()}), tmp_path / "project"
    monkeypatch.setattr(lipbench, "run", run)
    check = LipsyncGate(tmp_path / "b.json", None, "why", tmp_path / "cache", base)
    check("ci/run.yaml")
    check("ci/run.yaml", out="runs/ci")
    assert seen == [(base / "ci/run.yaml", tmp_path / "cache/run"), (base / "ci/run.yaml", base / "runs/ci")]


def test_what_the_gate_suspects_fails_unless_allowed(project, pytester, bench):
    def damped(number, values):
        values["lse_d"] += 0.3

    bench.write("good1", {"ours": bench.cells(1)})
    bench.write("bad1", {"ours": bench.cells(1, damped)})
    project("good1", "--lipsync-accept", "first").assert_outcomes(failed=1)
    project("good1", "--lipsync-accept", "first", "--lipsync-allow", "few-clips").assert_outcomes(passed=1)
    project("good1").assert_outcomes(passed=1, warnings=0)
    refused = project("bad1")
    refused.assert_outcomes(failed=1)
    refused.stdout.fnmatch_lines(["suspect: the gate is not sure: ours LSE-D*", "*--lipsync-allow suspect*"])
    result = project("bad1", "--lipsync-allow", "suspect")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*LipsyncWarning: suspect: ours LSE-D: worse by 0.3*", "*give it 6 clips or more"])


def test_what_cannot_be_compared_is_a_warning_when_the_rest_passes(project, bench):
    bench.write("newer", {"ours": bench.cells()}, ssim="2")
    project("good", "--lipsync-accept", "first").assert_outcomes(passed=1)
    result = project("newer")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*LipsyncWarning: incomparable: ours SSIM*"])


def test_what_can_be_given(tmp_path, bench):
    from lipbench.pytest_plugin import LipsyncGate

    root = bench.write("good", {"ours": bench.cells()})
    path = tmp_path / "b.json"
    assert LipsyncGate(path, None, "why", tmp_path, tmp_path)(root) is None
    check = LipsyncGate(path, None, None, tmp_path, tmp_path)
    assert check(SimpleNamespace(root=root)).exit_code == 0
    assert check(str(root), baseline=path).exit_code == 0
    with pytest.raises(pytest.fail.Exception, match="usage: there is no baseline"):
        check(root, baseline=tmp_path / "none.json")
    with pytest.raises(pytest.fail.Exception, match="no such run file"):
        check(tmp_path / "none.yaml")
