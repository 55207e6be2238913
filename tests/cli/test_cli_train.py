"""`lipbench train`: what it refuses before any work."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from lipbench.cli.train import main
from lipbench.core.errors import UnknownName, UsageError


def test_unknown_names_and_missing_ends_are_refused(tmp_path):
    out = ["--out", str(tmp_path / "run")]
    with pytest.raises(UnknownName, match="synnet"):
        CliRunner().invoke(main, ["synnet", *out, "--steps", "1"], catch_exceptions=False)
    with pytest.raises(UsageError, match="no end"):
        CliRunner().invoke(main, ["syncnet", *out], catch_exceptions=False)
    with pytest.raises(UsageError, match="nothing to go on from"):
        CliRunner().invoke(main, ["syncnet", *out, "--steps", "1", "--resume"], catch_exceptions=False)
    assert not (tmp_path / "run").exists()
