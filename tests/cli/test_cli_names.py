"""Names in the package's namespaces: a module that is imported hides whatever had its name before."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest
from click.testing import CliRunner

import lipbench
from lipbench.cli import COMMANDS, group

PACKAGES = sorted(Path(lipbench.__file__).parent.rglob("__init__.py"))


def names_read(tree):
    """Names that a module's code reads and that neither an import nor an assignment of its own binds."""
    read = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    bound = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    bound |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    imported = {
        a.asname or a.name for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom) for a in n.names
    }
    return read - bound - imported


def without_annotations(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign):
            node.annotation = ast.Constant("")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
    return tree


@pytest.mark.parametrize("file", PACKAGES, ids=lambda file: file.parent.name)
def test_no_package_reads_a_name_that_one_of_its_modules_hides(file):
    modules = {p.stem for p in file.parent.glob("*.py")} | {p.parent.name for p in file.parent.glob("*/__init__.py")}
    assert names_read(without_annotations(ast.parse(file.read_text(encoding="utf-8")))) & modules == set()


def test_help_works_after_every_command_was_imported():
    for name in COMMANDS:
        importlib.import_module(f"lipbench.cli.{name.replace('-', '_')}")
    result = CliRunner().invoke(group, ["--help"], catch_exceptions=False)
    assert result.exit_code == 0
    assert all(f"\n  {name} " in result.output for name in COMMANDS)
    assert group.list_commands(None) == [*COMMANDS]
