"""The noxfile, read as text: nox itself is not among the packages of the tests."""

from __future__ import annotations

import ast
from pathlib import Path

SESSIONS = [
    node
    for node in ast.parse((Path(__file__).parents[1] / "noxfile.py").read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef) and node.decorator_list
]


def test_each_session_that_runs_pytest_installs_what_the_tests_import() -> None:
    """tests/conftest.py is loaded for any selection of them."""
    run = [node for node in SESSIONS if "session.run('pytest'" in ast.unparse(node)]
    assert {"tests", "ray", "types", "bench"} <= {node.name for node in run}
    for node in run:
        text = ast.unparse(node)
        assert "install(session, 'test'" in text or "GROUPS['test']" in text, node.name
