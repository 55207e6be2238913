"""A pytest fixture for teams who test models: `lipsync_gate` fails a test when the lips got worse.

    def test_dubs(lipsync_gate):
        lipsync_gate("ci/run.yaml")                      # runs the benchmark (cached), compares with the baseline

    def test_nightly(lipsync_gate):
        verdict = lipsync_gate("runs/nightly")           # a run directory that is there already
        assert verdict.exit_code == 0

The baseline is `lipsync_baseline` of pytest's configuration (default `lipsync-baseline.json` beside it);
`pytest --lipsync-accept "why"` writes it anew, as snapshot tests do.

Paths follow pytest's own rule. Those on the command line start from the folder that pytest was called in; those in
the configuration and in the tests from the folder of the configuration file (pytest's rootdir where there is none),
wherever pytest is called.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lipbench.reports.gate.result import GateResult

DEFAULT = "lipsync-baseline.json"
#: What makes a run the baseline here.
ACCEPT = 'pytest --lipsync-accept "why"'
#: Verdicts that pass with a word.
DOUBTS = ("suspect", "noisy", "incomparable")
#: What --lipsync-allow takes.
ALLOWED = ("suspect", "no-sync", "few-clips")


class LipsyncWarning(UserWarning):
    """The gate is open, but something may be wrong."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lipbench", "lip-sync regression gate")
    group.addoption("--lipsync-baseline", metavar="FILE", help="Baseline of the fixture lipsync_gate.")
    group.addoption("--lipsync-baseline-ref", metavar="REF", help="Read it as it is in this git commit or branch.")
    group.addoption("--lipsync-accept", metavar="REASON", help="Write the baseline instead of comparing with it.")
    group.addoption(
        "--lipsync-allow",
        metavar="WHAT",
        action="append",
        choices=ALLOWED,
        default=[],
        help="suspect: doubts pass; no-sync, few-clips: with --lipsync-accept, as `lipbench gate --allow`. Repeatable.",
    )
    parser.addini("lipsync_baseline", f"baseline of the fixture lipsync_gate (default: {DEFAULT})", default=DEFAULT)


class LipsyncGate:
    """What the fixture `lipsync_gate` is.

    Args:
        baseline: the baseline file.
        ref: the git commit or branch to read it from; None reads the file.
        reason: why the baseline is written anew; None compares with it.
        folder: where runs of run files go.
        base: the folder that relative paths in tests start from.
        allow: of ALLOWED.
    """

    def __init__(
        self, baseline: Path, ref: str | None, reason: str | None, folder: Path, base: Path, allow: Collection[str] = ()
    ) -> None:
        self.baseline, self.ref, self.reason, self.folder, self.base = baseline, ref, reason, folder, base
        self.allow = frozenset(allow)

    def __call__(self, run: Any, *, baseline: str | Path | None = None, **options: Any) -> GateResult | None:
        """Compare a run with the baseline.

        Args:
            run: a run directory, what `lipbench.run` returned, or a run file (.yaml), which is run first.
            baseline: another file than the configured one.
            options: with a run file as for `lipbench.run` (methods, languages, out, ...).

        Returns:
            The gate's answer; None when the baseline was written instead (--lipsync-accept).

        Fails the test when the gate is closed, when the run is not complete, and when nothing can be compared; the
        message begins with which of these it is. What the gate doubts but lets pass becomes a LipsyncWarning.
        """
        from lipbench.core.errors import LipbenchError

        path = self.baseline if baseline is None else self.base / baseline
        failure = ""
        try:
            result = self._compare(run, path, options)
        except LipbenchError as error:
            failure = f"{error.reason}: {error}"
        if failure:  # outside of `except`: pytest would print the caught error and its traceback as well
            pytest.fail(failure, pytrace=False)
        if result is None:
            return None
        if (closed := result.error(ACCEPT, "--lipsync-allow suspect")) is not None:
            from lipbench.reports.gate.writers import text

            pytest.fail(f"{result.word}: {closed}\n\n{text(result)}", pytrace=False)
        if doubts := [v for v in result.verdicts if v.verdict in DOUBTS]:
            lines = [f"{v.verdict}: {v.line.method} {v.line.title}: {v.reason}" for v in doubts]
            warnings.warn(LipsyncWarning("\n".join([*lines, *result.remarks])), stacklevel=2)
        return result

    def _compare(self, run: Any, path: Path, options: dict[str, Any]) -> GateResult | None:
        """Raises LipbenchError when there is nothing to compare or nothing to compare with."""
        from lipbench.reports import gate

        root = self._run(run, options)
        if self.reason is not None:
            gate.accept(root, path, self.reason, allow=self.allow)
            return None
        doubts = "suspect" in self.allow
        return gate.decide(gate.read(path, self.ref, ACCEPT), gate.snapshot(root), allow_suspect=doubts)

    def _run(self, run: Any, options: dict[str, Any]) -> Path:
        """The run directory; a run file is run first."""
        if not isinstance(run, (str, Path)):
            return Path(run.root)
        path = self.base / run
        if path.suffix not in (".yaml", ".yml"):
            return path
        import lipbench

        out = self.base / options.pop("out", self.folder / path.stem)
        done = lipbench.run(path, out=out, **options)
        done.raise_if_incomplete()
        return Path(done.root)


@pytest.fixture
def lipsync_gate(request: pytest.FixtureRequest) -> Callable[..., GateResult | None]:
    """Compares a run with the stored baseline and fails the test when it got worse; see `LipsyncGate.__call__`."""
    config = request.config
    base = config.rootpath if config.inipath is None else config.inipath.parent
    typed, reason = config.getoption("--lipsync-baseline"), config.getoption("--lipsync-accept")
    if reason is not None and not reason.strip():
        raise pytest.UsageError(f"--lipsync-accept needs a reason, which a reviewer reads: {ACCEPT}")
    baseline = base / config.getini("lipsync_baseline") if typed is None else config.invocation_params.dir / typed
    folder = config.cache.mkdir("lipbench") if config.cache is not None else base / "runs"
    allow = config.getoption("--lipsync-allow")
    return LipsyncGate(baseline, config.getoption("--lipsync-baseline-ref"), reason, folder, base, allow)
