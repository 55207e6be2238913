"""A pytest fixture for teams who test models: `lipsync_gate` fails a test when the lips got worse.

    def test_dubs(lipsync_gate):
        lipsync_gate("ci/run.yaml")                      # runs the benchmark (cached), compares with the baseline

    def test_nightly(lipsync_gate):
        verdict = lipsync_gate("runs/nightly")           # a run directory that is there already
        assert verdict.exit_code == 0

The baseline is `lipsync_baseline` of pytest's configuration (default `lipsync-baseline.json` beside it);
`pytest --lipsync-accept "why"` writes it anew, as snapshot tests do.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lipbench.reports.gate.verdict import GateResult

DEFAULT = "lipsync-baseline.json"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lipbench", "lip-sync regression gate")
    group.addoption("--lipsync-baseline", metavar="FILE", help="Baseline of the fixture lipsync_gate.")
    group.addoption("--lipsync-baseline-ref", metavar="REF", help="Read it as it is in this git commit or branch.")
    group.addoption("--lipsync-accept", metavar="REASON", help="Write the baseline instead of comparing with it.")
    parser.addini("lipsync_baseline", f"baseline of the fixture lipsync_gate (default: {DEFAULT})", default=DEFAULT)


class LipsyncGate:
    """What the fixture `lipsync_gate` is."""

    def __init__(self, baseline: Path, ref: str | None, reason: str | None, folder: Path) -> None:
        self.baseline, self.ref, self.reason, self.folder = baseline, ref, reason, folder

    def __call__(self, run: Any, *, baseline: str | Path | None = None, **options: Any) -> GateResult | None:
        """Compare a run with the baseline.

        Args:
            run: a run directory, what `lipbench.run` returned, or a run file (.yaml), which is run first.
            baseline: another file than the configured one.
            options: with a run file as for `lipbench.run` (methods, languages, out, ...).

        Returns:
            The gate's answer; None when the baseline was written instead (--lipsync-accept).

        Fails the test when the gate is closed, when the run is not complete, and when nothing can be compared; the
        message begins with which of these it is.
        """
        from lipbench.core.errors import LipbenchError
        from lipbench.reports import gate

        path = self.baseline if baseline is None else Path(baseline)
        try:
            root = self._run(run, options)
            if self.reason is not None:
                gate.accept(root, path, self.reason)
                return None
            result = gate.judge(gate.read(path, self.ref), gate.snapshot(root))
        except LipbenchError as error:
            pytest.fail(f"{error.reason}: {error}", pytrace=False)
        if (closed := result.error()) is not None:
            from lipbench.reports.gate.writers import text

            pytest.fail(f"{result.word}: {closed}\n\n{text(result)}", pytrace=False)
        return result

    def _run(self, run: Any, options: dict[str, Any]) -> Path:
        """The run directory; a run file is run first."""
        if not isinstance(run, (str, Path)):
            return Path(run.root)
        path = Path(run)
        if path.suffix not in (".yaml", ".yml"):
            return path
        import lipbench

        out = options.pop("out", self.folder / path.stem)
        done = lipbench.run(path, out=out, **options)
        done.raise_if_incomplete()
        return Path(done.root)


@pytest.fixture
def lipsync_gate(request: pytest.FixtureRequest) -> Callable[..., GateResult | None]:
    """Compares a run with the stored baseline and fails the test when it got worse; see `LipsyncGate.__call__`."""
    config = request.config
    given = config.getoption("--lipsync-baseline") or config.getini("lipsync_baseline")
    folder = config.cache.mkdir("lipbench") if config.cache is not None else Path("runs")
    ref, reason = config.getoption("--lipsync-baseline-ref"), config.getoption("--lipsync-accept")
    return LipsyncGate(config.rootpath / given, ref, reason, folder)
